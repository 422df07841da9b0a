"""In which orders things that overlap can have happened: the one search for an order that explains all replies.

Worlds go along: an item takes those after the items before it to those after it, and where none is left, no order
begins so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

W = TypeVar("W")


class Item(Protocol):
    """What is put in order. `before`: the numbers, as bits, of the items known to be before it."""

    @property
    def number(self) -> int:
        """Which bit it is in the others' `before`."""
        ...

    @property
    def before(self) -> int:
        """The bits of those that come before it in every order."""
        ...


I = TypeVar("I", bound=Item)  # noqa: E741

After = Callable[[tuple[I, ...], list[W]], list[W]]
"""The worlds after an order of items, of those after all of them but the last; none if that one is not explained."""


def orders(items: Sequence[I], worlds: list[W], after: After[I, W]) -> Iterator[tuple[I, ...]]:
    """Every order of the items that agrees with what is before what, and with all replies."""
    return _longer((), tuple(items), worlds, after)


def _longer(
    order: tuple[I, ...], left: tuple[I, ...], worlds: list[W], after: After[I, W]
) -> Iterator[tuple[I, ...]]:
    if not left:
        yield order
        return
    remaining = sum(1 << item.number for item in left)
    for item in left:
        if item.before & remaining:
            continue
        longer = (*order, item)
        explained = after(longer, worlds)
        if explained:
            yield from _longer(longer, tuple(each for each in left if each is not item), explained, after)
