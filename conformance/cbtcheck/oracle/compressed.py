"""Sets of blocks as compressed bitmaps: the specification's space on real disks, of 16 TiB and beyond.

Nothing that is as large as a disk is ever spelt out. What is closed under a granule is kept by its granules
(`units`); a range is a run; and *all of the disk but these blocks* is kept as these blocks (what a full backup has
yet to copy, what is intact still). Millions of scattered blocks cost megabytes, an operation on them milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbtmodel.blocks import touched
from pyroaring import BitMap64

from cbtcheck.oracle import runs
from cbtcheck.oracle.units import NONE, Units


class Compressed:
    """An immutable set of block numbers: `units`, or, if it is *lacking*, all of the disk but these.

    `total` is the number of blocks of the disk, None for a set that needs no disk to be understood. Sets of the
    same disk work together fast; whatever else is put together is spelt out, which is right but slow.
    """

    __slots__ = ("lacking", "total", "units")

    def __init__(self, units: Units, total: int | None = None, lacking: bool = False) -> None:
        self.units, self.total, self.lacking = units, total, lacking

    def __or__(self, other: Compressed, /) -> Compressed:
        a, b, total = _on_one_disk(self, other)
        if a.lacking:
            kept = a.units.meet(b.units, total) if b.lacking else a.units.less(b.units, total)
            return Compressed(kept, total, True)
        if b.lacking:
            return Compressed(b.units.less(a.units, total), total, True)
        return _joined(a, b, a.units.join(b.units, total))

    def __and__(self, other: Compressed, /) -> Compressed:
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return Compressed(a.units.join(b.units, total), total, True)
        if a.lacking:
            return _joined(a, b, b.units.less(a.units, total))
        return _joined(a, b, a.units.less(b.units, total) if b.lacking else a.units.meet(b.units, total))

    def __sub__(self, other: Compressed, /) -> Compressed:
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return _joined(a, b, b.units.less(a.units, total))
        if a.lacking:
            return Compressed(a.units.join(b.units, total), total, True)
        return _joined(a, b, a.units.meet(b.units, total) if b.lacking else a.units.less(b.units, total))

    def __le__(self, other: Compressed, /) -> bool:
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return b.units.within(a.units, total)
        if a.lacking:
            return a.units.join(b.units, total).count(total) == total
        return a.units.apart(b.units) if b.lacking else a.units.within(b.units, total)

    def __bool__(self) -> bool:
        if self.lacking and self.total is not None:
            return self.units.count(self.total) < self.total
        return bool(self.units)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Compressed) and self <= other and other <= self)

    def __hash__(self) -> int:
        return hash(len(self))

    def __len__(self) -> int:
        if self.total is None:
            return len(self.units.members)
        held = self.units.count(self.total)
        return self.total - held if self.lacking else held

    def __contains__(self, block: int) -> bool:
        if self.total is not None and block >= self.total:
            return False
        return (block >> self.units.shift in self.units.members) != self.lacking

    def __repr__(self) -> str:
        return f"<{len(self)} blocks>"

    def spelt_out(self) -> Compressed:
        """The same set, block by block; it needs no disk then."""
        if self.total is None:
            return self
        units = self.units.spelt_out(0, self.total)
        if self.lacking:
            rest = runs.span(0, self.total) - units.members
            rest.run_optimize()
            units = Units(rest, 0, self.total)
        return Compressed(units)


def _on_one_disk(a: Compressed, b: Compressed) -> tuple[Compressed, Compressed, int]:
    """Both sets in a form in which they can be put together, and the number of blocks of their disk."""
    if a.total == b.total:
        return a, b, a.total or 0
    if a.total is None and b.total is not None and _lies_on(a, b.total):
        return a, b, b.total
    if b.total is None and a.total is not None and _lies_on(b, a.total):
        return a, b, a.total
    return a.spelt_out(), b.spelt_out(), 0


def _lies_on(plain: Compressed, total: int) -> bool:
    members = plain.units.members
    return plain.units.top <= total or not members or members.max() < total


def _joined(a: Compressed, b: Compressed, units: Units) -> Compressed:
    """A result that is no more than blocks remembers its disk only if it has to."""
    if units is a.units and not a.lacking:
        return a
    if units is b.units and not b.lacking:
        return b
    return Compressed(units, (a.total if b.total is None else b.total) if units.shift else None)


NOTHING = Compressed(NONE)


@dataclass(frozen=True)
class CompressedSets:
    """The space of `Compressed`. `block` is the size of a block in bytes, a power of two; so are granules."""

    block: int = 512

    @property
    def empty(self) -> Compressed:
        """No block."""
        return NOTHING

    def everything(self, size: int) -> Compressed:
        """Every block of a disk of `size` bytes."""
        return Compressed(NONE, self.total(size), True)

    def blocks(self, offset: int, length: int) -> Compressed:
        """Every block that the byte range touches; none if `length` is 0."""
        first, past = touched(offset, length, self.block)
        return Compressed(Units(runs.span(first, past), 0, past)) if past else NOTHING

    def gathered(self, numbers: BitMap64) -> Compressed:
        """The blocks of these numbers. The bitmap is the set's own from now on: it must not be changed any more."""
        return Compressed(Units(numbers, 0, numbers.max() + 1)) if numbers else NOTHING

    def round_out(self, blocks: Compressed, granule: int, size: int) -> Compressed:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`.

        `ValueError` if there is not a power of two of blocks in a granule.
        """
        shift, total = self.shift(granule), self.total(size)
        if blocks.total not in (None, total):
            blocks = blocks.spelt_out()
        units = blocks.units
        if blocks.lacking:
            return blocks if units.shift >= shift else Compressed(_inside(units, shift, total), total, True)
        if units.shift >= shift and (blocks.total == total or _lies_on(blocks, total)):
            return blocks
        closed = units.closure(shift)
        if closed.top > -(-total >> shift) << shift:
            closed = Units(runs.below(closed.members, -(-total >> shift)), shift, total)
        return Compressed(closed, total) if closed else NOTHING

    # What observations are compared in

    def granules(self, blocks: Compressed, granule: int, size: int) -> BitMap64:
        """The numbers of all granules that have a block of `blocks`. Not to be changed."""
        shift, total = self.shift(granule), self.total(size)
        closed = self.round_out(blocks, granule, size)
        members = closed.units.spelt_out(shift, total).members
        return runs.span(0, -(-total >> shift)) - members if closed.lacking else members

    def shift(self, granule: int) -> int:
        """The binary logarithm of the number of blocks in a granule of so many bytes; 0 if it is no larger."""
        per = max(1, granule // self.block)
        if per.bit_count() != 1:
            raise ValueError(f"a granule of {granule} bytes is not a power of two of blocks of {self.block}")
        return per.bit_length() - 1

    def total(self, size: int) -> int:
        """How many blocks a disk of `size` bytes has."""
        return -(-size // self.block)


def _inside(units: Units, shift: int, total: int) -> Units:
    """The units of 2^`shift` blocks all of whose blocks below `total` are in `units`."""
    of_last = -(-total >> units.shift)
    past = -(-total >> shift) << (shift - units.shift)
    members = units.members
    if past > of_last:
        members = members | runs.span(of_last, past)
    return Units(runs.inside(members, shift - units.shift), shift, total)
