"""The bytes of a disk in memory: flat and sparse are one thing, and sparse costs what is written."""

import random
import tracemalloc

import pytest
from cbtwire.nbd.content import LARGEST_FLAT, PAGE, Flat, Sparse, content_of

SIZE = 5 * PAGE + 1536


@pytest.mark.parametrize("seed", range(20))
def test_sparse_content_reads_as_flat_content_does(seed: int) -> None:
    draw = random.Random(seed)
    flat, sparse = Flat(SIZE), Sparse(SIZE)
    for _ in range(200):
        offset = draw.choice((draw.randrange(SIZE), draw.randrange(SIZE // PAGE + 1) * PAGE))
        length = draw.randrange(min(draw.choice((1, 600, 4 * PAGE)), SIZE - offset) + 1)
        what = draw.choice(("write", "write", "zero", "zero", "refill"))
        for content in (flat, sparse):
            if what == "write":
                content.write(offset, bytes([1 + offset % 200]) * length)
            elif what == "zero":
                content.zero(offset, length)
            elif offset % 8 == 0:
                content.refill(offset % 3)
        assert sparse.read(0, SIZE) == flat.read(0, SIZE) == flat.all()
        assert b"".join(data * times for data, times in sparse.pieces()) == flat.all()
        assert sparse.read(offset, length) == flat.read(offset, length)


def test_sparse_content_costs_what_is_written() -> None:
    tracemalloc.start()
    content = content_of((1 << 44) + 1536)
    content.refill(0xEE)
    content.write((1 << 40) - 1, b"ab")
    content.zero(1, 1 << 43)
    content.write((1 << 44) + 1535, b"z")
    assert tracemalloc.get_traced_memory()[1] < 10 * PAGE
    tracemalloc.stop()
    assert content.read((1 << 40) - 1, 2) == b"\0\0"
    assert content.read(0, 2) == b"\xee\0"
    assert content.read(1 << 43, 2) == b"\0\xee"
    assert content.read((1 << 44) + 1534, 2) == b"\xeez"


def test_what_is_beyond_the_disk_is_refused() -> None:
    for content in (content_of(LARGEST_FLAT), content_of(LARGEST_FLAT + 1)):
        for offset in (content.size, -1):
            with pytest.raises(ValueError, match="1 bytes at"):
                content.write(offset, b"x")
            with pytest.raises(ValueError, match="1 bytes at"):
                content.read(offset, 1)
