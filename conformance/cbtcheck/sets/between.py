"""Sets of blocks that are known in part: all blocks of `least` are in the set, and none that is not in `most`.

This is one more space for the specification, so that it is the specification that says what becomes of what is
uncertain. Each operation gives the tightest bounds that follow from the bounds of its operands alone. So if the true
sets lie between the bounds before a command, they do after it: `|`, `&` and `round_out` are monotone, and `a - b` is
monotone in a and antitone in b.

The truth of such a set may be undecided. `outcomes` then runs the specification once for each answer.

Of a set of which a count was seen, a `number` is known: how many blocks it has at least. What is added leaves it that
number; what is taken away may be any of them.

A set can have *more*: one block beyond every disk, which no write touches and nobody sees. In the work list of a job
it stands for what cannot be seen from outside: that the job has not noticed yet that nothing is left to copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.compressed import NOTHING, Compressed, CompressedSets
from cbtcheck.sets.granules import Granules

T = TypeVar("T")


class Between:
    """An immutable set of blocks, known to lie between two others. It is known exactly if the two are one object."""

    __slots__ = ("least", "more", "most", "number")

    def __init__(self, least: Compressed, most: Compressed, more: bool = False, number: int = 0) -> None:
        self.least, self.most, self.more, self.number = least, most, more, number

    @property
    def exact(self) -> bool:
        """Whether nothing about it is uncertain."""
        return self.least is self.most

    def __or__(self, other: Between, /) -> Between:
        if other is EMPTY or other is self:
            return self
        if self is EMPTY:
            return other
        least = self.least | other.least
        most = least if self.exact and other.exact else self.most | other.most
        number = self.number if self.number >= other.number else other.number
        return self._or(least, most, self.more or other.more, number)

    def __and__(self, other: Between, /) -> Between:
        if self is EMPTY or other is EMPTY:
            return EMPTY
        least = self.least & other.least
        most = least if self.exact and other.exact else self.most & other.most
        return self._or(least, most, self.more and other.more, 0)

    def __sub__(self, other: Between, /) -> Between:
        if self is EMPTY or other is EMPTY:
            return self
        least = self.least - other.most
        most = least if self.exact and other.exact else self.most - other.least
        number = max(0, self.number - len(other.most)) if self.number else 0
        return self._or(least, most, self.more and not other.more, number)

    def _or(self, least: Compressed, most: Compressed, more: bool, number: int) -> Between:
        """A set with these bounds: this one, if they are its own, so that all see that nothing has changed."""
        if least is self.least and most is self.most and more == self.more and number == self.number:
            return self
        if most is NOTHING and not more and not number:
            return EMPTY
        return Between(least, most, more, number)

    def __le__(self, other: Between, /) -> bool:
        """Whether it is certain that every block of this set is in the other."""
        return self.most <= other.least and self.more <= other.more

    def __bool__(self) -> bool:
        if self.more or self.number or self.least:
            return True
        if not self.most:
            return False
        return _answer()

    def __repr__(self) -> str:
        return f"<{self.least!r} to {self.most!r}{' and more' if self.more else ''}>"

    def same(self, other: Between) -> bool:
        """Whether the same is known of both."""
        if self is other:
            return True
        alike = self.more == other.more and self.number == other.number
        return alike and self.least == other.least and self.most == other.most

    def join(self, other: Between) -> Between:
        """Between the bounds of either: what is known if it is one of the two."""
        if self is other:
            return self
        more, number = self.more or other.more, min(self.number, other.number)
        if self.least is other.least and self.most is other.most:
            return Between(self.least, self.most, more, number)
        least = self.least if self.least is other.least else self.least & other.least
        most = self.most if self.most is other.most else self.most | other.most
        return Between(least, least if self.exact and most <= least else most, more, number)

    def meet(self, other: Between) -> Between:
        """Between the bounds of both: what is known if both are right."""
        if self is other or self.exact:
            return self
        if other.exact:
            return other
        number = max(self.number, other.number)
        if self.least is other.least and self.most is other.most and self.number == number:
            return self
        least = self.least if self.least is other.least else self.least | other.least
        most = self.most if self.most is other.most else self.most & other.most
        return Between(least, least if most <= least else most, self.more and other.more, number)

    def numbering(self, number: int) -> Between:
        """The same, now that so many blocks of it were seen, at least."""
        return self if number <= self.number else Between(self.least, self.most, self.more, number)


def exactly(blocks: Compressed) -> Between:
    """A set that is known."""
    return Between(blocks, blocks)


def at_most(blocks: Compressed) -> Between:
    """Some of these blocks, or none."""
    return Between(NOTHING, blocks)


EMPTY = exactly(NOTHING)


@dataclass(frozen=True)
class BetweenSets(Comparing[Between]):
    """The space of `Between`. `inner` is where the bounds come from."""

    inner: CompressedSets

    @property
    def alignment(self) -> int:
        """That of the bounds."""
        return self.inner.alignment

    @property
    def empty(self) -> Between:
        """No block."""
        return EMPTY

    def everything(self, size: int) -> Between:
        """Every block of a disk of `size` bytes."""
        return exactly(self.inner.everything(size))

    def blocks(self, offset: int, length: int) -> Between:
        """Every block that the byte range touches; none if `length` is 0."""
        return exactly(self.inner.blocks(offset, length))

    def round_out(self, blocks: Between, granule: int, size: int) -> Between:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`."""
        least = self.inner.round_out(blocks.least, granule, size)
        most = least if blocks.exact else self.inner.round_out(blocks.most, granule, size)
        return Between(least, most, number=blocks.number)

    def unnoticed(self) -> BetweenSets:
        """The same space for a job that starts and does not end at once, although nothing may be left to copy."""
        return Unnoticed(self.inner)

    # What observations are compared in

    def at_least(self, blocks: Between, granule: int, size: int) -> Granules:
        """The granules that certainly have a block of `blocks`."""
        return self.inner.at_least(blocks.least, granule, size)

    def at_most(self, blocks: Between, granule: int, size: int) -> Granules:
        """The granules that can have a block of `blocks`."""
        return self.inner.at_most(blocks.most, granule, size)

    def number(self, blocks: Between, granule: int) -> int:
        """How many granules have a block of `blocks`, at least, as far as counts have shown."""
        return -(-blocks.number >> self.inner.shift(granule)) if blocks.number else 0


