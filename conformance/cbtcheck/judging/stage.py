"""The director: at each point of the conversation it makes the guest's writes and the faults of a schedule."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from cbtcheck.judging.conversation import Entry, backups_started, brief, concerns_disks, event_name, granularities
from cbtcheck.judging.emulator import Emulator
from cbtcheck.judging.failing import drive_backups, failing_files, failing_node, late_sectors
from cbtcheck.judging.guest import Guest
from cbtcheck.judging.hosted import HostedEmulator
from cbtcheck.judging.instants import MOST_WRITES
from cbtcheck.judging.monitor import MonitorLost, Refused
from cbtcheck.judging.proxy import Asked, CutOff, Instead
from cbtcheck.judging.schedule import FAULTS, Fault, Point, Schedule, Write
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.tool import Running

SLOW = 1.0
"""Seconds that a slow disk takes."""

INJECTED = "Input/output error"
MOST_ENTRIES = 20_000
"""Entries of a conversation that are kept: a tool that floods is not recorded to its end."""


Hosting = Emulator | HostedEmulator


class Stage:
    """What happens at the points. One thing happens at a time."""

    def __init__(self, schedule: Schedule, guest: Guest, storage: Storage, emulator: Hosting) -> None:
        self.entries: list[Entry] = []
        self.points: list[str] = []
        self.targets: dict[str, str] = {}
        """The points at which the targets of backups were added, by node name as the run has it last."""

        self.target_points: list[str] = []
        self.reached: set[str] = set()
        self.copied = 0
        self.coarsest = 0
        """The largest granularity of a bitmap that the tool has asked for, in bytes."""

        self.run = ""
        self.tool: Running | None = None
        self.problem: Exception | None = None
        self.faulty = False
        self.restoring = False
        self.down = False
        """Whether a QEMU that the tool has to start was ended, so that the guest has no disks."""

        self._schedule, self._guest, self._storage, self._emulator = schedule, guest, storage, emulator
        self._writes: dict[str, list[Write]] = {}
        for each in schedule.writes:
            self._writes.setdefault(each.at, []).append(each)
        self._faults: dict[str, list[Fault]] = {}
        for fault in schedule.faults:
            self._faults.setdefault(fault.at, []).append(fault)
        self._paused = False
        self._waiting: list[tuple[Point, Write]] = []
        """Writes that were due while the guest was stopped: it makes them when it goes on."""

        self._counts: Counter[tuple[str, str]] = Counter()
        self._one_at_a_time = asyncio.Lock()
        self._slow: set[asyncio.Task[None]] = set()

    # The play's side

    def begin(self, run: str) -> None:
        """A run of the tool begins."""
        self.run, self.copied = run, 0
        if self._paused:
            self._paused = False
            self.note("the tool has left the guest stopped: it goes on now")
        self._counts.clear()
        self.targets.clear()

    def note(self, text: str) -> None:
        """Something that the suite did, or saw."""
        self._enter(Entry("suite", text, self.run))

    async def start_of(self, run: str, up_again: Callable[[], Awaitable[None]]) -> None:
        """Before a run begins. `up_again` has a QEMU started that is down and that the tool has to start."""
        point = Point(run, "start")
        async with self._one_at_a_time:
            self._seen(point)
            for fault in self._due(point, ("restart", "emulator-killed")):
                self._tell_fault(fault)
                await self._emulator_ends(fault.kind == "emulator-killed")
        await up_again()
        async with self._one_at_a_time:
            await self._write(point)

    def rest(self) -> None:
        """The run is over: nothing is held back any more."""
        self._storage.fail_next_read = False
        self._storage.let_go()
        for task in self._slow:
            task.cancel()
        self._slow.clear()

    # The proxy's side

    async def command(self, connection: int, message: dict[str, Any], raw: bytes) -> Instead | None:
        """A command of the tool."""
        async with self._one_at_a_time:
            name = str(message.get("execute", message.get("exec-oob")))
            if self.restoring or not concerns_disks(name):
                self._enter(Entry("tool", brief(message), self.run, "", connection, raw))
                return None
            point = self._point("before", name)
            if name == "blockdev-add" and isinstance(message.get("arguments"), dict):
                self.targets[str(message["arguments"].get("node-name"))] = str(point)
            for each in backups_started(name, message.get("arguments")):
                with suppress(KeyError):
                    self.target_points.append(self.targets[str(each.get("target"))])
            if any(drive_backups(message, self._storage.disks)):
                self.target_points.append(str(point))
            self.coarsest = max([self.coarsest, *granularities(name, message.get("arguments"))])
            await self._write(point)
            instead = await self._before(point, connection, message, raw)
            if instead is not None and instead.to_tool:
                return instead
            said = message if instead is None else json.loads(instead.to_qemu)
            self._enter(Entry("tool", brief(said), self.run, str(point), connection, raw))
            if backups_started(name, message.get("arguments")):
                later = str(Point(self.run, "copying", name, self._counts["before", name]))
                self._storage.holding = later in self._writes or later in self._faults
            return instead

    async def reply(self, connection: int, asked: Asked | None, message: dict[str, Any], raw: bytes) -> None:
        """A reply of QEMU."""
        async with self._one_at_a_time:
            if self.restoring or asked is None or not concerns_disks(asked.name):
                self._enter(Entry("QEMU", brief(message), self.run, "", connection, raw))
                if asked is not None and asked.name in ("stop", "cont") and "return" in message:
                    self._paused = asked.name == "stop"
                    await self._make_waiting()
                return
            point = self._point("reply", asked.name)
            self._enter(Entry("QEMU", brief(message), self.run, str(point), connection, raw))
            started = backups_started(asked.name, asked.arguments) if "return" in message else []
            await self._write(point)
            await self._ends(point, connection)
            if not started:
                self._storage.let_go()
                return
            copying = Point(self.run, "copying", asked.name, point.number)
            self._seen(copying)
            await self._write(copying)
            await self._while_copying(copying, started)
            await self._ends(copying, connection)

    async def event(self, connection: int, message: dict[str, Any], raw: bytes) -> None:
        """An event of QEMU."""
        async with self._one_at_a_time:
            name, data = event_name(message), message.get("data")
            if message["event"] == "BLOCK_JOB_COMPLETED" and isinstance(data, dict):
                self.copied += data["len"] if isinstance(data.get("len"), int) else 0
            if self.restoring or not name:
                self._enter(Entry("QEMU", brief(message), self.run, "", connection, raw))
                return
            point = self._point("event", name)
            self._enter(Entry("QEMU", brief(message), self.run, str(point), connection, raw))
            await self._write(point)
            await self._ends(point, connection)

    # Points

    def _point(self, kind: str, name: str) -> Point:
        self._counts[kind, name] += 1
        point = Point(self.run, kind, name, self._counts[kind, name])
        self._seen(point)
        return point

    def _seen(self, point: Point) -> None:
        self.points.append(str(point))
        if len(self.points) > MOST_ENTRIES:
            del self.points[-1]

    def _enter(self, entry: Entry) -> None:
        if len(self.entries) < MOST_ENTRIES:
            self.entries.append(entry)
        elif len(self.entries) == MOST_ENTRIES:
            self.entries.append(Entry("suite", f"more than {MOST_ENTRIES} entries: the rest is not recorded"))

    def _due(self, point: Point, kinds: Iterable[str]) -> list[Fault]:
        found = [each for each in self._faults.get(str(point), ()) if each.kind in kinds]
        self.reached |= {f"{each.at} {each.kind}" for each in found}
        return found

    def _tell_fault(self, fault: Fault) -> None:
        self.faulty = True
        self.note(f"fault: {FAULTS[fault.kind]}")

    async def _write(self, point: Point) -> None:
        """The guest's writes of a point. After a problem there are no more: the schedule is over."""
        due = self._writes.pop(str(point), ())
        self._waiting += [(point, each) for each in due]
        await self._make_waiting()

    async def _make_waiting(self) -> None:
        """What was due is made, unless the guest is stopped."""
        while self._waiting and not self._paused:
            point, each = self._waiting.pop(0)
            if self.problem is not None or self.down or self._guest.history.instant >= MOST_WRITES:
                self._waiting.clear()
                return
            self.reached.add(each.at)
            try:
                done = await self._guest.make(each)
            except Exception as problem:
                self.problem = problem
                raise CutOff from None
            text = f"{each.op} {each.disk} {each.offset >> 10}K+{each.length >> 10 or each.length / 1024:g}K"
            self._enter(Entry("guest", text, self.run, str(point), write=each, number=done.number, parts=done.parts))

    # Faults

    async def _before(
        self, point: Point, connection: int, message: dict[str, Any], raw: bytes
    ) -> Instead | None:
        instead = None
        for fault in self._due(point, ("error", "target-EIO", "target-ENOSPC")):
            if fault.kind == "error":
                self._enter(Entry("tool", f"{brief(message)} (never reaches QEMU)", self.run, str(point), connection))
                self._tell_fault(fault)
                answer = {"id": message["id"]} if "id" in message else {}
                answer["error"] = {"class": "GenericError", "desc": INJECTED}
                self._enter(Entry("QEMU", f"error: {INJECTED} (the suite's)", self.run, "", connection))
                return Instead(to_tool=json.dumps(answer).encode() + b"\r\n")
            self._tell_fault(fault)
            sectors = late_sectors([each.size for each in self._storage.disks])
            if "blockdev-add" in (message.get("execute"), message.get("exec-oob")):
                changed = failing_node(message, fault.kind, sectors)
            else:
                changed = failing_files(message, fault.kind, sectors, self._storage.disks)
            instead = Instead(to_qemu=json.dumps(changed).encode())
        await self._ends(point, connection)
        return instead

    async def _while_copying(self, point: Point, started: list[dict[str, Any]]) -> None:
        for fault in self._due(point, ("cancel", "slow", "source-EIO")):
            self._tell_fault(fault)
            if fault.kind == "cancel":
                for each in started:
                    with suppress(Refused, MonitorLost):
                        await self._cancel(str(each.get("job-id", each.get("device"))))
            elif fault.kind == "source-EIO":
                self._storage.fail_held()
            else:
                task = asyncio.ensure_future(self._slowly())
                self._slow.add(task)
                return
        self._storage.let_go()

    async def _cancel(self, job: str) -> None:
        """Asks for it, and lets go what the job waits for."""
        asked = asyncio.ensure_future(self._emulator.monitor.execute("block-job-cancel", device=job, force=True))
        await asyncio.sleep(0)
        await asyncio.wait([asked], timeout=5)
        await asked

    async def _slowly(self) -> None:
        await asyncio.sleep(SLOW)
        self._storage.let_go()

    async def _ends(self, point: Point, connection: int) -> None:
        """Faults that end something at a point. `CutOff` if the connection is among it."""
        cut = False
        for fault in self._due(point, ("TERM", "KILL", "emulator-killed", "closed")):
            self._tell_fault(fault)
            if fault.kind == "TERM" and self.tool is not None:
                self.tool.terminate()
                await asyncio.sleep(0.02)  # it is the tool's to act on it before it hears more
            elif fault.kind == "KILL" and self.tool is not None:
                self.tool.kill()
                cut = not self._emulator.plan.service  # else the connection is that of somebody who lives on
            elif fault.kind == "emulator-killed":
                await self._emulator_ends(True)
                cut = True
            else:
                self.down = isinstance(self._emulator, HostedEmulator)  # the tool may end it now, or not
                cut = True
        if cut:
            self._storage.let_go()
            raise CutOff

    async def _emulator_ends(self, by_force: bool) -> None:
        try:
            device, self._guest.device = self._guest.device, None
            if by_force:
                await self._emulator.kill()
            # What was arranged for a copy of this QEMU is not for the next one, which reads when it opens the disks.
            self._storage.fail_next_read = False
            self._storage.let_go()
            if not by_force:
                await self._emulator.quit()
            if device is not None:
                await device.close()
            if isinstance(self._emulator, HostedEmulator):
                self.down = True
                return
            self._guest.device = await self._emulator.start()
        except Exception as problem:
            self.problem = problem
            raise CutOff from None
