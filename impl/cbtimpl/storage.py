"""Disks that hold data, and disks whose requests fail when they are told to.

Offsets and lengths are bytes. A disk does not check ranges: who calls it has. Errors are `OSError` with `errno`.
"""

import errno as errnos
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pyroaring import BitMap64

RequestKind = Literal["read", "write", "zero"]


class Disk(ABC):
    """A disk of `size` bytes. What was never written reads as zeroes."""

    size: int

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""

    @abstractmethod
    def write(self, offset: int, data: bytes) -> None:
        """Store `data` at `offset`."""

    @abstractmethod
    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeroes. A short step, whatever the length."""

    def hole(self, offset: int, length: int) -> int:
        """How many bytes from `offset`, at most `length`, are known to be zeroes without a read."""
        return 0

    def never_fails(self) -> bool:
        """Whether the next request certainly succeeds, so that many clusters may be taken in one request."""
        return False


class MemoryDisk(Disk):
    """A sparse disk in memory: costs what was written to it, whatever its size."""

    PAGE = 4096

    def __init__(self, size: int) -> None:
        self.size = size
        self._pages: dict[int, bytearray] = {}
        self._index = BitMap64()  # the keys of _pages, in order

    def _parts(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """The pages of a range: page, first byte in it, number of bytes."""
        past = offset + length
        while offset < past:
            page, start = divmod(offset, self.PAGE)
            taken = min(self.PAGE - start, past - offset)
            yield page, start, taken
            offset += taken

    def _next_page(self, page: int) -> int | None:
        try:
            return self._index.next_set_bit(page)
        except ValueError:
            return None

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""
        if self.hole(offset, length) == length:
            return bytes(length)
        pieces = []
        for page, start, taken in self._parts(offset, length):
            stored = self._pages.get(page)
            pieces.append(bytes(taken) if stored is None else bytes(stored[start : start + taken]))
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        """Store `data` at `offset`."""
        done = 0
        for page, start, taken in self._parts(offset, len(data)):
            stored = self._pages.get(page)
            if stored is None:
                stored = self._pages[page] = bytearray(self.PAGE)
                self._index.add(page)
            stored[start : start + taken] = data[done : done + taken]
            done += taken

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeroes; the work is that of the pages that hold data."""
        past = offset + length
        page = self._next_page(offset // self.PAGE)
        while page is not None and page * self.PAGE < past:
            start = max(offset - page * self.PAGE, 0)
            end = min(past - page * self.PAGE, self.PAGE)
            if start == 0 and end == self.PAGE:
                del self._pages[page]
                self._index.remove(page)
            else:
                self._pages[page][start:end] = bytes(end - start)
            page = self._next_page(page + 1)

    def hole(self, offset: int, length: int) -> int:
        """How many bytes from `offset`, at most `length`, lie before the next page that holds data."""
        page = self._next_page(offset // self.PAGE)
        if page is None:
            return length
        return min(max(page * self.PAGE - offset, 0), length)

    def never_fails(self) -> bool:
        """Memory does not fail."""
        return True


@dataclass
class Fault:
    """An armed failure: the next `count` requests of `kind` that touch the bytes fail (None: all of them).

    `length` None is up to the end of the disk. `lands`: the data reaches the disk although the request fails.
    """

    kind: RequestKind
    offset: int = 0
    length: int | None = None
    errno: int = errnos.EIO
    count: int | None = 1
    lands: bool = False

    def hits(self, kind: RequestKind, offset: int, length: int) -> bool:
        """Whether this failure is meant for that request."""
        if self.count == 0 or kind != self.kind:
            return False
        return self.offset < offset + length and (self.length is None or offset < self.offset + self.length)


class FaultyDisk(Disk):
    """A disk around another one, whose requests fail when a `Fault` is armed.

    A copy job asks in single clusters here while something is armed, so that exactly the hit cluster fails.
    """

    def __init__(self, inner: Disk) -> None:
        self.inner = inner
        self.size = inner.size
        self.faults: list[Fault] = []

    def arm(
        self,
        kind: RequestKind,
        offset: int = 0,
        length: int | None = None,
        errno: int = errnos.EIO,
        count: int | None = 1,
        lands: bool = False,
    ) -> Fault:
        """Arm a failure and return it; set its `count` to 0 (or call `disarm`) to end it."""
        fault = Fault(kind, offset, length, errno, count, lands)
        self.faults.append(fault)
        return fault

    def disarm(self) -> None:
        """End all failures."""
        self.faults.clear()

    def _fault(self, kind: RequestKind, offset: int, length: int) -> Fault | None:
        for fault in self.faults:
            if fault.hits(kind, offset, length):
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self.faults.remove(fault)
                return fault
        return None

    @staticmethod
    def _error(fault: Fault) -> OSError:
        return OSError(fault.errno, os.strerror(fault.errno))

    def read(self, offset: int, length: int) -> bytes:
        """As the inner disk, or `OSError`."""
        if fault := self._fault("read", offset, length):
            raise self._error(fault)
        return self.inner.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """As the inner disk, or `OSError`."""
        fault = self._fault("write", offset, len(data))
        if fault is None or fault.lands:
            self.inner.write(offset, data)
        if fault is not None:
            raise self._error(fault)

    def zero(self, offset: int, length: int) -> None:
        """As the inner disk, or `OSError`."""
        fault = self._fault("zero", offset, length)
        if fault is None or fault.lands:
            self.inner.zero(offset, length)
        if fault is not None:
            raise self._error(fault)

    def hole(self, offset: int, length: int) -> int:
        """As the inner disk."""
        return self.inner.hole(offset, length)

    def never_fails(self) -> bool:
        """Only while nothing is armed."""
        return not self.faults and self.inner.never_fails()
