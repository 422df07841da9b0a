"""A running qemu-storage-daemon with disks to work on, which are reused from scenario to scenario.

Sources and targets are NBD exports of the suite, opened by QEMU as `nbd` nodes; the guest is an NBD client of QEMU's
export of the source. All names that QEMU sees are short: its monitor is slow on long ones.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cbtwire.nbd.client import DiskClient
from cbtwire.nbd.disk import Disk
from cbtwire.nbd.server import DiskServer

from cbtcheck.adapter import AdapterUnusable
from cbtcheck.adapters.qemu.at_rest import Process
from cbtcheck.adapters.qemu.daemon import Daemon, EventHook
from cbtcheck.host import temporary
from cbtcheck.host.lacking import too_few_files

SPARE_TARGETS = 3
"""Targets that are made with a disk since QEMU 8: one that is made later waits for all I/O in flight."""

MOST_NODES = 12
"""Disks from which on a daemon is crowded: it lists all of them whenever it is looked at."""

OPEN_FILES = 256
"""How many files the suite may have open with a daemon: two or three for each disk, and disks of many sizes."""


@dataclass
class Source:
    """A disk that can be written and backed up: QEMU's node name, our end of its content, and the guest's client."""

    node: str
    disk: Disk
    guest: DiskClient
    read_only: bool = False


@dataclass
class Target:
    """A disk that can be backed up to."""

    node: str
    disk: Disk


@dataclass
class Session:
    """One daemon with its disks. `start` makes it, `stop` ends it and leaves nothing behind.

    Sources have sectors of `sector` bytes (1: none), to which QEMU pads what is written. `stored` are disks that lie
    in images, by the names that the scenario at hand has for them.
    """

    daemon: Daemon
    server: DiskServer
    directory: str
    sector: int = 1
    sources: dict[tuple[int, int], Source] = field(default_factory=dict)
    targets: dict[int, list[Target]] = field(default_factory=dict)
    stored: dict[str, Source] = field(default_factory=dict)
    binary: str = ""
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = Process(self.daemon.pid, self._sockets)

    def _sockets(self) -> Iterator[socket.socket]:
        """All connections on which the daemon can send us something."""
        yield self.daemon.connection
        yield from self.server.sockets()
        for source in (*self.sources.values(), *self.stored.values()):
            yield from source.guest.sockets()

    @classmethod
    async def start(cls, binary: str, sector: int = 1) -> Session:
        """Starts the daemon and both NBD servers."""
        few = too_few_files(OPEN_FILES)
        if few:
            raise AdapterUnusable(few)
        directory = temporary.make()
        try:
            long = temporary.too_long(directory, "d")
            if long:
                raise AdapterUnusable(long)
            server = await DiskServer.start(f"{directory}/d")
            try:
                daemon = await Daemon.start(binary, directory)
            except BaseException:
                await server.close()
                raise
        except BaseException:
            temporary.remove(directory)
            raise
        session = cls(daemon, server, directory, sector, binary=binary)
        try:
            await session.serve()
        except BaseException:
            await session.stop()
            raise
        return session

    async def serve(self) -> None:
        """Starts the daemon's own NBD server."""
        address = {"type": "unix", "data": {"path": self.export_socket}}
        await self.daemon.execute("nbd-server-start", {"addr": address})

    async def restart(self, on_event: EventHook) -> None:
        """A new daemon on the same disks; the old one is ended first, if it is there still.

        What lies in images is closed, and of the other disks there is none any more.
        """
        await self.daemon.stop()
        self.process.close()
        for source in (*self.sources.values(), *self.stored.values()):
            with contextlib.suppress(Exception):
                await source.guest.close()
        for source in self.sources.values():
            self.server.remove_export(source.disk.name)
        for target in (each for pool in self.targets.values() for each in pool):
            self.server.remove_export(target.disk.name)
        self.sources, self.targets, self.stored = {}, {}, {}
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.export_socket)
        self.daemon = await Daemon.start(self.binary, self.directory)
        self.daemon.on_event = on_event
        self.process = Process(self.daemon.pid, self._sockets)
        await self.serve()

    @property
    def export_socket(self) -> str:
        """Where QEMU's NBD server listens."""
        return f"{self.directory}/q"

    async def stop(self, kill: bool = False) -> None:
        """Ends the daemon and removes what was made for it. May be called twice."""
        for disk in self.server.disks.values():
            disk.handler = None
        if kill:
            self.daemon.kill()
        with contextlib.suppress(Exception):
            await self.daemon.stop()
        self.process.close()
        for source in (*self.sources.values(), *self.stored.values()):
            with contextlib.suppress(Exception):
                await source.guest.close()
        with contextlib.suppress(Exception):
            await self.server.close()
        temporary.remove(self.directory)

    def crowded(self, sizes: Iterable[int]) -> bool:
        """Whether it has so many disks, and others than of these sizes, that a new daemon is better."""
        known = {size for size, _ in self.sources}
        return len(self.sources) + sum(map(len, self.targets.values())) >= MOST_NODES and bool(set(sizes) - known)

    async def source(self, size: int, number: int) -> Source:
        """The `number`th source of `size` bytes."""
        found = self.sources.get((size, number))
        if found is None:
            count = len(self.sources)
            name = chr(ord("a") + count) if count < 26 else f"s{count}"
            disk = await self._open(name, size, {"discard": "unmap"}, self.sector)
            export = {"type": "nbd", "id": name, "node-name": name, "name": name, "writable": True}
            await self.daemon.execute("block-export-add", export)
            guest = await DiskClient.connect(self.export_socket, name)
            found = self.sources[size, number] = Source(name, disk, guest)
            for each in range(SPARE_TARGETS if self.daemon.version >= (8, 0, 0) else 1):
                await self.target(size, each)
        return found

    async def target(self, size: int, number: int) -> Target:
        """The `number`th target of `size` bytes, counted from 0 without gaps."""
        pool = self.targets.setdefault(size, [])
        if number == len(pool):
            name = f"t{sum(map(len, self.targets.values()))}"
            pool.append(Target(name, await self._open(name, size, {})))
        return pool[number]

    async def _open(self, name: str, size: int, options: dict[str, str], sector: int = 1) -> Disk:
        disk = self.server.add_export(name, size, sector)
        address = {"type": "unix", "path": f"{self.directory}/d"}
        await self.daemon.execute(
            "blockdev-add", {"driver": "nbd", "node-name": name, "server": address, "export": name, **options}
        )
        return disk
