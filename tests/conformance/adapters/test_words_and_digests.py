"""Bits as a word, and its digest: the same by the short way, for small bitmaps, and by the long one."""

import hashlib

import pytest
from cbtcheck.adapter import MOST_REMEMBERED, digest
from cbtcheck.adapters.reference import SMALL, word
from cbtimpl.bits import GranuleSet


@pytest.mark.parametrize("runs", [[], [(0, 1)], [(3, 9), (11, 12)], [(0, SMALL)], [(SMALL - 1, SMALL)]])
@pytest.mark.parametrize("total", [SMALL, SMALL + 1, 1000])
def test_words(runs: list[tuple[int, int]], total: int) -> None:
    bits = GranuleSet(512, total * 512)
    for first, past in runs:
        bits.add(first, past)
    assert word(bits) == sum(1 << granule for first, past in runs for granule in range(first, past))


@pytest.mark.parametrize("count", [1, 64, 65, MOST_REMEMBERED, MOST_REMEMBERED + 1])
def test_digests(count: int) -> None:
    for bits in (0, 1, 1 << (count - 1), (1 << count) - 1):
        expected = hashlib.sha256(bits.to_bytes(8 * -(-count // 64), "little")).hexdigest()
        assert digest(bits, count) == expected
        assert digest(bits, count) == expected, "also when it is remembered"
        if bits.bit_length() == count:
            with pytest.raises(ValueError, match="beyond"):
                digest(bits, count - 1)
