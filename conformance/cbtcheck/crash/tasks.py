"""The parts of a run, each of which can be done by itself: a history, a fault, a finding that is made short."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias, assert_never

from cbtcheck.crash.confirm import difference
from cbtcheck.crash.faults import with_fault
from cbtcheck.crash.finding import Finding
from cbtcheck.crash.history import Step, told
from cbtcheck.crash.judge import DIED
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.picture import picture, step_of_crash, verb
from cbtcheck.crash.played import Played, Player
from cbtcheck.crash.recording import Fault
from cbtcheck.crash.remembering import Remembering
from cbtcheck.crash.report import Part
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.shorten import shorten
from cbtcheck.crash.states import SECTORS, WHOLE, Judged


@dataclass(frozen=True, slots=True)
class OneHistory:
    """The crash states of a history, under each assumption."""

    setting: Setting
    history: tuple[Step, ...]
    assumptions: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class OneFault:
    """One request of a history fails."""

    setting: Setting
    history: tuple[Step, ...]
    fault: Fault


@dataclass(frozen=True, slots=True)
class Shorter:
    """A finding is to be made short; for that a history is played so many times at most."""

    finding: Finding
    most: int


Task: TypeAlias = OneHistory | OneFault | Shorter


@dataclass(slots=True)
class Done:
    """What came of a task, as far as it got: `problem` is why it did not come to its end.

    Of a history there is a part for each assumption; `played` are its steps, `asked` the requests. Of `Shorter` it is
    the finding.
    """

    parts: list[Part] = field(default_factory=list)
    played: tuple[Step, ...] = ()
    asked: Sequence[tuple[str, int, int]] = ()
    finding: Finding | None = None
    problem: BaseException | None = None


@dataclass(slots=True)
class Cast:
    """Who plays, and who says what QEMU sees (None: nobody). `adapter` and `command` are the report's."""

    player: Player
    looker: Machine | None
    adapter: str = "qemu"
    command: str = ""
    _remembering: Remembering | None = None
    _seen: dict[bytes, str] = field(default_factory=dict)
    """What QEMU sees otherwise than our reader, by the digest of what it was shown."""

    async def do(self, task: Task, done: Done) -> None:
        """Does a task; fills in what comes of it while it goes on."""
        match task:
            case OneHistory():
                await self._history(task, done)
            case OneFault(setting, history, fault):
                done.parts.append(part := Part())
                outcome = await with_fault(self.player, setting, history, fault)
                part.faults, part.states_after_faults, part.judging = 1, outcome.states, outcome.seconds
                for finding, state in outcome.found:
                    await self._note(part, finding, state)
            case Shorter(finding, most):
                done.finding = finding
                if self._remembering is None:
                    self._remembering = Remembering(self.player)
                await shorten(self._remembering, finding, most)
            case _:
                assert_never(task)

    def kill(self) -> None:
        """Kills the processes that play, without waiting: this one is about to end."""
        for each in (self.looker, self.player):
            if each is not None:
                each.kill()

    async def _history(self, task: OneHistory, done: Done) -> None:
        played = await self.player.play(task.setting, task.history)
        done.played, done.asked = tuple(each.step for each in played.done), played.recorder.asked
        for number, assumption in enumerate(task.assumptions):
            done.parts.append(part := Part())
            if number == 0:
                part.histories = 1
                await self._died(part, played, task.history)
            found = await self.player.states(played, assumption, task.seed)
            part.judging = found.seconds
            part.states, part.read, part.epochs, part.cut = found.states, found.read, found.epochs, found.cut
            part.torn = found.states if assumption == SECTORS else 0
            for each in found.bad:
                step, judgement = step_of_crash(played, each.place), each.judgement
                finding = Finding(
                    judgement.verdict, step, "", "", judgement.why, played.setting, assumption, task.history, None,
                    picture(played, each.place),
                )  # fmt: skip
                await self._note(part, finding, each)
            for each in found.samples:
                where = f"{told(task.history)} on {played.setting}"
                await self._confirm(part, played.setting, each, where, False)

    async def _died(self, part: Part, played: Played, history: tuple[Step, ...]) -> None:
        if played.broken:
            step = next((verb(each.step) for each in played.done if "died" in each.answer), "the end")
            shown = [f"{each.step}: {each.answer or 'well'}" for each in played.done]
            died = Finding(DIED, step, "", "", played.broken, played.setting, WHOLE, history, None, shown)
            await self._note(part, died, None)

    async def _note(self, part: Part, finding: Finding, state: Judged | None) -> None:
        finding.adapter, finding.command = self.adapter, self.command
        if state is not None:
            finding.confirmed = await self._confirm(part, finding.setting, state, finding.replay(), True)
        part.noted.append(finding)

    async def _confirm(self, part: Part, setting: Setting, state: Judged, where: str, data: bool) -> str:
        if self.looker is None:
            return ""
        content = sha256(state.content).digest()
        part.confirmed += 1
        part.contents.add(content)
        shown = content + repr((setting.size, setting.backed, data)).encode()
        if shown not in self._seen:
            before = _seconds(self.looker)
            self._seen[shown] = await difference(self.looker, setting, state.content, data)
            part.looking += max(0.0, _seconds(self.looker) - before)
            part.looks += 1
        differs = self._seen[shown]
        if differs:
            part.disagreements.append(f"{where}: {differs}")
        return differs


def _seconds(looker: Machine) -> float:
    """Of processors, that this process has taken, and its QEMU (on Linux: elsewhere the kernel does not tell)."""
    spent = time.process_time()
    if os.uname().sysname == "Linux":
        with suppress(OSError):
            spent += time.clock_gettime(~looker.pid << 3 | 2)  # as clock_getcpuclockid(3) has it
    return spent
