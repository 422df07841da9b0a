"""What the backups of a trace give back: whether a tool's commands, each accepted, add up to a restore.

Where guest writes are recorded, chains are followed in the blocks of the disks (`OfWorlds`). Where they are not, what
is asked is *when a guest must not have written*: each gap between two events is followed as a block (`OfGaps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from cbtmodel import commands as c
from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.node import initial, with_bitmap
from cbtmodel.traits import changed_bitmap

from cbtcheck.follow.chain_table import ChainTable, Tabled
from cbtcheck.follow.chain_words import ranges
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.reasons import At
from cbtcheck.follow.undecided import Unknown, with_the_undecided
from cbtcheck.scenario.actions import actions_of, bitmaps_used
from cbtcheck.scenario.images import Files, fresh
from cbtcheck.sets.between import Between, BetweenSets, TooMuch
from cbtcheck.sets.gaps import BLOCK, MOST_GAPS, GapSets
from cbtcheck.sets.granules import Granules
from cbtcheck.trace.chain_variants import BETWEEN, EARLY, GRANULARITY, LATE, MOST_PLACES, Variant, as_told, tables_of
from cbtcheck.trace.events import Change, EndOfJobs, Forgotten, Given, Landed, Look
from cbtcheck.trace.stepped import at_line, stepped
from cbtcheck.trace.window import Item, Window, written
from cbtcheck.trace.world import Rules, Traced

MOST_NAMED = 4
"""Windows that are named for one reason."""

HOW_COPIED = "to tell, record the guest's writes (--guest recorded)"
HOW_BEFORE = "to tell, record from the full backup on"

IN_BLOCKS = (*get_args(c.Guest), *get_args(c.Copying))
"""Commands that say of blocks what they do, which are not gaps: what they tell is only which jobs they have ended."""


@dataclass
class OfGaps:
    """Follows the commands of a trace without its guest's writes: a state of its own, in which every gap is written.

    `apart` are jobs that back nothing up for a restore (sync modes `none` and `top`). `paused`: the guest is.
    `lost_from`: the line from which on nothing is followed, since the commands contradict each other; 0 if none.
    `monitor`: whose conversation it was, if the log has several.
    """

    disks: dict[str, int]
    rules: Rules
    apart: set[str] = field(default_factory=set)
    paused: bool = False
    lost_from: int = 0
    images: bool = False
    gaps: list[tuple[int, int]] = field(default_factory=list)
    monitor: str = ""
    unknown: list[Unknown] = field(default_factory=list)
    _line: int = 0
    _quiet: bool = True

    def __post_init__(self) -> None:
        self.space = GapSets()
        rules = replace(self.rules, copies_seen=False, untracked=True)
        files: Files[Between] | None = fresh(self.disks) if self.images else None
        self.rules, self.world = rules, Traced(initial(self.space, self.disks), files=files)
        self.followed: ChainsFollowed[Between] = ChainsFollowed()

    def happens(self, line: int, change: Change) -> None:
        """An event of the trace, in the order of its lines. Once it cannot be followed, nothing more is."""
        if self.lost_from:
            return
        self._gap(line)
        if isinstance(change, Forgotten) and change.closed:
            return
        if isinstance(change, Given):
            if change.refusal and change.definite:
                self.followed = self.followed.refused(at_line(line, change), change.command)
            if change.refusal or not change.definite:
                return
            if isinstance(change.command, IN_BLOCKS):
                change = EndOfJobs(change.ended)
            else:
                self._adopt(change.command)
        if isinstance(change, Landed) or change == EndOfJobs(()):
            return
        try:
            found = as_told(self.world, change, self.rules)
        except TooMuch:
            found = []
        if not found or len(self.gaps) >= MOST_GAPS:
            self.lost_from = line
            return
        before, self.world = self.world, found[0]
        if isinstance(change, EndOfJobs):
            self._copied_in_part(line, change, before)
        self.followed = stepped(
            self.followed, at_line(line, change), change, before, self.world, frozenset(self.apart)
        )
        self._quiet = self._quiet and self.world.state == before.state

    def _copied_in_part(self, line: int, ends: EndOfJobs, before: Traced) -> None:
        """What a job of mode *always* has not copied is in its bitmap again; how much that is, is in no log."""
        for job_id, outcome in ends.jobs:
            job = before.state.jobs.get(job_id)
            if outcome != "completed" and job is not None and job.bitmap is not None and job.mode == "always":
                over = "failed" if outcome == "failed" else "was cancelled"
                what, at = f"how much {job_id} had copied when it {over}", At(line, "line", f"{job_id} {outcome}")
                unknown = Unknown(job.node, job.bitmap, what, at, HOW_COPIED, copied=True)
                self.unknown = [*self.unknown, unknown]

    def undecided(self, line: int) -> None:
        """What is undecided about blocks is nothing here: commands are followed in the order of lines."""

    def begins_again(self, line: int) -> None:
        """Another session begins. Whether the guest was stopped before says nothing of now."""
        self._gap(line)
        self.paused = self._quiet = False
        self.apart.clear()

    def followers(self) -> list[OfGaps]:
        """Whatever has a state, and chains that are followed in it."""
        return [self]

    def guest_runs(self, line: int, runs: bool) -> None:
        """The guest was stopped, or goes on."""
        self._gap(line)
        self.paused = not runs

    def _gap(self, line: int) -> None:
        """Whatever the guest writes between the last event and this one, unless it is stopped.

        Where nothing has changed since the last gap, that one goes on.
        """
        if not self.paused and self.gaps and self._quiet:
            self.gaps[-1] = (self.gaps[-1][0], line)
        elif not self.paused:
            number, self._quiet = len(self.gaps), True
            self.gaps.append((self._line, line))
            blocks = self.space.gap(number)
            for node in self.world.state.nodes:
                self.followed = self.followed.wrote(
                    At(line, "line", "a write before"), self.world.state, node, blocks
                )
                self.world = next(iter(written(self.world, node, blocks)), self.world)
        self._line = line

    def _adopt(self, command: c.Command) -> None:
        """Bitmaps that were there before the trace began: they record, as far as anybody knows."""
        state = self.world.state
        for node, name in _not_added(command):
            if node in state.nodes and name not in state.nodes[node].bitmaps:
                past = self.space.gaps_before(len(self.gaps))
                bitmap: Bitmap[Between] = Bitmap(GRANULARITY, True, Marks(past, past, past))
                state = with_bitmap(state, node, name, bitmap)
        if state is not self.world.state:
            self.world = replace(self.world, state=state)

    def table(self) -> ChainTable:
        """What the backups give back."""
        table = Tabled(self.space, BLOCK, self.world.state, self.followed, self.disks).table()
        return with_the_undecided(table, self.unknown)

    def listed(self, gaps: Granules) -> list[tuple[int, int]]:
        """Gaps as (line, line): between which a guest must not have written."""
        runs = ((offset // BLOCK, (offset + length) // BLOCK) for offset, length in gaps.extents())
        return [
            (self.gaps[first][0], self.gaps[min(past, len(self.gaps)) - 1][1])
            for first, past in runs
            if first < len(self.gaps)
        ]

    def named(self, gaps: Granules) -> str:
        """Gaps, as what a guest may have written between which lines; or all that was not backed up, whenever."""
        if len(self.gaps) in gaps:  # a gap that has not been yet: so it is not about when something was written
            return "whatever this backup has not copied itself"
        lines = self.listed(gaps)
        said = [f"between lines {first} and {last}" if first else f"before line {last}" for first, last in lines]
        return "what a guest writes " + ", ".join(said[:MOST_NAMED]) + (", …" if len(said) > MOST_NAMED else "")


@dataclass
class OfWorlds:
    """Follows the blocks of the disks, with the guest's writes: in one state, or in one for each variant.

    `lost_from`: the line from which on nothing is followed, since it is undecided what happened there; 0 if none.
    `apart` are jobs that back nothing up for a restore. `monitor`: whose conversation it was, if there are several.
    """

    space: BetweenSets
    block: int
    disks: dict[str, int]
    strange: frozenset[str] = frozenset()
    lost_from: int = 0
    unknown: list[Unknown] = field(default_factory=list)
    apart: set[str] = field(default_factory=set)
    images: bool = False
    monitor: str = ""

    def __post_init__(self) -> None:
        files = fresh(self.disks) if self.images else None
        self.variants = [Variant(Traced(initial(self.space, self.disks), strange=self.strange, files=files))]
        self.anywhere: Variant | None = None

    def wrote(self, line: int, node: str, blocks: Between) -> None:
        """Something was written, for certain or perhaps, before an event that is at this line."""
        for each in self._all() if not self.lost_from else ():
            each.wrote(line, node, blocks)

    def happens(self, line: int, change: Change, rules: Rules) -> None:
        """A change that nothing overlaps."""
        if rules.untracked:
            self._adopt(line, change)
        for each in self._all() if not self.lost_from else ():
            each.happens(line, change, rules, frozenset(self.apart))
        self._without_the_refuted(line)

    def learns(self, look: Look, guest_seen: bool) -> None:
        """A look that nothing overlaps, and that is allowed."""
        for each in self._all() if not self.lost_from else ():
            each.learns(self.space, look, guest_seen)

    @property
    def world(self) -> Traced:
        """The state of the first variant: all have the same bitmaps and jobs."""
        return self.variants[0].world

    def begins_again(self, line: int) -> None:
        """Another session begins."""
        self.apart.clear()

    def followers(self) -> list[Variant]:
        """Whatever has a state, and chains that are followed in it."""
        return self._all()

    def undecided(self, line: int) -> None:
        """It is undecided what happened at this line."""
        self.lost_from = self.lost_from or line

    def happen_at_once(self, window: Window, order: Sequence[Item]) -> None:
        """Changes that overlap each other or writes, in an order that explains their replies."""
        if self.lost_from:
            return
        most = max((len(window.places(each, tuple(order))) - 1 for each in window.classes), default=0)
        if most and len(self.variants) == 1:
            one = self.variants[0]
            self.variants = [Variant(one.world, place, one.followed) for place in (EARLY, LATE)]
            if window.rules.copies_seen:
                self.anywhere = Variant(one.world, None, one.followed)
        if most == MOST_PLACES - 1 and all(each.place is not BETWEEN for each in self.variants):
            one = self.variants[0]
            self.variants.append(Variant(one.world, BETWEEN, one.followed))
        for each in self._all():
            each.happen_at_once(window, order, frozenset(self.apart))
        self._without_the_refuted(window.line)

    def _adopt(self, line: int, change: Change) -> None:
        """Bitmaps that were there before the session began: what they have is unknown."""
        if self.lost_from or not isinstance(change, Given) or not change.definite or change.refusal:
            return
        for node, name in _not_added(change.command):
            nodes = self.world.state.nodes
            if node in nodes and node in self.world.strange and name not in nodes[node].bitmaps:
                for each in self._all():
                    each.adopts(node, name)
                what, at = f"what {node}/{name} had, which was there before", At(line, "line", "first used")
                self.unknown = [*self.unknown, Unknown(node, name, what, at, HOW_BEFORE)]

    def _all(self) -> list[Variant]:
        return [*self.variants, *([] if self.anywhere is None or self.anywhere in self.variants else [self.anywhere])]

    def _without_the_refuted(self, line: int) -> None:
        """Those that are left; with them counts the one that is never wrong, or nothing more is said."""
        if len(self.variants) == 1 or not any(each.refuted for each in self.variants):
            return
        if self.anywhere is None:
            self.lost_from = line
        elif self.anywhere not in self.variants:
            self.variants.append(self.anywhere)
        left = [each for each in self.variants if not each.refuted or each is self.anywhere]
        self.variants = left or self.variants

    def listed(self, blocks: Granules) -> list[tuple[int, int]]:
        """Blocks as (offset, length) in bytes."""
        return blocks.extents()

    def named(self, blocks: Granules) -> str:
        """Blocks as ranges of bytes."""
        return ranges(blocks)

    def table(self) -> ChainTable:
        """What the backups give back."""
        return with_the_undecided(tables_of(self.space, self.block, self.variants, self.disks), self.unknown)


def _not_added(command: c.Command) -> list[tuple[str, str]]:
    """The bitmaps that a command uses, and does not itself add."""
    actions = actions_of(command)
    added = {changed_bitmap(each) for each in actions if isinstance(each, c.AddBitmap)}
    return [place for each in actions for place in bitmaps_used(each) if place not in added]
