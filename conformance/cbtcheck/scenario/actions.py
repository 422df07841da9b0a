"""A command and its actions, one by one: those of a transaction, or the command itself; and the bitmaps they use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from cbtmodel import commands as c
from cbtmodel.traits import changed_bitmap

T = TypeVar("T")


def actions_of(asked: T) -> tuple[T | c.Action, ...]:
    """The actions of a transaction; of all else the thing itself."""
    return asked.actions if isinstance(asked, c.Transaction) else (asked,)


def bitmaps_used(action: object) -> Iterator[tuple[str, str]]:
    """The bitmaps that a command uses, or an action of a transaction: (node, name)."""
    if isinstance(action, c.StartBackup) and action.bitmap is not None:
        yield action.node, action.bitmap
    elif isinstance(action, c.MergeBitmaps):
        yield from ((one.node, one.name) for one in action.sources)
    place = changed_bitmap(action)
    if place is not None:
        yield place
