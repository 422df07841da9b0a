"""What goes on in one scenario on QEMU: its disks, its jobs as events tell, its guest writes in flight.

`settled` is the one way of waiting: until every job stands still, at the gate or of its own accord.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.adapter import AdapterBroken
from cbtcheck.nbd.server import Disk
from cbtcheck.qemu.daemon import DaemonDied
from cbtcheck.qemu.gate import Gate, GatedJob, GuestRequest
from cbtcheck.qemu.session import Session, Source

PATIENCE = 5.0
"""Seconds after which QEMU is said to hang."""

GRACE = 0.008
"""Seconds that something which should wait is given to show that it does not; QEMU answers in 1 to 3 thousandths."""

MOMENT = 0.003
"""Seconds after which something that should happen at once is helped along."""


@dataclass
class InFlight:
    """A guest write that a scenario keeps in flight."""

    guest: GuestRequest
    reply: asyncio.Future[None] | None


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
        elif kind == "BLOCK_JOB_ERROR" and data["action"] == "stop":
            job = self.gate.jobs.get(data["device"])
            if job is not None:
                job.paused = True
        else:
            return
        self.gate.changed()

    # Jobs

    def living(self, on: str | None = None) -> list[GatedJob]:
        """The jobs that have not ended, of one disk or of all."""
        jobs = self.gate.jobs.values()
        return [job for job in jobs if job.status != "null" and (on is None or job.on == on)]

    def still(self, job: GatedJob) -> bool:
        """Whether nothing more will happen to this job by itself.

        A job is *paused* also while its disk is drained, and passes through *waiting* and *pending* on its way to
        the end: then it is not still.
        """
        if job.outcome or job.status == "null":
            return job.status == "null"
        group = [self.gate.jobs[id] for id in job.group if id in self.gate.jobs]
        if job.status == "waiting":
            return any(peer.status not in ("waiting", "pending") for peer in group)
        if job.status == "pending":
            return not all(peer.auto_finalize for peer in group)
        return job.paused if job.status == "paused" else job.held is not None

    async def settled(self, jobs: Iterable[GatedJob] | None = None, final: bool = False) -> None:
        """Waits until the jobs stand still, or with `final` have ended.

        A job's end waits for everything in flight on its disk: after a short grace, guest writes and the copies of
        other jobs there are let go.
        """
        watched = list(self.gate.jobs.values()) if jobs is None else list(jobs)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        moments = 0
        while True:
            rest = [job for job in watched if job.status != "null" and (final or not self.still(job))]
            if not rest:
                self.gate.close()
                return
            if not await self.gate.wait(MOMENT):
                self.check_alive()
                moments += 1
                for job in rest:
                    self.nudge(job.on)
                    if moments * MOMENT > GRACE:
                        self.let_writes_go(job.on)
                        self.let_copies_go(job.on, job)
                if asyncio.get_running_loop().time() > deadline:
                    stuck = ", ".join(f"{job.id} is {job.status}" for job in rest)
                    raise AdapterBroken(f"hang: {stuck} for {PATIENCE:.0f} s", self.session.daemon.last_output)

    def let_copies_go(self, on: str | None = None, but: GatedJob | None = None) -> None:
        """Lets every copy at the gate pass, of the jobs of one disk or of all; the next ones are held again."""
        for job in self.living(on):
            if job is not but and job.held is not None:
                self.gate.release(job, in_background=True)

    def take_ended(self) -> tuple[tuple[str, str], ...]:
        """The jobs that have ended since last asked, which are then forgotten."""
        gone = [job for job in self.gate.jobs.values() if job.status == "null"]
        for job in gone:
            del self.gate.jobs[job.id]
            if job.held is not None:
                job.held.complete()
        gone, self.gate.retired = [*self.gate.retired, *gone], []
        return tuple((job.id, job.outcome) for job in gone)

    # Guest writes in flight

    def let_writes_go(self, on: str | None = None) -> list[tuple[str, str]]:
        """Lets the writes in flight on a disk (or all) end well. Returns which were still held."""
        released = []
        for (disk, id), write in self.writes.items():
            if (on is None or disk == on) and write.guest.held is not None:
                request, write.guest.held = write.guest.held, None
                request.complete()
                released.append((disk, id))
        return released

    def forget_landed(self, on: str | None) -> None:
        """Writes of nothing, which ended as soon as they began, are not in flight after a drain."""
        for key in [key for key, write in self.writes.items() if write.reply is None]:
            if on is None or key[0] == on:
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

    async def until(self, on: str, true: Callable[[], bool], what: str) -> None:
        """Waits for something that the I/O of a disk brings about by itself; nudges that if it takes a moment."""
        for _ in range(int(PATIENCE / MOMENT)):
            if true():
                return
            if not await self.gate.wait(MOMENT):
                self.check_alive()
                self.nudge(on)
        raise AdapterBroken(f"hang: {what} does not go on", self.session.daemon.last_output)

    async def landed(self, on: str, reply: asyncio.Future[None]) -> None:
        """Waits for the answer to a guest write that was let go; an error answer is an answer, too.

        QEMU 7.2's NBD client (block/nbd.c) can sit on the reply to an older request while a younger one is in
        flight, until anything else happens on that connection. So it is nudged.
        """
        for _ in range(int(PATIENCE / MOMENT)):
            await asyncio.wait({reply}, timeout=MOMENT)
            if reply.done():
                return
            self.check_alive()
            self.nudge(on)
        raise AdapterBroken("hang: no answer to a guest write", self.session.daemon.last_output)

    def nudge(self, on: str) -> None:
        """Makes something happen on a disk's connection, without a trace: the guest flushes."""
        source = self.sources.get(on)
        if source is not None and not source.guest.closed:
            source.guest.flush().add_done_callback(lambda flush: flush.cancelled() or flush.exception())

    # Death

    def check_alive(self) -> None:
        """Raises `AdapterBroken` if the daemon has died."""
        daemon = self.session.daemon
        if daemon.died.done():
            raise AdapterBroken(f"qemu-storage-daemon died (status {daemon.died.result()})", daemon.last_output)

    async def patiently(self, answer: Any, what: str) -> Any:
        """Awaits an answer; `AdapterBroken` if the daemon dies or does not answer."""
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise AdapterBroken(f"hang: no answer to {what}", self.session.daemon.last_output) from None
        except DaemonDied as death:
            raise AdapterBroken(f"crash: {death}", self.session.daemon.last_output) from death
