"""Compressed sets are the sets that they stand for, in whichever form; and the specification runs on them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.search.draw import GUEST, JOB, OPERATOR, Hand, drawn
from cbtcheck.search.refused import nonsense
from cbtcheck.sets import runs
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.numbers import Numbers
from cbtmodel import Frozensets
from cbtmodel.claims import sets_of
from cbtmodel.node import initial
from cbtmodel.properties import violations
from cbtmodel.step import step
from hypothesis import given, settings
from hypothesis import strategies as st

BLOCK = 512
SIZE = st.integers(1, 150 * BLOCK)
GRANULE = st.sampled_from([512, 1024, 4096, 16384, 65536, 1 << 31])
TIB = 1 << 40


def numbers(blocks: Compressed) -> frozenset[int]:
    return frozenset(number for each in blocks.spelt_out().held for number in each.members)


def of_bits(blocks: Bits) -> frozenset[int]:
    return frozenset(i for i in range(blocks.word.bit_length()) if blocks.word >> i & 1)


def same(compressed: Compressed, plain: frozenset[int], bits: Bits) -> None:
    assert of_bits(bits) == plain == numbers(compressed)
    assert len(compressed) == len(plain)
    assert bool(compressed) == bool(plain)
    assert all((block in compressed) == (block in plain) for block in range(200))


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "|": lambda a, b: a | b,
    "&": lambda a, b: a & b,
    "-": lambda a, b: a - b,
}


@settings(max_examples=300)
@given(st.data(), SIZE)
def test_they_agree_with_plain_sets_and_bit_vectors(data: st.DataObject, size: int) -> None:
    """Some sets are made by the space; then each is put together from two that were made before."""
    spaces: tuple[Any, ...] = (CompressedSets(BLOCK), Frozensets(BLOCK), BitSets(BLOCK))
    made: list[tuple[Any, ...]] = [tuple(s.everything(size) for s in spaces), tuple(s.empty for s in spaces)]
    for _ in range(data.draw(st.integers(1, 4))):
        offset = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(0, size - offset) | st.just(size - offset) | st.integers(1, 5 * BLOCK))
        length = min(length, size - offset)
        made.append(tuple(s.blocks(offset, length) for s in spaces))
    for _ in range(data.draw(st.integers(1, 12))):
        one, other = data.draw(st.sampled_from(made)), data.draw(st.sampled_from(made))
        what = data.draw(st.sampled_from(["|", "&", "-", "round"]))
        if what == "round":
            granule = data.draw(GRANULE)
            made.append(tuple(s.round_out(each, granule, size) for s, each in zip(spaces, one, strict=True)))
        else:
            made.append(tuple(OPERATIONS[what](a, b) for a, b in zip(one, other, strict=True)))
        same(*made[-1])
        assert (one[0] <= other[0]) == (one[1] <= other[1])
        assert (one[0] == other[0]) == (one[1] == other[1])
        assert one[0] != other[0] or hash(one[0]) == hash(other[0])
    for each in made:
        same(*each)


@given(st.data(), SIZE, SIZE)
def test_sets_of_different_disks_are_sets_still(data: st.DataObject, size: int, larger: int) -> None:
    """The specification never puts them together."""
    compressed, plain = CompressedSets(BLOCK), Frozensets(BLOCK)
    made: list[tuple[Compressed, frozenset[int]]] = []
    for each in (size, size + larger):
        made.append((compressed.everything(each), plain.everything(each)))
        offset, length = data.draw(st.integers(0, 200 * BLOCK)), data.draw(st.integers(0, 20 * BLOCK))
        one, other = compressed.blocks(offset, length), plain.blocks(offset, length)
        granule = data.draw(GRANULE)
        made.append((one, other))
        made.append((compressed.round_out(one, granule, each), plain.round_out(other, granule, each)))
        made.append((made[0][0] - made[-1][0], made[0][1] - made[-1][1]))
    for one, other in made:
        for another, more in made:
            for what in OPERATIONS.values():
                assert numbers(what(one, another)) == what(other, more)
            assert (one <= another) == (other <= more)


@given(st.frozensets(st.integers(0, 300)), st.integers(0, 6), st.booleans())
def test_coarser_inside_and_finer_are_what_they_say(plain: frozenset[int], k: int, optimised: bool) -> None:
    bitmap = Numbers(sorted(plain))
    if optimised:
        bitmap.run_optimize()
    units = {number >> k for number in plain}
    assert set(runs.coarser(bitmap, k)) == units
    assert set(runs.inside(bitmap, k)) == {u for u in units if plain.issuperset(range(u << k, (u + 1) << k))}
    assert set(runs.finer(bitmap, k)) == {n for u in plain for n in range(u << k, (u + 1) << k)}
    assert [n for first, past in bitmap.runs() for n in range(first, past)] == sorted(plain)
    for most in range(4):
        assert runs.first_runs(bitmap, most) == list(bitmap.runs())[:most]
    assert set(bitmap) == plain, "it was changed"


@pytest.mark.parametrize("at_once", [1, 3])
def test_they_are_so_when_taken_in_portions(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "AT_ONCE", at_once)
    for bitmap in (Numbers([0, 5, 9, 70, 71]), runs.span(3, 70_000)):
        assert set(runs.coarser(bitmap, 3)) == {number >> 3 for number in bitmap}


def test_a_granule_is_a_power_of_two_of_blocks() -> None:
    space = CompressedSets(BLOCK)
    with pytest.raises(ValueError, match="not a power of two"):
        space.round_out(space.blocks(0, 512), 1536, 4096)


@given(st.sets(st.integers(0, 98)), st.sampled_from([512, 1024, 65536]), st.booleans())
def test_granules_are_those_of_bit_vectors(plain: set[int], granule: int, tail: bool) -> None:
    plain |= {98} if tail else set()
    size, space, bits = 99 * BLOCK - 7, CompressedSets(BLOCK), BitSets(BLOCK)
    word = Bits(sum(1 << each for each in plain))
    blocks = space.gathered(Numbers(sorted(plain)))
    expected = of_bits(Bits(bits.granules(word, granule, size)))
    assert frozenset(space.granules(blocks, granule, size)) == expected
    lacking = space.everything(size) - space.round_out(blocks, granule, size)
    rest = bits.granules(bits.everything(size) - bits.round_out(word, granule, size), granule, size)
    assert frozenset(space.granules(lacking, granule, size)) == of_bits(Bits(rest))
    lacking = space.everything(size) - blocks
    rest = bits.granules(bits.everything(size) - word, granule, size)
    assert frozenset(space.granules(lacking, granule, size)) == of_bits(Bits(rest))


@pytest.mark.parametrize("seed", range(40))
def test_the_specification_runs_on_them(seed: int) -> None:
    """Drawn histories, jobs and all: every set of every state, every reply, and no property is violated."""
    random = Random(seed)
    capabilities = ReferenceAdapter.capabilities
    disks = random.choice(capabilities.disks)
    plain, compressed = initial(BitSets(), disks), initial(CompressedSets(), disks)
    for _ in range(60):
        hand = Hand(random.randrange, plain, capabilities)
        kinds = random.choice((OPERATOR, GUEST, JOB, None))
        command = nonsense(hand) if kinds is None else drawn(hand, kinds)
        before, expected, found = compressed, step(plain, command), step(compressed, command)
        assert (expected.refusal is None) == (found.refusal is None)
        assert [(e.job_id, e.outcome) for e in expected.ended] == [(e.job_id, e.outcome) for e in found.ended]
        plain, compressed = expected.state, found.state
        assert {place: of_bits(each) for place, each in sets_of(plain)} == {
            place: numbers(each) for place, each in sets_of(compressed)
        }
        assert not violations(before, command, found)


def test_a_disk_of_16_tib_costs_what_is_written_to_it() -> None:
    """No set of all its blocks is spelt out: a full backup lives from its start to its end in little memory."""
    space, size = CompressedSets(4096), 16 * TIB
    everything = space.everything(size)
    written = space.gathered(Numbers(range(12345, 1 << 32, 1 << 20)))
    rest = everything - written
    assert rest.held is written.held, "what is lacking is kept, not what is left"
    assert len(rest) == (1 << 32) - len(written)
    clusters = space.round_out(written, 65536, size)
    assert [(each.shift, len(each.members)) for each in clusters.held] == [(4, len(written))]
    assert everything - (everything - clusters) == clusters
    assert written <= clusters <= everything
    assert not clusters & (everything - clusters)
    assert rest | written == everything
    assert (clusters & rest) | written == clusters
    assert [each.shift for each in (clusters | written).held] == [4, 0], "both are kept as they are"
    assert space.round_out(clusters | written, 8192, size) == clusters


def test_what_was_rounded_is_not_rounded_again_when_more_is_written() -> None:
    space, size = CompressedSets(4096), 16 * TIB
    one, other = space.blocks(0, 1 << 20), space.blocks(5 << 30, 1 << 20)
    rounded = space.round_out(one, 65536, size) | space.round_out(other, 65536, size)
    both = one | other
    assert both is not one
    assert space.round_out(both, 65536, size).held[0] is rounded.held[0]
    assert (one | other).held[0] is both.held[0], "the same union is made once"


def sorted_blocks(blocks: Compressed) -> list[int]:
    return sorted(number for each in blocks.spelt_out().held for number in each.members)


@pytest.mark.parametrize("scattered", [2, 40, 600])
@pytest.mark.parametrize("granules", [1, 30, 500])
def test_scattered_blocks_and_granules_are_put_together_in_whichever_way_is_quickest(
    scattered: int, granules: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, or by spelling out some granules, or all: what comes of it is the same; so is its rounding."""
    space, size, random = CompressedSets(512), 1 << 30, Random(scattered + granules)
    per = 8
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        picked = random.sample(range(size // 4096), granules)
        near = [random.choice(picked) * per + random.randrange(per) for _ in range(round(scattered * share))]
        far = [random.randrange(size // 512) for _ in range(scattered - len(near))]
        fine, coarse = {*near, *far}, {number * per + each for number in picked for each in range(per)}
        for only in (None, True, False):
            if only is not None:
                monkeypatch.setattr(Numbers, "is_scattered", lambda bitmap, only=only: only)
            blocks = space.gathered(Numbers(sorted(fine)))
            whole = space.round_out(space.gathered(Numbers(sorted(coarse))), 4096, size)
            for made, plain in (
                (blocks - whole, fine - coarse), (blocks & whole, fine & coarse), (whole & blocks, fine & coarse),
                (whole - blocks, coarse - fine), (blocks | whole, fine | coarse),
                ((blocks - whole) & blocks, fine - coarse), ((blocks - whole) | blocks, fine),
            ):  # fmt: skip
                assert sorted_blocks(made) == sorted(plain)
                rounded = {number // per for number in plain}
                assert set(space.granules(made, 4096, size)) == rounded
            monkeypatch.undo()


def test_what_changes_nothing_is_the_same_set() -> None:
    """So that whoever compares what was made of a set sees it at once."""
    space, size = CompressedSets(4096), 16 * TIB
    large = space.gathered(Numbers(range(0, 1 << 20, 1 << 10)))
    part, other = space.gathered(Numbers([0, 1 << 10])), space.gathered(Numbers([1, 3]))
    assert (large | part) is large
    assert (part | large).held is large.held
    assert (large & part).held is part.held
    assert (large - other) is large
    clusters = space.round_out(large, 65536, size)
    assert (part & clusters).held is part.held
    assert not part - clusters
