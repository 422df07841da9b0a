"""The environment of QEMU's jobs: guest writes, and copies that succeed, fail or stay in flight."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from cbtmodel import commands as c
from cbtmodel.backup import Side
from cbtmodel.commands import Command
from cbtwire.nbd.client import NbdError
from cbtwire.qmp import CLUSTER

from cbtcheck.adapter import ACCEPTED, Hint, Reply
from cbtcheck.adapters.qemu.gate import GatedJob, GuestRequest, Range, overlap
from cbtcheck.adapters.qemu.operate import Operator
from cbtcheck.adapters.qemu.order import Trace, copies
from cbtcheck.adapters.qemu.stage import InFlight, Stage
from cbtcheck.search.draw import bit_numbers

LONGEST_REQUEST = 32 << 20
"""Bytes: no NBD server of QEMU takes a longer request."""


class Environment:
    """Makes guests write, and jobs' copies happen, at the gate."""

    def __init__(self, stage: Stage, operator: Operator) -> None:
        self.stage = stage
        self.gate = stage.gate
        self.operator = operator

    async def perform(self, command: c.Guest | c.Copying, hint: Hint) -> Trace:
        """Any command of guests or of the environment of jobs. An empty trace: it cannot be made to happen here."""
        match command:
            case c.Write() | c.BeginWrite():
                return await self._write(command, hint)
            case c.EndWrite():
                return await self._end_write(command, hint)
            case c.Copy(job_id, _, _, result):
                return await self._copy(job_id, result)
            case c.BeginCopy(job_id):
                return await self._begin_copy(job_id)
            case c.EndCopy(job_id, result):
                return await self._end_copy(job_id, result)
            case _:
                assert_never(command)

    # Copies

    def _waiting(self, job_id: str) -> GatedJob | None:
        """The job, if a copy of it waits at the gate that no scenario has begun."""
        job = self.gate.jobs.get(job_id)
        return job if job is not None and job.held is not None and not job.begun else None

    async def _copy(self, job_id: str, result: str) -> Trace:
        job = self._waiting(job_id)
        if job is None:
            return []
        if result == "ok":
            return await self._copy_well(job)
        if result == "read error" and self.gate.held_at_write(job):
            return await self._fail_next_read(job)
        where = self._at(job)
        if result == "write error":
            await self._to_target(job)
        return await self._fail(job, c.Copy(job_id, *where, result))  # type: ignore[arg-type]

    @staticmethod
    def _at(job: GatedJob) -> Range:
        """The (offset, length) of the copy at the gate."""
        assert job.at_gate is not None
        return job.at_gate[0], job.at_gate[1] - job.at_gate[0]

    async def _copy_well(self, job: GatedJob) -> Trace:
        where = job.at_gate
        self.gate.release(job, in_background=True)
        await self._copied(job, where)
        await self.stage.settled()
        return self.operator.copies(job)

    async def _copied(self, job: GatedJob, where: Range | None) -> None:
        """Waits until a copy that was let go has reached the target."""
        await self.stage.come_about(
            lambda: any(each.range == where for each in job.in_background),
            lambda: f"a copy of {job.job_id} does not go on",
        )

    async def _to_target(self, job: GatedJob) -> None:
        """Lets the read pass, so that the write waits at the gate."""
        if not self.gate.held_at_write(job):
            self.gate.release(job)
            await self.stage.come_about(
                lambda: self.gate.held_at_write(job), lambda: f"a write of {job.job_id} does not go on"
            )

    async def _fail(self, job: GatedJob, command: c.Copy | c.EndCopy) -> Trace:
        """The I/O that waits at the gate fails; the job's error policy says what comes of it."""
        side: Side = "write error" if self.gate.held_at_write(job) else "read error"
        self._no_errors_yet()
        self.gate.fail(job)
        return await self._failed(side, lambda _: command)

    def _no_errors_yet(self) -> None:
        for job in self.gate.jobs.values():
            job.failed, job.errors = [], 0

    async def _failed(self, side: Side, command: Callable[[GatedJob], Command]) -> Trace:
        """What came of I/O that has failed at the gate: a failed copy of whichever job QEMU has said it is of.

        It says so of none where it was about to pause the job, for a drain: then it makes that copy again
        (block/backup.c starts over after a cancelled `block_copy`, whatever its result).
        """
        await self.stage.at_rest()
        trace: Trace = []
        hit = next((job for job in self.gate.jobs.values() if job.errors), None)
        if hit is not None and hit.on_error[side] == "report":
            trace = [*self.operator.copies(hit), *await self.operator.end_of_group(hit.job_id)]
        await self.stage.settled()
        for job in self.gate.jobs.values():
            trace += self.operator.copies(job)
        return trace if hit is None else [*trace, (command(hit), ACCEPTED)]

    async def _fail_next_read(self, job: GatedJob) -> Trace:
        """With several jobs on a disk, the read at hand has passed already: the next one fails, if there is any."""
        over = ("waiting", "pending")
        self._no_errors_yet()
        self.gate.next_read_fails, self.gate.failed_read = job.node, None
        self.gate.release(job, in_background=True)
        await self.stage.come_about(
            lambda: bool(self.gate.failed_read or job.status in over or job.outcome),
            lambda: f"a read of {job.job_id} does not go on",
        )
        self.gate.next_read_fails = ""
        read = self.gate.failed_read
        if read is None:
            await self.stage.settled()
            return [each for other in self.gate.jobs.values() for each in self.operator.copies(other)]
        start, end = read
        return await self._failed("read error", lambda hit: c.Copy(hit.job_id, start, end - start, "read error"))

    async def _begin_copy(self, job_id: str) -> Trace:
        job = self._waiting(job_id)
        if job is None:
            return []
        where = self._at(job)
        await self._to_target(job)
        job.begun = True
        return [(c.BeginCopy(job_id, *where), ACCEPTED)]

    async def _end_copy(self, job_id: str, result: str) -> Trace:
        """A copy in flight has been read already: all that can fail is its write."""
        job = self.gate.jobs.get(job_id)
        if job is None or not job.begun:
            return []
        if result != "ok":
            return await self._fail(job, c.EndCopy(job_id, "write error"))
        self.gate.release(job)
        await self.stage.settled()
        return [(c.EndCopy(job_id), ACCEPTED)]

    # Guest writes

    async def _write(self, command: c.Write | c.BeginWrite, hint: Hint) -> Trace:
        source = self.stage.sources.get(command.node)
        if source is None or command.offset < 0 or command.length < 0:
            return []
        if command.result == "ignored" and command.kind != "discard":
            return []
        if command.kind == "write" and command.length > LONGEST_REQUEST:
            return []
        if command.length > LONGEST_REQUEST and command.offset + command.length > source.disk.size:
            return []  # it would be refused, if it could be sent at all
        if isinstance(command, c.BeginWrite) and (command.node, command.write) in self.stage.writes:
            return []  # QEMU has no ids of writes that could be taken
        trace = await self._make_way(command, hint)
        guest = self._guest(command, hint)
        if guest.copy_fails:
            await self.stage.at_rest()  # QEMU has said all that it has to say of errors before this one
            self._no_errors_yet()
        self.gate.guest = guest
        if command.kind == "write":
            reply = source.guest.write(command.offset, bytes([hint.fill]) * command.length)
        elif command.kind == "zeroes":
            reply = source.guest.zeroes(command.offset, command.length)
        else:
            reply = source.guest.trim(command.offset, command.length)
        for job in self.stage.living(command.node):
            if job.at_gate is not None and overlap(job.at_gate, guest.reach):
                self.gate.release(job)
        await self._answer(command, guest, reply)
        self.gate.guest = None
        if guest.copy_fails:
            await self.stage.at_rest()
            guest.copy_failed = any(len(job.failed) > job.errors for job in self.gate.jobs.values())
        happened = self._happened(command, guest, reply)
        for job in list(self.gate.jobs.values()):
            trace += self._before_write(job, happened)
        for job in list(self.gate.jobs.values()):
            trace += await self._failed_meanwhile(job)
        await self.stage.settled()
        later = [each for job in self.gate.jobs.values() for each in self.operator.copies(job)]
        return [*trace, happened, *later]

    def _before_write(self, job: GatedJob, happened: tuple[Command, Reply]) -> Trace:
        """The copies that passed before a write was answered: in the background, and within what was written.

        A write that took place had the latter made: they are part of it in the specification. If it was refused, or
        wrote nothing (of no length, or a discard that QEMU swallows under a backup), the copies have happened all the
        same (block/copy-before-write.c), also if the job is paused.
        """
        passed, job.before_write = job.before_write, []
        background = self.operator.copies(job)
        command, reply = happened
        wrote = isinstance(command, c.Write | c.BeginWrite) and command.length > 0 and command.result != "ignored"
        if wrote and not reply.refusal:
            in_flight = any(each.begun for each in passed) and bool(background)  # it ended before any other was made
            return [*([(c.EndCopy(job.job_id), ACCEPTED)] if in_flight else []), *background]
        if not passed or not job.paused:
            return [*copies(job.job_id, sorted(passed, key=lambda each: not each.begun), False), *background]
        made = copies(job.job_id, passed, True)  # so that the job is paused again before it can be done
        return [
            *background, (c.ResumeJob(job.job_id), ACCEPTED), *made,
            (c.PauseJob(job.job_id), ACCEPTED), (c.EndCopy(job.job_id), ACCEPTED),
        ]  # fmt: skip

    async def _failed_meanwhile(self, job: GatedJob) -> Trace:
        """The job's own copies that failed at the gate because a copy-before-write was to fail there.

        QEMU says of which those were (BLOCK_JOB_ERROR); the failure of a copy-before-write is none of the job's.
        """
        failed, errors = job.failed, job.errors
        job.failed, job.errors = [], 0
        trace: Trace = []
        for (start, end), side in failed[:errors]:
            if job.on_error[side] == "report":
                trace += await self.operator.end_of_group(job.job_id)
            trace.append((c.Copy(job.job_id, start, end - start, side), ACCEPTED))
        return trace

    def _guest(self, command: c.Write | c.BeginWrite, hint: Hint) -> GuestRequest:
        """What is to happen to the write. Failures alternate between what can fail, by the fill byte."""
        guest = GuestRequest(command.node, self._reach(command))
        guest.hold = isinstance(command, c.BeginWrite)
        guest.fail, guest.land = command.result == "failed", hint.fill % 2 == 1
        if command.result == "copy failed" and command.length > 0:
            guest.copy_fails = "read" if hint.fill % 2 else "write"
        return guest

    def _reach(self, command: c.Write | c.BeginWrite) -> Range:
        """The (start, end) of what QEMU saves before the write: its clusters; nothing if it is out of range."""
        start, end = command.offset, command.offset + command.length
        if end > self.stage.sources[command.node].disk.size:
            return -1, -1
        return start // CLUSTER * CLUSTER, -(-end // CLUSTER) * CLUSTER

    async def _make_way(self, command: c.Write | c.BeginWrite, hint: Hint) -> Trace:
        """Copies that the write would have to wait for, but that are not part of it, are made first.

        A write waits for the copy at the gate and for the one that QEMU has taken on behind it. The one at the gate
        may pass together with the write, unless copy-before-write is to fail, and only that. What may turn out to
        write nothing, but to copy (see `_copied_for_nothing`), does not find a copy in flight.
        """
        trace: Trace = []
        reach = self._reach(command)
        for job in self.stage.living(command.node):
            while job.at_gate is not None:
                hit = overlap(job.at_gate, reach)
                behind = self._taken_on(job, hint)
                also = behind is not None and overlap(behind, reach)
                fails = command.result == "copy failed"
                nothing = job.begun and (command.length == 0 or command.kind == "discard" or fails)
                if not nothing and not (fails and (hit or also)) and (hit or not also):
                    break
                where = job.at_gate
                self.gate.release(job, in_background=True)
                await self._copied(job, where)
                await self.stage.settled()
                for each in self.gate.jobs.values():  # its end may have waited for another's copy
                    trace += self.operator.copies(each)
        return trace

    @staticmethod
    def _taken_on(job: GatedJob, hint: Hint) -> Range | None:
        """The cluster that QEMU copies next: it has taken it off its list already (block/block-copy.c)."""
        known = hint.before.jobs.get(job.job_id)
        if known is None or job.at_gate is None:
            return None
        size = hint.before.nodes[job.node].size
        word = hint.before.space.granules(known.todo, CLUSTER, size)  # type: ignore[attr-defined]
        later = [n for n in bit_numbers(word) if n * CLUSTER > job.at_gate[0]]
        return (later[0] * CLUSTER, (later[0] + 1) * CLUSTER) if later else None

    async def _answer(
        self, command: c.Write | c.BeginWrite, guest: GuestRequest, reply: asyncio.Future[None]
    ) -> None:
        """Waits until the write is answered, or held at the disk if that is what is wanted."""

        def of_the_disk() -> bool:  # more is waited for than was foreseen
            return bool([*self.stage.let_copies_go(command.node), *self.stage.let_writes_go(command.node)])

        reply.add_done_callback(lambda _: self.gate.changed())
        await self.stage.come_about(
            lambda: reply.done() or guest.held is not None, lambda: "no answer to a guest write", of_the_disk
        )

    def _happened(
        self, command: c.Write | c.BeginWrite, guest: GuestRequest, reply: asyncio.Future[None]
    ) -> tuple[Command, Reply]:
        """What came of a write that is answered, or in flight."""
        if guest.held is not None:
            reply.add_done_callback(lambda future: future.cancelled() or future.exception())
            assert isinstance(command, c.BeginWrite)
            self.stage.writes[command.node, command.write] = InFlight(guest, reply)
            return command, ACCEPTED
        return self._judge(command, guest, reply)

    def _judge(
        self, command: c.Write | c.BeginWrite, guest: GuestRequest, reply: asyncio.Future[None]
    ) -> tuple[Command, Reply]:
        try:
            reply.result()
        except NbdError as error:
            if command.result == "failed" and guest.arrived:
                return command, ACCEPTED
            source = self.stage.sources[command.node]
            if source.read_only:
                return command, Reply("read only", str(error))
            if command.offset + command.length > source.disk.size:
                return command, Reply("invalid", str(error))
            return command, Reply("copy failed" if guest.copy_fails and not guest.arrived else "?", str(error))
        if command.kind == "discard" and command.length > 0 and not guest.arrived:
            return c.Write(command.node, command.offset, command.length, "discard", "ignored"), ACCEPTED
        if command.result == "copy failed" and not guest.copy_failed:
            command = replace(command, result="ok")  # no copy was needed, and so none could fail
        if isinstance(command, c.BeginWrite):  # of nothing, and so it has ended; in the scenario it is in flight
            self.stage.writes[command.node, command.write] = InFlight(guest, None)
        elif command.result == "ignored":
            return replace(command, result="ok"), ACCEPTED  # QEMU ignores no discard but under a backup
        return command, ACCEPTED

    async def _end_write(self, command: c.EndWrite, hint: Hint) -> Trace:
        write = self.stage.writes.get((command.node, command.write))
        if write is None:
            return []
        if write.guest.held is not None and write.reply is not None:
            request, write.guest.held = write.guest.held, None
            if command.result == "failed":
                request.fail(errno.EIO, land=hint.fill % 2 == 1)
            else:
                request.complete()
            await self.stage.landed(command.node, write.reply)
        del self.stage.writes[command.node, command.write]
        await self.stage.settled()
        return [(command, ACCEPTED)]
