"""Disks of QEMU that lie in qcow2 images: opened, closed, reopened, and left by a daemon that is killed.

Each image is a qcow2 file in the run's own directory, whose guest data lie beside it (`data-file-raw`) on a disk of
ours: so bitmaps are stored as in any qcow2 file, and all I/O of guests and jobs passes the gate at the offsets that
the guest knows. A close is a `blockdev-del`, or a `quit` of the daemon, after which a new one is started: that is so
where a job runs, and with every third close otherwise. A crash is a SIGKILL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, assert_never

from cbtmodel.commands import AddBitmap
from cbtmodel.image import Close, Crash, Event, Open, Persist, Reopen, WrittenByOthers
from cbtwire.nbd.client import DiskClient
from cbtwire.nbd.disk import Disk
from cbtwire.qcow2.header import AUTOCLEAR_BITMAPS
from cbtwire.qcow2.image_file import AUTOCLEAR_AT
from cbtwire.qcow2.reading import BadImage, InFile
from cbtwire.qcow2.writing import beside_raw_data

from cbtcheck.adapter import ACCEPTED, AdapterBroken, Hint, Reply, SeenImage
from cbtcheck.adapters.qcow2_store import read_entries
from cbtcheck.adapters.qemu.answers import refused
from cbtcheck.adapters.qemu.daemon import DaemonDied, QmpRefused
from cbtcheck.adapters.qemu.gate import GatedJob
from cbtcheck.adapters.qemu.order import Trace, copies
from cbtcheck.adapters.qemu.session import Source
from cbtcheck.adapters.qemu.stage import Stage
from cbtcheck.host.pace import Patience
from cbtcheck.scenario.images import Played

EventTrace = list[tuple[Played, Reply]]

CLUSTER_BITS = 16
QUIT_ONE_IN = 3
LONGEST_QUIT = 20.0
"""Seconds of an idle machine for which a daemon may take to quit."""


@dataclass
class QcowDisk:
    """A disk: QEMU's node, the file, our end of its data, and how it is open ("rw", "ro", or "" if it is not)."""

    node: str
    size: int
    path: str
    data: Disk
    open: str = ""


