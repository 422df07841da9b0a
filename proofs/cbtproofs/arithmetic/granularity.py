"""The arithmetic between bytes, granules and clusters, proved for all sizes, ranges and granularities at once.

Each theorem is one sentence (its docstring) next to its formal statement (its body). The functions that they call
are those that run: `cbtimpl.granules`. Sizes, offsets and lengths are any numbers of bytes below 2^63, and a range
may reach beyond the end of the disk; granularities and cluster sizes are any power of two from 512 to 2^31; no
operation may leave 64 bits. "For each byte" is one arbitrary byte; "there is a byte" names one.
`granularity_of_sets` has the theorems about sets of blocks; `docs/understand/granularity.md` says what all this
is good for, and what is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_

from cbtimpl.granules import clip, count, covering, inside, is_granularity, span, tail
from cbtmodel.node import LARGEST_GRANULARITY, SMALLEST_GRANULARITY, usable_granularity

from cbtproofs.arithmetic import granularity_of_sets
from cbtproofs.arithmetic.arithmetic_proof import Given, Result, Theorem, prove
from cbtproofs.arithmetic.granularity_of_sets import a_granularity, a_range, a_run

POWERS = tuple(1 << exponent for exponent in range(9, 32))
"""Every power of two from 512 that the doors of both let through, which is what fits into 32 bits."""


def theorems() -> tuple[Theorem, ...]:
    """All theorems about granularity, in the order in which they are to be read."""
    here = (
        granularities_are_the_powers_of_two_from_512, granules_cover_the_disk, every_byte_has_its_granule,
        a_tail_is_a_whole_granule, clipping_keeps_what_is_on_the_disk, covering_contains_the_range,
        covering_is_tight, covering_is_monotone, inside_is_contained, inside_is_maximal, inside_is_within_covering,
        a_span_is_its_granules, a_span_rounds_to_itself, merging_loses_nothing, merging_adds_only_neighbours,
        merging_into_finer_granules_is_exact, copying_loses_nothing, forgetting_is_only_for_what_was_copied,
        clearing_is_only_for_what_was_copied,
    )  # fmt: skip
    return tuple(Theorem(function) for function in (*here, *granularity_of_sets.THEOREMS))


def granularity_theorems() -> Iterator[Result]:
    """Prove all, one after the other."""
    return map(prove, theorems())


# Granularities, granules and tails


def granularities_are_the_powers_of_two_from_512(given: Given) -> None:
    """Of the numbers below 2^32, implementation and specification accept as a granularity exactly the powers of two
    from 512."""
    value = given.number("value", most=(1 << 32) - 1)
    accepted = is_granularity(value)
    given.claim("exactly the powers of two", accepted == reduce(or_, (value == power for power in POWERS)))
    given.claim("specified so", usable_granularity(value) == accepted)
    given.sometimes("the largest", (value == LARGEST_GRANULARITY) & accepted)
    given.sometimes("a number that is almost one", value == 3 * SMALLEST_GRANULARITY)


def granules_cover_the_disk(given: Given) -> None:
    """The granules of a disk cover it, and one less would not."""
    size, granularity = given.number("size"), a_granularity(given)
    granules = count(size, granularity)
    given.claim("they cover the disk", size <= granules * granularity)
    given.claim("none is beyond the end", granules * granularity < size + granularity)
    given.sometimes("a partial tail", size % granularity != 0)
    given.sometimes("a disk smaller than a granule", (size > 0) & (size < granularity))
    given.sometimes("a disk of more than 2^62 bytes", size > 1 << 62)


def every_byte_has_its_granule(given: Given) -> None:
    """Each byte of a disk is in one of its granules, and each of its granules has a byte on the disk."""
    size, granularity, byte = given.number("size"), a_granularity(given), given.number("byte")
    granules = count(size, granularity)
    if byte < size:
        given.claim("the byte's granule is there", byte // granularity < granules)
    else:
        given.assume(byte // granularity < granules)
        given.claim("only the last granule reaches beyond the end", byte // granularity == granules - 1)
    granule = given.number("granule")
    given.assume(granule < granules)
    given.claim("its first byte is on the disk", granule * granularity < size)
    given.sometimes("a byte beyond the end in a partial tail", byte >= size)


def a_tail_is_a_whole_granule(given: Given) -> None:
    """A disk that has bytes has a last granule, with at least one and at most `granularity` bytes on the disk, and
    all granules before it are full."""
    size, granularity = given.number("size", least=1), a_granularity(given)
    granules, last = count(size, granularity), tail(size, granularity)
    given.claim("at least one byte", last >= 1)
    given.claim("at most a granule", last <= granularity)
    given.claim("the others are full", (granules - 1) * granularity + last == size)
    given.claim("full exactly on a boundary", (last == granularity) == (size % granularity == 0))
    given.claim("it is the last granule's span", span(granules - 1, granules, granularity, size)[1] == last)
    given.sometimes("a tail of one byte", last == 1)
    given.sometimes("a full tail", last == granularity)


# Ranges of bytes, rounded outwards and inwards


def clipping_keeps_what_is_on_the_disk(given: Given) -> None:
    """Clipping a range keeps exactly those of its bytes that are on the disk."""
    offset, length, size, byte = *a_range(given), given.number("byte")
    first, past = clip(offset, length, size)
    in_range = (offset <= byte) & (byte < offset + length) & (byte < size)
    given.claim("these bytes, no others", ((first <= byte) & (byte < past)) == in_range)
    given.claim("a range", first <= past)
    given.sometimes("a range beyond the end", (offset < size) & (size < offset + length))
    given.sometimes("a sum of more than 2^63", offset + length > 1 << 63)


def covering_contains_the_range(given: Given) -> None:
    """Rounding outwards contains: each byte of the range that is on the disk lies in a covered granule."""
    offset, length, size, granularity, byte = *a_range(given), a_granularity(given), given.number("byte")
    first, past = covering(offset, length, granularity, size)
    given.assume(offset <= byte, byte < offset + length, byte < size)
    given.claim("from the first", first <= byte // granularity)
    given.claim("before the past", byte // granularity < past)
    unaligned = (offset % granularity != 0) & ((offset + length) % granularity != 0)
    given.sometimes("unaligned at both ends, in three granules", unaligned & (past - first == 3))
    given.sometimes("a range beyond the end", size < offset + length)
    given.sometimes("a byte in a partial tail", (size % granularity != 0) & (byte // granularity == past - 1))


def covering_is_tight(given: Given) -> None:
    """Rounding outwards is tight: each covered granule has a byte that is in the range and on the disk."""
    offset, length, size, granularity, granule = *a_range(given), a_granularity(given), given.number("granule")
    first, past = covering(offset, length, granularity, size)
    given.claim("a range", first <= past)
    given.claim("of granules of the disk", past <= count(size, granularity))
    given.assume(first <= granule, granule < past)
    shared = max(offset, granule * granularity)
    given.claim("in the granule", shared // granularity == granule)
    given.claim("in the range", (offset <= shared) & (shared < offset + length))
    given.claim("on the disk", shared < size)
    given.sometimes("the last of many granules", (granule == past - 1) & (past - first > 1000))
    given.sometimes("a range beyond the end", size < offset + length)


def covering_is_monotone(given: Given) -> None:
    """A range that contains another covers every granule that the other covers."""
    offset, length, size, granularity = *a_range(given), a_granularity(given)
    within, its_length = given.number("within"), given.number("its length")
    given.assume(offset <= within, within + its_length <= offset + length)
    first, past = covering(offset, length, granularity, size)
    its_first, its_past = covering(within, its_length, granularity, size)
    if its_first < its_past:
        given.claim("from the first", first <= its_first)
        given.claim("to the last", its_past <= past)
        given.sometimes("the same granules", (first == its_first) & (past == its_past) & (its_length < length))


def inside_is_contained(given: Given) -> None:
    """Rounding inwards is contained: each byte of an inside granule that is on the disk lies in the range."""
    offset, length, size, granularity, byte = *a_range(given), a_granularity(given), given.number("byte")
    first, past = inside(offset, length, granularity, size)
    given.claim("a range", first <= past)
    given.claim("of granules of the disk", past <= count(size, granularity))
    given.assume(first <= byte // granularity, byte // granularity < past, byte < size)
    given.claim("from the first", offset <= byte)
    given.claim("before the past", byte < offset + length)
    given.sometimes("unaligned at the start", offset % granularity != 0)
    given.sometimes("a partial tail inside", (size % granularity != 0) & (byte // granularity == size // granularity))
    given.sometimes("a range beyond the end", size < offset + length)


def inside_is_maximal(given: Given) -> None:
    """Rounding inwards is maximal: a granule of which every byte on the disk is in the range is inside."""
    offset, length, size, granularity, granule = *a_range(given), a_granularity(given), given.number("granule")
    given.assume(granule < count(size, granularity))
    start, its_length = span(granule, granule + 1, granularity, size)
    given.assume(offset <= start, start + its_length <= offset + length)
    first, past = inside(offset, length, granularity, size)
    given.claim("from the first", first <= granule)
    given.claim("before the past", granule < past)
    given.sometimes("a partial tail", its_length < granularity)
    given.sometimes("unaligned at both ends", (offset % granularity != 0) & ((offset + length) % granularity != 0))


def inside_is_within_covering(given: Given) -> None:
    """What is rounded inwards is part of what is rounded outwards."""
    offset, length, size, granularity = *a_range(given), a_granularity(given)
    first, past = inside(offset, length, granularity, size)
    if first < past:
        outer_first, outer_past = covering(offset, length, granularity, size)
        given.claim("from the first", outer_first <= first)
        given.claim("to the last", past <= outer_past)
        given.sometimes("one more at each end", (outer_first < first) & (past < outer_past))


def a_span_is_its_granules(given: Given) -> None:
    """The span of granules is exactly their bytes on the disk."""
    (first, past, size, granularity), byte = a_run(given), given.number("byte")
    offset, length = span(first, past, granularity, size)
    of_granules = (first <= byte // granularity) & (byte // granularity < past) & (byte < size)
    given.claim("these bytes, no others", ((offset <= byte) & (byte < offset + length)) == of_granules)
    given.claim("clipped to the disk", offset + length <= size)
    given.sometimes("a partial tail", (offset + length == size) & (size % granularity != 0))


def a_span_rounds_to_itself(given: Given) -> None:
    """The bytes of granules, rounded outwards or inwards, are the same granules."""
    first, past, size, granularity = a_run(given)
    offset, length = span(first, past, granularity, size)
    outer_first, outer_past = covering(offset, length, granularity, size)
    inner_first, inner_past = inside(offset, length, granularity, size)
    given.claim("outwards", (outer_first == first) & (outer_past == past))
    given.claim("inwards", (inner_first == first) & (inner_past == past))
    given.sometimes("a partial tail", (offset + length == size) & (size % granularity != 0))


# From one granularity to another


def merging_loses_nothing(given: Given) -> None:
    """Merging a bitmap into one of any other granularity marks every byte that was marked."""
    (first, past, size, source), target = a_run(given), a_granularity(given, "target")
    byte = given.number("byte")
    new_first, new_past = covering(*span(first, past, source, size), target, size)
    given.assume(first <= byte // source, byte // source < past, byte < size)
    given.claim("from the first", new_first <= byte // target)
    given.claim("before the past", byte // target < new_past)
    given.sometimes("into coarser granules", source < target)
    given.sometimes("into finer granules", target < source)
    given.sometimes("a partial tail of both", (size % source != 0) & (size % target != 0) & (byte == size - 1))


def merging_adds_only_neighbours(given: Given) -> None:
    """Merging marks no granule but those that share a byte on the disk with a granule that was marked."""
    (first, past, size, source), target = a_run(given), a_granularity(given, "target")
    new_first, new_past = covering(*span(first, past, source, size), target, size)
    granule = given.number("granule")
    given.assume(new_first <= granule, granule < new_past)
    shared = max(first * source, granule * target)
    given.claim("in the new granule", shared // target == granule)
    given.claim("in a marked one", (first <= shared // source) & (shared // source < past))
    given.claim("on the disk", shared < size)
    given.sometimes("into coarser granules", source < target)
    given.sometimes("into finer granules", target < source)


def merging_into_finer_granules_is_exact(given: Given) -> None:
    """Merging into granules that are not coarser marks exactly the bytes that were marked."""
    (first, past, size, source), target = a_run(given), a_granularity(given, "target")
    given.assume(target <= source)
    given.claim("it divides the other", source % target == 0)
    offset, length = span(first, past, source, size)
    new_offset, new_length = span(*covering(offset, length, target, size), target, size)
    given.claim("the same bytes", (new_offset == offset) & (new_length == length))
    given.sometimes("a partial tail", (offset + length == size) & (size % target != 0))


def copying_loses_nothing(given: Given) -> None:
    """A job selects a cluster for each byte of a dirty granule, and reads that byte when it copies the cluster."""
    (first, past, size, granularity), byte = a_run(given), given.number("byte")
    cluster = a_granularity(given, "cluster")
    first_cluster, past_cluster = covering(*span(first, past, granularity, size), cluster, size)
    given.assume(first <= byte // granularity, byte // granularity < past, byte < size)
    copied = byte // cluster
    given.claim("its cluster is selected", (first_cluster <= copied) & (copied < past_cluster))
    offset, length = span(copied, copied + 1, cluster, size)
    given.claim("and its copy reads it", (offset <= byte) & (byte < offset + length))
    given.sometimes("clusters larger than granules", granularity < cluster)
    given.sometimes("granules larger than clusters", cluster < granularity)
    given.sometimes("a partial tail", (size % cluster != 0) & (byte == size - 1))


def forgetting_is_only_for_what_was_copied(given: Given) -> None:
    """After a job that leaves clusters over, a granule with a byte in one of them is marked: what is forgotten was
    copied to the last byte."""
    (first, past, size, cluster), granularity = a_run(given, "cluster"), a_granularity(given)
    byte = given.number("byte")
    kept_first, kept_past = covering(*span(first, past, cluster, size), granularity, size)
    granule = byte // granularity
    given.assume(byte < size)
    given.assume((granule < kept_first) | (kept_past <= granule))
    given.claim("not in a cluster that is left over", (byte // cluster < first) | (past <= byte // cluster))
    given.sometimes("clusters larger than granules", granularity < cluster)
    given.sometimes("granules larger than clusters", cluster < granularity)


def clearing_is_only_for_what_was_copied(given: Given) -> None:
    """If copied clusters are cleared in the bitmap, rounded inwards, each byte of a cleared granule was copied."""
    (first, past, size, cluster), granularity = a_run(given, "cluster"), a_granularity(given)
    byte = given.number("byte")
    clean_first, clean_past = inside(*span(first, past, cluster, size), granularity, size)
    granule = byte // granularity
    given.assume(clean_first <= granule, granule < clean_past, byte < size)
    given.claim("in a copied cluster", (first <= byte // cluster) & (byte // cluster < past))
    given.sometimes("clusters larger than granules", granularity < cluster)
    given.sometimes("granules larger than clusters", cluster < granularity)
    given.sometimes("a partial tail", (size % granularity != 0) & (byte == size - 1))
