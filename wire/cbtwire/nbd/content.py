"""The bytes of a disk in memory: flat for a small disk; for a large one, pages for what has been written only.

Offsets, lengths and sizes are bytes. A range that does not lie within the disk raises `ValueError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

LARGEST_FLAT: Final = 64 << 20
"""Bytes of the largest disk that is kept whole."""

PAGE: Final = 1 << 16


def content_of(size: int) -> Flat | Sparse:
    """Zeroes, so many bytes of them, kept in the way that suits the size."""
    return Flat(size) if size <= LARGEST_FLAT else Sparse(size)


class Flat:
    """Content that is kept whole: the quickest way for a small disk."""

    __slots__ = ("_bytes", "_fresh", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = bytearray(size)
        self._fresh: dict[int, bytes] = {}

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of the range."""
        _within(self.size, offset, length)
        return bytes(self._bytes[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Stores the bytes."""
        _within(self.size, offset, len(data))
        self._bytes[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int) -> None:
        """Stores so many zeroes."""
        self.write(offset, bytes(length))

    def refill(self, filler: int) -> None:
        """Forgets everything: from now on the whole disk is of this byte."""
        fresh = self._fresh.get(filler)
        if fresh is None:
            fresh = self._fresh[filler] = bytes([filler]) * self.size
        self._bytes[:] = fresh

    def all(self) -> bytes:
        """The whole disk, or as much of it as is kept."""
        return bytes(self._bytes)


class Growing(Flat):
    """Content of which as much is kept as was written: beyond that there are zeroes, up to its size."""

    __slots__ = ()

    def __init__(self, data: bytes, size: int) -> None:
        """`size` is how long it may become."""
        super().__init__(0)
        self.size = size
        self.write(0, data)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of the range."""
        _within(self.size, offset, length)
        return bytes(self._bytes[offset : offset + length]).ljust(length, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Stores the bytes."""
        _within(self.size, offset, len(data))
        if offset > len(self._bytes):
            self._bytes.extend(bytes(offset - len(self._bytes)))
        self._bytes[offset : offset + len(data)] = data


class Sparse:
    """Content that costs what has been written since the last `refill`; zeroes cost a page at each end at most.

    A page that is not kept is of one byte: that of the last range that was zeroed over it, or the filler.
    """

    __slots__ = ("_filler", "_pages", "_zeroed", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.refill(0)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of the range."""
        _within(self.size, offset, length)
        parts = []
        for number, start, end in _pages(offset, length):
            page = self._pages.get(number)
            plain = bytes([self._plain(number)]) * (end - start)
            parts.append(plain if page is None else bytes(page[start:end]))
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Stores the bytes."""
        _within(self.size, offset, len(data))
        view, taken = memoryview(data), 0
        for number, start, end in _pages(offset, len(data)):
            self._kept(number)[start:end] = view[taken : taken + end - start]
            taken += end - start

    def zero(self, offset: int, length: int) -> None:
        """Stores so many zeroes, in time and memory that do not grow with their number."""
        _within(self.size, offset, length)
        first, end = -(-offset // PAGE), (offset + length) // PAGE
        if first >= end:
            self.write(offset, bytes(length))
            return
        self.write(offset, bytes(first * PAGE - offset))
        self.write(end * PAGE, bytes(offset + length - end * PAGE))
        for number in [each for each in self._pages if first <= each < end]:
            del self._pages[number]
        if self._filler:
            self._zeroed.append((first, end))

    def refill(self, filler: int) -> None:
        """Forgets everything: from now on the whole disk is of this byte."""
        self._filler = filler
        self._pages: dict[int, bytearray] = {}
        self._zeroed: list[tuple[int, int]] = []

    def pieces(self) -> Iterator[tuple[bytes, int]]:
        """The whole disk as (bytes, how often they follow each other): a page once, or one byte many times."""
        cuts = {0, self.size, *(bound * PAGE for each in self._zeroed for bound in each)}
        cuts.update(number * PAGE + end for number in self._pages for end in (0, PAGE))
        for start, past in pairwise(sorted(each for each in cuts if each <= self.size)):
            page = self._pages.get(start // PAGE)
            if page is None:
                yield bytes([self._plain(start // PAGE)]), past - start
            else:
                yield bytes(page[: past - start]), 1

    def _plain(self, number: int) -> int:
        """The byte that a page is of that is not kept."""
        return 0 if any(first <= number < end for first, end in self._zeroed) else self._filler

    def _kept(self, number: int) -> bytearray:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray([self._plain(number)]) * PAGE
        return page


def _within(size: int, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"{length} bytes at {offset} of {size}")


def _pages(offset: int, length: int) -> list[tuple[int, int, int]]:
    """The parts of a range: (page number, first byte within it, first byte after it)."""
    end, parts = offset + length, []
    while offset < end:
        number, start = divmod(offset, PAGE)
        upto = min(PAGE, start + end - offset)
        parts.append((number, start, upto))
        offset += upto - start
    return parts
