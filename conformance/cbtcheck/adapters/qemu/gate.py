"""The gate: which I/O of QEMU may pass, which is held, and which fails.

Both ends of every backup are disks of ours. A job that has something to copy always has exactly one copy waiting at
the gate (with one worker and one cluster at a time): held at its *read* of the source if it is the only job of that
disk, else at its *write* to the target, since reads of several jobs cannot be told apart. So a scenario decides when
each copy happens. Guest writes pass, unless they are to stay in flight or to fail, and so does the copy-before-write
that they cause: any copy within the range that is being written.

Nothing here waits: handlers decide at once, and `changed` tells whoever waits to look again.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass, field
from typing import NamedTuple

from cbtmodel.backup import Side
from cbtwire.nbd.disk import Disk, Request

from cbtcheck.adapter import POISON

Range = tuple[int, int]


class Passed(NamedTuple):
    """A copy that has reached the target: its byte range, and whether a scenario had it in flight until then."""

    start: int
    end: int
    begun: bool = False

    @property
    def range(self) -> Range:
        """(start, end) in bytes."""
        return self.start, self.end


def overlap(one: Range, other: Range) -> bool:
    """Whether two (start, end) ranges share a byte; an empty range shares what it lies within."""
    return one[0] < other[1] and other[0] < one[1]


@dataclass
class GatedJob:
    """A job as its I/O shows it. `open`: everything may pass. `begun`: a scenario has the held copy in flight."""

    job_id: str
    node: str
    target: Disk
    held: Request | None = None
    begun: bool = False
    open: bool = False
    through: Range | None = None  # this one copy passes, in the background
    copied: list[Range] = field(default_factory=list)
    in_background: list[Passed] = field(default_factory=list)
    before_write: list[Passed] = field(default_factory=list)  # within what a guest writes meanwhile
    failed: list[tuple[Range, Side]] = field(default_factory=list)  # at the gate, within what a guest writes
    errors: int = 0  # so often QEMU has said that a copy of the job itself failed
    status: str = "created"
    outcome: str = ""
    paused: bool = False  # by an operator, or by an I/O error
    has_bitmap: bool = False
    group: tuple[str, ...] = ()
    auto_finalize: bool = True
    on_error: dict[str, str] = field(default_factory=dict)

    @property
    def at_gate(self) -> Range | None:
        """The (start, end) of the copy that waits at the gate."""
        return None if self.held is None else (self.held.offset, self.held.offset + self.held.length)


@dataclass
class GuestRequest:
    """The guest write that is going on: its cluster-rounded range, and what is to happen to it at the disk."""

    node: str
    reach: Range
    hold: bool = False
    fail: bool = False
    land: bool = False
    copy_fails: str = ""  # "read" or "write": what fails of copy-before-write
    copy_failed: bool = False  # that there was such a copy, and it did fail
    held: Request | None = None
    arrived: bool = False


class Gate:
    """The handlers of all disks, and what they let pass."""

    def __init__(self) -> None:
        self.jobs: dict[str, GatedJob] = {}
        self.successors: dict[str, GatedJob] = {}
        self.retired: list[GatedJob] = []
        self.guest: GuestRequest | None = None
        self.next_read_fails = ""  # the disk of which the next read of whatever job is to fail
        self.failed_read: Range | None = None  # that one; whose it was is for QEMU to say (BLOCK_JOB_ERROR)
        self.changes = 0  # so often something has happened
        self._waiter: asyncio.Future[bool] | None = None

    # Jobs

    def expect(self, job: GatedJob) -> None:
        """A job is about to be started. Its id may be in use: then it can begin only when the other has ended."""
        (self.successors if job.job_id in self.jobs else self.jobs)[job.job_id] = job

    def begins(self, job_id: str) -> None:
        """The job of that id that was expected has begun."""
        if job_id in self.successors:
            self.retired.append(self.jobs.pop(job_id))
            self.jobs[job_id] = self.successors.pop(job_id)

    def _job_of(self, target: Disk) -> GatedJob | None:
        for job_id, job in list(self.successors.items()):
            if job.target is target:
                self.begins(job_id)
        return next((job for job in self.jobs.values() if job.target is target), None)

    # Waiting

    def changed(self) -> None:
        """Something has happened: whoever waits looks again."""
        self.changes += 1
        self._wake(True)

    async def wait(self, seconds: float) -> bool:
        """Waits for the next change. False if none came in that time."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        alarm = loop.call_later(seconds, self._wake, False)
        try:
            return await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None

    def _wake(self, changed: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(changed)

    # Disks

    def watch_source(self, disk: Disk, node: str) -> None:
        """This disk is the source `on`."""
        disk.handler = lambda request: self._at_source(node, request)

    def watch_target(self, disk: Disk) -> None:
        """This disk is a backup's target; it is poisoned anew."""
        disk.content.refill(POISON)
        disk.handler = self._at_target

    def _at_source(self, node: str, request: Request) -> None:
        if request.kind == "read":
            self._source_read(node, request)
        elif request.kind == "flush":
            request.complete()
            return
        else:
            self._guest_write(node, request)
        self.changed()

    def _guest_write(self, node: str, request: Request) -> None:
        guest = self.guest
        if guest is None or guest.node != node:
            request.complete()
            return
        guest.arrived = True
        if guest.hold:
            guest.held = request
        elif guest.fail:
            request.fail(errno.EIO, land=guest.land)
        else:
            request.complete()

    def _source_read(self, node: str, request: Request) -> None:
        start, end = request.offset, request.offset + request.length
        guest = self.guest
        if guest is not None and guest.node == node and overlap(guest.reach, (start, end)):
            if guest.copy_fails == "read":
                self._fail_copy(request, node, "read error")
            else:
                request.complete()
            return
        running = [job for job in self.jobs.values() if job.node == node and not job.outcome]
        running += [job for job in self.successors.values() if job.node == node]
        if self.next_read_fails == node:
            self.next_read_fails, self.failed_read = "", (start, end)
            request.fail(errno.EIO)
            return
        if len(running) == 1 and not running[0].open and running[0].held is None:
            running[0].held = request
        else:
            request.complete()

    def _at_target(self, request: Request) -> None:
        if request.kind == "flush":
            request.complete()
            return
        job = self._job_of(request.disk)
        if job is None:
            request.complete()
            return
        guest, reach = self.guest, (request.offset, request.offset + request.length)
        if guest is not None and guest.node == job.node and overlap(guest.reach, reach):
            if guest.copy_fails == "write":
                job.failed.append((reach, "write error"))
                request.fail(errno.EIO)
            else:
                self._copy_done(job, request)
                job.before_write.append(Passed(*reach))
        elif job.open or job.through == reach:
            job.through = None
            self._copy_done(job, request)
            job.in_background.append(Passed(*reach))
        elif job.held is None:
            job.held = request
        else:  # more in flight than one worker can have: let it pass, the record of copies tells
            self._copy_done(job, request)
            job.in_background.append(Passed(*reach))
        self.changed()

    def _fail_copy(self, request: Request, node: str, side: Side) -> None:
        """The read of a copy fails. Nothing at the gate tells of which job it is: it is kept with all of the disk."""
        for job in self.jobs.values():
            if job.node == node and not job.outcome:
                job.failed.append(((request.offset, request.offset + request.length), side))
        request.fail(errno.EIO)

    def _copy_done(self, job: GatedJob, request: Request) -> None:
        if request.kind == "trim":
            request.fail(errno.EINVAL)
            return
        request.complete()
        job.copied.append((request.offset, request.offset + request.length))

    # What a scenario does at the gate

    def open(self, job: GatedJob) -> None:
        """Everything of this job passes from now on, in the background."""
        job.open = True
        if job.held is not None:
            self.release(job, in_background=True)

    def close(self) -> None:
        """Every job is held again from its next copy on."""
        for job in self.jobs.values():
            job.open = False

    def release(self, job: GatedJob, *, in_background: bool = False) -> None:
        """The request that is held passes: a read, whose write will come to the gate, or a write, which is a copy."""
        request, job.held = job.held, None
        begun, job.begun = job.begun, False
        assert request is not None
        reach = (request.offset, request.offset + request.length)
        if request.disk is job.target:
            self._copy_done(job, request)
            if in_background:
                job.in_background.append(Passed(*reach, begun))
            elif self.guest is not None:
                job.before_write.append(Passed(*reach, begun))
        else:
            job.through = reach if in_background else None
            request.complete()

    def fail(self, job: GatedJob) -> None:
        """The request that is held fails with EIO."""
        request, job.held = job.held, None
        job.begun = False
        assert request is not None
        request.fail(errno.EIO)

    def held_at_write(self, job: GatedJob) -> bool:
        """Whether what is held of this job is its write to the target."""
        return job.held is not None and job.held.disk is job.target
