"""Stores of numbers that a symbolic execution can follow, in place of the compressed one, which is in C.

Two of them, each exact in what it answers:

- `OneGranule` stands for *every* set: it knows whether one arbitrary number is in the set, and whether anything else
  is. It can be added to, taken from, united and asked if it is empty; it cannot be listed.
- `Runs` is any set of a few runs, wherever and however long. It can do all that a `bits.Store` can.

A test compares both with `pyroaring.BitMap64`, operation by operation.
"""

from collections.abc import Callable, Iterator
from typing import Self

from cbtimpl import granules
from cbtimpl.bits import GranuleSet


class NotWatched(LookupError):
    """A contract lets its set be asked what one granule cannot know: the contract is wrong, not what it is about."""


class OneGranule:
    """A set, as the number `number` sees it: `present`, is it in; `rest`, is any other number.

    `keeps_rest` is what a removal does that could reach the others: leave some, or take the last of them. It is one
    more unknown, so that both are looked at. About the rest one thinks only when asked: each question is two paths.
    """

    def __init__(self, number: int, present: bool = False, rest: bool = False, keeps_rest: bool = True) -> None:
        self.number = number
        self.present = present
        self.rest: Callable[[], bool] = lambda: rest
        self.keeps_rest = keeps_rest

    def add_range(self, first: int, past: int) -> None:
        """All numbers of the range are in."""
        if first <= self.number < past:
            self.present = True
        before = self.rest
        self.rest = lambda: before() or self.others_in(first, past)

    def remove_range(self, first: int, past: int) -> None:
        """No number of the range is in."""
        if first <= self.number < past:
            self.present = False
        before = self.rest
        self.rest = lambda: before() and (self.keeps_rest or not self.others_in(first, past))

    def others_in(self, first: int, past: int) -> bool:
        """Whether a range that is not empty has another number than ours."""
        return past - first > 1 or first != self.number

    def clear(self) -> None:
        """Nothing is in."""
        self.present = False
        self.rest = lambda: False

    def copy(self) -> Self:
        """The same set, by itself."""
        made = type(self)(self.number, self.present, keeps_rest=self.keeps_rest)
        made.rest = self.rest
        return made

    def __ior__(self, other: Self) -> Self:
        if other.number != self.number:
            raise NotWatched("two sets of different granules")
        self.present = self.present or other.present
        before, others = self.rest, other.rest
        self.rest = lambda: before() or others()
        return self

    def __contains__(self, number: int) -> bool:
        if number != self.number:
            raise NotWatched("asked for another granule than the one that is watched")
        return self.present

    def __bool__(self) -> bool:
        return True if self.present or self.rest() else False  # noqa: SIM210 (a real bool, not a symbolic one)

    def __len__(self) -> int:
        raise NotWatched("one granule does not know how many there are")

    def __iter__(self) -> Iterator[int]:
        raise NotWatched("one granule does not know the others")

    def next_set_bit(self, number: int) -> int:
        """Not to be known."""
        raise NotWatched("one granule does not know the next")

    def contains_range(self, first: int, past: int) -> bool:
        """Not to be known."""
        raise NotWatched("one granule does not know the others")


class Runs:
    """A set of numbers as its maximal runs `(first, past)`, ascending."""

    def __init__(self, *runs: tuple[int, int]) -> None:
        self.runs = list(runs)

    def add_range(self, first: int, past: int) -> None:
        """All numbers of the range are in; runs that touch become one."""
        before = [run for run in self.runs if run[1] < first]
        after = [run for run in self.runs if past < run[0]]
        touched = self.runs[len(before) : len(self.runs) - len(after)]
        if touched:
            first, past = min(first, touched[0][0]), max(past, touched[-1][1])
        self.runs = [*before, (first, past), *after]

    def remove_range(self, first: int, past: int) -> None:
        """No number of the range is in."""
        parts = [part for start, end in self.runs for part in ((start, min(end, first)), (max(start, past), end))]
        self.runs = [(start, end) for start, end in parts if start < end]

    def clear(self) -> None:
        """Nothing is in."""
        self.runs = []

    def copy(self) -> Self:
        """The same set, by itself."""
        return type(self)(*self.runs)

    def __ior__(self, other: Self) -> Self:
        for first, past in other.runs:
            self.add_range(first, past)
        return self

    def __contains__(self, number: int) -> bool:
        return any(first <= number < past for first, past in self.runs)

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __len__(self) -> int:
        return sum(past - first for first, past in self.runs)

    def __iter__(self) -> Iterator[int]:
        for first, past in self.runs:
            yield from range(first, past)

    def next_set_bit(self, number: int) -> int:
        """The first number at or after `number`; `ValueError` if there is none."""
        for first, past in self.runs:
            if number < past:
                return max(number, first)
        raise ValueError("nothing from there on")

    def contains_range(self, first: int, past: int) -> bool:
        """Whether every number of the range is in."""
        return any(start <= first and past <= end for start, end in self.runs)


def watching(number: int) -> type[GranuleSet]:
    """Sets of granules of one size, seen by the granule `number`."""

    class Watched(GranuleSet):
        __slots__ = ()

        def new_store(self) -> OneGranule:
            return OneGranule(number)

    return Watched


def watched(
    granularity: int, size: int, number: int, present: bool, rest: bool, keeps_rest: bool = True
) -> GranuleSet:
    """An arbitrary set, seen by the granule `number`, which exists."""
    made = watching(number)(granularity, size)
    made._set = OneGranule(number, present, rest, keeps_rest)
    return made


class Listed(GranuleSet):
    """Sets of granules in a few runs."""

    __slots__ = ()

    def new_store(self) -> Runs:
        """No run."""
        return Runs()

    def run_end(self, first: int, limit: int) -> int:
        """What the contract of `run_end` says, without the search, so that runs may be of any length here."""
        assert isinstance(self._set, Runs)
        return min(limit, *(past for start, past in self._set.runs if start <= first < past))


class Searched(GranuleSet):
    """Sets of granules in a few runs, with the implementation's search for a run's end."""

    __slots__ = ()

    def new_store(self) -> Runs:
        """No run."""
        return Runs()


def listed(granularity: int, size: int, *runs: tuple[int, int]) -> Listed:
    """A set of these granules; runs may be empty, and are ascending and apart (see `apart`)."""
    made = Listed(granularity, size)
    made._set = Runs(*(run for run in runs if run[0] < run[1]))
    return made


def apart(granularity: int, size: int, *runs: tuple[int, int]) -> bool:
    """Whether these are runs of a set on that disk: ascending, not touching, each perhaps empty."""
    end = -1
    for first, past in runs:
        if not end < first <= past:
            return False
        end = past
    return end <= granules.count(size, granularity)
