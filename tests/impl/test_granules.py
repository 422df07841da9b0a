"""The arithmetic against its definition: a granule is covered or inside, byte by byte."""

from itertools import pairwise

import pytest
from cbtimpl import granules
from cbtimpl.bits import GranuleSet
from hypothesis import given
from hypothesis import strategies as st

sizes = st.integers(0, 5000)
starts = st.integers(0, 6000)
powers = st.sampled_from([1, 2, 8, 512, 1024])


@given(starts, starts, powers, sizes)
def test_covering_is_each_granule_that_shares_a_byte(offset: int, length: int, granularity: int, size: int) -> None:
    first, past = granules.covering(offset, length, granularity, size)
    touched = {byte // granularity for byte in range(offset, offset + length) if byte < size}
    assert set(range(first, past)) == touched


@given(starts, starts, powers, sizes)
def test_inside_is_each_granule_of_which_no_byte_is_left_out(
    offset: int, length: int, granularity: int, size: int
) -> None:
    first, past = granules.inside(offset, length, granularity, size)
    outside = {byte // granularity for byte in range(size) if not offset <= byte < offset + length}
    assert set(range(first, past)) == set(range(granules.count(size, granularity))) - outside


@given(powers, sizes)
def test_the_tail_is_what_the_other_granules_leave(granularity: int, size: int) -> None:
    count = granules.count(size, granularity)
    assert granules.tail(size, granularity) == (size - (count - 1) * granularity if count else 0)
    assert granules.span(0, count, granularity, size) == (0, size)


@pytest.mark.parametrize(
    ("value", "yes"), [(512, True), (2**31, True), (256, False), (768, False), (0, False), (-512, False)]
)
def test_a_granularity_is_a_power_of_two_from_512(value: int, yes: bool) -> None:
    assert granules.is_granularity(value) is yes


ranges = st.lists(st.tuples(st.integers(0, 70000), st.integers(0, 9000)), max_size=8)


@given(ranges, st.sampled_from([512, 1024, 4096]), st.sampled_from([512, 2048, 65536]), st.integers(0, 70000))
def test_merge_across_granularities_is_what_bytes_would_do(
    written: list[tuple[int, int]], granularity: int, other: int, size: int
) -> None:
    source, result = GranuleSet(granularity, size), GranuleSet(other, size)
    for offset, length in written:
        source.set_bytes(offset, length)
    result.merge(source)
    expected = {
        byte // other
        for granule in source.granules()
        for byte in range(granule * granularity, min((granule + 1) * granularity, size), 512)
    }
    assert set(result.granules()) == expected


@given(st.sets(st.integers(0, 60)), st.integers(0, 64), st.integers(0, 64))
def test_runs_are_maximal_and_complete(members: set[int], first: int, past: int) -> None:
    bits = GranuleSet(512, 512 * 61)
    for member in members:
        bits.add(member, member + 1)
    runs = list(bits.runs(first, past))
    assert {granule for start, end in runs for granule in range(start, end)} == {
        member for member in members if first <= member < past
    }
    assert all(end < start for (_, end), (start, _) in pairwise(runs))


def test_a_copy_shares_nothing() -> None:
    bits = GranuleSet(512, 4096)
    other = bits.copy()
    bits.set_bytes(0, 1)
    assert other.is_empty()
    assert bits.touches(511, 1)
    assert not bits.touches(512, 100)


@pytest.mark.parametrize("first", [0, 1, 65_535, 65_536])
@pytest.mark.parametrize("past", [65_536, 131_072, 131_073, 196_608])
def test_a_run_that_ends_with_a_container_of_the_compressed_set_ends_there(first: int, past: int) -> None:
    if first >= past:
        return
    bits = GranuleSet(512, 512 << 20)
    bits.add(first, past)
    bits.add(500_000, 500_001)
    assert list(bits.runs()) == [(first, past), (500_000, 500_001)]
