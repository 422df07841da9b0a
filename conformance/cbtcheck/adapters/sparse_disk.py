"""A disk of any size for the reference implementation's environment: it costs what was written to it.

Offsets and lengths are bytes. Errors are `OSError` with EIO.
"""

from __future__ import annotations

import errno
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from cbtimpl.backup import REQUEST

from cbtcheck.adapters.small_disks import FlatDisk
from cbtcheck.content import Pair, Runs, equal_runs

ZEROES = bytes(REQUEST)
"""What a copy reads again and again where there is nothing; it is known again without a look into it."""


class SparseDisk(FlatDisk):
    """The same as a flat one, of any size, in runs of equal bytes.

    Zeroes are known without a read, as a file system knows the holes of a sparse file.
    """

    def __init__(self, size: int, filler: int) -> None:
        super().__init__(0, filler)
        self.size = size
        self._pasts = [size] if size else []
        self._values = [filler] if size else []

    def all(self) -> Runs:
        """The whole content."""
        return Runs((value, past - start) for start, past, value in self._within(0, self._end))

    @property
    def _end(self) -> int:
        return self._pasts[-1] if self._pasts else 0

    def _within(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """The runs of a range: where each begins and ends, and its byte."""
        index, end = bisect_right(self._pasts, offset), min(offset + length, self._end)
        while offset < end:
            past = min(self._pasts[index], end)
            yield offset, past, self._values[index]
            offset, index = past, index + 1

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of the range, or EIO."""
        super().read(0, 0)
        if self.hole(offset, length) == length:
            return ZEROES[:length] if length <= len(ZEROES) else bytes(length)
        return b"".join(bytes([value]) * (past - start) for start, past, value in self._within(offset, length))

    def write(self, offset: int, data: bytes) -> None:
        """Stores the bytes, or EIO with or without storing them."""
        self._store(offset, len(data), [(0, len(data))] if data is ZEROES else equal_runs(data))

    def zero(self, offset: int, length: int) -> None:
        """A write of zeroes, however many."""
        self._store(offset, length, [(0, length)])

    def _store(self, offset: int, length: int, pairs: Iterable[Pair]) -> None:
        if self.failing == "write" and not self.lands:
            raise OSError(errno.EIO, "write error")
        if length:
            self._replace(offset, offset + length, pairs)
        self.written.append((offset, length))
        if self.failing == "write":
            raise OSError(errno.EIO, "write error")

    def _replace(self, offset: int, end: int, pairs: Iterable[Pair]) -> None:
        if end > self._end:  # whoever writes beyond the end is found out by what is there then
            self._pasts.append(end)
            self._values.append(0)
        first, last = bisect_right(self._pasts, offset), bisect_left(self._pasts, end)
        pasts, values = [], []
        if offset > (self._pasts[first - 1] if first else 0):
            pasts, values = [offset], [self._values[first]]
        at = offset
        for value, count in pairs:
            at += count
            pasts.append(at)
            values.append(value)
        if end < self._pasts[last]:
            pasts.append(self._pasts[last])
            values.append(self._values[last])
        self._pasts[first : last + 1], self._values[first : last + 1] = pasts, values

    def hole(self, offset: int, length: int) -> int:
        """How many bytes from `offset`, at most `length`, are zeroes."""
        found = 0
        for start, past, value in self._within(offset, length):
            if value:
                break
            found += past - start
        return found

    def never_fails(self) -> bool:
        """Unless it is told to."""
        return not self.failing
