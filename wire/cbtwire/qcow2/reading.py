"""Where the bytes of an image come from, and what is raised when they are no image.

Beyond the end of a file QEMU reads zeroes, and so does `padded`: a file that was cut off is an image with other
content.
"""

from __future__ import annotations

import os
from typing import Protocol


class Bytes(Protocol):
    """The bytes of a file."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read(self, offset: int, length: int) -> bytes:
        """Those of a range, fewer where the file ends. `OSError` if they cannot be read."""


class BadImage(ValueError):
    """QEMU refuses to open this image. `what` is why, in QEMU's words where it has some; `offset` is where."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what, offset)
        self.what = what
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.what} (at byte {self.offset})"


class NotQcow2(BadImage):
    """The file does not begin as a qcow2 image does."""


class InMemory:
    """The bytes of an image that is in memory as a whole."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Those of a range."""
        return bytes(self._data[offset : offset + length])


class InFile:
    """The bytes of a file that is open for reading; it is not closed here."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int) -> None:
        """`OSError` if its size cannot be told."""
        self._descriptor = descriptor
        self.size = os.lseek(descriptor, 0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """Those of a range."""
        parts: list[bytes] = []
        length = max(0, min(length, self.size - offset))
        while length:
            part = os.pread(self._descriptor, min(length, 1 << 24), offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)


def padded(source: Bytes, offset: int, length: int) -> bytes:
    """The bytes of a range, with zeroes beyond the end of the file."""
    return source.read(offset, length).ljust(length, b"\0")
