"""Columns of a truth table that has a row for each condition of a block: in which of any number of sets it is.

A column is a tree of halves: the rows of blocks that are not in the first set, and of those that are; each half is a
column again. Equal halves are one object: so a column of millions of rows is small, and no two are compared twice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


class Rows:
    """The rows in which a column is true: those of blocks `outside` the set of this `number`, and those `inside`."""

    __slots__ = ("inside", "number", "outside")

    def __init__(self, number: int, outside: Any = None, inside: Any = None) -> None:
        self.number, self.outside, self.inside = number, outside, inside


LAST = 1 << 30
NONE, ALL = Rows(LAST), Rows(LAST)


@lru_cache(maxsize=1 << 18)
def rows(number: int, outside: Rows, inside: Rows) -> Rows:
    """A column of two halves. Where these are the same, the set makes no difference, and is left out."""
    return outside if outside is inside else Rows(number, outside, inside)


@lru_cache(maxsize=1 << 18)
def less(one: Rows, other: Rows) -> Rows:
    """The rows that are in one column, and not in the other."""
    if one is other or one is NONE or other is ALL:
        return NONE
    if other is NONE:
        return one
    number = one.number if one.number < other.number else other.number
    outside, inside = (one.outside, one.inside) if one.number == number else (one, one)
    without, within = (other.outside, other.inside) if other.number == number else (other, other)
    return rows(number, less(outside, without), less(inside, within))


@lru_cache(maxsize=1 << 18)
def union(one: Rows, other: Rows) -> Rows:
    """The rows that are in one of two columns, or in both: all but those that are in neither."""
    return less(ALL, less(less(ALL, one), other))


@lru_cache(maxsize=1 << 18)
def common(one: Rows, other: Rows) -> Rows:
    """The rows that are in both of two columns."""
    return less(one, less(one, other))


@lru_cache(maxsize=1 << 18)
def meet(one: Rows, other: Rows) -> bool:
    """Whether two columns have a row in common: as `common` says, without making a column."""
    if one is NONE or other is NONE:
        return False
    if one is ALL or other is ALL or one is other:
        return True
    if one.number == other.number:
        return meet(one.outside, other.outside) or meet(one.inside, other.inside)
    split, whole = (one, other) if one.number < other.number else (other, one)
    return meet(split.outside, whole) or meet(split.inside, whole)


def a_row(of: Rows) -> frozenset[int]:
    """A row of a column that has one: the numbers of the sets that have its block."""
    if of is ALL:
        return frozenset()
    return a_row(of.outside) if of.outside is not NONE else a_row(of.inside) | {of.number}


def is_in(row: frozenset[int], of: Rows) -> bool:
    """Whether a column has a row."""
    while of.number != LAST:
        of = of.inside if of.number in row else of.outside
    return of is ALL
