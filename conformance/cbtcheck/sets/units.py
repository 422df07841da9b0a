"""Compressed sets in units of 2^k blocks: what is closed under a granule is kept by its granules.

Sixteen times fewer numbers stand for a set of 64 KiB granules on blocks of 4 KiB. Two such sets of different units
are compared in the larger unit, and spelt out in the smaller one only where they meet.
"""

from __future__ import annotations

from collections import deque
from weakref import ref

from cbtcheck.sets import runs
from cbtcheck.sets.numbers import Numbers

MOST_UNITED = 4
"""Unions that a set remembers: where it is not known which of two writes was first, both orders are gone through."""

_LAST: deque[tuple[ref[Units], int, int, Units]] = deque(maxlen=2)
"""What was spelt out last: what is taken from several sets, one after the other, is spelt out once."""


class Units:
    """An immutable set of units of 2^`shift` blocks. All its blocks are below `top`, which need not be tight.

    It remembers what it is when rounded out to larger units, and its last unions. Rounding a union is uniting what
    was rounded, so that a set which grows write by write is never rounded as a whole again; and where two bitmaps
    record the same writes, one set serves both.
    """

    __slots__ = ("__weakref__", "_closures", "_united", "members", "shift", "top")

    def __init__(self, members: Numbers, shift: int, top: int) -> None:
        self.members, self.shift, self.top = members, shift, top
        self._closures: dict[int, Units] = {}
        self._united: tuple[tuple[ref[Units], ref[Units]], ...] = ()

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
        for whose, into, of, spelt in _LAST:
            if whose() is self and (into, of) == (shift, total):
                return spelt
        members = runs.finer(self.members, self.shift - shift)
        spelt = Units(runs.below(members, -(-total >> shift)), shift, min(self.top, total))
        _LAST.append((ref(self), shift, total, spelt))
        return spelt

    # Together with others, on one disk of `total` blocks

    def join(self, other: Units) -> Units:
        """What is in either, of two sets in the same units."""
        if other.members <= self.members:
            return self
        if self.members <= other.members:
            return other
        for with_which, known in self._united:
            if with_which() is other:
                united = known()
                if united is not None:
                    return united
        union = Units(self.members | other.members, self.shift, max(self.top, other.top))
        for shift in self._closures.keys() & other._closures.keys():
            union._closures[shift] = self._closures[shift].join(other._closures[shift])
        self._united = ((ref(other), ref(union)), *self._united[: MOST_UNITED - 1])
        return union

    def meet(self, other: Units, total: int) -> Units:
        """What is in both."""
        if self is other:
            return self
        if self.shift == other.shift:
            if self.members <= other.members:
                return self
            if other.members <= self.members:
                return other
            if self.members.isdisjoint(other.members):
                return Units(Numbers(), self.shift, 0)
            return Units(self.members & other.members, self.shift, min(self.top, other.top))
        fine, coarse = (self, other) if self.shift < other.shift else (other, self)
        met = fine.closure(coarse.shift).members
        if met <= coarse.members:
            return fine
        return fine._within(coarse, met, total)

    def less(self, other: Units, total: int) -> tuple[Units, ...]:
        """What is in this set only: what is left whole, and what is left of the units that are in both in part."""
        if self is other:
            return ()
        if self.shift == other.shift:
            if self.members.isdisjoint(other.members):
                return (self,)
            return (Units(self.members - other.members, self.shift, self.top),)
        if self.shift > other.shift:
            met = other.closure(self.shift).members
            if self.members.isdisjoint(met):
                return (self,)
            common = Units(self.members & met, self.shift, self.top)
            whole = Units(self.members - met, self.shift, self.top)
            part = common.spelt_out(other.shift, total)
            return whole, Units(part.members - other.members, part.shift, part.top)
        met = self.closure(other.shift).members
        if met.isdisjoint(other.members):
            return (self,)
        if met <= other.members:
            return ()
        return (self._beyond(other, met, total),)

    def _beyond(self, coarse: Units, met: Numbers, total: int) -> Units:
        """What is not in the larger units of `coarse`. `met` are all units of that size that this set meets.

        The units are spelt out of which there are fewer, unless it is quicker to look at each number.
        """
        beyond = met - coarse.members
        within, others = len(met) - len(beyond), len(beyond)
        if self._is_quicker_one_by_one(coarse, min(within, others)):
            members = self.members - runs.in_units(self.members, coarse.shift - self.shift, coarse.members)
        elif 2 * others < min(within, len(coarse.members)):
            members = self.members & Units(beyond, coarse.shift, self.top).spelt_out(self.shift, total).members
        else:
            few = 2 * within < len(coarse.members)
            near = Units(met & coarse.members, coarse.shift, coarse.top) if few else coarse
            members = self.members - near.spelt_out(self.shift, total).members
        return self._part(members, coarse.shift, beyond)

    def _within(self, coarse: Units, met: Numbers, total: int) -> Units:
        """What is in the larger units of `coarse`. `met` are all units of that size that this set meets."""
        within = met & coarse.members
        if self._is_quicker_one_by_one(coarse, len(within)):
            members = runs.in_units(self.members, coarse.shift - self.shift, within)
        else:
            few = 2 * len(within) < len(coarse.members)
            near = Units(within, coarse.shift, coarse.top) if few else coarse
            members = self.members & near.spelt_out(self.shift, total).members
        return self._part(members, coarse.shift, within)

    def _is_quicker_one_by_one(self, coarse: Units, units: int) -> bool:
        """Whether each number is looked at, and not so many units spelt out, or those of the other set."""
        number = len(self.members)
        return number <= 3 * units and number < len(coarse.members) and self.members.is_scattered()

    def _part(self, members: Numbers, shift: int, units: Numbers) -> Units:
        """Some members of this set, which meet these larger units."""
        part = Units(members, self.shift, self.top)
        part._closures[shift] = Units(units, shift, _up(self.top, shift))
        return part

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
