"""What goes on in one scenario on QEMU: its disks, its jobs as events tell, its guest writes in flight.

Waiting is for events, never for a time. What is waited for comes about, or QEMU is at rest without it: then it waits
for I/O that we hold, and more of that is let go. Only where nothing is held any more, and QEMU sleeps on, it hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cbtwire.nbd.disk import Disk

from cbtcheck.adapter import AdapterBroken
from cbtcheck.adapters.qemu.at_rest import Process
from cbtcheck.adapters.qemu.daemon import DaemonDied
from cbtcheck.adapters.qemu.gate import Gate, GatedJob, GuestRequest
from cbtcheck.adapters.qemu.session import Session, Source
from cbtcheck.host.pace import Patience

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds of an idle machine for which QEMU may sleep, with nothing held that it could wait for, until it hangs."""

PROCESSOR = 20.0
"""Seconds of a processor's time that QEMU may use without coming to rest, until it hangs in a loop."""

UNREST = 15.0
"""Seconds of an idle machine for which QEMU may neither rest nor bring anything about (stopped, or swapped out)."""

FIRST_LOOK, LONGEST_PAUSE = 0.0004, 0.005
"""Seconds between looks at whether QEMU is at rest, at first and later on. They decide nothing."""

Way = Callable[[], object]
"""Lets something go that may be waited for; whether there was anything."""


@dataclass
class InFlight:
    """A guest write that a scenario keeps in flight."""

    guest: GuestRequest
    reply: asyncio.Future[None] | None


