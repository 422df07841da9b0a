"""Writes down what the backups of a vector give back, and holds it against the bytes of their targets.

The table is the one that `replay` prints. That its claims are true of the data is checked here, in both directions:
what is not lost is there, and each range that is lost has a byte that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cbtmodel import commands as c
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtcheck.follow.chain_table import ChainTable, Row, Tabled
from cbtcheck.follow.chain_words import one_instant
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.reasons import At
from cbtcheck.scenario.describe import describe
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtcheck.vectors import chain_format as f
from cbtcheck.vectors.content import Runs, copied_over, part
from cbtcheck.vectors.record import ANYTHING

Backups = Mapping[str, tuple[Runs, tuple[tuple[int, int], ...], Runs]]
"""By the job's id: what its target holds, where it was copied, and what the disk held when it started."""


@dataclass
class Chained:
    """Follows the chains of a history, a step after the other."""

    space: BitSets
    followed: ChainsFollowed[Bits] = field(default_factory=ChainsFollowed)

    def step(self, number: int, before: State[Bits], command: c.Command, result: Step[Bits]) -> None:
        """The step of this number, from 1 on."""
        at = At(number, "step", describe(command) if result.refusal is None else "refused")
        self.followed = self.followed.step(at, before, command, result)

    def after(self, number: int, state: State[Bits], backups: Backups) -> f.Chains:
        """What the backups give after this step. `AssertionError` if the bytes say something else."""
        table = Tabled(self.space, self.space.block, state, self.followed).table()
        points = [_point(row, backups[row.job][2]) for row in table.rows]
        _holds(points, backups)
        return f.Chains(
            number, points,
            [f.Waived(each.node, each.bitmap, each.at.number, _pairs(each.certain.extents()))
             for each in table.waived],
            [f.FailedBackup(each.job, each.node, each.began.number, each.ended.number, each.outcome)
             for each in table.failed
             if each.outcome != "gone" and each.outcome != "refused"],  # no crash is in these vectors
            _one_instant(table),
        )  # fmt: skip


def _point(row: Row, content: Runs) -> f.RestorePoint:
    assert row.gives in ("restores", "does not restore", "in part"), f"all is known in a vector: {row}"
    lost = [
        f.Lost(each.why, each.blame.number, each.first.number, each.last.number, _pairs(each.certain.extents()))
        for each in row.lost
    ]
    return f.RestorePoint(
        int(row.number), row.job, row.node, row.bitmap, row.began.number, row.full, row.complete, row.gives,
        [*map(int, row.stacks_on)], [*map(int, row.not_on)], lost, [*map(list, content)] if row.complete else [],
    )  # fmt: skip


def _pairs(extents: Iterable[tuple[int, int]]) -> list[list[int]]:
    return [list(each) for each in extents]


def _one_instant(table: ChainTable) -> list[list[int]]:
    return [[int(row.number) for row in rows] for rows in one_instant(table)]


# The bytes


def _holds(points: list[f.RestorePoint], backups: Backups) -> None:
    images: dict[int, Runs] = {}
    below: dict[str, Runs] = {}
    for point in points:
        target, copied, start = backups[point.job]
        size = sum(count for _, count in start)
        under = below.get(point.node, ((0, size),))
        image = copied_over(under, target, copied)
        if point.complete:
            lost = [(offset, length) for each in point.lost for offset, length in each.blocks]
            assert same(copied_over(image, start, lost), start), f"{point.job} lacks more than {lost}"
            for offset, length in lost:
                assert not same(part(image, offset, length), part(start, offset, length)), f"{point.job} has {offset}"
            for other in point.stacks_on:
                assert same(copied_over(images[other], target, copied), start), f"{point.job} on {other}"
            for other in point.not_on:
                assert not same(copied_over(images[other], target, copied), start), f"{point.job} not on {other}"
        images[point.number] = below[point.node] = image


def same(one: Runs, other: Runs) -> bool:
    """Whether two contents of the same size are equal, as far as they are known."""
    at, mine, theirs = 0, iter(one), iter(other)
    (byte, left), (wanted, more) = next(mine, (0, 0)), next(theirs, (0, 0))
    size = sum(count for _, count in one)
    while at < size:
        if byte != wanted and ANYTHING not in (byte, wanted):
            return False
        length = min(left, more)
        at, left, more = at + length, left - length, more - length
        if not left:
            byte, left = next(mine, (0, 0))
        if not more:
            wanted, more = next(theirs, (0, 0))
    return True
