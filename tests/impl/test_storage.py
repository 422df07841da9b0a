"""A sparse disk is a bytearray that costs nothing; a faulty one fails when told to."""

import errno

import pytest
from cbtimpl import FaultyDisk, MemoryDisk
from hypothesis import given
from hypothesis import strategies as st

SIZE = 20000
steps = st.lists(st.tuples(st.booleans(), st.integers(0, SIZE), st.integers(0, 9000)), max_size=12)


@given(steps)
def test_a_memory_disk_is_a_bytearray(history: list[tuple[bool, int, int]]) -> None:
    disk, plain = MemoryDisk(SIZE), bytearray(SIZE)
    for number, (zero, offset, length) in enumerate(history, 1):
        length = min(length, SIZE - offset)
        data = bytes(length) if zero else bytes([number]) * length
        plain[offset : offset + length] = data
        if zero:
            disk.zero(offset, length)
        else:
            disk.write(offset, data)
    assert disk.read(0, SIZE) == plain
    hole = disk.hole(0, SIZE)
    assert not any(plain[:hole])


def test_a_fault_hits_its_range_as_often_as_armed_and_can_let_the_data_land() -> None:
    disk = FaultyDisk(MemoryDisk(8192))
    disk.arm("write", 4096, 512, errno.ENOSPC, count=1, lands=True)
    disk.write(0, b"a")
    with pytest.raises(OSError, match="No space left") as caught:
        disk.write(4000, b"b" * 200)
    assert caught.value.errno == errno.ENOSPC
    assert disk.read(4000, 200) == b"b" * 200
    disk.write(4096, b"c")
    assert disk.never_fails()


def test_a_fault_without_a_count_lasts_until_disarmed() -> None:
    disk = FaultyDisk(MemoryDisk(8192))
    disk.arm("read", count=None)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            disk.read(0, 1)
    disk.disarm()
    assert disk.read(0, 1) == b"\0"
