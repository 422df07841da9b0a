"""Plays a schedule: a full backup and increments by the tool's own commands, and a restore after each."""

from __future__ import annotations

import asyncio
import logging
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cbtcheck.host import temporary
from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.emulator import Emulator, EmulatorProblem
from cbtcheck.judging.enumerated import is_again
from cbtcheck.judging.guest import Guest, GuestProblem
from cbtcheck.judging.hosted import HostedEmulator
from cbtcheck.judging.instants import Comparison, History, Span, fills
from cbtcheck.judging.monitor import MonitorLost, Refused
from cbtcheck.judging.plan import GRANULE, Plan, PlannedDisk, filled_in
from cbtcheck.judging.proxy import CutOff, Proxy
from cbtcheck.judging.schedule import Schedule
from cbtcheck.judging.stage import Hosting, Stage
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.tool import Ended, Running
from cbtcheck.judging.verdicts import Judgement, Reason, worst
from cbtcheck.judging.windows import around

SLACK = 4 * GRANULE
"""Bytes that an increment may copy beyond twice what has changed; then it is wasteful."""

SHOWN = 300

LOSES_ITS_MONITOR = 3.0
"""Seconds that a tool has to end a QEMU whose connection was closed."""


@dataclass
class Outcome:
    """What came of a schedule. `points`: those that were there. `missed`: points of the schedule that were not.

    `targets`: the points at which targets were added. `loud`: runs of the tool that said that they failed. `nodes`:
    QEMU's names of the disks, where they have others.
    """

    schedule: Schedule
    reasons: list[Reason] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    loud: list[str] = field(default_factory=list)
    restored: int = 0
    version: str = ""
    writes: int = 0
    nodes: dict[str, str] = field(default_factory=dict)

    @property
    def judgement(self) -> Judgement:
        """The worst of its reasons."""
        found = worst([each.judgement for each in self.reasons])
        return Judgement.LOUD if found is Judgement.SAFE and self.loud else found


