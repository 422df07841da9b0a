"""Compressed sets in units of 2^k blocks: what is closed under a granule is kept by its granules.

Sixteen times fewer numbers stand for a set of 64 KiB granules on blocks of 4 KiB. Two such sets of different units
are compared in the larger unit, and spelt out in the smaller one only where they meet.
"""

from __future__ import annotations

from weakref import ref

from pyroaring import BitMap64

from cbtcheck.sets import runs


class Units:
    """An immutable set of units of 2^`shift` blocks. All its blocks are below `top`, which need not be tight.

    It remembers what it is when rounded out to larger units, and its last union. Rounding a union is uniting what was
    rounded, so that a set which grows write by write is never rounded as a whole again; and where two bitmaps record
    the same writes, one set serves both.
    """

    __slots__ = ("__weakref__", "_closures", "_united", "members", "shift", "top")

    def __init__(self, members: BitMap64, shift: int, top: int) -> None:
        self.members, self.shift, self.top = members, shift, top
        self._closures: dict[int, Units] = {}
        self._united: tuple[ref[Units], ref[Units]] | None = None

    def __bool__(self) -> bool:
        return bool(self.members)

    # In other units

    def closure(self, shift: int) -> Units:
        """All units of 2^`shift` blocks that have a block of this set; `shift` is not smaller than its own."""
        if shift == self.shift:
            return self
        found = self._closures.get(shift)
        if found is None:
            members = runs.coarser(self.members, shift - self.shift)
            found = self._closures[shift] = Units(members, shift, _up(self.top, shift))
        return found

    def spelt_out(self, shift: int, total: int) -> Units:
        """The same blocks in smaller units of 2^`shift` blocks, without those that are not below `total`."""
        if shift == self.shift:
            return self
        members = runs.finer(self.members, self.shift - shift)
        return Units(runs.below(members, -(-total >> shift)), shift, min(self.top, total))

    # Together with others, on one disk of `total` blocks

    def join(self, other: Units) -> Units:
        """What is in either, of two sets in the same units."""
        if self._united is not None and self._united[0]() is other:
            known = self._united[1]()
            if known is not None:
                return known
        union = Units(self.members | other.members, self.shift, max(self.top, other.top))
        for shift in self._closures.keys() & other._closures.keys():
            union._closures[shift] = self._closures[shift].join(other._closures[shift])
        self._united = ref(other), ref(union)
        return union

    def meet(self, other: Units, total: int) -> Units:
        """What is in both."""
        if self is other:
            return self
        if self.shift == other.shift:
            return Units(self.members & other.members, self.shift, min(self.top, other.top))
        fine, coarse = (self, other) if self.shift < other.shift else (other, self)
        met = fine.closure(coarse.shift).members
        if met <= coarse.members:
            return fine
        common = Units(met & coarse.members, coarse.shift, coarse.top)
        return Units(fine.members & common.spelt_out(fine.shift, total).members, fine.shift, fine.top)

    def less(self, other: Units, total: int) -> tuple[Units, ...]:
        """What is in this set only: what is left whole, and what is left of the units that are in both in part."""
        if self is other:
            return ()
        if self.shift == other.shift:
            return (Units(self.members - other.members, self.shift, self.top),)
        if self.shift > other.shift:
            met = other.closure(self.shift).members
            common = Units(self.members & met, self.shift, self.top)
            if not common:
                return (self,)
            whole = Units(self.members - met, self.shift, self.top)
            part = common.spelt_out(other.shift, total)
            return whole, Units(part.members - other.members, part.shift, part.top)
        met = self.closure(other.shift).members
        common = Units(met & other.members, other.shift, other.top)
        if not common:
            return (self,)
        if met <= other.members:
            return ()
        return (Units(self.members - common.spelt_out(self.shift, total).members, self.shift, self.top),)

    def within(self, other: Units, total: int) -> bool:
        """Whether all of this set is in the other."""
        if self.shift <= other.shift:
            return self is other or self.closure(other.shift).members <= other.members
        if not self.members <= other.closure(self.shift).members:
            return False
        return self.spelt_out(other.shift, total).members <= other.members

    def apart(self, other: Units) -> bool:
        """Whether nothing is in both."""
        shift = max(self.shift, other.shift)
        return self.closure(shift).members.isdisjoint(other.closure(shift).members)

    def count(self, total: int) -> int:
        """How many blocks there are below `total`; the last unit of a disk may be a part of one."""
        blocks: int = len(self.members) << self.shift
        last, of_last = divmod(total, 1 << self.shift)
        return blocks - ((1 << self.shift) - of_last) if of_last and last in self.members else blocks


def _up(number: int, shift: int) -> int:
    return -(-number >> shift) << shift
