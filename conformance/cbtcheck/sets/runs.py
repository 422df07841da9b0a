"""Sets of numbers made coarser and finer: what pyroaring does not have.

A *unit* is 2^k consecutive numbers that begin at a multiple of 2^k. Numbers that lie together are taken as runs, so
that the cost is that of what is stored and not of what it stands for: all of a 16 TiB disk is one run. What is
scattered costs some 70 nanoseconds a number. Sets that are given are never changed.
"""

from __future__ import annotations

from array import array
from itertools import islice

from cbtcheck.sets.numbers import Numbers

AT_ONCE = 1 << 18
"""How many runs are taken out of a set at a time, so that no list of all of them is ever made."""


def first_runs(bitmap: Numbers, most: int) -> list[tuple[int, int]]:
    """The first runs, at most so many; in a large bitmap the others are not looked for."""
    enough = 8 * (most + 1)
    if len(bitmap) > enough:
        head = list(islice((bitmap & span(bitmap.min(), bitmap[enough])).runs(), most + 1))
        if len(head) > most:
            return head[:most]  # all of these end before the last number that was looked at
    return list(islice(bitmap.runs(), most))


def coarser(bitmap: Numbers, k: int) -> Numbers:
    """The numbers of all units of 2^k that have a number of the bitmap."""
    if k == 0 or not bitmap:
        return bitmap
    units = Numbers()
    if bitmap.is_scattered():
        for some in bitmap.portions():
            part = Numbers(array(some.typecode, [number >> k for number in some]))
            units = units | part if units else part
        return units
    pairs = bitmap.runs()
    while listed := [(first >> k, past - 1 >> k) for first, past in islice(pairs, AT_ONCE)]:
        units |= Numbers([first for first, _ in listed]) | Numbers([last for _, last in listed])
        units.add_ranges((first, last) for first, last in listed if last - first > 1)
    return units


def inside(bitmap: Numbers, k: int) -> Numbers:
    """The numbers of all units of 2^k that are in the bitmap as a whole."""
    if k == 0:
        return bitmap
    units = Numbers()
    pairs = ((-(-first >> k), past >> k) for first, past in bitmap.runs())
    units.add_ranges((begin, end) for begin, end in pairs if begin < end)
    return units


def finer(units: Numbers, k: int) -> Numbers:
    """All numbers of the units of 2^k."""
    if k == 0:
        return units
    bitmap = Numbers()
    if units.is_scattered():
        bitmap.add_ranges((unit << k, (unit + 1) << k) for unit in units)
    else:
        bitmap.add_ranges((first << k, past << k) for first, past in units.runs())
    bitmap.run_optimize()
    return bitmap


def in_units(bitmap: Numbers, k: int, units: Numbers) -> Numbers:
    """The numbers that are in one of these units of 2^k; for what is scattered."""
    found = Numbers()
    for some in bitmap.portions():
        found |= Numbers(array(some.typecode, units.of(some, k)))
    return found


def below(bitmap: Numbers, bound: int) -> Numbers:
    """The numbers below `bound`."""
    if not bitmap or bitmap.max() < bound:
        return bitmap
    return bitmap & span(0, bound)


def span(first: int, past: int) -> Numbers:
    """All numbers from `first` to before `past`."""
    bitmap = Numbers()
    bitmap.add_range(first, past)
    return bitmap
