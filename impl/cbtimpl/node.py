"""A node: a disk, its bitmaps, and the guest writes in flight on it.

Source: qemu-facts.md 3.1. Data lands first, then the bits are set, then the guest hears of it; bits are
set also when the request failed, since then the content is unknown.
"""

from dataclasses import dataclass

from cbtimpl.bitmap import Bitmap
from cbtimpl.storage import Disk


@dataclass(frozen=True)
class GuestWrite:
    """A write of `length` bytes at `offset`; `data` None writes zeroes."""

    offset: int
    length: int
    data: bytes | None

    def land(self, disk: Disk) -> None:
        """Put the data on the disk."""
        if self.data is None:
            disk.zero(self.offset, self.length)
        else:
            disk.write(self.offset, self.data)


class Node:
    """A disk under a name. `bitmaps` by name, `writes` in flight by identifier, both oldest first."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.name = name
        self.disk = disk
        self.size = disk.size
        self.read_only = False
        self.bitmaps: dict[str, Bitmap] = {}
        self.writes: dict[str, GuestWrite] = {}

    def record(self, offset: int, length: int) -> None:
        """Let each bitmap that records take note of a write."""
        if length == 0:
            return
        for bitmap in self.bitmaps.values():
            bitmap.record(offset, length)

    def begin(self, identifier: str, write: GuestWrite) -> None:
        """Put a write in flight: nothing has landed, nothing is recorded."""
        self.writes[identifier] = write

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """End a write in flight; returns the error that its guest sees, `error` or the disk's own."""
        return self.carry_out(self.writes.pop(identifier), error, land)

    def carry_out(self, write: GuestWrite, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Land, then record, whatever became of it; returns the error that the guest sees."""
        if land:
            error = self.land(write) or error
        if self.records(error):
            self.record(write.offset, write.length)
        return error

    def land(self, write: GuestWrite) -> OSError | None:
        """Put the data on the disk; returns the disk's error."""
        try:
            write.land(self.disk)
        except OSError as failed:
            return failed
        return None

    def records(self, error: OSError | None) -> bool:
        """Whether a write that ended so is recorded: always (qemu-facts.md 10)."""
        return True
