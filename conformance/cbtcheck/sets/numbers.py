"""Sets of numbers as compressed bitmaps that share what they have in common.

pyroaring's bitmaps of 32 bits can share containers (`copy_on_write`): when a few numbers are added to a million
scattered ones, only what the few are in is copied. Those of 64 bits cannot: all is copied, which takes up to fifty
times as long. So numbers below 2^32 are kept in one of the first kind, and those beyond in one of the second, which
disks of more blocks than that have.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from struct import pack
from typing import Any

from pyroaring import BitMap, BitMap64, FrozenBitMap, FrozenBitMap64

Roaring = BitMap | FrozenBitMap | BitMap64 | FrozenBitMap64

LOW = 1 << 32
"""Numbers below are low."""

AT_ONCE = 1 << 20
"""How many numbers are taken out of a bitmap at a time, where it is taken number by number."""


class Numbers:
    """A set of numbers from 0 to 2^64 - 1; its operations are those of pyroaring's bitmaps.

    It may be changed by whoever has made it, and nobody else. `OverflowError` for other numbers.
    """

    __slots__ = ("_high", "_low", "_own")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._high: BitMap64 | None = None
        self._own = True  # `_high` is, and no other set has it
        if isinstance(numbers, array) and numbers.typecode == "I":
            self._low = BitMap(numbers, copy_on_write=True)
            return
        whole = numbers if isinstance(numbers, Roaring) else BitMap64(numbers)
        if whole and whole.max() >= LOW:
            self._high = BitMap64(whole)
            self._high.remove_range(0, LOW)
            whole = BitMap64(whole) - self._high
        self._low = _sharing(_narrow(whole)) if whole else BitMap(copy_on_write=True)

    # One bitmap after the other

    def __bool__(self) -> bool:
        return bool(self._low) or self._high is not None

    def __len__(self) -> int:
        return len(self._low) if self._high is None else len(self._low) + len(self._high)

    def __iter__(self) -> Iterator[int]:
        return iter(self._low) if self._high is None else chain(self._low, self._high)

    def __contains__(self, number: int) -> bool:
        if number < LOW:
            return number in self._low
        return self._high is not None and number in self._high

    def of(self, numbers: Iterable[int], k: int = 0) -> list[int]:
        """Those of some numbers that are in it, or are when they are divided by 2^`k`."""
        if self._high is None:
            low = self._low
            return [number for number in numbers if number >> k < LOW and number >> k in low]
        return [number for number in numbers if number >> k in self]

    def __getitem__(self, at: int) -> int:
        """The number at this place, from 0 on, in ascending order."""
        if self._high is None or at < len(self._low):
            return self._low[at]
        return self._high[at - len(self._low)]

    def __repr__(self) -> str:
        return f"<{len(self)} numbers>"

    def min(self) -> int:
        """The first number; there must be one."""
        return self._low.min() if self._low or self._high is None else self._high.min()

    def max(self) -> int:
        """The last number; there must be one."""
        return self._low.max() if self._high is None else self._high.max()

    def range_cardinality(self, first: int, past: int) -> int:
        """How many numbers there are from `first` to before `past`."""
        low = self._low.range_cardinality(min(first, LOW), min(past, LOW))
        return low if self._high is None else low + self._high.range_cardinality(max(first, LOW), max(past, LOW))

    def runs(self) -> Iterator[tuple[int, int]]:
        """The runs of consecutive numbers, ascending, each as (first, past)."""
        low = _runs(self._low)
        return low if self._high is None else _joined(low, _runs(self._high))

    def is_scattered(self) -> bool:
        """Whether it is better taken number by number than run by run."""
        alone: int = self._low.get_statistics()["n_values_array_containers"]
        if self._high is not None:
            alone += self._high.get_statistics()["n_values_array_containers"]
        return 2 * alone >= len(self)

    def portions(self) -> Iterator[array[int]]:
        """All numbers, ascending, so many at a time that no list of all of them is ever made."""
        for at in range(0, len(self._low), AT_ONCE):
            whole = len(self._low) <= AT_ONCE
            yield (self._low if whole else self._low[at : at + AT_ONCE]).to_array()
        numbers = iter(self._high or ())
        while some := array("Q", islice(numbers, AT_ONCE)):
            yield some

    def roaring(self) -> FrozenBitMap64:
        """The same as a bitmap of pyroaring."""
        low = BitMap64.deserialize(pack("<QI", 1, 0) + self._low.serialize())
        return FrozenBitMap64(low if self._high is None else low | self._high)

    # Changed

    def add_range(self, first: int, past: int) -> None:
        """All numbers from `first` to before `past` are in it."""
        if past <= LOW:
            self._low.add_range(first, past)
            return
        if first < LOW:
            self._low.add_range(first, LOW)
        if self._high is None or not self._own:
            self._high, self._own = BitMap64(self._high or ()), True
        self._high.add_range(max(first, LOW), past)

    def add_ranges(self, ranges: Iterable[tuple[int, int]]) -> None:
        """All numbers of these ranges, each as (first, past), are in it."""
        add = self._low.add_range
        for first, past in ranges:
            if past <= LOW:
                add(first, past)
            else:
                self.add_range(first, past)

    def update(self, other: Numbers) -> None:
        """All numbers of the other set are in it."""
        self._low |= other._low
        if other._high is not None:
            self._high = other._high if self._high is None else self._high | other._high
            self._own = False

    def run_optimize(self) -> None:
        """Nothing is changed but how it is stored."""
        self._low.run_optimize()
        if self._high is not None:
            self._high.run_optimize()

    # Two of them

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self._low == other._low and self._high == other._high

    def __hash__(self) -> int:
        return hash(len(self))

    def __or__(self, other: Numbers) -> Numbers:
        high = self._high if other._high is None else other._high
        if self._high is not None and other._high is not None:
            high = self._high | other._high
        return _made(self._low | other._low, high)

    def __and__(self, other: Numbers) -> Numbers:
        high = None
        if self._high is not None and other._high is not None:
            high = self._high & other._high
        return _made(self._low & other._low, high or None)

    def __sub__(self, other: Numbers) -> Numbers:
        high = self._high
        if high is not None and other._high is not None:
            high = high - other._high
        return _made(self._low - other._low, high or None)

    def __xor__(self, other: Numbers) -> Numbers:
        high = self._high if other._high is None else other._high
        if self._high is not None and other._high is not None:
            high = self._high ^ other._high
        return _made(self._low ^ other._low, high or None)

    def __le__(self, other: Numbers) -> bool:
        if not self._low <= other._low:
            return False
        return self._high is None or (other._high is not None and self._high <= other._high)

    def isdisjoint(self, other: Numbers) -> bool:
        """Whether no number is in both."""
        if not self._low.isdisjoint(other._low):
            return False
        return self._high is None or other._high is None or self._high.isdisjoint(other._high)


def _made(low: BitMap, high: BitMap64 | None) -> Numbers:
    made = Numbers.__new__(Numbers)
    made._low, made._high, made._own = low, high, False
    return made


def _narrow(numbers: Roaring) -> BitMap | FrozenBitMap:
    """The same in 32 bits: the serialised form of 64 bits is that of 32 bits behind a head of twelve bytes."""
    if isinstance(numbers, BitMap | FrozenBitMap):
        return numbers
    return BitMap.deserialize(numbers.serialize()[12:])


def _sharing(numbers: BitMap | FrozenBitMap) -> BitMap:
    """The same as one that shares containers; pyroaring has nothing that makes one of the other."""
    shared = BitMap(copy_on_write=True)
    firsts = numbers - numbers.shift(1)
    if 2 * len(firsts) < len(numbers):
        for first, past in _runs(numbers):
            shared.add_range(first, past)
        shared.run_optimize()
        return shared
    for at in range(0, len(numbers), AT_ONCE):
        part = numbers if len(numbers) <= AT_ONCE else numbers[at : at + AT_ONCE]
        shared |= BitMap(part.to_array(), copy_on_write=True)
    return shared


def _runs(bitmap: Any) -> Iterator[tuple[int, int]]:
    firsts, lasts = bitmap - bitmap.shift(1), bitmap - bitmap.shift(-1)
    return ((first, last + 1) for first, last in zip(firsts, lasts, strict=True))


def _joined(low: Iterator[tuple[int, int]], high: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Both, with a run that goes over from the low numbers to the high ones as one."""
    before: tuple[int, int] | None = None
    for first, past in chain(low, high):
        if before is not None and before[1] == first == LOW:
            first = before[0]
        elif before is not None:
            yield before
        before = first, past
    if before is not None:
        yield before