class Unrest:
    """Watches a process that neither comes to rest nor brings anything about."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._spent = process.processor_seconds()
        self._patience = Patience(UNREST)

    @property
    def lasts(self) -> str:
        """For how long, if that is too long; else nothing."""
        if self._process.processor_seconds() - self._spent > PROCESSOR:
            return f"{PROCESSOR:.0f} s of the processor"
        return f"{UNREST:.0f} s without rest" if self._patience.expired() else ""


@dataclass
class Stage:
    """The state of one scenario."""

    session: Session
    gate: Gate = field(default_factory=Gate)
    sources: dict[str, Source] = field(default_factory=dict)
    targets: dict[str, list[Disk]] = field(default_factory=dict)
    writes: dict[tuple[str, str], InFlight] = field(default_factory=dict)
    bitmaps: set[tuple[str, str]] = field(default_factory=set)
    filters: int = 0
    graph_changes: int = 0  # so many events that can come with one, since the monitor last answered
    _nudged_at: int = 0  # after so many requests were settled; once is enough until there are more

    # Names

    def node(self, name: str) -> str:
        """QEMU's name of a disk of the scenario; any other name stays what it is."""
        source = self.sources.get(name)
        return name if source is None else source.node

    # Events

    def on_event(self, event: dict[str, Any]) -> None:
        """Keeps the jobs up to date."""
        data = event.get("data", {})
        kind = event["event"]
        if kind == "JOB_STATUS_CHANGE":
            self.graph_changes += 1
            if data["status"] == "created":
                self.gate.begins(data["id"])
            job = self.gate.jobs.get(data["id"])
            if job is not None:
                job.status = data["status"]
                if job.status == "null" and not job.outcome:
                    job.outcome = "vanished"
        elif kind in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"):
            job = self.gate.jobs.get(data["device"])
            if job is not None:
                failed = "failed" if "error" in data else "completed"
                job.outcome = "cancelled" if kind == "BLOCK_JOB_CANCELLED" else failed
        elif kind == "BLOCK_JOB_ERROR":
            job = self.gate.jobs.get(data["device"])
            if job is not None:
                job.errors += 1
                job.paused = job.paused or data["action"] == "stop"
        else:
            return
        self.gate.changed()

    # Jobs

    def living(self, node: str | None = None) -> list[GatedJob]:
        """The jobs that have not ended, of one disk or of all."""
        jobs = self.gate.jobs.values()
        return [job for job in jobs if job.status != "null" and (node is None or job.node == node)]

    def still(self, job: GatedJob) -> bool:
        """Whether nothing more will happen to this job by itself.

        A job is *paused* also while its disk is drained, and passes through *waiting* and *pending* on its way to
        the end: then it is not still.
        """
        if job.outcome or job.status == "null":
            return job.status == "null"
        group = [self.gate.jobs[job_id] for job_id in job.group if job_id in self.gate.jobs]
        if job.status == "waiting":
            return any(peer.status not in ("waiting", "pending") for peer in group)
        if job.status == "pending":
            return not all(peer.auto_finalize for peer in group)
        return job.paused if job.status == "paused" else job.held is not None

    async def settled(self, jobs: Iterable[GatedJob] | None = None, final: bool = False) -> None:
        """Waits until the jobs have come to a standstill, or with `final` have ended.

        A job's end waits for everything in flight on its disk, and since QEMU 8 on every disk (the graph lock).
        """
        watched = list(self.gate.jobs.values()) if jobs is None else list(jobs)

        def rest() -> list[GatedJob]:
            return [job for job in watched if job.status != "null" and (final or not self.still(job))]

        def of_their_disks() -> bool:
            waiting = {job.node for job in rest()}
            written = [each for node in waiting for each in self.let_writes_go(node)]
            copied = [self.let_copies_go(job.node, job) for job in rest()]
            return bool(written) or any(copied)

        def what() -> str:
            return ", ".join(f"{job.job_id} is {job.status}" for job in rest())

        await self.come_about(lambda: not rest(), what, of_their_disks)
        self.gate.close()

    def let_copies_go(self, node: str | None = None, but: GatedJob | None = None) -> list[GatedJob]:
        """Lets every copy at the gate pass, of the jobs of one disk or of all; the next ones are held again."""
        waiting = [job for job in self.living(node) if job is not but and job.held is not None]
        for job in waiting:
            self.gate.release(job, in_background=True)
        return waiting

    def let_everything_go(self) -> bool:
        """Lets pass all that is held, on all disks. False if nothing was."""
        return bool([*self.let_writes_go(), *self.let_copies_go()])

    def take_ended(self) -> tuple[tuple[str, str], ...]:
        """The jobs that have ended since last asked, which are then forgotten."""
        gone = [job for job in self.gate.jobs.values() if job.status == "null"]
        for job in gone:
            del self.gate.jobs[job.job_id]
            if job.held is not None:
                job.held.complete()
        gone, self.gate.retired = [*self.gate.retired, *gone], []
        return tuple((job.job_id, job.outcome) for job in gone)

    # Guest writes in flight

    def let_writes_go(self, node: str | None = None) -> list[tuple[str, str]]:
        """Lets the writes in flight on a disk (or all) end well. Returns which were still held."""
        released = []
        for (disk, write_id), write in self.writes.items():
            if (node is None or disk == node) and write.guest.held is not None:
                request, write.guest.held = write.guest.held, None
                request.complete()
                released.append((disk, write_id))
        return released

    def forget_landed(self, node: str | None) -> None:
        """Writes of nothing, which ended as soon as they began, are not in flight after a drain."""
        for key in [key for key, write in self.writes.items() if write.reply is None]:
            if node is None or key[0] == node:
                del self.writes[key]

    async def let_go_meanwhile(self) -> list[tuple[str, str]]:
        """The writes in flight that had to be let go because something waited for them: landed, and forgotten."""
        landed = [(key, write.reply) for key, write in self.writes.items() if write.guest.held is None]
        gone = []
        for key, reply in landed:
            if reply is not None:
                await self.landed(key[0], reply)
                del self.writes[key]
                gone.append(key)
        return gone

    async def landed(self, node: str, reply: asyncio.Future[None]) -> None:
        """Waits for the answer to a guest write that was let go; an error answer is an answer, too."""
        reply.add_done_callback(lambda _: self.gate.changed())
        await self.come_about(reply.done, lambda: f"no answer to a guest write to {node}")

    # Waiting

    async def come_about(self, true: Callable[[], bool], what: Callable[[], str], *ways: Way) -> None:
        """Waits until something is true.

        Whenever QEMU is at rest before that, the first of `ways` that has something to let go does so; last of all,
        everything is let go. `AdapterBroken`, with `what`, if QEMU dies, or sleeps on although that was done.
        """
        looked_at = -1
        while not true():
            if self.gate.changes != looked_at:
                looked_at = self.gate.changes
                await self._at_rest_or_changed(looked_at)
            elif not self._nudge() and not any(way() for way in (*ways, self.let_everything_go)):
                await self._sleeps_on(what)

    async def monitor_answers(self) -> None:
        """Waits until QEMU takes commands again.

        Its monitor can be blocked still when the event of a job's end has come: the job's filter and its disks leave
        the block graph only then, and since QEMU 8 that waits for all I/O in flight.
        """
        if self.graph_changes:
            self.graph_changes = 0
            await self.patiently(self.session.daemon.execute("query-version"), "query-version")

    async def at_rest(self) -> None:
        """Waits until QEMU is at rest, with every reply of ours taken in, and all that it has sent, too."""
        changes = -1
        while changes != self.gate.changes or self._nudge():
            changes = self.gate.changes
            await self._at_rest_or_changed(changes)

    async def _at_rest_or_changed(self, changes: int) -> None:
        """Waits until something happens, or QEMU is at rest without."""
        process, pause = self.session.process, FIRST_LOOK
        unrest: Unrest | None = None
        while not await self.gate.wait(pause) and self.gate.changes == changes and not await process.at_rest():
            self.check_alive()
            if pause == LONGEST_PAUSE:
                unrest = unrest or Unrest(process)
                if unrest.lasts:
                    raise AdapterBroken(f"hang: {unrest.lasts}, and no end", self.session.daemon.last_output)
            pause = min(2 * pause, LONGEST_PAUSE)
        self.check_alive()

    async def _sleeps_on(self, what: Callable[[], str]) -> None:
        """QEMU is at rest, and waits for nothing of ours: unless something happens all the same, it hangs."""
        patience = Patience(PATIENCE)
        while not await self.gate.wait(patience.step()):
            self.check_alive()
            if patience.expired():
                why = f"hang: {what()}; nothing is held, and it sleeps"
                raise AdapterBroken(why, self.session.daemon.last_output)

    def _nudge(self) -> bool:
        """Makes something happen on every disk's connection, without a trace: guests flush. False if nobody needs it.

        QEMU's NBD client (block/nbd.c) can sit on the reply to an older request while a younger one is in flight,
        until anything else happens on that connection.
        """
        if self._nudged_at == self.session.server.answered:
            return False
        self.no_reply_is_sat_on()
        for source in self.sources.values():
            if not source.guest.closed:
                source.guest.flush().add_done_callback(lambda flush: flush.cancelled() or flush.exception())
        self.gate.changed()
        return True

    def no_reply_is_sat_on(self) -> None:
        """All replies that were given until now have been taken up, or QEMU has just been nudged to do so."""
        self._nudged_at = self.session.server.answered

    # Death

    def check_alive(self) -> None:
        """Raises `AdapterBroken` if the daemon has died."""
        daemon = self.session.daemon
        if daemon.died.done():
            death = DaemonDied(daemon.died.result(), daemon.last_output)
            raise AdapterBroken(f"crash: {death}", daemon.last_output)

    async def answered(self, asked: asyncio.Future[T], what: str, *ways: Way) -> T:
        """The answer to something that QEMU was asked, which may wait for I/O that `ways` let go."""
        asked.add_done_callback(lambda done: self.gate.changed() if done.cancelled() else self._seen(done))
        await self.come_about(asked.done, lambda: f"no answer to {what}", *ways)
        return await asked

    def _seen(self, done: asyncio.Future[Any]) -> None:
        done.exception()  # it is raised where the answer is awaited, if it still is
        self.gate.changed()

    async def patiently(self, answer: Coroutine[Any, Any, T], what: str, *ways: Way) -> T:
        """Awaits an answer; `AdapterBroken` if the daemon dies or does not answer."""
        try:
            return await self.answered(asyncio.ensure_future(answer), what, *ways)
        except DaemonDied as death:
            raise AdapterBroken(f"crash: {death}", self.session.daemon.last_output) from death
