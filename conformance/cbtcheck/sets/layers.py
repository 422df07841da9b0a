"""Compressed sets in several units at once: what was marked by granules, and what was written since by blocks.

Uniting them leaves each as it is; nothing is spelt out for it. Whatever else is done to sets is done layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_

from cbtcheck.sets.units import Units

Layers = tuple[Units, ...]
"""Sets of units of different sizes, the largest first, none of them empty: all together they are one set."""

NOTHING: Layers = ()


def layered(parts: Iterable[Units]) -> Layers:
    """These sets as one."""
    by_shift: dict[int, Units] = {}
    for each in parts:
        if each:
            known = by_shift.get(each.shift)
            by_shift[each.shift] = each if known is None or known is each else known.join(each)
    return tuple(by_shift[shift] for shift in sorted(by_shift, reverse=True))


def join(a: Layers, b: Layers) -> Layers:
    """What is in either."""
    if not b or a is b:
        return a
    if not a:
        return b
    if len(a) == len(b) == 1 and a[0].shift == b[0].shift:
        return _one(a[0].join(b[0]), a, b)
    return _either(layered((*a, *b)), a, b)


def _one(made: Units, a: Layers, b: Layers) -> Layers:
    """A set of one layer, as one of the two that it was made of, if it is that again."""
    if made is a[0]:
        return a
    return b if made is b[0] else (made,) if made else NOTHING


def _either(made: Layers, a: Layers, b: Layers) -> Layers:
    """One of the two sets that it was made of, if it is that again: then all see that nothing has changed."""
    for known in (a, b):
        if len(made) == len(known) and all(map(is_, made, known)):
            return known
    return made


def meet(a: Layers, b: Layers, total: int) -> Layers:
    """What is in both, on a disk of `total` blocks."""
    if len(a) == len(b) == 1:
        return a if a is b else _one(a[0].meet(b[0], total), a, b)
    return _either(layered(one.meet(other, total) for one in a for other in b), a, b)


def less(a: Layers, b: Layers, total: int) -> Layers:
    """What is in `a` only, on a disk of `total` blocks."""
    if a is b:
        return NOTHING
    for other in b:
        if len(a) == 1:
            parts = a[0].less(other, total)
            if len(parts) == 1:
                a = _one(parts[0], a, a)
                continue
        left = [one.less(other, total) for one in a]
        a = _either(layered(part for parts in left for part in parts), a, a)
    return a


def within(a: Layers, b: Layers, total: int) -> bool:
    """Whether all of `a` is in `b`, on a disk of `total` blocks."""
    if len(b) == 1:
        return all(one.within(b[0], total) for one in a)
    return not less(a, b, total)


def apart(a: Layers, b: Layers) -> bool:
    """Whether nothing is in both."""
    return all(one.apart(other) for one in a for other in b)


def count(a: Layers, total: int) -> int:
    """How many blocks there are."""
    return sum(
        each.count(total)
        for number, one in enumerate(a)
        for each in (less((one,), a[:number], total) if number else (one,))
    )


def closure(a: Layers, shift: int) -> Layers:
    """All units of 2^`shift` blocks that have a block of `a`; larger units stay as they are."""
    if all(each.shift >= shift for each in a):
        return a
    return layered(each.closure(shift) if each.shift < shift else each for each in a)


def spelt_out(a: Layers, shift: int, total: int) -> Units | None:
    """The same blocks in units of 2^`shift` blocks, which are not larger than any; None if there is no block."""
    return next(iter(layered(each.spelt_out(shift, total) for each in a)), None)
