"""Contents in runs are contents in bytes, whatever is done with them; and a sparse disk is a flat one."""

from __future__ import annotations

import errno
from random import Random

import pytest
from cbtcheck.adapter import POISON
from cbtcheck.adapters.small_disks import FlatDisk
from cbtcheck.adapters.sparse_disk import SparseDisk
from cbtcheck.content import LARGEST_FLAT, Runs, assembled, equal_runs, filled_with, in_form, in_runs, part_of

SIZE = 3000


def some(random: Random) -> bytes:
    """Three thousand bytes in runs of up to a thousand, of few values."""
    data = b"".join(bytes([random.choice((0, 1, 7))]) * random.randrange(1, 1000) for _ in range(12))
    return (data + bytes(SIZE))[:SIZE]


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_what_the_bytes_are(seed: int) -> None:
    random = Random(seed)
    one, other = some(random), some(random)
    assert b"".join(bytes([value]) * count for value, count in equal_runs(one)) == one
    assert in_form(in_runs(one)) == one
    assert (in_runs(one) == in_runs(other)) == (one == other)
    ends = sorted(random.sample(range(SIZE), 6))
    extents = [(start, past - start) for start, past in zip(ends[::2], ends[1::2], strict=True)]
    laid = bytearray(one)
    for offset, length in extents:
        laid[offset : offset + length] = other[offset : offset + length]
        assert in_form(in_runs(one).cut(offset, length)) == part_of(one, offset, length)
    assert in_form(in_runs(one).laid_over(in_runs(other), extents)) == laid
    extents = [*in_runs(one).differing(in_runs(other))]
    differ = {at for offset, length in extents for at in range(offset, offset + length)}
    assert differ == {at for at in range(SIZE) if one[at] != other[at]}


def test_contents_of_different_length_differ_where_only_one_has_something() -> None:
    assert [*Runs([(1, 10)]).differing(Runs([(1, 4)]))] == [(4, 6)]
    assert [*Runs([(1, 4)]).differing(Runs([(1, 10)]))] == [(4, 6)]


def test_pieces_are_put_on_what_there_was() -> None:
    pieces = [(1, b"ab"), (5, b"c")]
    flat = assembled(8, POISON, pieces)
    assert flat == b"\xeeab\xee\xeec\xee\xee"
    large = assembled(LARGEST_FLAT + 8, POISON, [(offset + LARGEST_FLAT, data) for offset, data in pieces])
    assert part_of(large, LARGEST_FLAT, 8) == in_runs(flat)
    assert part_of(large, 0, LARGEST_FLAT) == in_runs(filled_with(POISON, LARGEST_FLAT))


@pytest.mark.parametrize("seed", range(40))
def test_a_sparse_disk_is_as_a_flat_one(seed: int) -> None:
    random = Random(seed)
    filler = random.choice((0, POISON))
    flat, sparse = FlatDisk(SIZE, filler), SparseDisk(SIZE, filler)
    for _ in range(30):
        offset = random.randrange(SIZE)
        length = random.randrange(SIZE - offset + 1)
        if random.random() < 0.3:
            for disk in (flat, sparse):
                disk.zero(offset, length)
        else:
            data = some(random)[:length]
            for disk in (flat, sparse):
                disk.write(offset, data)
        assert in_form(sparse.all()) == flat.all()
        assert sparse.read(offset, length) == flat.read(offset, length)
        rest = flat.content[offset : offset + length]
        assert sparse.hole(offset, length) == len(rest) - len(rest.lstrip(b"\0"))
    for disk in (flat, sparse):
        disk.write(SIZE - 1, b"xyz")
    assert in_form(sparse.all()) == flat.all()
    assert sparse.written == flat.written


def test_a_sparse_disk_fails_when_it_is_told_to() -> None:
    disk = SparseDisk(1 << 44, 0)
    assert disk.never_fails()
    disk.failing = "write"
    assert not disk.never_fails()
    with pytest.raises(OSError, match="write error") as raised:
        disk.write(1 << 43, b"\1" * 512)
    assert raised.value.errno == errno.EIO
    assert disk.all() == Runs([(0, 1 << 44)])
    disk.lands = True
    with pytest.raises(OSError, match="write error"):
        disk.write(1 << 43, b"\1" * 512)
    assert disk.all() == Runs([(0, 1 << 43), (1, 512), (0, (1 << 43) - 512)])
    disk.failing = "read"
    with pytest.raises(OSError, match="read error"):
        disk.read(0, 1)