class Play:
    """One schedule, on a QEMU of its own."""

    def __init__(self, plan: Plan, schedule: Schedule, directory: Path) -> None:
        self.plan, self.schedule, self.directory = plan, schedule, directory
        self.work = directory / "tool"
        self.work.mkdir()
        self.socket = Path(plan.socket) if plan.socket else directory / "qmp"
        self.history = History(plan.sizes())
        self.storage = Storage(plan.disks, directory)
        hosted = plan.kind == "tool"
        self.emulator: Hosting = (HostedEmulator if hosted else Emulator)(plan, self.storage, directory)
        self.service: Running | None = None
        self.guest = Guest(self.history, self.storage)
        self.stage = Stage(schedule, self.guest, self.storage, self.emulator)
        self.proxy = Proxy(self.emulator.tool_socket, self.stage)
        self.outcome = Outcome(schedule)
        self.claimed: Span | None = None
        self.failed: list[Span] = []
        """Of the runs that have failed since the last one that succeeded."""

        self.first: Span | None = None
        self.complete = False

    async def play(self) -> Outcome:
        """Plays it. `EmulatorProblem` if there is no QEMU."""
        proxy = self.proxy
        try:
            await self.storage.start()
            if isinstance(self.emulator, HostedEmulator):
                self.emulator.proxy = proxy
                await self.emulator.listen()
            else:
                self.guest.device = await self.emulator.start()
                self.outcome.version = self.emulator.version
                await proxy.listen(self.socket)
            await self._serve()
            await self._steps()
        except (GuestProblem, EmulatorProblem) as problem:
            if not self.outcome.version:
                raise
            if service := await self._failed_service():
                self._add(Judgement.STUCK, f"{service}; {problem}", self.stage.run)
            else:
                self._broken(str(problem))
        except asyncio.CancelledError:  # Ctrl-C: what asyncio says of tasks that it has torn is of no interest
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            raise
        finally:
            self.stage.rest()
            await proxy.close()
            await self.emulator.kill()
            if self.guest.device is not None:
                await self.guest.device.close()
            if self.service is not None:
                await self.service.ended(0)
            await self.storage.close()
        return self._told()

    def _told(self) -> Outcome:
        wanted = {each.at for each in self.schedule.writes} | {f"{e.at} {e.kind}" for e in self.schedule.faults}
        if self.complete:
            self.outcome.missed = sorted(each for each in wanted - self.stage.reached if not is_again(each))
        self.outcome.entries, self.outcome.points = self.stage.entries, self.stage.points
        self.outcome.targets = list(dict.fromkeys(self.stage.target_points))
        self.outcome.writes = self.history.instant
        return self.outcome

    async def _serve(self) -> None:
        """Starts what runs all the while."""
        if self.plan.service:
            command = filled_in(self.plan.service, self._places())
            self.service = await Running.start(command, self.work, self._environment())

    async def _failed_service(self) -> str:
        """How the tool's service has ended, if it has failed: without it the tool is stuck. Else ""."""
        if self.service is None or not self.service.failed:
            return ""
        ended, self.service = await self.service.ended(0), None
        said = f"the tool's service has ended, {ended}: {_last_lines(ended.output)}"
        self.stage.note(said)
        return said

    def _environment(self) -> dict[str, str]:
        return {"CBTSPEC_QMP": str(self.socket), "CBTSPEC_DIR": str(self.work)}

    async def _steps(self) -> None:
        if self.plan.setup:
            self.stage.restoring = True
            done = await self._run("setup", self.plan.setup)
            self.stage.restoring = False
            if not done.succeeded:
                self._broken(f"the setup failed: {done}: {_last_lines(done.output)}")
                return
        if isinstance(self.emulator, HostedEmulator):
            self.guest.device = await self.emulator.start()
            self.outcome.version = self.emulator.version
            self.outcome.nodes = self.emulator.nodes
        for number in range(1, self.schedule.increments + 2):
            if not await self._step(str(number), self.plan.backup if number == 1 else self.plan.increment):
                return
        self.complete = True
        await self.guest.check()
        await self._leftovers()

    async def _step(self, label: str, command: str) -> bool:
        """A backup, with what the tool's user does when it fails; whether to go on."""
        ended = await self._backup(label, command)
        if ended is None:
            return False
        if not ended.succeeded:
            ended = await self._backup(f"{label}a", command)
        if ended is not None and not ended.succeeded and command != self.plan.backup:
            ended = await self._backup(f"{label}b", self.plan.backup)
        if ended is not None and not ended.succeeded:
            what = "the tool fails when it is run again" + ("" if label == "1" else ", with a full backup, too")
            self._add(Judgement.STUCK, f"{what}: {_last_lines(ended.output)}", self.stage.run)
            return False
        return ended is not None

    async def _backup(self, label: str, command: str) -> Ended | None:
        """A run of the tool, and a restore after it. None if that is the end."""
        self.stage.begin(label)
        with suppress(CutOff):
            await self.stage.start_of(label, self._up_again)
        self._go_on()
        begin = self.history.instant
        ended = await self._run(label, command)
        self.stage.rest()
        await self.proxy.quiet()
        self._go_on()
        await self._up_again()
        if self.emulator.died:
            self._broken(self.emulator.died)
            return None
        span = (begin, self.history.instant)
        if ended.late:
            self._add(Judgement.STUCK, f"the tool did not end within {self.plan.deadline:g} s", label)
        if ended.succeeded:
            self._look_for_waste(label, command, span)
            self.claimed, self.failed, self.first = span, [], self.first or span
            await self._restore(label, [span], claimed=True)
        else:
            self.outcome.loud.append(label)
            self.failed.append(span)  # what it may have made all the same, one that comes later may restore
            spans = self.failed if self.claimed is None else [self.claimed, *self.failed]
            await self._restore(label, spans, claimed=False)
        found = [each.judgement for each in self.outcome.reasons]
        return None if Judgement.UNSAFE in found or Judgement.BROKEN in found else ended

    async def _up_again(self) -> None:
        """Has the tool start its QEMU once more, if a fault has ended it. `EmulatorProblem`."""
        if not self.stage.down or not isinstance(self.emulator, HostedEmulator):
            return
        device, self.guest.device = self.guest.device, None
        if device is not None and not await self.emulator.ends(LOSES_ITS_MONITOR):
            self.guest.device = device  # the tool has lost its connection, and lets QEMU live
        else:
            await self.emulator.kill()
            if device is not None:
                await device.close()
            await self.emulator.listen()
            self.stage.restoring = True
            done = await self._run("restart", self.plan.restart)
            self.stage.restoring = False
            if not done.succeeded:
                raise EmulatorProblem(f"it could not be started again: {done}: {_last_lines(done.output)}")
            self.guest.device = await self.emulator.start()
        self.stage.down = False

    async def _run(self, label: str, command: str) -> Ended:
        """One command of the tool."""
        self.stage.note(f"run {label}: {command}")
        self.stage.tool = await Running.start(filled_in(command, self._places()), self.work, self._environment())
        deadline = self.plan.deadline
        ended = await self.stage.tool.ended(deadline)
        if self.stage.faulty and ended.late:
            self.stage.note(f"it did not end within {deadline:g} s, and was killed")
        self.stage.tool = None
        said = "" if ended.succeeded else f": {_last_lines(ended.output)}"
        left = f"; it had left running: {', '.join(ended.left)} (ended)" if ended.left else ""
        self.stage.note(f"run {label}: {ended}{said}{left}")
        return ended

    async def _restore(self, label: str, spans: list[Span], claimed: bool) -> None:
        """What a restore gives back now, judged. `claimed`: the run said that it succeeded."""
        for each in self.plan.disks:
            self._out(each.name).unlink(missing_ok=True)
        self.stage.restoring = True
        try:
            ended = await self._run(f"{label} restore", self.plan.restore)
        finally:
            self.stage.restoring = False
        if not ended.succeeded:
            if claimed:
                why = f"the tool said that the backup succeeded, and its restore fails: {ended}: "
                self._add(Judgement.UNSAFE, why + _last_lines(ended.output), label)
            return
        self.outcome.restored += 1
        restored = {}
        for each in self.plan.disks:
            wrong = self._no_image(each)
            if wrong:
                self._add(Judgement.UNSAFE, f"the restore succeeded, and {wrong}", label)
                return
            restored[each.name] = fills(self._out(each.name).read_bytes())
        for disk, found in self.history.compare(restored, spans, self.plan.together):
            if not found.right:
                self._unsafe(label, disk, found, spans, claimed)

    def _no_image(self, disk: PlannedDisk) -> str:
        """Why what a restore has left is no image of a disk; "" if it is one. It is not read before that is known."""
        try:
            found = self._out(disk.name).stat()
        except OSError:
            return f"there is no image of {disk.name}"
        if not stat.S_ISREG(found.st_mode):
            return f"the image of {disk.name} is no regular file"
        if found.st_size != disk.size:
            return f"the image of {disk.name} has {found.st_size} bytes, and the disk {disk.size}"
        return ""

    def _unsafe(self, label: str, disk: str, found: Comparison, spans: list[Span], claimed: bool) -> None:
        if found.wrong_size:
            self._add(Judgement.UNSAFE, f"the restored image of {found.wrong_size}: it is of another size", label)
            return
        what = "is what the disk was at no instant of that backup"
        if not disk and len(self.plan.disks) > 1 and self._alone_right(label):
            what = "is what all disks together were at no instant, though each by itself is right"
        if not claimed:
            what += ", nor of the last one that succeeded" if self.claimed else ", which the tool said had failed"
        missed = sorted({each.wanted for each in found.losses if each.wanted}) or [0]
        entry = next((e for e in self.stage.entries if e.number == missed[0] and e.write is not None), None)
        window = entry.point if entry is not None else ""
        between = around(self.stage.entries, entry) if entry is not None else ("", "")
        kind = f" of {disk}" if disk else ""
        text = f"what the restore after run {label} gave back{kind} {what}"
        self.outcome.reasons.append(Reason(Judgement.UNSAFE, text, label, found.losses, window, between))

    def _alone_right(self, label: str) -> bool:
        spans = [(0, self.history.instant)]
        restored = {each.name: fills(self._out(each.name).read_bytes()) for each in self.plan.disks}
        return all(found.right for _, found in self.history.compare(restored, spans, False))

    def _look_for_waste(self, label: str, command: str, span: Span) -> None:
        """An increment without faults that copies far more than was written since the first backup began."""
        if self.stage.faulty or command == self.plan.backup or self.first is None or not self.stage.copied:
            return
        # A differential has what has changed since the first backup, and not since the last one.
        changed = self.history.changed(self.first[0], span[1], max(GRANULE, self.stage.coarsest))
        if self.stage.copied > 2 * changed + SLACK:
            text = f"the increment copied {self.stage.copied >> 10}K, and {changed >> 10}K had changed"
            self._add(Judgement.WASTEFUL, text, label)

    async def _leftovers(self) -> None:
        """A job that goes on, or a bitmap that is in use, though nobody of the tool runs any more."""
        with suppress(MonitorLost, Refused):
            jobs: list[dict[str, Any]] = await self.emulator.monitor.execute("query-jobs")
            for each in jobs:
                if each.get("status") not in ("concluded", "null"):
                    self._add(Judgement.STUCK, f"the job {each.get('id')} is left, {each.get('status')}")
            nodes = await self.emulator.monitor.execute("query-named-block-nodes", flat=True)
            for node in nodes:
                for bitmap in node.get("dirty-bitmaps", ()):
                    if bitmap.get("busy"):
                        name = f"{node.get('node-name')}/{bitmap.get('name')}"
                        self._add(Judgement.STUCK, f"the bitmap {name} is left in use")

    def _go_on(self) -> None:
        if self.stage.problem is not None:
            problem, self.stage.problem = self.stage.problem, None
            if isinstance(problem, GuestProblem | EmulatorProblem):
                raise GuestProblem(f"{problem}; {self.emulator.died}".removesuffix("; "))
            raise problem

    def _places(self) -> dict[str, str]:
        places = {"qmp": str(self.socket), "dir": str(self.work), "here": str(self.plan.here)}
        places |= {f"out.{each.name}": str(self._out(each.name)) for each in self.plan.disks}
        if isinstance(self.emulator, HostedEmulator):
            places |= {f"disk.{each.name}": str(self.storage.file(each)) for each in self.plan.disks}
            places["emulator"] = str(self.emulator.path)
        return places | {"out": str(self._out(self.plan.disks[0].name))}

    def _out(self, disk: str) -> Path:
        return self.directory / f"restored-{disk}"

    def _add(self, judgement: Judgement, text: str, run: str = "") -> None:
        self.outcome.reasons.append(Reason(judgement, text, run))

    def _broken(self, text: str) -> None:
        self._add(Judgement.BROKEN, text, self.stage.run)


def play(plan: Plan, schedule: Schedule) -> Outcome:
    """Plays a schedule in a directory of its own, which is gone afterwards. `EmulatorProblem`; `OSError`."""
    with temporary.directory("judge-") as path:
        problem = temporary.too_long(path, "qemu-tool")
        if problem:
            raise EmulatorProblem(problem)
        return asyncio.run(Play(plan, schedule, Path(path)).play())


def _last_lines(output: str) -> str:
    lines = [each.strip() for each in output.splitlines() if each.strip()]
    return " | ".join(lines[-3:])[-SHOWN:] or "it printed nothing"
