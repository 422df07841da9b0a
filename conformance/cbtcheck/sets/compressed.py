"""Sets of blocks as compressed bitmaps: the specification's space on real disks, of 16 TiB and beyond.

Nothing that is as large as a disk is ever spelt out. What is closed under a granule is kept by its granules
(`units`); a range is a run; and *all of the disk but these blocks* is kept as these blocks (what a full backup has
yet to copy, what is intact still). Millions of scattered blocks cost megabytes, an operation on them milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbtmodel.blocks import touched

from cbtcheck.sets import layers, runs
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import Granules
from cbtcheck.sets.layers import Layers
from cbtcheck.sets.numbers import Numbers
from cbtcheck.sets.units import Units


class Compressed:
    """An immutable set of block numbers: `held`, or, if it is *lacking*, all of the disk but these.

    `total` is the number of blocks of the disk, None for a set that needs no disk to be understood. Sets of the
    same disk work together fast; whatever else is put together is spelt out, which is right but slow. It remembers
    the granules that it was last asked for.
    """

    __slots__ = ("granules", "held", "lacking", "total")

    def __init__(self, held: Layers, total: int | None = None, lacking: bool = False) -> None:
        self.held, self.total, self.lacking = held, total, lacking
        self.granules: tuple[int, int, Numbers] | None = None

    def __or__(self, other: Compressed, /) -> Compressed:
        if other is self or other is NOTHING:
            return self
        if self is NOTHING:
            return other
        a, b, total = _on_one_disk(self, other)
        if a.lacking:
            kept = layers.meet(a.held, b.held, total) if b.lacking else layers.less(a.held, b.held, total)
            return _all_but(kept, total, a, b)
        if b.lacking:
            return _all_but(layers.less(b.held, a.held, total), total, b, b)
        return _of(layers.join(a.held, b.held), a, b)

    def __and__(self, other: Compressed, /) -> Compressed:
        if other is self or self is NOTHING:
            return self
        if other is NOTHING:
            return NOTHING
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return _all_but(layers.join(a.held, b.held), total, a, b)
        if a.lacking:
            return _of(layers.less(b.held, a.held, total), a, b)
        kept = layers.less(a.held, b.held, total) if b.lacking else layers.meet(a.held, b.held, total)
        return _of(kept, a, b)

    def __sub__(self, other: Compressed, /) -> Compressed:
        if other is NOTHING or self is NOTHING:
            return self
        if other is self:
            return NOTHING
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return _of(layers.less(b.held, a.held, total), a, b)
        if a.lacking:
            return _all_but(layers.join(a.held, b.held), total, a, a)
        kept = layers.meet(a.held, b.held, total) if b.lacking else layers.less(a.held, b.held, total)
        return _of(kept, a, b)

    def __le__(self, other: Compressed, /) -> bool:
        if other is self or self is NOTHING:
            return True
        a, b, total = _on_one_disk(self, other)
        if a.lacking and b.lacking:
            return layers.within(b.held, a.held, total)
        if a.lacking:
            return layers.count(layers.join(a.held, b.held), total) == total
        return layers.apart(a.held, b.held) if b.lacking else layers.within(a.held, b.held, total)

    def __bool__(self) -> bool:
        if self.lacking and self.total is not None:
            return layers.count(self.held, self.total) < self.total
        return bool(self.held)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Compressed) and self <= other and other <= self)

    def __hash__(self) -> int:
        return hash(len(self))

    def __len__(self) -> int:
        held = layers.count(self.held, self.total or 0)
        return self.total - held if self.lacking and self.total is not None else held

    def __contains__(self, block: int) -> bool:
        if self.total is not None and block >= self.total:
            return False
        return any(block >> each.shift in each.members for each in self.held) != self.lacking

    def __repr__(self) -> str:
        return f"<{len(self)} blocks>"

    def spelt_out(self) -> Compressed:
        """The same set, block by block; it needs no disk then."""
        if self.total is None:
            return self
        units = layers.spelt_out(self.held, 0, self.total)
        if self.lacking:
            rest = runs.span(0, self.total)
            if units is not None:
                rest -= units.members
                rest.run_optimize()
            units = Units(rest, 0, self.total)
        return Compressed(layers.layered((units,))) if units is not None else NOTHING


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
    """Whether a set without a disk is one of the first `total` blocks; such a set is in units of one block."""
    return all(each.top <= total or each.members.max() < total for each in plain.held)


def _of(held: Layers, a: Compressed, b: Compressed) -> Compressed:
    """What came of two sets. What is of single blocks only needs no disk."""
    if held is a.held and not a.lacking:
        return a
    if held is b.held and not b.lacking:
        return b
    if not held:
        return NOTHING
    if held[0].shift == 0:
        return Compressed(held)
    return Compressed(held, a.total if b.total is None else b.total)


def _all_but(held: Layers, total: int, a: Compressed, b: Compressed) -> Compressed:
    """All of the disk but these: one of the two sets that it was made of, if it is that again."""
    for known in (a, b):
        if held is known.held and known.lacking:
            return known
    return Compressed(held, total, True)


NOTHING = Compressed(layers.NOTHING)


@dataclass(frozen=True)
class CompressedSets(Comparing[Compressed]):
    """The space of `Compressed`. `block` is the size of a block in bytes, a power of two; so are granules."""

    block: int = 512
    alignment: int = 1

    @property
    def empty(self) -> Compressed:
        """No block."""
        return NOTHING

    def everything(self, size: int) -> Compressed:
        """Every block of a disk of `size` bytes."""
        return Compressed(layers.NOTHING, self.total(size), True)

    def blocks(self, offset: int, length: int) -> Compressed:
        """Every block that the byte range touches; none if `length` is 0."""
        first, past = touched(offset, length, self.block)
        return Compressed((Units(runs.span(first, past), 0, past),)) if past else NOTHING

    def gathered(self, numbers: Numbers) -> Compressed:
        """The blocks of these numbers. The bitmap is the set's own from now on: it must not be changed any more."""
        return Compressed((Units(numbers, 0, numbers.max() + 1),)) if numbers else NOTHING

    def round_out(self, blocks: Compressed, granule: int, size: int) -> Compressed:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`.

        `ValueError` if there is not a power of two of blocks in a granule.
        """
        shift, total = self.shift(granule), self.total(size)
        if blocks.total not in (None, total):
            blocks = blocks.spelt_out()
        if blocks.lacking:
            return _all_but(_inside(blocks.held, shift, total), total, blocks, blocks)
        if blocks.total is None and (shift == 0 or not blocks.held) and _lies_on(blocks, total):
            return blocks
        closed = layers.closure(blocks.held, shift)
        if blocks.total is None:
            closed = tuple(_clipped(each, total) for each in closed)
        return blocks if closed is blocks.held else Compressed(layers.layered(closed), total)

    # What observations are compared in

    def granules(self, blocks: Compressed, granule: int, size: int) -> Numbers:
        """The numbers of all granules that have a block of `blocks`. Not to be changed."""
        shift, total = self.shift(granule), self.total(size)
        if blocks.granules is not None and blocks.granules[:2] == (shift, total):
            return blocks.granules[2]
        closed = self.round_out(blocks, granule, size)
        units = layers.spelt_out(closed.held, shift, total)
        members = Numbers() if units is None else units.members
        if closed.lacking:
            members = runs.span(0, -(-total >> shift)) - members
        blocks.granules = shift, total, members
        return members

    def at_most(self, blocks: Compressed, granule: int, size: int) -> Granules:
        """The granules that have a block of `blocks`."""
        return Granules(self.granules(blocks, granule, size), max(granule, self.block), size)

    def shift(self, granule: int) -> int:
        """The binary logarithm of the number of blocks in a granule of so many bytes; 0 if it is no larger."""
        per = max(1, granule // self.block)
        if per.bit_count() != 1:
            raise ValueError(f"a granule of {granule} bytes is not a power of two of blocks of {self.block}")
        return per.bit_length() - 1

    def total(self, size: int) -> int:
        """How many blocks a disk of `size` bytes has."""
        return -(-size // self.block)


def _clipped(units: Units, total: int) -> Units:
    """Without the units that have no block below `total`."""
    past = -(-total >> units.shift)
    return units if units.top <= past << units.shift else Units(runs.below(units.members, past), units.shift, total)


def _inside(held: Layers, shift: int, total: int) -> Layers:
    """Of `held` the units of 2^`shift` blocks all of whose blocks below `total` are in it."""
    if not held or held[-1].shift >= shift:
        return held
    units = layers.spelt_out(held, held[-1].shift, total)
    assert units is not None
    finest, members = units.shift, units.members
    of_last, past = -(-total >> finest), -(-total >> shift) << (shift - finest)
    if past > of_last:
        members = members | runs.span(of_last, past)
    return layers.layered((Units(runs.inside(members, shift - finest), shift, total),))
