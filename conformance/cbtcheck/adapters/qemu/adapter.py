"""A real qemu-storage-daemon as an adapter, with the suite on both ends of its I/O.

The daemon and its disks live through many scenarios; after a crash or a hang, a new one takes its place at the next
reset. What QEMU has no command for (which cluster is copied next, what waits for what) is resolved at the gate, and
the trace tells what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.image import Event
from cbtwire.nbd import content
from cbtwire.nbd.client import NbdDisconnected, NbdError
from cbtwire.qmp import CLUSTER

from cbtcheck.adapter import (
    ACCEPTED,
    FEATURES,
    Adapter,
    AdapterBroken,
    AdapterUnusable,
    Capabilities,
    Hint,
    Observation,
    Performed,
)
from cbtcheck.adapters.qemu.bitmaps import read_bits
from cbtcheck.adapters.qemu.daemon import (
    BINARY_NAME,
    DaemonDied,
    DaemonMissing,
    DaemonTooOld,
    QmpRefused,
    find_daemon,
)
from cbtcheck.adapters.qemu.environment import Environment
from cbtcheck.adapters.qemu.images import EventTrace, QemuImages
from cbtcheck.adapters.qemu.observe import observe
from cbtcheck.adapters.qemu.operate import Operator
from cbtcheck.adapters.qemu.session import Session
from cbtcheck.adapters.qemu.stage import Stage
from cbtcheck.content import Content, Runs, equal_runs
from cbtcheck.host.lacking import lacking
from cbtcheck.scenario.scenario import KINDS, LARGEST_DISK

T = TypeVar("T")

MOMENT = 0.5
"""Seconds in which what was interrupted is tidied up."""

LARGEST = (1 << 40) + (1 << 35)
"""Bytes. Its backups have a bit for each of 17 million clusters, in the specification, too."""

BIG, TAILED = 8 * CLUSTER, 4 * CLUSTER + 1536


def _why_not(problem: Exception) -> list[str]:
    """Why a daemon cannot be used that has not started, or has answered as none does."""
    if lacking(problem):
        return [lacking(problem)]
    if isinstance(problem, DaemonDied):
        return [str(problem), *problem.last_output.strip().splitlines()[-1:]]
    if isinstance(problem, DaemonMissing | DaemonTooOld | OSError | QmpRefused):
        return [str(problem)]
    return [f"it does not answer as a {BINARY_NAME} does ({type(problem).__name__}: {problem})"]


def _shown(bytes_of: content.Flat | content.Sparse) -> Content:
    """All that is on a disk of our NBD server."""
    if isinstance(bytes_of, content.Flat):
        return bytes_of.all()
    return Runs(
        (value, count * times) for data, times in bytes_of.pieces() for value, count in equal_runs(data)
    )


class QemuAdapter(Adapter):
    """Drives a qemu-storage-daemon. `AdapterUnusable` if there is none, or one that is too old.

    `alignment`: its disks have sectors of so many bytes, a power of two of at most `CLUSTER`; 1: none.
    """

    name = "qemu"
    capabilities = Capabilities(
        commands=frozenset(KINDS),
        clusters=(CLUSTER,),
        granularities=(CLUSTER, 4096, 2 * CLUSTER, 512, 4 * CLUSTER),
        picks_clusters=False,
        any_cluster=False,
        max_jobs=4,
        features=FEATURES,
        largest_disk=LARGEST,
        largest_content=LARGEST_DISK,
        most_granules=LARGEST // CLUSTER,
        most_clusters=LARGEST // CLUSTER,
        most_copied=2048,  # each passes the gate by itself
        longest_write=(1 << 32) - 512,  # 32 bits in a request of NBD
        max_writes=9,  # its NBD server has sixteen requests of a client in flight
        disks=(
            {"disk0": BIG},
            {"disk0": BIG, "disk1": BIG},
            {"disk0": TAILED},
            {"disk0": TAILED, "disk1": BIG},
        ),
    )

    def __init__(self, daemon: str | None = None, alignment: int = 1) -> None:
        if alignment > 1:  # QEMU's disks are of whole sectors
            claimed = self.capabilities
            whole = tuple(each for each in claimed.disks if not any(size % alignment for size in each.values()))
            tails = alignment <= 512
            self.capabilities = replace(claimed, alignment=alignment, sector=alignment, tails=tails, disks=whole)
        try:
            self._binary = find_daemon(daemon)
        except DaemonMissing as missing:
            raise AdapterUnusable(str(missing)) from None
        self._loop = asyncio.new_event_loop()
        self._session: Session | None = None
        self._stage: Stage | None = None
        self._images: QemuImages | None = None
        self.daemons_started = 0
        try:
            self._run(self._start())
        except BaseException as problem:  # an interrupt, too, leaves nothing behind
            self.close()
            if isinstance(problem, AdapterUnusable) or not isinstance(problem, Exception):
                raise
            raise AdapterUnusable(": ".join([f"{self._binary} cannot be used", *_why_not(problem)])) from None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            # It may have come anywhere in the loop. What is not tidied up in a moment ends with this process, as the
            # daemon does in any case, and what asyncio would say of it is of no interest.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            task.cancel()
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(asyncio.wait({task}, timeout=MOMENT))
            raise

    async def _start(self) -> Session:
        self._session = await Session.start(self._binary, self.capabilities.alignment)
        self._version = f"qemu-storage-daemon {self._session.daemon.version_text}"
        self.daemons_started += 1
        return self._session

    @property
    def version(self) -> str:
        """QEMU's version with its package."""
        return self._version

    def reset(self, disks: dict[str, int]) -> None:
        """Fresh disks on the same daemon; on a new one if this one is not well."""
        self._on_fresh(self._reset(disks))

    def reset_in_images(self, disks: dict[str, int]) -> None:
        """The same, each disk in a qcow2 image."""
        self._on_fresh(self._reset(disks, images=True))

    def _on_fresh(self, reset: Coroutine[Any, Any, None]) -> None:
        try:
            self._run(reset)
        except (DaemonDied, NbdDisconnected, QmpRefused, OSError) as problem:
            self._give_up()
            raise AdapterBroken(f"no fresh disks: {problem}") from problem
        except AdapterBroken:
            self._give_up()
            raise

    async def _reset(self, disks: dict[str, int], images: bool = False) -> None:
        if self._session is not None and (not await self._swept() or self._session.crowded(disks.values())):
            await self._session.stop(kill=True)
            self._session = None
        session = self._session or await self._start()
        stage = self._stage = Stage(session)
        self._images = QemuImages(stage) if images else None
        if self._images is not None:
            await self._images.begin(disks)
        numbers: dict[int, int] = {}
        for name, size in () if images else disks.items():
            number = numbers[size] = numbers.get(size, -1) + 1
            source = stage.sources[name] = await session.source(size, number)
            source.disk.content.refill(0)
            stage.gate.watch_source(source.disk, name)
        session.daemon.on_event = stage.on_event
        self._operator = Operator(stage)
        self._environment = Environment(stage, self._operator)

    async def _swept(self) -> bool:
        """Ends what the last scenario left: writes, jobs, bitmaps. False if that does not work."""
        stage = self._stage
        if stage is None:
            return True
        if stage.session.daemon.died.done():
            return False
        try:
            return await self._sweep(stage)
        except AdapterBroken:
            return False

    async def _sweep(self, stage: Stage) -> bool:
        stage.let_writes_go()
        for (node, _), write in stage.writes.items():
            if write.reply is not None:
                await stage.landed(node, write.reply)
        stage.writes.clear()
        # Paused first, with the copies in flight held: a job's end waits for the copies of others (see `settled`),
        # which might end with it. For what happens when jobs end together see the ledger.
        for job in stage.living():
            with contextlib.suppress(QmpRefused):
                await stage.patiently(stage.session.daemon.execute("job-pause", {"id": job.job_id}), "job-pause")
                job.paused = True
        for job in stage.living():
            stage.gate.open(job)
            await stage.settled([job])
        for job in stage.living():
            with contextlib.suppress(QmpRefused):
                await stage.patiently(stage.session.daemon.execute("job-cancel", {"id": job.job_id}), "job-cancel")
            await stage.settled([job], final=True)
        await stage.monitor_answers()
        if self._images is not None:  # with their bitmaps
            images, self._images = self._images, None
            await images.end()
            return True
        places = [{"node": stage.node(node), "name": name} for node, name in sorted(stage.bitmaps)]
        stage.bitmaps.clear()
        removed = stage.session.daemon.execute_many([("block-dirty-bitmap-remove", place) for place in places])
        return not any(isinstance(each, QmpRefused) for each in await stage.patiently(removed, "removal"))

    def finish(self) -> None:
        """Everything is let go and ended; after that, the guest must still be able to write."""
        try:
            self._run(self._finish())
        except (DaemonDied, NbdDisconnected) as death:
            self._give_up()
            raise AdapterBroken(f"crash: {death}") from death
        except AdapterBroken:
            self._give_up()
            raise

    async def _finish(self) -> None:
        stage = self._stage_now()
        await self._sweep(stage)
        for name, source in stage.sources.items():
            if source.read_only:
                continue
            reply = source.guest.write(0, b"\1")
            await stage.landed(name, reply)
            try:
                reply.result()
            except NbdError as error:
                raise AdapterBroken(f"at the end, no guest write to {name} is possible: {error}") from error

    def perform(self, command: Command, hint: Hint) -> Performed:
        """Makes the command happen on QEMU. A crash or a hang makes room for a new daemon."""
        return self._well(self._perform(command, hint))

    def _well(self, performing: Coroutine[Any, Any, Performed]) -> Performed:
        try:
            return self._run(performing)
        except (DaemonDied, NbdDisconnected) as lost:
            how = str(lost)
            daemon = self._stage_now().session.daemon
            self._run(daemon.gone_within(1.0))  # a lost connection is noticed before the death of the process
            if daemon.died.done():
                how = str(DaemonDied(daemon.died.result(), ""))
            broken = AdapterBroken(f"crash: {how}", daemon.last_output)
            self._give_up()
            raise broken from lost
        except AdapterBroken:
            self._give_up()
            raise

    def happen(self, event: Event, hint: Hint) -> Performed:
        """What happens to images; a crash and a hang are as those of a command."""
        return self._well(self._happen(event, hint))

    async def _happen(self, event: Event, hint: Hint) -> Performed:
        assert self._images is not None, "reset_in_images comes first"
        stage = self._stage_now()
        stage.no_reply_is_sat_on()
        return await self._with_what_passed(await self._images.happen(event, hint))

    async def _perform(self, command: Command, hint: Hint) -> Performed:
        stage = self._stage_now()
        stage.no_reply_is_sat_on()  # or a job or a guest would have waited for it until now
        if isinstance(command, c.Guest | c.Copying):
            trace = await self._environment.perform(command, hint)
        else:
            trace = await self._operator.perform(command, hint)
        return await self._with_what_passed([*trace])

    async def _with_what_passed(self, trace: EventTrace) -> Performed:
        """What has happened, and after it what was let go because something waited for it."""
        stage = self._stage_now()
        await stage.settled()
        while stage.graph_changes:
            await stage.monitor_answers()
            await stage.settled()
        for job in stage.gate.jobs.values():  # copies that were let go because something else waited for them
            trace += self._operator.copies(job)
        trace += [(c.EndWrite(*place), ACCEPTED) for place in await stage.let_go_meanwhile()]
        return Performed(tuple(trace), stage.take_ended())

    def _stage_now(self) -> Stage:
        assert self._stage is not None, "reset comes first"
        return self._stage

    def _give_up(self) -> None:
        """The daemon is dead or as good as: it is killed now, and the next reset starts another."""
        session, self._session, self._stage, self._images = self._session, None, None, None
        if session is not None:
            self._run(session.stop(kill=True))

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """What QEMU shows now."""
        try:
            images = None if self._images is None else self._images.seen()
            return self._run(observe(self._stage_now(), exact, images))
        except (DaemonDied, AdapterBroken) as problem:
            self._give_up()
            raise AdapterBroken(str(problem)) from problem

    def bits(self, node: str, name: str) -> int | None:
        """The granules of a bitmap, read over NBD; None if it is busy, or while I/O is held (reading would hang)."""
        stage = self._stage_now()
        if any(job.held for job in stage.living()) or any(write.guest.held for write in stage.writes.values()):
            return None
        session = stage.session
        try:
            read = read_bits(session.daemon, stage.node(node), name, session.export_socket)
            return self._run(stage.patiently(read, "block status"))
        except (QmpRefused, LookupError):
            return None

    def disk(self, node: str) -> Content:
        """The content of a disk, from our end of it."""
        if self._images is not None:
            return _shown(self._images.disks[node].data.content)
        return _shown(self._stage_now().sources[node].disk.content)

    def target(self, job: str) -> Content:
        """The content of a target, from our end of it. An id may be used again: its targets are given in order."""
        return _shown(self._stage_now().targets[job].pop(0).content)

    def close(self) -> None:
        """Stops the daemon and removes its directory."""
        if self._loop.is_closed():
            return
        session, self._session, self._stage = self._session, None, None
        if session is not None:
            self._run(session.stop(kill=True))  # nothing of it is kept, and a quit would wait for what is held
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
