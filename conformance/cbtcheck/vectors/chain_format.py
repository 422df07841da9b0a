"""The format of what a vector says of backups: which of them restore, on what they stack, and what is lost by whom.

The members mean what they mean in an answer of `cbtspec oracle` to the question `chains`; numbers of commands are
those of the vector's steps, from 1. In a vector all that was written is known: so all that is lost is for certain.
"""

from __future__ import annotations

from typing import Literal

from cbtmodel.backup import Outcome
from msgspec import field

from cbtcheck.vectors.record import (
    Extent,
    Number,
    Record,
    Run,
    VectorError,
    check_extents,
    check_runs,
    size_of,
)


class Lost(Record, frozen=True):
    """Blocks that are lost; between the steps `from` and `to` they were changed, and `blame` is what cost them."""

    why: str
    blame: Number
    from_: Number = field(name="from")
    to: Number
    blocks: list[Extent]


class RestorePoint(Record, frozen=True):
    """A backup that counts, laid over all older ones of its disk. `content`: of the disk, at step `at`."""

    number: Number
    job: str
    node: str
    bitmap: str | None
    at: Number
    full: bool
    complete: bool
    gives: Literal["restores", "does not restore", "in part"]
    stacks_on: list[Number]
    not_on: list[Number]
    lost: list[Lost]
    content: list[Run]


class Waived(Record, frozen=True):
    """What the step `at` said no backup need have, and none that completed has had since."""

    node: str
    bitmap: str
    at: Number
    blocks: list[Extent]


class FailedBackup(Record, frozen=True):
    """A backup of which nothing counts."""

    job: str
    node: str
    began: Number
    ended: Number
    outcome: Outcome


class Chains(Record, frozen=True):
    """What all backups up to a step give back. `one_instant`: restore points of several disks, by number."""

    step: Number
    restore_points: list[RestorePoint]
    waived: list[Waived]
    failed: list[FailedBackup]
    one_instant: list[list[Number]]


def check_chains(chains: Chains, sizes: dict[str, int], steps: int, where: str) -> None:
    """What the schema does not say; `VectorError` that names the place."""
    place = f"{where}, the backups after step {chains.step}"
    if chains.step > steps:
        raise VectorError(f"{place}: there are {steps} steps")
    known: dict[int, RestorePoint] = {}
    for point in chains.restore_points:
        which = f"{place}: number {point.number}"
        size = size_of(sizes, point.node, which)
        if any(each >= point.number for each in known):
            raise VectorError(f"{which}: out of order")
        if any(each not in known or known[each].node != point.node for each in (*point.stacks_on, *point.not_on)):
            raise VectorError(f"{which}: stacks on one that is not before it, or of another disk")
        if point.complete or point.content:
            check_runs(point.content, size, which)
        if (point.gives == "in part") == point.complete or (point.gives == "does not restore") != bool(point.lost):
            raise VectorError(f"{which}: that it {point.gives!r} is at odds with 'complete' or 'lost'")
        for lost in point.lost:
            check_extents(lost.blocks, size, which)
        known[point.number] = point
    for waived in chains.waived:
        check_extents(waived.blocks, size_of(sizes, waived.node, place), place)
    for failed in chains.failed:
        size_of(sizes, failed.node, place)
    if any(each not in known for group in chains.one_instant for each in group):
        raise VectorError(f"{place}: an instant of a restore point that is not there")
