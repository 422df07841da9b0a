"""The specification's commands, as calls of the reference implementation. One place, for the suite and the proofs.

What the environment does is made to happen here, too: disks fail, copies and guest writes are held in flight. Where
the implementation has a say in what happens (a discard that it swallows, a copy in flight that a guest write waits
for), the trace tells in the specification's words what did happen. Nothing is judged here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import cbtimpl
from cbtimpl import Host
from cbtimpl.arguments import LARGEST
from cbtmodel import commands as c
from cbtmodel.commands import Action, Command
from cbtmodel.image import Event
from cbtmodel.traits import verb

from cbtcheck.adapters.small_disks import FlatDisk

Content = Callable[[int, int], bytes]
"""The bytes of a guest write at an offset, of a length."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A command that happened, and the kind of its refusal with the implementation's own text; "" if accepted."""

    command: Command | Event
    refusal: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Driven:
    """What happened, in order, and the jobs that ended with their outcomes."""

    trace: tuple[Answer, ...]
    ended: tuple[tuple[str, str], ...]


class Driver:
    """A `cbtimpl.Host` and its environment: the nodes' disks by name, and the targets of jobs by id.

    `new_target` makes a target of a size in bytes.
    """

    def __init__(self, host: Host, disks: dict[str, FlatDisk], new_target: Callable[[int], FlatDisk]) -> None:
        self.host = host
        self.disks = disks
        self.targets: dict[str, FlatDisk] = {}
        self.new_target = new_target
        for name, disk in disks.items():
            host.add_node(name, disk.size, disk)

    def perform(self, command: Command, content: Content) -> Driven:
        """Makes the command happen; raises what the host raises, but refusals and I/O errors: those are answers."""
        try:
            return self._perform(command, content)
        except cbtimpl.Refused as refusal:
            return self._done((Answer(command, refusal.kind, str(refusal)),))
        finally:
            for disk in (*self.disks.values(), *self.targets.values()):
                disk.failing, disk.lands = "", False

    def _done(self, trace: tuple[Answer, ...]) -> Driven:
        return Driven(trace, tuple(self.host.take_ended()))

    def _perform(self, command: Command, content: Content) -> Driven:
        host = self.host
        if isinstance(command, c.OnBitmap):
            getattr(host, f"bitmap_{verb(type(command))}")(command.node, command.name)
            return self._done((Answer(command),))
        if isinstance(command, c.OnJob):
            getattr(host, verb(type(command)))(command.job)
            return self._done((Answer(command),))
        match command:
            case c.AddBitmap(node, name, granularity, enabled):
                host.bitmap_add(node, name, granularity, enabled)
            case c.MergeBitmaps(node, target, sources):
                host.bitmap_merge(node, target, [(each.node, each.name) for each in sources])
            case c.StartBackup():
                host.backup(**self._backup_arguments(command))
            case c.Transaction(actions, grouped):
                host.transaction([self._action(each) for each in actions], grouped)
            case c.Write() | c.BeginWrite():
                return self._write(command, content)
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
            case _:
                assert_never(command)
        return self._done((Answer(command),))

    def _arm(self, job: str, result: str) -> None:
        if job not in self.host.jobs or result == "ok":
            return
        if result == "write error":
            self.targets[job].failing = "write"
        else:
            self.disks[self.host.jobs[job].node.name].failing = "read"

    def _backup_arguments(self, command: c.StartBackup) -> dict[str, Any]:
        size = self.disks[command.node].size if command.node in self.disks else 512
        target = self.new_target(size)
        if command.job not in self.host.jobs:
            self.targets[command.job] = target
        return {
            "job": command.job, "node": command.node, "target": target, "sync": command.sync,
            "bitmap": command.bitmap, "bitmap_mode": command.bitmap_mode, "cluster": command.cluster,
            "auto_finalize": command.auto_finalize, "on_source_error": command.on_source_error,
            "on_target_error": command.on_target_error,
        }  # fmt: skip

    def _action(self, action: Action) -> Any:
        if isinstance(action, c.OnBitmap):
            return getattr(cbtimpl, f"Bitmap{verb(type(action)).capitalize()}")(action.node, action.name)
        match action:
            case c.AddBitmap(node, name, granularity, enabled):
                return cbtimpl.BitmapAdd(node, name, granularity, enabled)
            case c.MergeBitmaps(node, target, sources):
                return cbtimpl.BitmapMerge(node, target, [(each.node, each.name) for each in sources])
            case c.StartBackup():
                return cbtimpl.Backup(**self._backup_arguments(action))
            case c.Abort():
                return cbtimpl.Abort()
            case _:
                assert_never(action)

    def _write(self, command: c.Write | c.BeginWrite, content: Content) -> Driven:
        """A guest write. For a failing copy-before-write, copies in flight that it would wait for end first."""
        if command.kind == "write" and not 0 <= command.length <= LARGEST:
            return self._done((Answer(command, "invalid", "No content has such a length"),))  # it cannot even be made
        trace: list[Answer] = []
        if command.result == "copy failed":
            for job_id in self._copies_in_the_way(command):
                self.host.end_copy(job_id)
                trace.append(Answer(c.EndCopy(job_id)))
            for job_id in self.host.jobs:
                self.targets[job_id].failing = "write"
        try:
            length = max(0, command.length) if command.kind == "write" else 1  # of zeroes there may be terabytes
            happened = self._write_now(command, content(command.offset, length))
        except cbtimpl.Refused as refusal:
            return self._done((*trace, Answer(command, refusal.kind, str(refusal))))
        if happened == command:
            return self._done((Answer(command),))  # which waits for those copies by itself
        return self._done((*trace, Answer(happened)))

    def _write_now(self, command: c.Write | c.BeginWrite, data: bytes) -> Command:
        host, node = self.host, command.node
        if isinstance(command, c.BeginWrite):
            zeroes = command.kind != "write"
            host.begin_write(
                node, command.write, command.offset, None if zeroes else data, command.length if zeroes else None
            )
            return command
        disk = self.disks.get(node)
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
        for job_id, job in self.host.jobs.items():
            if job.in_flight is None or job.node.name != command.node or command.length <= 0:
                continue
            granule = job.work.granularity
            first, last = command.offset // granule, (command.offset + command.length - 1) // granule
            if any(start <= last and first < past for start, past in job.in_flight.runs):
                found.append(job_id)
        return found
