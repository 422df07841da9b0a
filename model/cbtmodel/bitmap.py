"""One bitmap: what it records, and its life with a successor.

A *bitmap* says which blocks of a disk were written, rounded out to its granularity. A backup job *freezes* it: its
own set then stands still, and an anonymous *successor* records instead. When the job ends, the bitmap either
*abdicates* (the successor takes its name and place) or *reclaims* (the successor is merged back). So there is a
bitmap of that name before, during and after, and a write is always recorded by exactly one of the two.

Source: QEMU, docs/interop/bitmaps.rst and block/dirty-bitmap.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from cbtmodel.blocks import S, Space
from cbtmodel.record import replace


@dataclass(frozen=True, slots=True)
class Marks(Generic[S]):
    """What was marked, and why. An implementation has `dirty` only; the other two are ghosts.

    `owed` are the blocks that the backup which reads these marks must contain: those written while this was recording
    that no backup delivered and no operator waived, and those that a failed or cancelled job of mode *always* set out
    to copy and did not. `causes` are the blocks that were written, merged or left over, before rounding: nothing may
    be dirty that does not share a granule with one of them.
    """

    dirty: S
    owed: S
    causes: S

    def __or__(self, other: Marks[S]) -> Marks[S]:
        return Marks(self.dirty | other.dirty, self.owed | other.owed, self.causes | other.causes)


@dataclass(frozen=True, slots=True)
class Successor(Generic[S]):
    """The anonymous sibling that records while a bitmap is frozen."""

    enabled: bool
    marks: Marks[S]


@dataclass(frozen=True, slots=True)
class Bitmap(Generic[S]):
    """A named bitmap. `granularity` is in bytes; it is *frozen* exactly while it has a successor.

    `leaving`: a transaction has removed it but is not committed yet; the name is still taken, and the bitmap is busy.
    """

    granularity: int
    enabled: bool
    marks: Marks[S]
    successor: Successor[S] | None = None
    leaving: bool = False


def unmarked(space: Space[S]) -> Marks[S]:
    """No marks."""
    return Marks(space.empty, space.empty, space.empty)


def create(space: Space[S], granularity: int, enabled: bool) -> Bitmap[S]:
    """A new bitmap: clean, free, recording if `enabled`."""
    return Bitmap(granularity, enabled, unmarked(space))


def busy(bitmap: Bitmap[S]) -> bool:
    """Whether no command may change the bitmap, and no second job may use it."""
    return bitmap.successor is not None or bitmap.leaving


def recording(bitmap: Bitmap[S]) -> bool:
    """Whether guest writes are recorded under this name, by the bitmap itself or by its successor."""
    return bitmap.enabled if bitmap.successor is None else bitmap.successor.enabled


def marked(space: Space[S], blocks: S, granularity: int, size: int) -> Marks[S]:
    """The marks of blocks that are owed, on a disk of `size` bytes: a write leaves them, and what was not copied."""
    return Marks(space.round_out(blocks, granularity, size), blocks, blocks)


def marks_without_debt(space: Space[S], blocks: S, granularity: int, size: int) -> Marks[S]:
    """The marks of blocks that are dirty in another bitmap: nobody is owed the rounding."""
    return Marks(space.round_out(blocks, granularity, size), space.empty, blocks)


def record(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """A guest write of `blocks`: the successor has it if the bitmap is frozen, else the bitmap itself."""
    if not recording(bitmap):
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size)
    if bitmap.successor is None:
        return replace(bitmap, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


def clear(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """The operator declares everything clean, and waives what was owed. Enabled stays as it was."""
    return replace(bitmap, marks=unmarked(space))


def merge(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """What `source` has is in `target` too, rounded out to the target's granularity; the source keeps it."""
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, marks=target.marks | replace(taken, owed=source.marks.owed))


def freeze(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """A job takes the bitmap: an empty successor appears, enabled as the bitmap was."""
    return replace(bitmap, successor=Successor(bitmap.enabled, unmarked(space)))


def abdicate(bitmap: Bitmap[S]) -> Bitmap[S]:
    """The successor takes the bitmap's name and place; the old marks are gone, because they were delivered."""
    assert bitmap.successor is not None
    return replace(bitmap, enabled=bitmap.successor.enabled, marks=bitmap.successor.marks, successor=None)


def reclaim(bitmap: Bitmap[S]) -> Bitmap[S]:
    """The successor is merged back: all that was marked before or during the job is marked."""
    assert bitmap.successor is not None
    return replace(
        bitmap, enabled=bitmap.successor.enabled, marks=bitmap.marks | bitmap.successor.marks, successor=None
    )
