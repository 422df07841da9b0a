"""What a history's backups give back, as a table: each restore point, what it stacks on, and what is lost by whom.

Blocks can be lost for certain, or perhaps: where guest writes were not seen, a chain depends on that none was made in
some window. Both are said, and never one for the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal

from cbtmodel.blocks import S
from cbtmodel.chain import Point
from cbtmodel.node import State

from cbtcheck.follow.chains import ChainsFollowed, Failed
from cbtcheck.follow.reasons import At, Reasons
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import Granules

Gives = Literal["restores", "assumed", "does not restore", "perhaps", "undecided", "in part"]
"""What laying a link over all older ones gives: the disk of its instant, also because what is below and not in this
history is taken to be right; not that; that unless something was written unseen; that if what is not in the history
went well; or it is no restore point, since its backup did not complete."""


NOWHERE = "in none of the older backups, nor in the bitmap"
"""Why blocks are lost, where no command that cost them is known."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Blocks that are lost, and why. `certain` of them are for certain; the others only if they were written.

    They were changed at `first` or later and at `last` or before. `blame` is the command that cost them.
    """

    why: str
    blame: At
    first: At
    last: At
    certain: Granules
    perhaps: Granules

    @property
    def blocks(self) -> Granules:
        """Those that are lost for certain; if there are none, those that may be."""
        return self.certain if len(self.certain) else self.perhaps

    def __str__(self) -> str:
        at = "at" if self.first == self.last else f"between {self.first.short} and"
        return f"{self.why}: {self.blame}; changed {at} {self.last.short}"


@dataclass(frozen=True, slots=True)
class Row:
    """One link. `stacks_on` are the numbers of those older ones on which nothing is lost.

    `supplied` are the blocks that it has itself for certain, `perhaps_supplied` those and what it may have besides.
    """

    number: str
    job: str
    node: str
    bitmap: str | None
    began: At
    full: bool
    complete: bool
    stacks_on: tuple[str, ...]
    not_on: tuple[str, ...]
    gives: Gives
    lost: tuple[Lost, ...]
    supplied: Granules
    perhaps_supplied: Granules


@dataclass(frozen=True, slots=True)
class NotCovered:
    """What an operator waived, and no completed backup has had since."""

    node: str
    bitmap: str
    at: At
    certain: Granules
    perhaps: Granules


@dataclass(frozen=True, slots=True)
class NoIncrement:
    """A bitmap with which no backup can be made any more, why, and the event that is to blame."""

    node: str
    bitmap: str
    why: str
    at: At


@dataclass(frozen=True, slots=True)
class ChainTable:
    """All links of a history in the order of their instants, what was waived for good, and what failed.

    `no_increment` are bitmaps that an event has taken away, or the trust in them, and that were not added again.
    `unknown` says what is not in the history, and which of the rows would need (see `undecided`).
    """

    rows: tuple[Row, ...]
    waived: tuple[NotCovered, ...]
    failed: tuple[Failed, ...]
    forgotten: int
    no_increment: tuple[NoIncrement, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def unsafe(self) -> bool:
        """Whether a backup that completed does not give its disk back, for certain."""
        return any(row.gives == "does not restore" for row in self.rows)

    @property
    def depends(self) -> bool:
        """Whether one does not if something was written when nobody saw."""
        return any(row.gives == "perhaps" for row in self.rows)

    @property
    def undecided(self) -> bool:
        """Whether the history does not tell of one whether it does."""
        return any(row.gives == "undecided" for row in self.rows)

    @property
    def right(self) -> bool:
        """Neither: whatever has happened, every restore point restores, if what came before this history does."""
        return not self.unsafe and not self.depends and not self.undecided


@dataclass(frozen=True)
class Tabled(Generic[S]):
    """Makes the table of what was followed, in the granules of `block` bytes that `space` has.

    `sizes` are those of disks that may be closed now, and so not in the state, in bytes.
    """

    space: Comparing[S]
    block: int
    state: State[S]
    followed: ChainsFollowed[S]
    sizes: Mapping[str, int] = field(default_factory=dict)

    def table(self) -> ChainTable:
        """The table as things are now."""
        followed = self.followed.told()
        rows = tuple(self._rows())
        found = [
            NotCovered(node, name, each.at, *self._both(node, each.blocks))
            for each in followed.waived
            for node, name in [each.place]
        ]
        waived = tuple(each for each in found if len(each.perhaps))
        return ChainTable(rows, waived, followed.failed, followed.forgotten, tuple(self._no_increments()))

    def _no_increments(self) -> Iterator[NoIncrement]:
        """The bitmaps of disks that have backups; but not those that an operator has removed since."""
        backed_up = {point.node for point in self.followed.points().values()}
        for (node, name), known in self.followed.reasons.items():
            if known.distrusted is not None and node in backed_up:
                why, at = known.distrusted
                if known.removed in (None, at):
                    yield NoIncrement(node, name, why, at)

    def _both(self, node: str, blocks: S, sure: S | None = None) -> tuple[Granules, Granules]:
        """What is in the set for certain, and all that may be; `sure` has no more than is in it for certain."""
        size = self.state.nodes[node].size if node in self.state.nodes else self.sizes[node]
        least = blocks if sure is None else sure
        return self.space.at_least(least, self.block, size), self.space.at_most(blocks, self.block, size)

    def _rows(self) -> Iterator[Row]:
        for number, point in sorted(self.followed.points().items(), key=lambda each: int(each[0])):
            link, began = point.link, self.followed.began[number]
            if link is None:
                continue
            sure = self.followed.certain.get(number, link)
            lost = {
                older: self._both(point.node, blocks, sure.lost_on.get(older))
                for older, blocks in link.lost_on.items()
            }
            stacks = tuple(older for older, (_, perhaps) in lost.items() if not len(perhaps))
            lacks = tuple(older for older, (certain, _) in lost.items() if len(certain))
            certain, perhaps = self._both(point.node, link.lost, sure.lost)
            gives: Gives = "does not restore" if len(certain) else "perhaps" if len(perhaps) else "restores"
            if number in self.followed.assumed:
                gives = "assumed"
            yield Row(
                number, point.job, point.node, point.bitmap, began.at, began.full, link.complete, stacks, lacks,
                gives if link.complete else "in part",
                tuple(self._why(number, point, link.lost, sure.lost)) if link.complete else (),
                *self._both(point.node, link.supplied),
            )  # fmt: skip

    def _why(self, number: str, point: Point[S], lost: S, sure: S) -> Iterator[Lost]:
        """Which of the blocks that are lost are lost for which reason; `sure` are those that are for certain."""
        began = self.followed.began[number].at
        earliest = self._earliest(point)
        if point.bitmap is not None:
            known = self.followed.reasons.get((point.node, point.bitmap), Reasons())
            for reason in known.of(lost, began):
                certain, perhaps = self._both(point.node, reason.blocks, reason.blocks & sure)
                if len(perhaps):
                    first = reason.first if earliest is None else max(reason.first, earliest)
                    yield Lost(reason.why, reason.blame, first, reason.last, certain, perhaps)
                lost = lost - reason.blocks
        certain, perhaps = self._both(point.node, lost, lost & sure)
        if len(perhaps):
            yield Lost(*self._otherwise(point, began), certain, perhaps)

    def _earliest(self, point: Point[S]) -> At | None:
        """The instant of the youngest link below, after which all that is lost has changed, if that one restores."""
        older = [] if point.link is None else [*point.link.lost_on]
        below = self.followed.points().get(older[0]) if older else None
        if below is None or below.link is None or len(self._both(point.node, below.link.lost)[1]):
            return None
        return self.followed.began[older[0]].at

    def _otherwise(self, point: Point[S], began: At) -> tuple[str, At, At, At]:
        """Why blocks are lost for which no bitmap gives a reason: there is nothing below, or below that nothing."""
        if point.link is not None and point.link.lost_on:
            return NOWHERE, began, began, began
        failed = [each for each in self.followed.fulls_tried(point.node) if each.ended <= began]
        if failed:
            last = failed[-1]
            return f"there is no backup to lay it over, {last.job} {last.outcome}", last.ended, last.began, began
        return "there is no older backup to lay it over", began, began, began
