"""Judges a stream of events, in memory that does not grow with its length.

Events come in the order of their begin. A guest write that has ended before something else begins is put into a set,
by node, which the specification is given as one write (BATCH). What overlaps a command or a look is kept until all of
it has ended: that is a *window* (see there). Then only worlds are left: states, one for each thing that is undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from cbtmodel.node import initial
from cbtmodel.step import whole_write

from cbtcheck.follow.worlds import least_at_odds
from cbtcheck.scenario.images import fresh
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.between import Between, BetweenSets, TooMuch, exactly, outcomes
from cbtcheck.sets.compressed import NOTHING, Compressed, CompressedSets
from cbtcheck.sets.numbers import Numbers
from cbtcheck.trace import images
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.commuting import touching
from cbtcheck.trace.disagreement import Memory, unheard
from cbtcheck.trace.events import Change, EndOfJobs, Event, Forgotten, Look, LookAtJobs, OfImages, Resized, Span
from cbtcheck.trace.explained import explain
from cbtcheck.trace.gathered import MOST_ITEMS, MOST_OPEN, SWEEP, Counts, Gathered, OpenWrite
from cbtcheck.trace.guesses import MOST_APART, advance, gather
from cbtcheck.trace.judgement import Judged
from cbtcheck.trace.learn import learn
from cbtcheck.trace.remembered import beside_each_other
from cbtcheck.trace.untracked import why_not_judged
from cbtcheck.trace.whole import judge_whole, may_be_mixed
from cbtcheck.trace.window import MOST_WORLDS, Item, Window, gathered, has_all
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
        self._sure = {node: Numbers() for node in self.disks}
        self._perhaps = {node: Numbers() for node in self.disks}
        self._last_line = 0
        self._open: list[OpenWrite] = []
        self._sweep_at = SWEEP
        self._items: list[Item] = []
        self._classes: dict[tuple[str, int, int, bool], Gathered] = {}
        self._blocked_until = -inf
        self._lingering: dict[str, tuple[float, Compressed]] = {}
        if not self.guest_seen:
            self._lingering = {node: (inf, self.space.everything(size)) for node, size in self.disks.items()}
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
        if self._items and begin > self._blocked_until:
            self._close()
        if end is None and not self._items:
            (self._sure if sure else self._perhaps)[node].add_range(first, past)
            self._last_line = line
            return
        before = self._over(begin) if self._items else 0
        if end is None:
            self._into_class(node, first, past, before, sure)
        elif end == inf:
            self._linger(node, first, past, inf)
        else:
            self._open.append(OpenWrite(node, first, past, end, sure, before))
            if self._items and before != self._all_items():
                self._blocked_until = max(self._blocked_until, end)
            if len(self._open) >= self._sweep_at:
                self._sweep(begin)

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
        if self._items and span.begin > self._blocked_until:
            self._close()
        self._sweep(span.begin)
        self._drop_lingering(span.begin)
        if span.point and not self._items and not self._open:
            self._at_once(event, span)
        elif isinstance(event, OfImages):
            raise images.overlaps(span.line)
        else:
            self._add(event, span)

    def _resize(self, event: Resized) -> None:
        """Guest writes that are not known may be anywhere on the disk, as large as it is from now on."""
        if self._items:
            self._close()
        self._flush()
        if event.node in self.disks:
            self.disks[event.node] = event.size
            if event.node in self._lingering:
                self._lingering[event.node] = self._lingering[event.node][0], self.space.everything(event.size)

    def happen_in_two(self, first: Change, second: Change, span: Span) -> None:
        """Two events in the same interval, one after the other: the halves of a guest write."""
        self.happen(first, span)
        if not self._is_lost(span):
            self._add(second, span, after=len(self._items) - 1)

    def finish(self) -> None:
        """There is nothing more to come."""
        if self._items:
            self._close()
        self._sweep(inf)
        self._flush()

    # Writes that wait

    def _over(self, begin: float) -> int:
        """The items that are known to be before whatever begins then."""
        return sum(1 << item.number for item in self._items if item.span.over(begin))

    def _all_items(self) -> int:
        return (1 << len(self._items)) - 1

    def _into_class(self, node: str, first: int, past: int, before: int, sure: bool) -> None:
        key = (node, before, len(self._items), sure)
        if key not in self._classes:
            self._classes[key] = Gathered()
        self._classes[key].add(first, past)

    def _sweep(self, begin: float) -> None:
        """Writes that have ended before `begin` wait no longer."""
        still_open = []
        for each in self._open:
            if each.end >= begin:
                still_open.append(each)
            elif self._items:
                self._into_class(each.node, each.first, each.past, each.before, each.sure)
            else:
                (self._sure if each.sure else self._perhaps)[each.node].add_range(each.first, each.past)
        self._open = still_open
        if len(still_open) > MOST_OPEN:
            self._stop_telling_apart()
        self._sweep_at = max(SWEEP, 2 * len(self._open))

    def _stop_telling_apart(self) -> None:
        """Writes in flight may have happened or not, at any time until all of them have ended: sound, less tight."""
        for each in self._open:
            self._linger(each.node, each.first, each.past, each.end)
        self._open = []
        self._blocked_until = max((item.span.end for item in self._items if not item.span.point), default=-inf)

    def _linger(self, node: str, first: int, past: int, end: float) -> None:
        until, blocks = self._lingering.get(node, (-inf, NOTHING))
        written = self.space.blocks(first * self.space.block, (past - first) * self.space.block)
        self._lingering[node] = max(until, end), blocks | written

    def _drop_lingering(self, begin: float) -> None:
        """Those that have ended are written once more, at most, and then no more."""
        over = {node: blocks for node, (end, blocks) in self._lingering.items() if end < begin}
        if over and not self._items:
            self._flush()
            self._lingering = {node: each for node, each in self._lingering.items() if node not in over}

    def _flush(self) -> None:
        """What has been written for certain, or perhaps, before whatever comes next."""
        for node in self.disks:
            sure, perhaps = self._sure[node], self._perhaps[node]
            if not sure and not perhaps and (node not in self._lingering or self._is_settled(node)):
                continue
            least = self.space.gathered(sure)
            most = least | self.space.gathered(perhaps) if perhaps else least
            if node in self._lingering:
                most = most | self._lingering[node][1]
            self._sure[node], self._perhaps[node] = Numbers(), Numbers()
            blocks = exactly(least) if most is least else Between(least, most)
            if isinstance(self.chains, OfWorlds):
                self.chains.wrote(self._last_line, node, blocks)
            try:
                self._worlds = [after for each in self._worlds for after in self._written(each, node, blocks)]
            except TooMuch:
                self._worlds = self._undecided(self._last_line)

    def _is_settled(self, node: str) -> bool:
        """Whether what is written there all the time has been everywhere that it can be."""
        blocks = self._lingering[node][1]
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
        self._flush()
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

    def _add(self, event: Event, span: Span, after: int | None = None) -> None:
        if len(self._items) == MOST_ITEMS:
            self._stop_telling_apart()
            if span.begin > self._blocked_until:
                self._close()
        if len(self._items) > 2 * MOST_ITEMS:
            self._worlds = self._undecided(self._items[0].span.line)
            self._lost_until = max(item.span.end for item in self._items)
            self._items, self._classes, self._blocked_until = [], {}, -inf
            self._open = [replace(each, before=0) for each in self._open]
            self._is_lost(span)
            return
        before = self._over(span.begin) | (0 if after is None else 1 << after)
        self._items.append(Item(len(self._items), event, span, before))
        ends = [each.end for each in self._open]
        if not span.point:
            ends.append(span.end)
        self._blocked_until = max([self._blocked_until, *ends])

    def _close(self) -> None:
        """Everything that overlaps has ended: which worlds can there be now?"""
        after = []
        for each in self._open:
            if each.before == self._all_items():
                after.append(replace(each, before=0))
            else:
                self._into_class(each.node, each.first, each.past, each.before, each.sure)
        self._flush()
        classes = tuple(write_classes(self.space, self._items, self._worlds, self._classes, self.rules))
        lingering = {node: blocks for node, (_, blocks) in self._lingering.items()}
        bare = Window(tuple(self._items), classes, lingering, self.rules)
        window = replace(bare, touching=touching(bare, self._worlds))
        self._open, self._items, self._classes, self._blocked_until = after, [], {}, -inf
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
