"""The guest: what writes to the disks while the tool works. It writes one thing at a time, and flushes each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from cbtwire.nbd.client import DiskClient, NbdDisconnected, NbdError

from cbtcheck.judging.instants import Done, History, runs
from cbtcheck.judging.monitor import OwnMonitor
from cbtcheck.judging.plan import GRANULE
from cbtcheck.judging.schedule import Write
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.terminal import Terminal
from cbtcheck.judging.waiting import comes

LET_GO = 0.03
"""Seconds after which what the disk holds back is let go, as a write may have to wait for it."""

DEADLINE = 20.0
"""Seconds that a write of the guest may take."""


MOST_TRIES = 5
"""So often an export is opened once more."""

PATTERN = "Pattern verification failed"
"""What `qemu-io` says if it reads something else."""

CHUNK = 16 << 20
"""Bytes that are read at a time."""


class GuestProblem(Exception):
    """The guest cannot write, or reads something else than it has written; the message is one line."""


class Device(Protocol):
    """How the guest gets at a disk. Offsets and lengths are bytes."""

    async def write(self, disk: str, offset: int, length: int, fill: int) -> None:
        """Fills the range with a byte."""

    async def zeroes(self, disk: str, offset: int, length: int) -> None:
        """Writes zeroes."""

    async def discard(self, disk: str, offset: int, length: int) -> None:
        """Discards the range."""

    async def flush(self, disk: str) -> None:
        """All that was written outlives QEMU."""

    async def has(self, disk: str, offset: int, length: int, fill: int) -> bool:
        """Whether the range is filled with that byte."""

    async def close(self) -> None:
        """It is needed no more; QEMU may be gone."""


class ByExport:
    """By way of a writable NBD export of each disk."""

    def __init__(self, clients: dict[str, DiskClient]) -> None:
        self._clients = clients

    @classmethod
    async def connect(cls, socket: str, disks: list[str]) -> ByExport:
        """Opens the exports."""
        return cls({name: await _connected(socket, name) for name in disks})

    async def write(self, disk: str, offset: int, length: int, fill: int) -> None:
        """Fills the range with a byte."""
        await self._clients[disk].write(offset, bytes([fill]) * length)

    async def zeroes(self, disk: str, offset: int, length: int) -> None:
        """Writes zeroes."""
        await self._clients[disk].zeroes(offset, length, may_trim=True)

    async def discard(self, disk: str, offset: int, length: int) -> None:
        """Discards the range."""
        await self._clients[disk].trim(offset, length)

    async def flush(self, disk: str) -> None:
        """All that was written outlives QEMU."""
        await self._clients[disk].flush()

    async def has(self, disk: str, offset: int, length: int, fill: int) -> bool:
        """Whether the range is filled with that byte."""
        return await self._clients[disk].read(offset, length) == bytes([fill]) * length

    async def close(self) -> None:
        """Ends the connections."""
        for each in self._clients.values():
            await each.close()


async def _connected(socket: str, export: str) -> DiskClient:
    """QEMU hangs up on a client that takes ten seconds to introduce itself, as it may on a busy machine."""
    for _ in range(MOST_TRIES):
        with suppress(NbdDisconnected):
            return await DiskClient.connect(socket, export)
    return await DiskClient.connect(socket, export)


class ByMonitor:
    """By way of the emulator's own `qemu-io`, on the device: for emulators whose NBD server is the tool's."""

    def __init__(self, monitor: OwnMonitor, output: Terminal, devices: dict[str, str]) -> None:
        self._monitor, self._output, self._devices = monitor, output, devices

    async def _qemu_io(self, disk: str, words: str) -> str:
        """What it has to say, which it does only if something is wrong."""
        line = f'qemu-io {self._devices[disk]} "{words}"'
        self._output.news()
        said = str(await self._monitor.execute("human-monitor-command", **{"command-line": line}))
        said += self._output.news()
        if said.strip() and PATTERN not in said:
            raise GuestProblem(f"qemu-io {words}: {' '.join(said.split())[:200]}")
        return said

    async def write(self, disk: str, offset: int, length: int, fill: int) -> None:
        """Fills the range with a byte."""
        await self._qemu_io(disk, f"write -q -P {fill} {offset} {length}")

    async def zeroes(self, disk: str, offset: int, length: int) -> None:
        """Writes zeroes."""
        await self._qemu_io(disk, f"write -q -z -u {offset} {length}")

    async def discard(self, disk: str, offset: int, length: int) -> None:
        """Discards the range."""
        await self._qemu_io(disk, f"discard -q {offset} {length}")

    async def flush(self, disk: str) -> None:
        """All that was written outlives QEMU."""
        await self._qemu_io(disk, "flush")

    async def has(self, disk: str, offset: int, length: int, fill: int) -> bool:
        """Whether the range is filled with that byte."""
        return PATTERN not in await self._qemu_io(disk, f"read -q -P {fill} {offset} {length}")

    async def close(self) -> None:
        """The monitor is somebody else's."""


class Guest:
    """Writes, and keeps the history of the disks."""

    def __init__(self, history: History, storage: Storage) -> None:
        self.history, self._storage = history, storage
        self.device: Device | None = None

    async def make(self, write: Write) -> Done:
        """Makes a write. `GuestProblem`."""
        number = self.history.instant + 1
        task = asyncio.ensure_future(self._make(write, number))
        self._storage.guest_works = True
        try:
            if self._storage.holds and not (await asyncio.wait([task], timeout=LET_GO))[0]:
                self._storage.release()
            if not await comes(task, DEADLINE):
                task.cancel()
                raise GuestProblem(f"write {number} of the guest did not end within {DEADLINE:g} s")
            heeded = task.result()
        except (NbdError, NbdDisconnected, ConnectionError) as problem:
            raise GuestProblem(f"write {number} of the guest: {problem}") from None
        finally:
            self._storage.guest_works = False
        return self.history.write(write, number if write.op == "write" else 0, heeded)

    async def _make(self, write: Write, number: int) -> list[tuple[int, int]] | None:
        """Makes the write; of a discard, the parts that are zeroes now."""
        device = self._device()
        where = (write.disk, write.offset, write.length)
        if write.op == "write":
            await device.write(*where, number)
        elif write.op == "zeroes":
            await device.zeroes(*where)
        else:
            await device.discard(*where)
        await device.flush(write.disk)
        if write.op != "discard":
            return None
        return [each for each in clusters(write.offset, write.length) if await device.has(write.disk, *each, 0)]

    async def check(self) -> None:
        """Every disk is as the guest has left it. `GuestProblem`: then nothing that was judged means anything."""
        self._storage.guest_works = True
        try:
            for name, content in self.history.at(self.history.instant).items():
                for begin, whole, fill in runs(content):
                    for offset in range(begin, begin + whole, CHUNK):
                        length = min(CHUNK, begin + whole - offset)
                        if not await self._device().has(name, offset, length, fill):
                            raise GuestProblem(f"{name} at {offset}: the guest does not read what it has written")
        except (NbdError, NbdDisconnected, ConnectionError) as problem:
            raise GuestProblem(f"the guest cannot read: {problem}") from None
        finally:
            self._storage.guest_works = False

    def _device(self) -> Device:
        if self.device is None:
            raise GuestProblem("the guest has no disks: QEMU does not run")
        return self.device


def clusters(offset: int, length: int) -> list[tuple[int, int]]:
    """A range in parts that do not cross the granules' borders: a discard is heeded by such parts, or not at all."""
    found, end = [], offset + length
    while offset < end:
        until = min(end, (offset // GRANULE + 1) * GRANULE)
        found.append((offset, until - offset))
        offset = until
    return found
