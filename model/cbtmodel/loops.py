"""How transitions meet tables and sequences: these few words, and no loop elsewhere.

There is one loop, `fold`. The others are made of it, each with its law. So whatever is done to one entry of a table
is done to every entry, whichever they are and however many, and an arbitrary one stands for all. The laws are proved
apart (LOOPS); that the transitions have no loop of their own is a test of the source (tests/model/test_loops.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cbtmodel.table import Table

A = TypeVar("A")
T = TypeVar("T")
V = TypeVar("V")


def fold(items: Iterable[T], start: A, step: Callable[[A, T], A]) -> A:
    """`step` for one item after the other, from `start` on, in their order.

    LAW: of no items, it is `start`; of some and one more, `step` of what it is of those, and of that one.
    """
    reached = start
    for each in items:
        reached = step(reached, each)
    return reached


def mapped(table: Table[V], change: Callable[[V], V]) -> Table[V]:
    """Every entry changed, each by itself. LAW: the same names, and under each what `change` makes of its value."""
    return fold(table, table, lambda made, name: made.put(name, change(table[name])))


def kept(table: Table[V], wanted: Callable[[V], bool]) -> Table[V]:
    """The entries that are wanted. LAW: a name is there if it was, with a value that is wanted; that is the same."""
    return fold(table, table, lambda left, name: left if wanted(table[name]) else left.drop(name))


def some(items: Iterable[T], holds: Callable[[T], bool]) -> bool:
    """LAW: whether it holds of at least one item; of no items, it does not."""
    return fold(items, False, lambda found, each: found or holds(each))


def every(items: Iterable[T], holds: Callable[[T], bool]) -> bool:
    """LAW: whether it holds of each item; of no items, it does."""
    return fold(items, True, lambda so_far, each: so_far and holds(each))