class QemuImages:
    """The images of one scenario."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.session = stage.session
        self.disks: dict[str, QcowDisk] = {}

    async def begin(self, sizes: dict[str, int]) -> None:
        """Fresh images, open for writing."""
        for number, (name, size) in enumerate(sizes.items()):
            node = f"k{number}"
            path = os.path.join(self.session.directory, f"{node}.qcow2")
            with open(path, "wb") as file:
                file.write(beside_raw_data(size, CLUSTER_BITS))
            data = self.session.server.add_export(node, size, self.session.sector)
            self.stage.gate.watch_source(data, name)
            self.disks[name] = QcowDisk(node, size, path, data)
            await self._opened(name, writable=True)

    async def end(self) -> None:
        """All are closed, and gone. What is in flight has ended before."""
        for name, disk in self.disks.items():
            if disk.open:
                await self._closed(name)
            self.session.server.remove_export(disk.node)
            os.unlink(disk.path)
        self.disks = {}

    async def happen(self, event: Event, hint: Hint) -> EventTrace:
        """What came of an event; an empty trace: it cannot be made to happen here."""
        try:
            match event:
                case Persist(add):
                    return [(event, await self._add(add))]
                case Open(node, writable):
                    return [(event, await self._open(node, writable))]
                case Close(node):
                    return await self._close(event, hint)
                case Reopen(node):
                    return await self._reopen(event)
                case WrittenByOthers(node):
                    return [(event, self._written_by_others(node))]
                case Crash():
                    await self._new_daemon(kill=True)
                    return [(event, ACCEPTED)]
                case _:
                    assert_never(event)
        except QmpRefused as refusal:
            return [(event, refused(refusal))]

    # Bitmaps

    async def _add(self, add: AddBitmap) -> Reply:
        data: dict[str, Any] = {"node": self.stage.node(add.node), "name": add.name, "granularity": add.granularity}
        data |= {"persistent": True} if add.enabled else {"persistent": True, "disabled": True}
        await self._execute("block-dirty-bitmap-add", data)
        self.stage.bitmaps.add((add.node, add.name))
        return ACCEPTED

    # Open and close

    async def _execute(self, command: str, arguments: dict[str, Any]) -> Any:
        """QEMU's answer; what it waits for is let go, if that is held."""
        return await self.stage.patiently(self.session.daemon.execute(command, arguments), command)

    def _node(self, name: str) -> str:
        """QEMU's name of a disk that may be closed; any other name stays what it is."""
        return self.disks[name].node if name in self.disks else name

    def _options(self, node: str, writable: bool) -> dict[str, Any]:
        below = {"file": f"{node}f", "data-file": f"{node}d"}
        return {"driver": "qcow2", "node-name": node, "read-only": not writable} | below

    async def _open(self, name: str, writable: bool) -> Reply:
        if name in self.disks:
            await self._opened(name, writable)
        else:
            path = os.path.join(self.session.directory, "nowhere.qcow2")
            await self._execute("blockdev-add", {"driver": "file", "node-name": "nowhere", "filename": path})
        return ACCEPTED

    async def _opened(self, name: str, writable: bool) -> None:
        disk = self.disks[name]
        server = {"type": "unix", "path": self.session.server.socket_path}
        await self._execute("blockdev-add", {
            "driver": "nbd", "node-name": f"{disk.node}d", "server": server, "export": disk.node, "discard": "unmap",
        })  # fmt: skip
        file = {"driver": "file", "node-name": f"{disk.node}f", "filename": disk.path}
        await self._execute("blockdev-add", file)
        await self._execute("blockdev-add", self._options(disk.node, writable))
        disk.open = "rw" if writable else "ro"
        for entry in self._entries(name, disk):
            self.stage.bitmaps.add((name, entry))
        await self._exported(name, disk)

    async def _exported(self, name: str, disk: QcowDisk) -> None:
        writable = disk.open == "rw"
        export = {"type": "nbd", "id": disk.node, "node-name": disk.node, "name": disk.node, "writable": writable}
        await self._execute("block-export-add", export)
        guest = await DiskClient.connect(self.session.export_socket, disk.node)
        self.stage.sources[name] = self.session.stored[name] = Source(disk.node, disk.data, guest, not writable)

    async def _close(self, event: Close, hint: Hint) -> EventTrace:
        stage, name = self.stage, event.node
        if name not in self.disks or not self.disks[name].open:
            await self._execute("blockdev-del", {"node-name": self._node(name)})
            return [(event, ACCEPTED)]
        alone = not any(other.open for each, other in self.disks.items() if each != name)
        if stage.living(name) and not alone:
            return []  # QEMU closes no disk that a job has; and a quit would close the others, too
        if alone and (stage.living(name) or hint.fill % QUIT_ONE_IN == 0):
            jobs = [*stage.gate.jobs.values()]
            await self._new_daemon(kill=False)
            return [*(each for job in jobs for each in self._last_copies(job)), (event, ACCEPTED)]
        await self._landed(name)
        await self._closed(name)
        return [(event, ACCEPTED)]

    @staticmethod
    def _last_copies(job: GatedJob) -> Trace:
        """What a job has copied while the daemon quit. The last is ended by the close, unless the job completed."""
        return copies(job.job_id, job.in_background, last_in_flight=job.outcome != "completed")

    async def _landed(self, name: str) -> None:
        """Guest writes in flight end: whoever closes or reopens the disk waits for them."""
        self.stage.let_writes_go(name)
        for place in [place for place in self.stage.writes if place[0] == name]:
            reply = self.stage.writes.pop(place).reply
            if reply is not None:
                await self.stage.landed(name, reply)

    async def _closed(self, name: str) -> None:
        disk = self.disks[name]
        await self._unexported(name, disk)
        for node in (disk.node, f"{disk.node}f", f"{disk.node}d"):
            await self._execute("blockdev-del", {"node-name": node})
        self._forget(name)

    async def _unexported(self, name: str, disk: QcowDisk) -> None:
        del self.stage.sources[name]
        await self.session.stored.pop(name).guest.close()
        deleted = "BLOCK_EXPORT_DELETED", disk.node
        gone = self.session.daemon.expect(lambda event: (event["event"], event["data"].get("id")) == deleted)
        await self._execute("block-export-del", {"id": disk.node, "mode": "hard"})
        await self.stage.answered(gone, "block-export-del")

    def _forget(self, name: str) -> None:
        self.disks[name].open = ""
        self.stage.bitmaps = {place for place in self.stage.bitmaps if place[0] != name}

    async def _reopen(self, event: Reopen) -> EventTrace:
        name, disk = event.node, self.disks.get(event.node)
        options = {"options": [self._options(self._node(name), event.writable)]}
        if self.stage.living(name) and (event.writable or not self._is_busy(name)):
            return []  # QEMU has a filter of the job above it, which the guest would have to write through again
        if disk is None or not disk.open or (disk.open == "rw") == event.writable:
            await self._execute("blockdev-reopen", options)
            return [(event, ACCEPTED)]
        await self._landed(name)
        await self._unexported(name, disk)
        try:
            await self._execute("blockdev-reopen", options)
            disk.open = "rw" if event.writable else "ro"
        finally:
            await self._exported(name, disk)
        return [(event, ACCEPTED)]

    def _is_busy(self, name: str) -> bool:
        """Whether a job has a bitmap of the disk. QEMU reopens it even so (docs/findings/crashes.md, CRASH-8)."""
        return any(job.has_bitmap for job in self.stage.living(name))

    # The daemon

    async def _new_daemon(self, kill: bool) -> None:
        """Ends the daemon, and with it whatever is open, and starts another."""
        stage = self.stage
        if kill:
            self.session.daemon.kill()
        else:
            await self._quit()
        await self.session.restart(stage.on_event)
        for name, disk in self.disks.items():
            if disk.open:
                del stage.sources[name]
                self._forget(name)
        stage.writes.clear()
        jobs = [*stage.gate.jobs.values()]
        stage.gate.jobs, stage.gate.successors, stage.gate.guest = {}, {}, None
        stage.gate.retired = [] if kill else [*stage.gate.retired, *map(_ended, jobs)]
        for job in jobs if kill else ():  # nobody asks for what is on their targets, and their ids are free
            listed = stage.targets.get(job.job_id, [])
            stage.targets[job.job_id] = [each for each in listed if each is not job.target]

    async def _quit(self) -> None:
        """Whatever it waits for is let go; copies that pass meanwhile are ended by the cancellation, like others."""
        stage, daemon, patience = self.stage, self.session.daemon, Patience(LONGEST_QUIT)
        daemon.quit()
        while not daemon.died.done():
            stage.let_everything_go()
            await daemon.gone_within(0.01)
            if patience.expired():
                raise AdapterBroken(f"hang: {LONGEST_QUIT:.0f} s after a quit it is there still", daemon.last_output)
        if daemon.died.result():
            raise DaemonDied(daemon.died.result(), daemon.last_output)

    # Files

    def _written_by_others(self, name: str) -> Reply:
        if name not in self.disks:
            return Reply("not found", "there is no such image")
        disk = self.disks[name]
        if disk.open:
            return Reply("exists", "the image is open")
        with open(disk.path, "r+b") as file:
            file.seek(AUTOCLEAR_AT)
            features = int.from_bytes(file.read(8), "big") & ~AUTOCLEAR_BITMAPS
            file.seek(AUTOCLEAR_AT)
            file.write(features.to_bytes(8, "big"))
        return ACCEPTED

    def seen(self) -> dict[str, SeenImage]:
        """How each is open, and what our own reader finds in its file."""
        return {name: SeenImage(disk.open, self._entries(name, disk)) for name, disk in self.disks.items()}

    @staticmethod
    def _entries(name: str, disk: QcowDisk) -> dict[str, Any]:
        try:
            with open(disk.path, "rb") as file:
                return read_entries(InFile(file.fileno()))
        except BadImage as bad:
            raise AdapterBroken(f"the image of {name} cannot be opened any more: {bad}") from None


def _ended(job: GatedJob) -> GatedJob:
    """A job of a daemon that has quit: it was cancelled, unless that daemon has said otherwise."""
    job.status = "null"
    job.outcome = job.outcome if job.outcome in ("completed", "failed") else "cancelled"
    return job
