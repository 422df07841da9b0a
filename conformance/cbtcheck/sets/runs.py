"""Compressed bitmaps made coarser and finer: what pyroaring does not have.

A *unit* is 2^k consecutive numbers that begin at a multiple of 2^k. Numbers that lie together are taken as runs, so
that the cost is that of what is stored and not of what it stands for: all of a 16 TiB disk is one run. What is
scattered costs some 70 nanoseconds a number. Bitmaps that are given are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pyroaring import BitMap64

AT_ONCE = 1 << 18
"""How many numbers are taken out of a bitmap at a time, so that no list of all of them is ever made."""


def runs(bitmap: BitMap64) -> Iterator[tuple[int, int]]:
    """The runs of consecutive numbers, ascending, each as (first, past)."""
    firsts = bitmap - bitmap.shift(1)
    lasts = bitmap - bitmap.shift(-1)
    return ((first, last + 1) for first, last in zip(firsts, lasts, strict=True))


def first_runs(bitmap: BitMap64, most: int) -> list[tuple[int, int]]:
    """The first runs, at most so many; in a large bitmap the others are not looked for."""
    enough = 8 * (most + 1)
    if len(bitmap) > enough:
        head = list(islice(runs(bitmap & span(bitmap.min(), bitmap[enough])), most + 1))
        if len(head) > most:
            return head[:most]  # all of these end before the last number that was looked at
    return list(islice(runs(bitmap), most))


def is_scattered(bitmap: BitMap64) -> bool:
    """Whether it is better taken number by number than run by run."""
    stored = bitmap.get_statistics()
    return 2 * stored["n_values_array_containers"] >= stored["cardinality"]


def coarser(bitmap: BitMap64, k: int) -> BitMap64:
    """The numbers of all units of 2^k that have a number of the bitmap."""
    if k == 0 or not bitmap:
        return bitmap
    units = BitMap64()
    if is_scattered(bitmap):
        numbers = iter(bitmap)
        while some := [number >> k for number in islice(numbers, AT_ONCE)]:
            units = units | BitMap64(some) if units else BitMap64(some)
        return units
    pairs = runs(bitmap)
    while listed := [(first >> k, past - 1 >> k) for first, past in islice(pairs, AT_ONCE)]:
        units |= BitMap64([first for first, _ in listed])
        units |= BitMap64([last for _, last in listed])
        for first, last in listed:
            if last - first > 1:
                units.add_range(first, last)
    return units


def inside(bitmap: BitMap64, k: int) -> BitMap64:
    """The numbers of all units of 2^k that are in the bitmap as a whole."""
    if k == 0:
        return bitmap
    units = BitMap64()
    for first, past in runs(bitmap):
        begin, end = -(-first >> k), past >> k
        if begin < end:
            units.add_range(begin, end)
    return units


def finer(units: BitMap64, k: int) -> BitMap64:
    """All numbers of the units of 2^k."""
    if k == 0:
        return units
    bitmap = BitMap64()
    add = bitmap.add_range
    if is_scattered(units):
        for unit in units:
            add(unit << k, (unit + 1) << k)
    else:
        for first, past in runs(units):
            add(first << k, past << k)
    bitmap.run_optimize()
    return bitmap


def in_units(bitmap: BitMap64, k: int, units: BitMap64) -> BitMap64:
    """The numbers that are in one of these units of 2^k; for what is scattered."""
    found = BitMap64()
    numbers = iter(bitmap)
    while some := list(islice(numbers, AT_ONCE)):
        found |= BitMap64([number for number in some if number >> k in units])
    return found


def below(bitmap: BitMap64, bound: int) -> BitMap64:
    """The numbers below `bound`."""
    if not bitmap or bitmap.max() < bound:
        return bitmap
    return bitmap & span(0, bound)


def span(first: int, past: int) -> BitMap64:
    """All numbers from `first` to before `past`."""
    bitmap = BitMap64()
    bitmap.add_range(first, past)
    return bitmap
