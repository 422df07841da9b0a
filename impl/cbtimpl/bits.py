"""A set of granules of one disk, compressed.

Work is proportional to the runs of set granules and to the compressed containers, never to the size of the disk:
a 16 TiB disk that is wholly dirty is one range.
"""

from collections.abc import Iterator
from typing import Protocol, Self

from pyroaring import BitMap64

from cbtimpl import granules


class Store(Protocol):
    """Where a set keeps its numbers: what is used of `pyroaring.BitMap64`, so that `contracts` can put another there.

    Ranges are half open and not empty. `next_set_bit` raises `ValueError` if there is none.
    """

    def add_range(self, range_start: int, range_end: int, /) -> None:
        """All numbers of the range are in."""
        ...

    def remove_range(self, range_start: int, range_end: int, /) -> None:
        """No number of the range is in."""
        ...

    def contains_range(self, range_start: int, range_end: int, /) -> bool:
        """Whether every number of the range is in."""
        ...

    def next_set_bit(self, value: int, /) -> int:
        """The first number at or after `value`."""
        ...

    def clear(self) -> None:
        """Nothing is in."""
        ...

    def copy(self) -> Self:
        """The same set, by itself."""
        ...

    def __ior__(self, other: Self, /) -> Self: ...

    def __contains__(self, value: int, /) -> bool: ...

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...


class Roaring(BitMap64):
    """A `BitMap64` that looks at each container of a range.

    That of pyroaring 1.2.0 says that a range is in although a whole container (2^16 numbers) amid it is not there, if
    one that lies behind it is.
    """

    def contains_range(self, range_start: int, range_end: int) -> bool:
        """Whether every number of the range is in."""
        return self.range_cardinality(range_start, range_end) == range_end - range_start


class GranuleSet:
    """A mutable set of granules of `granularity` bytes of a disk of `size` bytes.

    Byte ranges go in and come out clipped to the disk. Granule ranges are half open.
    """

    __slots__ = ("_set", "granularity", "size")

    def __init__(self, granularity: int, size: int) -> None:
        self.granularity = granularity
        self.size = size
        self._set = self.new_store()

    def new_store(self) -> Store:
        """Where to keep the numbers; empty."""
        return Roaring()

    @classmethod
    def full(cls, granularity: int, size: int) -> Self:
        """The set of all granules of the disk."""
        made = cls(granularity, size)
        made.add(0, granules.count(size, granularity))
        return made

    def copy(self) -> Self:
        """An equal set that shares nothing with this one."""
        made = type(self)(self.granularity, self.size)
        made._set = self._set.copy()
        return made

    def add(self, first: int, past: int) -> None:
        """Set the granules from `first` to before `past`."""
        if first < past:
            self._set.add_range(first, past)

    def remove(self, first: int, past: int) -> None:
        """Unset the granules from `first` to before `past`."""
        if first < past:
            self._set.remove_range(first, past)

    def clear(self) -> None:
        """Unset everything."""
        self._set.clear()

    def set_bytes(self, offset: int, length: int) -> None:
        """Set each granule that shares a byte with the range (qemu-facts.md 1.6, set)."""
        self.add(*granules.covering(offset, length, self.granularity, self.size))

    def touches(self, offset: int, length: int) -> bool:
        """Whether a granule that shares a byte with the range is set."""
        first, past = granules.covering(offset, length, self.granularity, self.size)
        following = self.next(first)
        return following is not None and following < past

    def merge(self, other: "GranuleSet") -> None:
        """Add what `other` has; across granularities each granule that shares a byte with one of its granules.

        Source: qemu-facts.md 1.6, merge. Across granularities the work is one step for each run of `other`.
        """
        if other.granularity == self.granularity:
            self._set |= other._set
            # The other disk may be longer: what is off this one does not exist here.
            self.remove(granules.count(self.size, self.granularity), granules.count(other.size, self.granularity))
            return
        for offset, length in other.extents():
            self.set_bytes(offset, length)

    def next(self, granule: int) -> int | None:
        """The first set granule at or after `granule`."""
        try:
            return self._set.next_set_bit(granule)
        except ValueError:
            return None

    def run_end(self, first: int, limit: int) -> int:
        """Where the run that starts at the set granule `first` ends, or `limit` if it goes on there."""
        past, step = first + 1, 1
        while past < limit and self._set.contains_range(past, min(past + step, limit)):
            past = min(past + step, limit)
            step *= 2
        while step > 1 and past < limit:
            step //= 2
            if past + step <= limit and self._set.contains_range(past, past + step):
                past += step
        return past

    def runs(self, first: int = 0, past: int | None = None) -> Iterator[tuple[int, int]]:
        """The maximal runs of set granules between `first` and `past`, ascending, as granules `(first, past)`."""
        limit = granules.count(self.size, self.granularity) if past is None else past
        start = self.next(first)
        while start is not None and start < limit:
            end = self.run_end(start, limit)
            yield start, end
            start = self.next(end)

    def extents(self) -> Iterator[tuple[int, int]]:
        """The maximal runs in bytes, `(offset, length)`, ascending, clipped to the disk."""
        for first, past in self.runs():
            yield granules.span(first, past, self.granularity, self.size)

    def granules(self) -> Iterator[int]:
        """Each set granule, ascending. As long as the set: for small sets and for tests."""
        return iter(self._set)

    def count(self) -> int:
        """How many granules are set."""
        return len(self._set)

    def is_empty(self) -> bool:
        """Whether no granule is set. Does not count."""
        return not self._set

    def __contains__(self, granule: int) -> bool:
        return granule in self._set

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GranuleSet):
            return NotImplemented
        return (self.granularity, self.size) == (other.granularity, other.size) and self._set == other._set

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        shown = [f"{first}..{past - 1}" for (first, past), _ in zip(self.runs(), range(8), strict=False)]
        return f"<GranuleSet {self.granularity} bytes: {self.count()} set: {', '.join(shown)}>"
