"""Follows chains where guest writes overlap commands: as if each was early, late, or in the middle.

Whether a backup has such a write and whether the next one needs it hang together: if it was before the start it is
in the one, else in the other. Bounds of each would say that it is perhaps in neither. So each *variant* has a state
of its own, in which every write that overlaps something is at one place: the first that it can be at, the last, or
the one between. What is lost in all variants is lost; what is lost in one of them, perhaps. A write that can be at
more than three places is perhaps at each of them, in every variant.

A variant in which a reply is not possible is refuted, and dropped: then some writes were early and others late. Where
jobs end when the specification says, that happens, and one variant more counts then, in which such a write is perhaps
at each of its places. Elsewhere nothing more is said of chains from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce

from cbtmodel.backup import Outcome
from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.node import with_bitmap

from cbtcheck.follow.chain_table import ChainTable, Gives, Lost, NotCovered, Row, Tabled
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.sets.between import Between, BetweenSets, TooMuch, at_most, exactly
from cbtcheck.sets.compressed import NOTHING
from cbtcheck.sets.granules import Granules
from cbtcheck.sets.numbers import Numbers
from cbtcheck.trace.events import Change, EndOfJobs, Forgotten, Look
from cbtcheck.trace.learn import learn
from cbtcheck.trace.stepped import at_line, stepped
from cbtcheck.trace.window import Item, Window, WriteClass, gathered
from cbtcheck.trace.world import Rules, Traced, possible

Place = Callable[[int, int], int]

EARLY: Place = lambda first, last: first  # noqa: E731
BETWEEN: Place = lambda first, last: (first + last + 1) // 2  # noqa: E731
LATE: Place = lambda first, last: last  # noqa: E731

MOST_PLACES = 3
"""At which a write is that can be at so many; at more, it is perhaps at each."""


GRANULARITY = 65536
"""Of a bitmap whose beginning is not in the trace."""


@dataclass(eq=False)
class Variant:
    """One way in which things may have been: a state, and what was followed in it; `refuted` if it was not so.

    `place`: in which of the gaps, from the first to the last, a write is; None: perhaps in each.
    """

    world: Traced
    place: Place | None = None
    followed: ChainsFollowed[Between] = field(default_factory=ChainsFollowed)
    refuted: bool = False

    def wrote(self, line: int, node: str, blocks: Between) -> None:
        """Something was written, for certain or perhaps, before an event that is at this line."""
        before = self.world.state
        if node not in before.nodes:
            return  # it is closed
        with suppress(TooMuch):
            self.world = next(iter(gathered(self.world, node, blocks)), self.world)
        # This comes second: by now it is known which granules the blocks are in, and so it is of all that has them.
        self.followed = self.followed.wrote(at_line(line, None), before, node, blocks)

    def adopts(self, node_name: str, name: str) -> None:
        """A bitmap is there of which nothing is known: it records, as far as anybody knows."""
        state = self.world.state
        if node_name in state.nodes and name not in state.nodes[node_name].bitmaps:
            anything = Between(NOTHING, state.space.everything(state.nodes[node_name].size).most)
            bitmap: Bitmap[Between] = Bitmap(GRANULARITY, True, Marks(anything, anything, anything))
            self.world = replace(self.world, state=with_bitmap(state, node_name, name, bitmap), guesses=())

    def happens(
        self, line: int, change: Change, rules: Rules, apart: frozenset[str] = frozenset()
    ) -> None:
        """A change, as the specification has it; if that is not what was replied, it has not happened.

        `apart` are jobs that back nothing up for a restore.
        """
        if isinstance(change, Forgotten) and change.closed:
            return
        try:
            found = as_told(self.world, change, rules)
        except TooMuch:
            found = []
        self.refuted = self.refuted or not found
        if found:
            before, self.world = self.world, found[0]
            self.followed = stepped(self.followed, at_line(line, change), change, before, self.world, apart)

    def happen_at_once(
        self, window: Window, order: Sequence[Item], apart: frozenset[str] = frozenset()
    ) -> None:
        """A window, in an order that explains it, with each write at its place."""
        items = tuple(order)
        gaps: list[list[tuple[WriteClass, bool]]] = [[] for _ in range(len(items) + 1)]
        for each in window.classes:
            places = window.places(each, items)
            last = len(places) - 1
            if each.sure and (not last or (self.place is not None and last < MOST_PLACES)):
                gaps[places[0 if self.place is None else self.place(0, last)]].append((each, True))
            else:
                for gap in places:
                    gaps[gap].append((each, False))
        for number, placed in enumerate(gaps):
            line = items[min(number, len(items) - 1)].span.line if items else window.line
            for one, sure in placed:
                self.wrote(line, one.node, exactly(one.blocks) if sure else at_most(one.blocks))
            for node, blocks in window.lingering.items():
                self.wrote(line, node, at_most(blocks))
            if number < len(items):
                event = items[number].event
                assert not items[number].is_look
                self.happens(items[number].span.line, event, window.rules, apart)  # type: ignore[arg-type]

    def learns(self, space: BetweenSets, look: Look, guest_seen: bool) -> None:
        """What was seen, and is allowed."""
        self.world = learn(space.inner, self.world, look, guest_seen)


def as_told(world: Traced, change: Change, rules: Rules) -> list[Traced]:
    """The worlds after a change. Of a group one job has failed, and the others were cancelled for that; which of them
    was which may be told later than the first end, and makes no difference for what they have copied.
    """
    found = possible(world, change, rules)
    if found or not isinstance(change, EndOfJobs):
        return found
    other: dict[Outcome, Outcome] = {"failed": "cancelled", "cancelled": "failed", "completed": "completed"}
    return possible(world, EndOfJobs(tuple((job_id, other[outcome]) for job_id, outcome in change.jobs)), rules)


def tables_of(
    space: BetweenSets, block: int, variants: Sequence[Variant], sizes: Mapping[str, int]
) -> ChainTable:
    """What the backups give back: for certain in all variants, perhaps in one of them."""
    tables = [Tabled(space, block, each.world.state, each.followed, sizes).table() for each in variants]
    return tables[0] if len(tables) == 1 else _together(tables)


def _together(tables: Sequence[ChainTable]) -> ChainTable:
    first = tables[0]
    others = [{row.number: row for row in table.rows} for table in tables]
    rows = [[each[row.number] for each in others if row.number in each] for row in first.rows]
    return replace(first, rows=tuple(map(_row, rows)), waived=tuple(_waived(tables)))


def _row(rows: Sequence[Row]) -> Row:
    first = rows[0]
    certain = [_any([each.certain for each in row.lost]) for row in rows]
    sure = reduce(Numbers.__and__, certain)
    kinds = {(each.why, each.blame.number): each for row in rows for each in row.lost}
    lost = tuple(_lost(each, rows, sure) for each in kinds.values())
    gives: Gives = first.gives
    if gives not in ("assumed", "in part"):
        gives = "does not restore" if sure else "perhaps" if lost else "restores"
    stacks = tuple(each for each in first.stacks_on if all(each in row.stacks_on for row in rows))
    return replace(
        first, lost=lost, gives=gives, stacks_on=stacks,
        not_on=tuple(each for each in first.not_on if all(each in row.not_on for row in rows)),
        supplied=_made(reduce(Numbers.__and__, [row.supplied.members for row in rows]), first.supplied),
        perhaps_supplied=_made(_any([row.perhaps_supplied for row in rows]), first.supplied),
    )  # fmt: skip


def _lost(one: Lost, rows: Sequence[Row], sure: Numbers) -> Lost:
    """All that is lost for this reason; for certain what is lost in all variants, for whatever reason."""
    alike = [each for row in rows for each in row.lost if (each.why, each.blame) == (one.why, one.blame)]
    perhaps = _any([each.perhaps for each in alike])
    certain = _any([each.certain for each in alike]) & sure
    first, last = min(each.first for each in alike), max(each.last for each in alike)
    return Lost(one.why, one.blame, first, last, _made(certain, one.certain), _made(perhaps, one.perhaps))


def _waived(tables: Sequence[ChainTable]) -> list[NotCovered]:
    found: dict[tuple[str, str, int], list[NotCovered]] = {}
    for table in tables:
        for each in table.waived:
            found.setdefault((each.node, each.bitmap, each.at.number), []).append(each)
    together = []
    for listed in found.values():
        perhaps = _any([each.perhaps for each in listed])
        certain = reduce(Numbers.__and__, [each.certain.members for each in listed])
        certain = certain if len(listed) == len(tables) else Numbers()
        together.append(replace(listed[0], certain=_made(certain, listed[0].certain),
                                perhaps=_made(perhaps, listed[0].perhaps)))  # fmt: skip
    return together


def _any(listed: Sequence[Granules]) -> Numbers:
    return reduce(Numbers.__or__, (each.members for each in listed), Numbers())


def _made(members: Numbers, like: Granules) -> Granules:
    return Granules(members, like.granularity, like.size)
