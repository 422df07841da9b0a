"""Judges a stream of events, in memory that does not grow with its length.

Events come in the order of their begin. A guest write that has ended before something else begins is put into a set,
by node, which the specification is given as one write (BATCH). What overlaps a command or a look is kept until all of
it has ended: that is a *window* (see there). Then only worlds are left: states, one for each thing that is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from cbtmodel.node import initial
from cbtmodel.step import whole_write

from cbtcheck.follow.worlds import least_at_odds
from cbtcheck.scenario.images import fresh
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.between import Between, BetweenSets, TooMuch, outcomes
from cbtcheck.sets.compressed import NOTHING, Compressed, CompressedSets
from cbtcheck.trace import images
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.commuting import Touching, touching
from cbtcheck.trace.disagreement import Memory, unheard
from cbtcheck.trace.events import Change, EndOfJobs, Event, Forgotten, Look, LookAtJobs, OfImages, Resized, Span
from cbtcheck.trace.explained import explain
from cbtcheck.trace.gathered import Counts, Over
from cbtcheck.trace.guesses import MOST_APART, advance, gather
from cbtcheck.trace.judgement import Judged
from cbtcheck.trace.learn import learn
from cbtcheck.trace.remembered import beside_each_other
from cbtcheck.trace.untracked import why_not_judged
from cbtcheck.trace.waiting import Waiting
from cbtcheck.trace.whole import judge_whole, may_be_mixed
from cbtcheck.trace.window import MOST_WORLDS, Item, Window, gathered, has_all
from cbtcheck.trace.window_parts import Part, parts
from cbtcheck.trace.window_writes import write_classes
from cbtcheck.trace.world import Rules, Traced, possible, specified

Tell = Callable[[int, Finding], None]


@dataclass
class Verifier:
    """Takes writes and events in the order of their begin, and tells every disagreement with its line.

    `guest_seen`: every guest write is in the trace; if not, any part of any disk can be written at any time.
    `before`: the backups that are followed on; None: from here on. `images`: each disk lies in one of its own.
    """

    space: CompressedSets
    disks: dict[str, int]
    tell: Tell
    rules: Rules = field(default_factory=Rules)
    guest_seen: bool = True
    strange: frozenset[str] = frozenset()
    counts: Counts = field(default_factory=Counts)
    before: OfGaps | OfWorlds | None = None
    images: bool = False

    def __post_init__(self) -> None:
        self._between = BetweenSets(self.space)
        files = fresh(self.disks) if self.images else None
        self._worlds = [Traced(initial(self._between, self.disks), strange=self.strange, files=files)]
        self._last_line = 0
        everywhere = {} if self.guest_seen else self.disks
        lingering = {node: (inf, self.space.everything(size)) for node, size in everywhere.items()}
        self._waiting = Waiting(self.space, self.disks, lingering)
        self._memory = Memory()
        self.chains: OfGaps | OfWorlds = self.before or OfGaps(self.disks, self.rules, images=self.images)
        if self.before is None and self.guest_seen:
            sizes = dict(self.disks)
            self.chains = OfWorlds(self._between, self.space.block, sizes, self.strange, images=self.images)
        self._lost_until = -inf

    # What is given

    def write(
        self, line: int, node: str, first: int, past: int, begin: float, end: float | None, sure: bool = True
    ) -> None:
        """A guest write of the blocks from `first` to before `past`.

        It happened at the point `begin` if there is no `end`; `inf` if nobody knows whether and when it ended. Not
        `sure`: perhaps it did not happen.
        """
        self.counts.writes += 1
        if self._waiting.is_over(begin):
            self._close()
        if end is None and not self._waiting.items:
            self._waiting.over[node].add(first, past, sure)
            self._last_line = line
        else:
            self._waiting.write(node, first, past, begin, end, sure)

    def happen(self, event: Event, span: Span) -> None:
        """A command, the end of a job, or a look."""
        world = self._worlds[0]
        self.counts.happened(event, why_not_judged(event, world.state, world.strange, self.rules.untracked))
        if self._is_lost(span):
            return
        if isinstance(event, Resized):
            self._resize(event)
        if isinstance(self.chains, OfGaps) and not isinstance(event, Look | LookAtJobs):
            self.chains.happens(span.line, event)
        if self._waiting.is_over(span.begin):
            self._close()
        self._waiting.sweep(span.begin)
        self._drop_lingering(span.begin)
        if span.point and not self._waiting.items and not self._waiting.has_open():
            self._at_once(event, span)
        elif isinstance(event, OfImages):
            raise images.overlaps(span.line)
        else:
            self._add(event, span)

    def _resize(self, event: Resized) -> None:
        """Guest writes that are not known may be anywhere on the disk, as large as it is from now on."""
        if self._waiting.items:
            self._close()
        self._flush()
        if event.node in self.disks:
            self.disks[event.node], lingering = event.size, self._waiting.lingering
            if event.node in lingering:
                lingering[event.node] = lingering[event.node][0], self.space.everything(event.size)

    def happen_in_two(self, first: Change, second: Change, span: Span) -> None:
        """Two events in the same interval, one after the other: the halves of a guest write."""
        self.happen(first, span)
        if not self._is_lost(span):
            self._add(second, span, after=len(self._waiting.items) - 1)

    def finish(self) -> None:
        """There is nothing more to come."""
        if self._waiting.items:
            self._close()
        self._waiting.sweep(inf)
        self._flush()

    # Writes that are over

    def _drop_lingering(self, begin: float) -> None:
        """Those that have ended are written once more, at most, and then no more."""
        over = self._waiting.no_longer(begin)
        if over and not self._waiting.items:
            self._flush()
            for node in over:
                del self._waiting.lingering[node]

    def _flush(self, nodes: Iterable[str] | None = None) -> None:
        """What has been written for certain, or perhaps, before whatever comes next: on these disks, or on all."""
        over, lingering = self._waiting.over, self._waiting.lingering
        for node in self.disks if nodes is None else sorted(nodes):
            if not over[node] and (node not in lingering or self._is_settled(node)):
                continue
            blocks = over[node].blocks(self.space, lingering.get(node, (0, NOTHING))[1])
            over[node] = Over()
            if isinstance(self.chains, OfWorlds):
                self.chains.wrote(self._last_line, node, blocks)
            try:
                self._worlds = [after for each in self._worlds for after in self._written(each, node, blocks)]
            except TooMuch:
                self._worlds = self._undecided(self._last_line)

    def _is_settled(self, node: str) -> bool:
        """Whether what is written there all the time has been everywhere that it can be."""
        blocks = self._waiting.lingering[node][1]
        if isinstance(self.chains, OfWorlds) or not all(has_all(each, node, blocks) for each in self._worlds):
            return False
        self._memory.written(self._worlds, node)
        return True

    def _written(self, world: Traced, node: str, blocks: Between) -> list[Traced]:
        silent = advance(world, lambda each: gathered(each, node, blocks))
        if silent:
            return silent
        state, ended = next(outcomes(lambda: whole_write(world.state, node, blocks)))
        told = EndOfJobs(tuple((end.job_id, end.outcome) for end in ended))
        self.tell(self._last_line, unheard(told))
        return [replace(world, state=state, guesses=())]

    # Events

    def _at_once(self, event: Event, span: Span) -> None:
        """Nothing overlaps it."""
        self._flush(self._touch([Item(0, event, span, 0)])[0])
        if isinstance(event, Look | LookAtJobs):
            self._look(event, span)
        else:
            self._worlds = self._change(event, span, self._worlds)
            if isinstance(self.chains, OfWorlds):
                self.chains.happens(span.line, event, self.rules)

    def _change(self, event: Change, span: Span, worlds: list[Traced]) -> list[Traced]:
        change = partial(possible, change=event, rules=self.rules)
        try:
            after = gather(done for each in worlds for done in advance(each, change))
            if len(after) > MOST_WORLDS:
                raise TooMuch
        except TooMuch:
            return self._undecided(span.line)
        if after:
            return after
        forbidden = [specified(replace(each, guesses=()), event, self.rules) for each in worlds]
        kept = least_at_odds(forbidden, lambda pair: pair[1])
        for finding in kept[0][1]:
            self.tell(span.line, finding)
        return gather(world for world, _ in kept)

    def _look(self, look: Look | LookAtJobs, span: Span, learns: bool = True) -> None:
        if self.counts.undecided:
            look = replace(look, adopt=True) if isinstance(look, Look) else replace(look, untracked=True)
        judged = [judge_whole(self._between, world, look) for world in self._worlds]
        kept = least_at_odds(judged, lambda pair: pair[0].findings)
        open_before = isinstance(look, Look) and any(may_be_mixed(world, look) for world in self._worlds)
        self._worlds, best = gather(world for _, world in kept), kept[0][0]
        self._looked(best)
        for finding in best.findings:
            self.tell(span.line, finding)
        if open_before and not best.findings:
            self.counts.mixed.append(span.line)
        if isinstance(look, Look) and len(self._worlds) == 1 and learns:
            if not best.findings:
                for finding in self._memory.compare(self._worlds[0], look):
                    self.tell(span.line, finding)
                self._worlds = [learn(self.space, self._worlds[0], look, self.guest_seen)]
                if isinstance(self.chains, OfWorlds):
                    self.chains.learns(look, self.guest_seen)
            self._memory.keep(self._worlds[0], look)

    def _looked(self, judged: Judged) -> None:
        self.counts.unjudged.update(judged.unjudged)
        self.counts.looks_judged += judged.anything

    # What cannot be decided

    def _undecided(self, line: int) -> list[Traced]:
        """From here on nothing is known of any bitmap or job, until it is seen: the world in which that is so."""
        self.counts.undecided.append(line)
        self.chains.undecided(line)
        self.rules = replace(self.rules, untracked=True)
        self._memory = Memory()
        world = replace(self._worlds[0], guesses=(), due=frozenset())
        return possible(world, Forgotten(None), self.rules)

    def _is_lost(self, span: Span) -> bool:
        """Whether it overlaps commands that nothing can be said of any more, directly or by way of others."""
        if span.begin > self._lost_until:
            return False
        self._lost_until = max(self._lost_until, span.end)
        return True

    # Windows

    def _touch(self, items: Sequence[Item]) -> Touching:
        """The disks that these items have to do with. What is written to others commutes with them, and may wait."""
        return touching(items, self._worlds, self.disks, self.rules)

    def _add(self, event: Event, span: Span, after: int | None = None) -> None:
        waiting = self._waiting
        if waiting.is_full():
            waiting.stop_telling_apart()
            if waiting.is_over(span.begin):
                self._close()
        if waiting.is_too_much():
            self._worlds = self._undecided(waiting.items[0].span.line)
            self._lost_until = waiting.given_up()
            self._is_lost(span)
        else:
            waiting.item(event, span, after)

    def _close(self) -> None:
        """Everything that overlaps has ended: which worlds can there be now? Part by part."""
        items, writes = self._waiting.closed()
        touch = self._touch(items)
        touched = frozenset[str]().union(*touch.values())
        self._waiting.are_over({key: each for key, each in writes.items() if key[0] not in touched})
        for part in parts(items, writes, touch):
            self._waiting.are_over(part.first)
            self._flush(part.disks)
            self._explain(part)

    def _explain(self, part: Part) -> None:
        classes = tuple(write_classes(self.space, part.items, self._worlds, part.writes, self.rules))
        lingering = {node: blocks for node, (_, blocks) in self._waiting.lingering.items() if node in part.disks}
        touch = touching(part.items, self._worlds, part.disks, self.rules)
        window = Window(part.items, classes, lingering, self.rules, touch)
        self.counts.windows += 1
        if not classes and all(item.is_look for item in window.items):
            self._looks(window)
            return
        try:
            explained = explain(self._between, window, self._worlds, self.guest_seen)
            if isinstance(self.chains, OfWorlds):
                controls = tuple(item for item in window.items if not item.is_look)
                self.chains.happen_at_once(window, controls if explained is None else explained.order)
            if explained is None:
                self._unexplained(window)
                return
        except TooMuch:
            self._worlds = self._undecided(window.line)
            return
        self._worlds = explained.worlds
        for judged in explained.judged:
            self._looked(judged)
        for line, finding in explained.findings:
            self.tell(line, finding)

    def _looks(self, window: Window) -> None:
        """Looks that overlap nothing but each other: only writes that nobody saw can be between them."""
        alone = len(window.items) == 1 or not window.lingering
        for item in window.items:
            assert isinstance(item.event, Look | LookAtJobs)
            self._look(item.event, item.span, alone)
        if not alone and len(self._worlds) == 1:
            world, adopt = self._worlds[0], bool(self.counts.undecided)
            self._worlds = [beside_each_other(self._between, window, world, self.guest_seen, adopt)]

    def _unexplained(self, window: Window) -> None:
        """No order explains all replies: in the order of lines, what the specification says to each is told."""
        worlds, most = self._worlds, dict[str, Compressed]()
        for each in window.classes:
            most[each.node] = most.get(each.node, NOTHING) | each.blocks
        for item in window.items:
            worlds = self._perhaps_written(worlds, most)
            if isinstance(item.event, Look | LookAtJobs):
                self.counts.unjudged["looks that overlap commands whose replies contradict each other"] += 1
            else:
                worlds = self._change(item.event, item.span, worlds)
        self._worlds = gather(self._perhaps_written(worlds, most))

    def _perhaps_written(self, worlds: list[Traced], most: dict[str, Compressed]) -> list[Traced]:
        for node, blocks in most.items():
            perhaps = Between(NOTHING, blocks)
            worlds = gather(done for world in worlds for done in self._written(world, node, perhaps))
            if len(worlds) > MOST_APART:
                raise TooMuch
        return worlds
