"""Sets of numbers are what Python's sets are, below 2^32 and beyond, however they are made and changed."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from cbtcheck.sets import numbers
from cbtcheck.sets.numbers import LOW, Numbers
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap, BitMap64, FrozenBitMap64

NEAR = st.integers(0, 99) | st.integers(LOW - 9, LOW + 9) | st.integers(0, (1 << 64) - 1)
PLAIN = st.frozensets(NEAR, max_size=12)
RANGES = st.lists(st.tuples(NEAR.filter(lambda first: first < 1 << 63), st.integers(1, 40)), max_size=4)


def made(plain: frozenset[int], ranges: list[tuple[int, int]]) -> tuple[Numbers, set[int]]:
    """A set with ranges added, one by one and together; and what it must have."""
    found, expected = Numbers(sorted(plain)), set(plain)
    for at, (first, length) in enumerate(ranges):
        if at % 2:
            found.add_range(first, first + length)
        else:
            found.add_ranges([(first, first + length)])
        expected.update(range(first, first + length))
    return found, expected


@given(PLAIN, RANGES, PLAIN, RANGES)
def test_they_are_what_sets_are(
    one: frozenset[int], ranges: list[tuple[int, int]], two: frozenset[int], others: list[tuple[int, int]]
) -> None:
    (a, plain), (b, other) = made(one, ranges), made(two, others)
    for found, expected in ((a, plain), (a | b, plain | other), (a & b, plain & other), (a - b, plain - other),
                            (a ^ b, plain ^ other)):  # fmt: skip
        found.run_optimize()
        listed = sorted(expected)
        assert [*found] == listed == [number for part in found.portions() for number in part]
        assert (len(found), bool(found)) == (len(listed), bool(listed))
        assert (found, found.roaring()) == (Numbers(listed), BitMap64(listed))
        assert [number for first, past in found.runs() for number in range(first, past)] == listed
        assert all(past < first for (_, past), (first, _) in pairwise(found.runs())), "as few as possible"
        assert listed == [found[at] for at in range(len(listed))]
        assert all(number in found for number in listed)
        assert all(number not in found for number in (plain | other) - expected)
        assert not listed or (found.min(), found.max()) == (listed[0], listed[-1])
        assert found.range_cardinality(5, LOW + 3) == sum(5 <= number < LOW + 3 for number in listed)
        for k in (0, 3):
            assert found.of([*plain, *other], k) == [number for number in [*plain, *other] if number >> k in expected]
    assert (a <= b, a.isdisjoint(b), a == b) == (plain <= other, plain.isdisjoint(other), plain == other)
    assert ([*a], [*b]) == (sorted(plain), sorted(other)), "they were changed"


@given(PLAIN, RANGES)
def test_what_is_added_to_one_is_not_in_those_that_share_with_it(
    plain: frozenset[int], ranges: list[tuple[int, int]]
) -> None:
    first, expected = made(plain, ranges)
    both = first | Numbers([7, LOW + 7])
    rest = both - Numbers([7])
    both.add_range(0, 300)
    rest.add_range(LOW, LOW + 50)
    assert [*first] == sorted(expected)
    assert [*both] == sorted(expected | {7, LOW + 7, *range(300)})
    assert [*rest] == sorted((expected | {LOW + 7, *range(LOW, LOW + 50)}) - {7})


@pytest.mark.parametrize("at_once", [1, 3, 1 << 20])
@given(st.frozensets(st.integers(0, 40) | st.integers(LOW - 3, LOW + 9)))
def test_they_are_made_of_whatever_has_numbers(at_once: int, plain: frozenset[int]) -> None:
    listed, before = sorted(plain), numbers.AT_ONCE
    numbers.AT_ONCE = at_once
    try:
        for given_ in (listed, array("Q", listed), BitMap64(listed), FrozenBitMap64(listed)):
            assert [*Numbers(given_)] == listed
        low = [number for number in listed if number < LOW]
        for given_ in (array("I", low), BitMap(low)):
            assert [*Numbers(given_)] == low
    finally:
        numbers.AT_ONCE = before
    for wrong in ([-1], [1 << 64]):
        with pytest.raises(OverflowError):
            Numbers(wrong)
