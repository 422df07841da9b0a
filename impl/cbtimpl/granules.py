"""Arithmetic between bytes and granules, on plain ints.

A *granule* is the smallest stretch of a disk that a bitmap can mark; granule `i` is the bytes from
`i * granularity` to the next granule's first byte. A *cluster* is the granule of a copy job, so that everything
here serves both. The last granule of a disk can be partial; it counts as a whole one (qemu-facts.md 1.5).

Ranges are half open, `(first, past)`. Nothing here knows a bitmap, and nothing raises: arguments are checked
at the door (`arguments`). Only divisions and comparisons, so that a symbolic executor can follow every path.
"""

SMALLEST = 512
"""Bytes: no bitmap and no job has granules smaller than this (qemu-facts.md 1.3)."""


def is_granularity(value: int) -> bool:
    """Whether `value` bytes is a power of two and at least 512."""
    if value < SMALLEST:
        return False
    while value % 2 == 0:
        value //= 2
    return value == 1


def count(size: int, granularity: int) -> int:
    """How many granules a disk of `size` bytes has, a partial last one included."""
    return (size + granularity - 1) // granularity


def clip(offset: int, length: int, size: int) -> tuple[int, int]:
    """The bytes `(first, past)` of a range that are on a disk of `size` bytes; `(0, 0)` if there are none."""
    first = max(offset, 0)
    past = min(offset + length, size)
    if past <= first:
        return 0, 0
    return first, past


def covering(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    """The granules that share a byte with a range of bytes: rounded **outwards**, clipped to the disk."""
    first, past = clip(offset, length, size)
    if past == first:
        return 0, 0
    return first // granularity, (past - 1) // granularity + 1


def inside(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    """The granules that lie wholly in a range of bytes: rounded **inwards**.

    A partial last granule is inside if all the bytes that it has on the disk are (qemu-facts.md 1.6, reset).
    """
    first, past = clip(offset, length, size)
    if past == first:
        return 0, 0
    first_granule = count(first, granularity)
    past_granule = count(past, granularity) if past == size else past // granularity
    if past_granule <= first_granule:
        return 0, 0
    return first_granule, past_granule


def span(first: int, past: int, granularity: int, size: int) -> tuple[int, int]:
    """The bytes `(offset, length)` of the granules from `first` to before `past`, clipped to the disk."""
    start, end = clip(first * granularity, (past - first) * granularity, size)
    return start, end - start


def tail(size: int, granularity: int) -> int:
    """How many bytes of the last granule are on the disk; 0 for a disk without bytes."""
    if size == 0:
        return 0
    return size - (count(size, granularity) - 1) * granularity
