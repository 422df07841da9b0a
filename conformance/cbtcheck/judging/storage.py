"""Where the bytes of the guest's disks are: in memory of the suite, served to QEMU over NBD, or in files.

What is served can be held back, and can fail; it outlives QEMU. A disk of format qcow2 begins as an empty image.
"""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

from cbtwire.nbd.disk import Disk, Request
from cbtwire.nbd.server import DiskServer

from cbtcheck.judging.plan import SECTOR, PlannedDisk

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
ROOM = 16 << 20
"""Bytes for the tables and bitmaps of a qcow2 image beside the data."""


class Storage:
    """The disks of one schedule."""

    def __init__(self, disks: tuple[PlannedDisk, ...], directory: Path) -> None:
        self.disks, self.directory = disks, directory
        self.holding, self.guest_works = False, False
        self.fail_next_read = False
        self._held: list[Request] = []
        self._server: DiskServer | None = None
        self._served: dict[str, Disk] = {}

    async def start(self) -> None:
        """Makes the disks, zeroed."""
        self._server = await DiskServer.start(str(self.directory / "disks"))
        for each in self.disks:
            begin = empty_qcow2(each.size) if each.format == "qcow2" else b""
            if not each.served:
                with open(self.file(each), "wb") as file:
                    file.write(begin)
                    file.truncate(max(len(begin), each.size if each.format == "raw" else 0))
                continue
            size = each.size + (ROOM if begin else 0)
            disk = self._served[each.name] = self._server.add_export(each.name, size, SECTOR)
            disk.content.write(0, begin)
            disk.handler = self._handle

    def file(self, disk: PlannedDisk) -> Path:
        """The file that a disk is in, if it is in one."""
        return self.directory / f"{disk.name}.{disk.format}"

    def below(self, disk: PlannedDisk) -> dict[str, Any]:
        """QEMU's options for what is below the format."""
        if not disk.served:
            return {"driver": "file", "filename": str(self.file(disk)), "discard": "unmap"}
        address = {"type": "unix", "path": str(self.directory / "disks")}
        return {"driver": "nbd", "server": address, "export": disk.name, "discard": "unmap"}

    def let_go(self) -> None:
        """Answers all that is held, and holds nothing more."""
        self.holding = False
        self.release()

    def release(self) -> None:
        """Answers all that is held."""
        held, self._held = self._held, []
        for each in held:
            each.complete()

    def fail_held(self) -> None:
        """Fails one read that is held, or if there is none the next one, with EIO."""
        pending = [each for each in self._held if each.pending]
        if pending:
            self._held.remove(pending[0])
            pending[0].fail(errno.EIO)
        else:
            self.fail_next_read = True

    @property
    def holds(self) -> bool:
        """Whether anything waits for an answer."""
        return any(each.pending for each in self._held)

    def _handle(self, request: Request) -> None:
        if request.kind == "read" and not self.guest_works:
            if self.fail_next_read:
                self.fail_next_read = False
                request.fail(errno.EIO)
                return
            if self.holding:
                self._held.append(request)
                return
        request.complete()

    async def close(self) -> None:
        """Ends all connections."""
        if self._server is not None:
            await self._server.close()


def empty_qcow2(size: int) -> bytes:
    """A qcow2 image (version 3) of so many bytes, at most 512 MiB, with nothing in it."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, size, 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0,
        4, 104,
    )  # fmt: skip
    table = struct.pack(">Q", 2 * CLUSTER)
    block = struct.pack(">HHHH", 1, 1, 1, 1)
    return b"".join(each.ljust(CLUSTER, b"\0") for each in (header, table, block, b""))
