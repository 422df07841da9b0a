"""The spaces agree with each other, and rounding is the closure operator that the specification relies on."""

import pytest
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel import Frozensets
from hypothesis import given
from hypothesis import strategies as st

BLOCK = st.sampled_from([512, 1024, 4096])
SIZE = st.integers(1, 200 * 512)
GRANULE = st.sampled_from([512, 1024, 4096, 8192, 65536, 1 << 31])


@st.composite
def two_sets(draw: st.DrawFn) -> tuple[int, int, frozenset[int], frozenset[int]]:
    """A block size, a disk, and two sets of its blocks."""
    block, size = draw(BLOCK), draw(SIZE)
    numbers = st.frozensets(st.integers(0, -(-size // block) - 1))
    return block, size, draw(numbers), draw(numbers)


def as_bits(blocks: frozenset[int]) -> Bits:
    return Bits(sum(1 << each for each in blocks))


@given(two_sets(), GRANULE)
def test_bit_sets_round_as_plain_sets_do(
    drawn: tuple[int, int, frozenset[int], frozenset[int]], granule: int
) -> None:
    block, size, one, _ = drawn
    plain, bits = Frozensets(block), BitSets(block)
    assert bits.round_out(as_bits(one), granule, size) == as_bits(plain.round_out(one, granule, size))
    assert bits.everything(size) == as_bits(plain.everything(size))
    assert bits.empty == as_bits(plain.empty)


@given(BLOCK, st.integers(0, 100_000), st.integers(0, 100_000))
def test_bit_sets_make_ranges_as_plain_sets_do(block: int, offset: int, length: int) -> None:
    assert BitSets(block).blocks(offset, length) == as_bits(Frozensets(block).blocks(offset, length))


@given(two_sets())
def test_bit_sets_count_and_compare_as_plain_sets_do(drawn: tuple[int, int, frozenset[int], frozenset[int]]) -> None:
    _, _, one, other = drawn
    a, b = as_bits(one), as_bits(other)
    assert a | b == as_bits(one | other)
    assert a & b == as_bits(one & other)
    assert a - b == as_bits(one - other)
    assert (a <= b) == (one <= other)
    assert (a == b) == (one == other)
    assert bool(a) == bool(one)
    assert len(a) == len(one)
    assert all((block in a) == (block in one) for block in one | other)


@given(two_sets(), GRANULE)
def test_rounding_is_a_closure_operator(drawn: tuple[int, int, frozenset[int], frozenset[int]], granule: int) -> None:
    block, size, one, other = drawn
    space = Frozensets(block)

    def rounded(blocks: frozenset[int]) -> frozenset[int]:
        return space.round_out(blocks, granule, size)

    assert one <= rounded(one), "it contains its argument"
    assert rounded(rounded(one)) == rounded(one), "twice is once"
    assert rounded(one | other) == rounded(one) | rounded(other), "of a union, it is the union"
    assert rounded(one & other) <= rounded(one), "it is monotone"
    assert rounded(frozenset()) == frozenset()
    assert rounded(one) <= space.everything(size), "it stays on the disk"


@given(two_sets(), GRANULE)
def test_granules_can_be_had_back_as_blocks(
    drawn: tuple[int, int, frozenset[int], frozenset[int]], granule: int
) -> None:
    block, size, one, _ = drawn
    space = BitSets(block)
    granule = max(granule, block)
    word = space.granules(as_bits(one), granule, size)
    assert space.from_granules(word, granule, size) == space.round_out(as_bits(one), granule, size)


@pytest.mark.parametrize(
    ("offset", "length", "blocks"), [(0, 0, set()), (0, 1, {0}), (511, 2, {0, 1}), (512, 512, {1})]
)
def test_a_byte_range_touches_these_blocks(offset: int, length: int, blocks: set[int]) -> None:
    assert Frozensets(512).blocks(offset, length) == blocks
