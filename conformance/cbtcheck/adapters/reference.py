"""The built-in reference implementation, as an adapter.

Its disks are in memory; the errors that a scenario asks for are real `OSError`s of these disks.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import cbtimpl
from cbtimpl import Host
from cbtimpl.bits import GranuleSet
from cbtimpl.storage import Disk
from cbtmodel import commands as c
from cbtmodel.commands import Action, Command

from cbtcheck.adapter import (
    POISON,
    Adapter,
    AdapterBroken,
    Capabilities,
    Hint,
    Observation,
    Performed,
    Reply,
    SeenAnonymous,
    SeenBitmap,
    SeenJob,
    digest,
)
from cbtcheck.scenario import KINDS
from cbtcheck.version import VERSION

KIB = 1024
LAYOUTS: tuple[dict[str, int], ...] = (
    {"disk0": 32 * KIB},
    {"disk0": 32 * KIB, "disk1": 32 * KIB},
    {"disk0": 20 * KIB + 1536},
    {"disk0": 20 * KIB + 1536, "disk1": 32 * KIB},
)


class FlatDisk(Disk):
    """A small disk that remembers what was written to it, and fails when told to."""

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


class ReferenceAdapter(Adapter):
    """Drives a `cbtimpl.Host`, or a variant of it with a seeded mistake."""

    name = "reference"
    capabilities = Capabilities(
        commands=frozenset(KINDS),
        clusters=(4096, 512, 16 * KIB),
        granularities=(4096, 512, 8192, 64 * KIB),
        disks=LAYOUTS,
    )

    def __init__(self, host: Callable[[], Host] = Host, mistake: str = "") -> None:
        self._new_host = host
        self._mistake = mistake
        self.reset({})

    @property
    def version(self) -> str:
        """The package's version, and the mistake that is seeded."""
        return f"cbtimpl {VERSION}" + (f" with the seeded mistake '{self._mistake}'" if self._mistake else "")

    def reset(self, disks: dict[str, int]) -> None:
        """A new host."""
        self._host = self._new_host()
        self._disks = {name: FlatDisk(size, 0) for name, size in disks.items()}
        self._targets: dict[str, FlatDisk] = {}
        for name, disk in self._disks.items():
            self._host.add_node(name, disk.size, disk)

    # Performing

    def perform(self, command: Command, hint: Hint) -> Performed:
        """Makes the command happen; whatever the host raises but refusals and I/O errors is a crash."""
        try:
            return self._perform(command, hint)
        except cbtimpl.Refused as refusal:
            return self._done(((command, Reply(refusal.kind, str(refusal))),))
        except Exception as crash:
            raise AdapterBroken(f"{type(crash).__name__}: {crash}") from crash
        finally:
            for disk in (*self._disks.values(), *self._targets.values()):
                disk.failing, disk.lands = "", False

    def _done(self, trace: tuple[tuple[Command, Reply], ...]) -> Performed:
        return Performed(trace, tuple(self._host.take_ended()))

    def _perform(self, command: Command, hint: Hint) -> Performed:
        host = self._host
        match command:
            case c.AddBitmap(node, name, granularity, enabled):
                host.bitmap_add(node, name, granularity, enabled)
            case c.RemoveBitmap(node, name):
                host.bitmap_remove(node, name)
            case c.ClearBitmap(node, name):
                host.bitmap_clear(node, name)
            case c.EnableBitmap(node, name):
                host.bitmap_enable(node, name)
            case c.DisableBitmap(node, name):
                host.bitmap_disable(node, name)
            case c.MergeBitmaps(node, target, sources):
                host.bitmap_merge(node, target, [(each.node, each.name) for each in sources])
            case c.StartBackup():
                host.backup(**self._backup_arguments(command))
            case c.Transaction(actions, grouped):
                host.transaction([self._action(each) for each in actions], grouped)
            case c.PauseJob(job):
                host.pause(job)
            case c.ResumeJob(job):
                host.resume(job)
            case c.CancelJob(job):
                host.cancel(job)
            case c.FinalizeJob(job):
                host.finalize(job)
            case c.Write() | c.BeginWrite():
                return self._write(command, hint)
            case c.EndWrite(node, write, result):
                host.end_write(node, write, None if result == "ok" else errno.EIO)
            case c.Copy(job, offset, length, result):
                self._arm(job, result)
                host.copy(job, offset, length)
            case c.BeginCopy(job, offset, length):
                host.begin_copy(job, offset, length)
            case c.EndCopy(job, result):
                side = "source" if result == "read error" else "target"
                host.end_copy(job, None if result == "ok" else errno.EIO, side)
        return self._done(((command, Reply()),))

    def _arm(self, job: str, result: str) -> None:
        if job not in self._host.jobs or result == "ok":
            return
        if result == "write error":
            self._targets[job].failing = "write"
        else:
            self._disks[self._host.jobs[job].node.name].failing = "read"

    def _backup_arguments(self, command: c.StartBackup) -> dict[str, Any]:
        size = self._disks[command.node].size if command.node in self._disks else 512
        target = FlatDisk(size, POISON)
        if command.job not in self._host.jobs:
            self._targets[command.job] = target
        return {
            "job": command.job, "node": command.node, "target": target, "sync": command.sync,
            "bitmap": command.bitmap, "bitmap_mode": command.bitmap_mode, "cluster": command.cluster,
            "auto_finalize": command.auto_finalize, "on_source_error": command.on_source_error,
            "on_target_error": command.on_target_error,
        }  # fmt: skip

    def _action(self, action: Action) -> Any:
        match action:
            case c.AddBitmap(node, name, granularity, enabled):
                return cbtimpl.BitmapAdd(node, name, granularity, enabled)
            case c.MergeBitmaps(node, target, sources):
                return cbtimpl.BitmapMerge(node, target, [(each.node, each.name) for each in sources])
            case c.StartBackup():
                return cbtimpl.Backup(**self._backup_arguments(action))
            case c.Abort():
                return cbtimpl.Abort()
            case c.RemoveBitmap() | c.ClearBitmap() | c.EnableBitmap() | c.DisableBitmap():
                return getattr(cbtimpl, f"Bitmap{type(action).__name__.removesuffix('Bitmap')}")(
                    action.node, action.name
                )

    def _write(self, command: c.Write | c.BeginWrite, hint: Hint) -> Performed:
        """A guest write. For a failing copy-before-write, copies in flight that it would wait for end first."""
        trace: list[tuple[Command, Reply]] = []
        if command.result == "copy failed":
            for id in self._copies_in_the_way(command):
                self._host.end_copy(id)
                trace.append((c.EndCopy(id), Reply()))
            for id in self._host.jobs:
                self._targets[id].failing = "write"
        try:
            happened = self._write_now(command, bytes([hint.fill]) * max(0, command.length))
        except cbtimpl.Refused as refusal:
            return self._done((*trace, (command, Reply(refusal.kind, str(refusal)))))
        return self._done((*trace, (happened, Reply())))

    def _write_now(self, command: c.Write | c.BeginWrite, data: bytes) -> Command:
        host, node = self._host, command.node
        if isinstance(command, c.BeginWrite):
            zeroes = command.kind != "write"
            host.begin_write(
                node, command.write, command.offset, None if zeroes else data, command.length if zeroes else None
            )
            return command
        disk = self._disks.get(node)
        if command.result == "failed" and disk is not None:
            disk.failing, disk.lands = "write", bool(data[:1]) and data[0] % 2 == 1
        writes_before = len(disk.written) if disk is not None else 0
        try:
            if command.kind == "write":
                host.write(node, command.offset, data)
            elif command.kind == "zeroes":
                host.zeroes(node, command.offset, command.length)
            else:
                host.discard(node, command.offset, command.length)
        except OSError:
            return command
        if command.kind == "discard" and disk is not None and len(disk.written) == writes_before:
            return c.Write(node, command.offset, command.length, "discard", "ignored")
        return command

    def _copies_in_the_way(self, command: c.Write | c.BeginWrite) -> list[str]:
        found = []
        for id, job in self._host.jobs.items():
            if job.in_flight is None or job.node.name != command.node or command.length <= 0:
                continue
            granule = job.work.granularity
            first, last = command.offset // granule, (command.offset + command.length - 1) // granule
            if any(start <= last and first < past for start, past in job.in_flight.runs):
                found.append(id)
        return found

    # Observing

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """Everything the host shows."""
        bitmaps: dict[tuple[str, str], SeenBitmap] = {}
        successors: dict[str, tuple[SeenAnonymous, ...]] = {}
        for on, node in self._host.nodes.items():
            anonymous = []
            for name, each in node.bitmaps.items():
                bits = word(each.bits)
                granules = -(-node.disk.size // each.granularity)
                bitmaps[on, name] = SeenBitmap(
                    each.granularity, each.recording, each.busy, bits.bit_count(), digest(bits, granules)
                )
                if each.successor is not None:
                    heir = each.successor
                    anonymous.append(SeenAnonymous(heir.granularity, heir.recording, heir.bits.count()))
            successors[on] = tuple(anonymous)
        jobs = {id: SeenJob(job.phase, tuple(self._targets[id].written)) for id, job in self._host.jobs.items()}
        in_flight = frozenset((on, id) for on, node in self._host.nodes.items() for id in node.writes)
        return Observation(bitmaps, jobs, successors, in_flight)

    def bits(self, node: str, name: str) -> int | None:
        """The granules of a bitmap."""
        return word(self._host.nodes[node].bitmaps[name].bits)

    def disk(self, node: str) -> bytes:
        """The content of a disk."""
        return bytes(self._disks[node].content)

    def target(self, job: str) -> bytes:
        """The content of a job's target."""
        return bytes(self._targets[job].content)


def word(bits: GranuleSet) -> int:
    """A set of granules as a bit vector."""
    return sum(((1 << (past - first)) - 1) << first for first, past in bits.runs())
