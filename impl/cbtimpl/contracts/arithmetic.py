"""Contracts of the arithmetic between bytes and granules: every function of `granules`.

Granularities are *any* number of bytes from 1 to 2^31, powers of two among them: nothing but `is_granularity` needs
one. Offsets, lengths and sizes are below 2^63. Sums and products are mathematical, as Python's are.
"""

from cbtimpl import granules
from cbtimpl.contracts.registry import contract

LARGEST = 2**63 - 1
"""Bytes: the largest size, offset and length."""
COARSEST = 2**31
"""Bytes: the largest granularity."""


def a_disk(size: int, granularity: int) -> bool:
    """Whether these are a size and a granularity."""
    return 0 <= size <= LARGEST and 1 <= granularity <= COARSEST


def a_range(offset: int, length: int) -> bool:
    """Whether these are an offset and a length; the range may end after the disk."""
    return 0 <= offset <= LARGEST and 0 <= length <= LARGEST


def shares_a_byte(granule: int, offset: int, length: int, granularity: int, size: int) -> bool:
    """What rounding outwards means: the granule and the range have a byte of the disk in common."""
    first = max(offset, granule * granularity)
    past = min(offset + length, size, (granule + 1) * granularity)
    return granule >= 0 and first < past


def two_sizes(finer: bool) -> tuple[int, int]:
    """The sizes of granules between which is rounded: from coarse ones to finer ones, or the other way.

    Two symbolic sizes in one formula are too much for the solver, so these are 4 KiB and 64 KiB. Each half of the way
    (`span`, and `covering`) has contracts for all sizes.
    """
    return (65536, 4096) if finer else (4096, 65536)


@contract("granules.is_granularity")
def granularities_are_the_powers_of_two(value: int) -> bool:
    """A granularity is one of the 23 powers of two from 512 to 2^31.

    pre: 0 <= value < 2**32
    post: _
    """
    return granules.is_granularity(value) == any(value == 2**exponent for exponent in range(9, 32))


@contract("granules.count")
def a_granule_exists_if_it_has_a_byte(granule: int, size: int, granularity: int) -> bool:
    """A disk has exactly the granules whose first byte it has.

    pre: a_disk(size, granularity) and 0 <= granule
    post: _
    """
    return (granule < granules.count(size, granularity)) == (granule * granularity < size)


@contract("granules.clip")
def clipping_keeps_the_bytes_of_the_disk(byte: int, offset: int, length: int, size: int) -> bool:
    """A byte is in the clipped range exactly if it is in the range and on the disk; also if the range begins before.

    pre: a_disk(size, 1)
    post: _
    """
    first, past = granules.clip(offset, length, size)
    return (first <= byte < past) == (offset <= byte < offset + length and 0 <= byte < size)


@contract("granules.clip")
def an_empty_clip_is_written_in_one_way(offset: int, length: int, size: int) -> bool:
    """Nothing is (0, 0), something is not empty.

    pre: a_disk(size, 1)
    post: _
    """
    first, past = granules.clip(offset, length, size)
    return (first, past) == (0, 0) or 0 <= first < past <= size


@contract("granules.covering")
def rounding_out_takes_what_shares_a_byte(
    granule: int, offset: int, length: int, granularity: int, size: int
) -> bool:
    """A granule is taken exactly if it shares a byte of the disk with the range.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= granule
    post: _
    """
    first, past = granules.covering(offset, length, granularity, size)
    return (first <= granule < past) == shares_a_byte(granule, offset, length, granularity, size)


@contract("granules.covering")
def rounding_out_contains(byte: int, offset: int, length: int, granularity: int, size: int) -> bool:
    """No byte of the range is in a granule that is not taken: no write is lost by rounding.

    pre: a_disk(size, granularity) and a_range(offset, length)
    pre: offset <= byte < min(offset + length, size)
    post: _
    """
    first, past = granules.covering(offset, length, granularity, size)
    return first <= byte // granularity < past


@contract("granules.covering", "granules.inside")
def rounding_stays_on_the_disk(offset: int, length: int, granularity: int, size: int) -> bool:
    """Both roundings give granules of the disk, and nothing is (0, 0).

    pre: a_disk(size, granularity) and a_range(offset, length)
    post: _
    """
    last = granules.count(size, granularity)
    outwards = granules.covering(offset, length, granularity, size)
    inwards = granules.inside(offset, length, granularity, size)
    return all(taken == (0, 0) or 0 <= taken[0] < taken[1] <= last for taken in (outwards, inwards))


@contract("granules.inside")
def rounding_in_is_contained(granule: int, offset: int, length: int, granularity: int, size: int) -> bool:
    """A granule that is taken has all its bytes of the disk in the range, and has one.

    pre: a_disk(size, granularity) and a_range(offset, length)
    post: _
    """
    first, past = granules.inside(offset, length, granularity, size)
    if not first <= granule < past:
        return True
    start, end = granule * granularity, min((granule + 1) * granularity, size)
    return offset <= start < end <= offset + length


@contract("granules.inside")
def rounding_in_takes_all_that_is_contained(
    granule: int, offset: int, length: int, granularity: int, size: int
) -> bool:
    """A granule all of whose bytes on the disk are in the range is taken; a partial last one, too.

    pre: a_disk(size, granularity) and a_range(offset, length) and 0 <= granule
    pre: offset <= granule * granularity < size
    pre: min((granule + 1) * granularity, size) <= offset + length
    post: _
    """
    if granules.count(offset, granularity) > granule:  # never: it helps the solver, which finds this no other way
        return False
    first, past = granules.inside(offset, length, granularity, size)
    return first <= granule < past


@contract("granules.span")
def a_span_is_the_bytes_of_its_granules(byte: int, first: int, past: int, granularity: int, size: int) -> bool:
    """A byte of the disk is in the span exactly if its granule is between first and past.

    pre: a_disk(size, granularity) and 0 <= first <= past <= LARGEST and 0 <= byte < size
    post: _
    """
    offset, length = granules.span(first, past, granularity, size)
    return (offset <= byte < offset + length) == (first <= byte // granularity < past)


@contract("granules.span", "granules.covering")
def rounding_out_a_span_gives_it_back(first: int, past: int, granularity: int, size: int) -> bool:
    """Granules to bytes and back are the same granules, the partial last one included.

    pre: a_disk(size, granularity) and 0 <= first < past and (past - 1) * granularity < size
    post: _
    """
    return granules.covering(*granules.span(first, past, granularity, size), granularity, size) == (first, past)


@contract("granules.tail")
def the_tail_is_what_the_last_granule_has(size: int, granularity: int) -> bool:
    """The whole granules before the last one, and the tail, are the disk; the tail is empty only if the disk is.

    pre: a_disk(size, granularity)
    post: _
    """
    tail = granules.tail(size, granularity)
    if size == 0:
        return tail == 0
    return 0 < tail <= granularity and (granules.count(size, granularity) - 1) * granularity + tail == size
