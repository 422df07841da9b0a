"""Operators' commands on QEMU: bitmaps, jobs, transactions, and what they make happen at the gate.

Some commands wait for I/O in flight. What has to be let go for that is let go, and the trace says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.traits import changed_bitmap, traits_of
from cbtwire.qmp import CLUSTER, backups_in, to_qmp

from cbtcheck.adapter import ACCEPTED, Hint, Reply
from cbtcheck.adapters.qemu.answers import refused
from cbtcheck.adapters.qemu.daemon import QmpRefused
from cbtcheck.adapters.qemu.gate import GatedJob, Passed
from cbtcheck.adapters.qemu.order import Trace, copies, explanation, orders
from cbtcheck.adapters.qemu.session import Target
from cbtcheck.adapters.qemu.stage import Stage, Way


class Operator:
    """Gives operators' commands to the monitor."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.gate = stage.gate

    async def perform(self, command: c.Operators, hint: Hint) -> Trace:
        """Any operator's command."""
        if isinstance(command, c.AddBitmap | c.OnBitmap | c.MergeBitmaps):
            reply = await self._ask(command, [])
            if not reply.refusal:
                self._remember([command])
            return [(command, reply)]
        match command:
            case c.StartBackup():
                return await self._draining(replace(command, cluster=CLUSTER), command.node, hint)
            case c.Transaction(actions):
                own = tuple(replace(a, cluster=CLUSTER) if isinstance(a, c.StartBackup) else a for a in actions)
                return await self._draining(replace(command, actions=own), None, hint)
            case c.PauseJob(job):
                return await self._pause(command, job, hint)
            case c.ResumeJob(job):
                return await self._resume(command, job, hint)
            case c.CancelJob(job):
                return await self._cancel(command, job, hint)
            case c.FinalizeJob(job):
                return await self._finalize(command, job, hint)
            case _:
                assert_never(command)

    async def _ask(self, command: Command, places: list[dict[str, Any]], *ways: Way) -> Reply:
        """QEMU's answer. While it waits for I/O that is held, the `ways` let that go, and at last everything does."""
        stage = self.stage
        in_order = iter(places)
        qmp = to_qmp(command, stage.node, lambda backup: next(in_order))
        assert qmp is not None
        try:
            await stage.patiently(stage.session.daemon.execute(*qmp), qmp[0], *ways)
        except QmpRefused as refusal:
            return refused(refusal)
        return ACCEPTED

    async def _ask_of_jobs(self, command: Command, job_id: str) -> Reply:
        """Asks something of a job. It may drain before it is answered: then what it waits for is let go.

        That of a paused job does (job.c, job_cancel_sync), and that of a group of which one is waiting.
        """

        def of_its_disk() -> bool:
            job = self.gate.jobs.get(job_id)
            if job is None:
                return False
            waiting = [each for each in self.stage.living() if each.held is not None]
            near = [each for each in waiting if each.job_id in job.group or each.node == job.node]
            for each in near:
                self.gate.release(each, in_background=True)
            return bool([*self.stage.let_writes_go(job.node), *near])

        return await self._ask(command, [], of_its_disk)

    def _remember(self, commands: list[Any]) -> None:
        """Which bitmaps there are, to ask for their bits."""
        for each in commands:
            place = changed_bitmap(each)
            if place is not None and isinstance(each, c.AddBitmap):
                self.stage.bitmaps.add(place)
            elif place is not None and traits_of(each).names:
                self.stage.bitmaps.discard(place)

    # What has passed in the background

    def copies(self, job: GatedJob, last_in_flight: bool = False) -> Trace:
        """The copies that a job made in the background since this was last asked, as commands."""
        passed, job.in_background = job.in_background, []
        return copies(job.job_id, passed, last_in_flight)

    # Commands that drain

    async def _draining(self, command: c.StartBackup | c.Transaction, node: str | None, hint: Hint) -> Trace:
        """Starts of backups, and transactions, which specify a drain of one disk (`on`) or of all.

        QEMU drains all disks for both, and before it looks at anything else (blockdev.c, qmp_transaction).
        """
        stage = self.stage
        older = stage.living()
        held = [place for place, write in stage.writes.items() if write.guest.held is not None]
        places, new = await self._places(command)

        def in_flight() -> bool:
            """A new job's end drains, too; but its first copy passes only if that is all that is left to wait for."""
            waiting = [job for job in older if job.held is not None]
            for job in waiting:
                self.gate.release(job, in_background=True)
            return bool([*stage.let_writes_go(), *waiting])

        reply = await self._ask(command, places, in_flight)
        released = [place for place in held if stage.writes[place].guest.held is None]
        self.gate.close()
        for job in new:
            if not reply.refusal:
                self.gate.begins(job.job_id)
                stage.targets.setdefault(job.job_id, []).append(job.target)
            elif self.gate.successors.pop(job.job_id, None) is None:
                del self.gate.jobs[job.job_id]
        if not reply.refusal:
            self._remember(list(command.actions) if isinstance(command, c.Transaction) else [])
        await stage.settled()
        ends = await self._landed(reply, released, node)
        made: dict[str, list[Passed]] = {}
        elsewhere: Trace = []
        for job in older:
            if node is not None and job.node != node:
                elsewhere += self.copies(job)
            elif job.in_background:
                made[job.job_id], job.in_background = job.in_background, []
        return explanation(hint.before, orders((command, reply), made, ends, elsewhere))

    async def _landed(self, reply: Reply, released: list[tuple[str, str]], node: str | None) -> Trace:
        """The ends of guest writes that were let go, but for those that the specification's own drain ends."""
        stage = self.stage
        ends: Trace = []
        for disk, job_id in released:
            write = stage.writes[disk, job_id]
            if write.reply is not None:
                await stage.landed(disk, write.reply)
            del stage.writes[disk, job_id]
            if reply.refusal or (node is not None and disk != node):
                ends.append((c.EndWrite(disk, job_id), ACCEPTED))
        if not reply.refusal:
            stage.forget_landed(node)
        return ends

    async def _places(self, command: Command) -> tuple[list[dict[str, Any]], list[GatedJob]]:
        """Targets and filters for the backups of a command, in order, and the jobs that are new to the gate."""
        stage = self.stage
        backups = backups_in(command)
        grouped = isinstance(command, c.Transaction) and command.grouped
        places: list[dict[str, Any]] = []
        fresh: dict[str, GatedJob] = {}
        used = {job.target.name for job in stage.living()}
        for backup in backups:
            source = stage.sources.get(backup.node) or next(iter(stage.sources.values()), None)
            size = CLUSTER if source is None else source.disk.size
            number = 0
            while (target := await self._target(size, number)).disk.name in used:
                number += 1
            used.add(target.disk.name)
            stage.filters += 1
            places.append({"target": target.node, "filter-node-name": f"f{stage.filters}"})
            if backup.job in fresh:
                continue
            self.gate.watch_target(target.disk)
            job = GatedJob(
                backup.job, backup.node, target.disk,
                has_bitmap=backup.bitmap is not None,
                group=tuple(each.job for each in backups) if grouped else (backup.job,),
                auto_finalize=backup.auto_finalize,
                on_error={"read error": backup.on_source_error, "write error": backup.on_target_error},
            )  # fmt: skip
            fresh[backup.job] = job
            self.gate.expect(job)
        return places, list(fresh.values())

    async def _target(self, size: int, number: int) -> Target:
        """A new one changes the block graph, which waits for all I/O in flight since QEMU 8."""
        return await self.stage.patiently(self.stage.session.target(size, number), "blockdev-add of a target")

    # Jobs

    async def _refused(self, command: Command, reply: Reply, hint: Hint) -> Trace:
        """A refused command, and the copies that were let go because QEMU took its time to refuse it."""
        await self.stage.settled()
        self.gate.close()
        asked = (command, reply)
        made = [each for job in self.gate.jobs.values() for each in self.copies(job)]
        return explanation(hint.before, iter([[asked, *made], [*made, asked]]))

    async def _pause(self, command: Command, job_id: str, hint: Hint) -> Trace:
        """The copy in flight, and the one that QEMU has already taken on behind it, end; then the job is paused."""
        reply = await self._ask_of_jobs(command, job_id)
        job = self.gate.jobs.get(job_id)
        if reply.refusal or job is None:
            return await self._refused(command, reply, hint)
        job.paused = True
        self.gate.open(job)
        await self.stage.settled([job])
        self.gate.close()
        in_flight = bool(job.in_background)
        trace = [*self.copies(job, last_in_flight=True), (command, reply)]
        return [*trace, (c.EndCopy(job_id), ACCEPTED)] if in_flight else trace

    async def _resume(self, command: Command, job_id: str, hint: Hint) -> Trace:
        job = self.gate.jobs.get(job_id)
        if job is not None:
            was, job.paused = job.paused, False
        reply = await self._ask_of_jobs(command, job_id)
        if job is not None and reply.refusal:
            job.paused = was
        if reply.refusal:
            return await self._refused(command, reply, hint)
        await self.stage.settled()
        return [(command, reply)]

    async def _cancel(self, command: Command, job_id: str, hint: Hint) -> Trace:
        """The copies in flight of the whole group end first."""
        reply = await self._ask_of_jobs(command, job_id)
        if reply.refusal:
            return await self._refused(command, reply, hint)
        return [*await self.end_of_group(job_id), (command, reply)]

    async def end_of_group(self, job_id: str) -> Trace:
        """Waits until a group that is failing or cancelled has ended. Returns the copies that went on meanwhile.

        QEMU wakes a paused job to cancel it, and it makes up to two more copies before it looks (block/backup.c).
        """
        group = [self.gate.jobs[each] for each in self.gate.jobs[job_id].group if each in self.gate.jobs]
        paused = {job.job_id for job in group if job.paused}
        for job in group:
            self.gate.open(job)
        await self.stage.settled(group, final=True)
        self.gate.close()
        trace: Trace = []
        for job in group:
            made = self.copies(job, last_in_flight=True)
            woken: Trace = [(c.ResumeJob(job.job_id), ACCEPTED)] if made and job.job_id in paused else []
            trace += [*woken, *made]
        return trace

    async def _finalize(self, command: Command, job_id: str, hint: Hint) -> Trace:
        reply = await self._ask_of_jobs(command, job_id)
        if reply.refusal:
            return await self._refused(command, reply, hint)
        group = [self.gate.jobs[each] for each in self.gate.jobs[job_id].group if each in self.gate.jobs]
        await self.stage.settled(group, final=True)
        return [(command, reply)]