@dataclass(frozen=True)
class Unnoticed(BetweenSets):
    """The same space, but whatever it rounds out has *more*: a job that starts here does not end at once."""

    def everything(self, size: int) -> Between:
        """Every block of the disk, and more."""
        return with_more(super().everything(size))

    def round_out(self, blocks: Between, granule: int, size: int) -> Between:
        """Every block that shares a granule with one of `blocks`, and more."""
        return with_more(super().round_out(blocks, granule, size))


def with_more(blocks: Between) -> Between:
    """The same blocks, and more."""
    return Between(blocks.least, blocks.most, True, blocks.number)


def without_more(blocks: Between) -> Between:
    """The same blocks, and no more."""
    return Between(blocks.least, blocks.most, number=blocks.number) if blocks.more else blocks


# Undecided truth


class _Answers:
    """The answers given on one way through, and how many of them have been asked for."""

    def __init__(self, given: list[bool]) -> None:
        self.given, self.asked = given, 0

    def next(self) -> bool:
        if self.asked == len(self.given):
            self.given.append(True)
        self.asked += 1
        return self.given[self.asked - 1]


_ANSWERS: ContextVar[_Answers | None] = ContextVar("answers", default=None)


def _answer() -> bool:
    answers = _ANSWERS.get()
    if answers is None:
        raise ValueError("whether this set is empty is not known")
    return answers.next()


MOST_OUTCOMES = 64
"""Combinations of answers that are gone through at most."""


class TooMuch(Exception):
    """More is undecided than is gone through: nothing can be said."""


def outcomes(run: Callable[[], T]) -> Iterator[T]:
    """What `run` returns, for every combination of answers to the questions whether an uncertain set is empty.

    `TooMuch` if there are more than are gone through.
    """
    given: list[bool] = []
    for _ in range(MOST_OUTCOMES):
        answers = _Answers(given)
        token = _ANSWERS.set(answers)
        try:
            result = run()
        finally:
            _ANSWERS.reset(token)
        yield result
        given = answers.given[: answers.asked]
        while given and not given[-1]:
            given.pop()
        if not given:
            return
        given[-1] = False
    raise TooMuch
