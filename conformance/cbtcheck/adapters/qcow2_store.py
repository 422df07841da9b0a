"""The bitmaps of a disk in a real qcow2 file, as the reference implementation wants them kept."""

from __future__ import annotations

import os
from collections.abc import Mapping

from cbtimpl.images import StoredBitmap
from cbtwire.qcow2.bitmaps import bits, read_image
from cbtwire.qcow2.image_file import AUTOCLEAR_AT, ImageFile, Tracked
from cbtwire.qcow2.reading import Bytes
from cbtwire.qcow2.writing import image_bytes

from cbtcheck.adapter import SeenEntry
from cbtcheck.sets.bitsets import extents

CLUSTER_BITS = 12


class FileStorage:
    """A file that is written to at once. A crash of the process loses nothing of that, so nothing is flushed."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Those of a range, fewer where the file ends."""
        return os.pread(self._descriptor, max(0, length), offset)

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of them. `OSError` where there is no room."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def flush(self) -> None:
        """Nothing: see above."""

    def renew(self, content: bytes) -> None:
        """The file has this content, and no other."""
        os.ftruncate(self._descriptor, 0)
        self.write(0, content)

    def close(self) -> None:
        """It is used no more."""
        os.close(self._descriptor)


class MemoryStorage:
    """The same in memory, for whoever makes copies of it."""

    def __init__(self) -> None:
        self.content = bytearray()

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        """Those of a range, fewer where it ends."""
        return bytes(self.content[offset : offset + max(0, length)])

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of them; zeroes come before what lies beyond the end."""
        self.content.extend(bytes(max(0, offset + len(data) - len(self.content))))
        self.content[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Nothing: it is there."""

    def renew(self, content: bytes) -> None:
        """It has this content, and no other."""
        self.content[:] = content

    def close(self) -> None:
        """Nothing is held."""


class Qcow2Store:
    """An image with room for the bitmaps of a disk of `size` bytes, in clusters of 2^`cluster_bits` bytes.

    What the guest writes is kept elsewhere.
    """

    def __init__(self, storage: FileStorage | MemoryStorage, size: int, cluster_bits: int = CLUSTER_BITS) -> None:
        self._storage = storage
        self._size = size
        self._cluster_bits = cluster_bits
        self.renew()

    def renew(self) -> None:
        """A new image without bitmaps."""
        self._storage.renew(image_bytes(self._size, self._cluster_bits))

    def entries(self) -> dict[str, StoredBitmap]:
        """What is in the file."""
        return {
            name: StoredBitmap(
                each.granularity, each.enabled, each.in_use,
                tuple((first, first + count) for first, count in extents(each.bits or 0)),
            )
            for name, each in self.seen().items()
        }  # fmt: skip

    def mark_in_use(self) -> None:
        """Opening it for writing does."""
        ImageFile(self._storage)

    def store(self, bitmaps: Mapping[str, StoredBitmap]) -> None:
        """All of them, with one switch of the header."""
        file = ImageFile(self._storage, read_only=True)
        file.bitmaps = {
            name: Tracked(each.granularity, word(each), each.enabled, each.in_use) for name, each in bitmaps.items()
        }
        file.store()

    def remove(self, name: str) -> None:
        """From the directory, at once."""
        file = ImageFile(self._storage, read_only=True)
        if name in file.bitmaps:
            file.read_only = False  # it is open for writing, and its entries are in use as they are
            file.remove(name)

    # For those who look, and for somebody else who writes to the file

    def seen(self) -> dict[str, SeenEntry]:
        """The entries as our own reader finds them."""
        return read_entries(self._storage)

    def write_without_bitmaps(self) -> None:
        """What a program does that knows nothing of bitmaps."""
        self._storage.write(AUTOCLEAR_AT, bytes(8))

    def close(self) -> None:
        """It is used no more."""
        self._storage.close()


def read_entries(storage: Bytes) -> dict[str, SeenEntry]:
    """The bitmaps in an image. `BadImage` if it is none that can be opened."""
    image = read_image(storage)
    return {
        each.name: SeenEntry(
            each.granularity, each.auto, each.in_use, 0 if each.in_use else bits(storage, image.header, each)
        )
        for each in image.bitmaps
    }


def word(stored: StoredBitmap) -> int:
    """Runs of granules as a bit vector."""
    return sum(((1 << (past - first)) - 1) << first for first, past in stored.runs)
