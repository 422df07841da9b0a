"""Sets of blocks: the only thing the specification knows about a disk's content.

A *block* is the smallest unit that is tracked (512 bytes unless a scenario says otherwise). Every piece of state
that depends on what a disk holds is a set of blocks, and the specification touches sets with nothing but

    a | b    a & b    a - b    a <= b    truth (is it non-empty?)    space.round_out

It never looks inside a set and never makes one by itself: sets come from a *space*. So the same functions run on
`frozenset` (here), on bit vectors and compressed bitmaps (the oracle), and on one arbitrary block (the proofs).
`a <= b` is used by the properties only; transitions branch on nothing but emptiness.

Granularity is nothing more than `round_out`: tracking granules, copy clusters and partial last granules are all the
same closure operator (it contains its argument, is monotone, is idempotent, and distributes over union).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar


class BlockSet(Protocol):
    """An immutable set of blocks; it is false exactly if it is empty."""

    def __or__(self, other: Self, /) -> Self: ...

    def __and__(self, other: Self, /) -> Self: ...

    def __sub__(self, other: Self, /) -> Self: ...

    def __le__(self, other: Self, /) -> bool: ...


S = TypeVar("S", bound=BlockSet)


class Space(Protocol[S]):
    """Where sets are made. All offsets, lengths, sizes and granules are in bytes."""

    @property
    def empty(self) -> S:
        """No block."""
        ...

    def everything(self, size: int) -> S:
        """Every block of a disk of `size` bytes."""
        ...

    def blocks(self, offset: int, length: int) -> S:
        """Every block that the byte range touches (rounded outwards); none if `length` is 0."""
        ...

    def round_out(self, blocks: S, granule: int, size: int) -> S:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`."""
        ...


def touched(offset: int, length: int, block: int) -> tuple[int, int]:
    """The blocks `(first, past)` of `block` bytes that a byte range touches; `(0, 0)` if `length` is 0."""
    if length == 0:
        return 0, 0
    return offset // block, (offset + length - 1) // block + 1


@dataclass(frozen=True)
class Frozensets:
    """The plain space, meant to be read: a set of blocks is a `frozenset` of block numbers.

    `block` is the size of a block in bytes, a power of two; granules are multiples of it.
    """

    block: int = 512

    @property
    def empty(self) -> frozenset[int]:
        """No block."""
        return frozenset()

    def everything(self, size: int) -> frozenset[int]:
        """Every block of a disk of `size` bytes."""
        return self.blocks(0, size)

    def blocks(self, offset: int, length: int) -> frozenset[int]:
        """Every block that the byte range touches; none if `length` is 0."""
        return frozenset(range(*touched(offset, length, self.block)))

    def round_out(self, blocks: frozenset[int], granule: int, size: int) -> frozenset[int]:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`."""
        per_granule = max(1, granule // self.block)
        granules = {block // per_granule for block in blocks}
        return frozenset(block for block in self.everything(size) if block // per_granule in granules)
