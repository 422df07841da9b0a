"""The disks of the reference implementation's environment: small, in memory, failing when they are told to.

Offsets and lengths are bytes. Errors are `OSError` with EIO.
"""

from __future__ import annotations

import errno

from cbtimpl.storage import Disk

from cbtcheck.content import Content


class FlatDisk(Disk):
    """A small disk that remembers what was written to it, and fails when told to.

    `failing` is the kind of request that fails now: "", "read" or "write"; `lands`: what fails to be written is there
    all the same. `written` are the ranges of all writes, oldest first.
    """

    def __init__(self, size: int, filler: int) -> None:
        self.size = size
        self.content = bytearray([filler]) * size
        self.written: list[tuple[int, int]] = []
        self.failing = ""
        self.lands = False

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of the range, or EIO."""
        if self.failing == "read":
            raise OSError(errno.EIO, "read error")
        return bytes(self.content[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Stores the bytes, or EIO with or without storing them."""
        if self.failing == "write" and not self.lands:
            raise OSError(errno.EIO, "write error")
        self.content[offset : offset + len(data)] = data
        self.written.append((offset, len(data)))
        if self.failing == "write":
            raise OSError(errno.EIO, "write error")

    def zero(self, offset: int, length: int) -> None:
        """A write of zeroes."""
        self.write(offset, bytes(length))

    def all(self) -> Content:
        """The whole content."""
        return bytes(self.content)
