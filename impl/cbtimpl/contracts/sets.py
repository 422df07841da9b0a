"""Contracts of the set of granules, `bits.GranuleSet`.

Where a set is united with another it is *every* set, seen by one granule. Where a set is listed run by run it has at
most two runs, anywhere and of any length: enough for what is done with one run after another.
"""

from cbtimpl import granules
from cbtimpl.contracts.arithmetic import LARGEST, a_disk, a_range, shares_a_byte, two_sizes  # noqa: F401 (`pre:`)
from cbtimpl.contracts.registry import contract
from cbtimpl.contracts.stores import Runs, Searched, apart, listed, watched, watching  # noqa: F401 (for `pre:`)

LONGEST = 20
"""Granules: the longest run whose end is searched for with every path followed."""


@contract("GranuleSet.add", "GranuleSet.remove", "GranuleSet.__contains__")
def ranges_are_half_open(granule: int, first: int, past: int, present: bool, adds: bool) -> bool:
    """Adding and removing do what they say to the granules from first to before past, and nothing to others.

    pre: 0 <= granule and 0 <= first and 0 <= past
    post: _
    """
    bits = watched(512, LARGEST, granule, present, False)
    if adds:
        bits.add(first, past)
    else:
        bits.remove(first, past)
    return (granule in bits) == (adds if first <= granule < past else present)


@contract("GranuleSet.full")
def the_full_set_has_what_exists(granule: int, granularity: int, size: int) -> bool:
    """A granule is in the full set exactly if the disk has it.

    pre: a_disk(size, granularity) and 0 <= granule
    post: _
    """
    return (granule in watching(granule).full(granularity, size)) == (granule * granularity < size)


@contract("GranuleSet.clear", "GranuleSet.copy", "GranuleSet.is_empty")
def a_copy_is_equal_and_by_itself(granule: int, present: bool, rest: bool) -> bool:
    """A copy has what the set has, and keeps it when the set is cleared, which is then empty.

    pre: 0 <= granule
    post: _
    """
    bits = watched(512, LARGEST, granule, present, rest)
    copy = bits.copy()
    same = (granule in copy) == present and copy.is_empty() == bits.is_empty() == (not present and not rest)
    bits.clear()
    return same and bits.is_empty() and granule not in bits and (granule in copy) == present


@contract("GranuleSet.set_bytes")
def setting_bytes_rounds_out(
    granule: int, present: bool, offset: int, length: int, granularity: int, size: int
) -> bool:
    """A granule is set afterwards exactly if it was, or shares a byte with the range.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= granule
    post: _
    """
    bits = watched(granularity, size, granule, present, False)
    bits.set_bytes(offset, length)
    return (granule in bits) == (present or shares_a_byte(granule, offset, length, granularity, size))


@contract("GranuleSet.merge")
def merging_is_union(granule: int, own: bool, others: bool, granularity: int, size: int, other_size: int) -> bool:
    """Of one granularity: a granule of the disk is in afterwards exactly if it was in one of the two.

    Granules that only the other disk has are not taken over, and the other set stays as it was.

    pre: a_disk(size, granularity) and a_disk(other_size, granularity) and 0 <= granule
    pre: not own or granule < granules.count(size, granularity)
    pre: not others or granule < granules.count(other_size, granularity)
    post: _
    """
    bits = watched(granularity, size, granule, own, False)
    other = watched(granularity, other_size, granule, others, False)
    bits.merge(other)
    exists = granule < granules.count(size, granularity)
    return (granule in bits) == (exists and (own or others)) and (granule in other) == others


@contract("GranuleSet.extents")
def an_extent_is_the_bytes_of_a_run(granularity: int, size: int, first: int, past: int) -> bool:
    """A set of one run has one extent: from the run's first byte to its last that is on the disk.

    pre: a_disk(size, granularity) and apart(granularity, size, (first, past)) and first < past
    post: _
    """
    offset = first * granularity
    length = min(past * granularity, size) - offset
    return list(listed(granularity, size, (first, past)).extents()) == [(offset, length)]


@contract("GranuleSet.merge", "GranuleSet.extents")
def merging_across_granularities_rounds_out(
    granule: int, own: bool, finer: bool, size: int, first: int, past: int
) -> bool:
    """A granule is in afterwards exactly if it was, or shares a byte with a granule of the other set (of one run).

    pre: a_disk(size, 1) and apart(two_sizes(finer)[0], size, (first, past)) and 0 <= granule
    post: _
    """
    coming, granularity = two_sizes(finer)
    bits = watched(granularity, size, granule, own, False)
    bits.merge(listed(coming, size, (first, past)))
    hit = shares_a_byte(granule, first * coming, (past - first) * coming, granularity, size)
    return (granule in bits) == (own or hit)


@contract("GranuleSet.merge", "GranuleSet.extents")
def merging_across_granularities_takes_every_run(
    granule: int, finer: bool, size: int, first: int, past: int, second: int, end: int
) -> bool:
    """Each of two runs is rounded outwards, and nothing else is added.

    pre: a_disk(size, 1) and apart(two_sizes(finer)[0], size, (first, past), (second, end))
    pre: 0 <= granule and first < past and second < end
    post: _
    """
    other, granularity = two_sizes(finer)
    bits = watched(granularity, size, granule, False, False)
    bits.merge(listed(other, size, (first, past), (second, end)))
    return (granule in bits) == any(
        shares_a_byte(granule, start * other, (limit - start) * other, granularity, size)
        for start, limit in ((first, past), (second, end))
    )


@contract("GranuleSet.next", "GranuleSet.touches")
def a_set_touches_what_shares_a_byte(
    offset: int, length: int, granularity: int, size: int, first: int, past: int
) -> bool:
    """A set touches a range exactly if one of its granules shares a byte with it.

    pre: a_disk(size, granularity) and a_range(offset, length) and apart(granularity, size, (first, past))
    post: _
    """
    bits = listed(granularity, size, (first, past))
    start, end = max(offset, first * granularity), min(offset + length, past * granularity, size)
    return bits.touches(offset, length) == (start < end)


@contract("GranuleSet.run_end")
def the_search_finds_the_end_of_a_run(first: int, past: int, second: int, end: int, start: int, limit: int) -> bool:
    """From any granule of a run the search finds the run's end, or the limit if that comes first.

    pre: 0 <= first <= start < past < second <= end and limit <= start + LONGEST
    pre: start < limit
    post: _
    """
    bits = Searched(512, LARGEST)
    bits._set = Runs((first, past), (second, end))
    return bits.run_end(start, limit) == min(past, limit)


@contract("GranuleSet.runs", "GranuleSet.next")
def a_run_is_cut_to_the_limits(size: int, first: int, past: int, start: int, limit: int) -> bool:
    """Of a set of one run, the runs between limits are what is within: one, or none.

    pre: a_disk(size, 512) and apart(512, size, (first, past)) and first < past and 0 <= start
    post: _
    """
    within = max(first, start), min(past, limit)
    return list(listed(512, size, (first, past)).runs(start, limit)) == ([within] if within[0] < within[1] else [])


@contract("GranuleSet.runs", "GranuleSet.next")
def without_limits_runs_are_all_that_is_set(size: int, first: int, past: int, second: int, end: int) -> bool:
    """A set of two runs has these two, up to the end of the disk.

    pre: a_disk(size, 512) and apart(512, size, (first, past), (second, end)) and first < past and second < end
    post: _
    """
    return list(listed(512, size, (first, past), (second, end)).runs()) == [(first, past), (second, end)]
