"""Plays commands on the specification and on an implementation side by side, and collects what differs.

The specification follows what happened (`Performed.trace`), each entry a command with the reply that the
implementation gave. After each step everything that can be seen is judged, and after each backup the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cbtmodel.commands import (
    BeginCopy,
    BeginWrite,
    Command,
    Copy,
    EndCopy,
    EndWrite,
    StartBackup,
    Transaction,
    Write,
)
from cbtmodel.node import State, initial
from cbtmodel.properties import violations
from cbtmodel.step import Step, step

from cbtcheck.adapter import POISON, Adapter, AdapterBroken, Hint, Observation, Performed, Reply
from cbtcheck.bitsets import Bits, BitSets
from cbtcheck.judge import judge
from cbtcheck.restore import Restorer
from cbtcheck.scenario import Restore, Scenario
from cbtcheck.scenario import Step as ScenarioStep
from cbtcheck.verdict import Finding, Verdict, worst

ENVIRONMENT = (Write, BeginWrite, EndWrite, Copy, BeginCopy, EndCopy)
"""What guests do, and what their environment does to jobs; all else are operators' commands."""

TurnAway = Callable[[State[Bits], Command], bool]
Listener = Callable[[State[Bits], Command, Step[Bits]], None]


Together = Callable[[ScenarioStep, ScenarioStep], bool]


def in_the_environment(one: ScenarioStep, next: ScenarioStep) -> bool:
    """Both are what guests do, or what their environment does to jobs."""
    return isinstance(one, ENVIRONMENT) and isinstance(next, ENVIRONMENT)


def alike(one: ScenarioStep, next: ScenarioStep) -> bool:
    """Both are whole guest writes, or both are whole copies."""
    return isinstance(one, Write | Copy) and type(one) is type(next)


@dataclass(frozen=True, slots=True)
class Frame:
    """One step as it was played: the command asked for, what happened, and the specification's state after it.

    `seen` is None if nobody looked (see `Player.closely`), or the implementation broke.
    """

    asked: ScenarioStep
    trace: tuple[tuple[Command, Reply], ...]
    before: State[Bits]
    state: State[Bits]
    seen: Observation | None
    findings: tuple[Finding, ...]


@dataclass
class Player:
    """Plays one scenario after another on one adapter.

    `listen` is told every step of the specification; a command that `turn_away` says yes to is not played at all.
    With `self_check` every property of the specification is checked too, at every step.

    `closely`: everything is observed after every step. Otherwise, for speed, guest writes and copies that follow
    each other are observed together (BATCH makes that sound: what they mark and copy adds up), and exact bits are
    asked for when something else than a guest write has changed them, and of all bitmaps at the end; until then their
    counts are compared. `together` says which commands that follow each other are then observed together.
    """

    adapter: Adapter
    block: int = 512
    listen: Listener | None = None
    turn_away: TurnAway | None = None
    closely: bool = True
    together: Together = in_the_environment
    self_check: bool = False
    state: State[Bits] = field(init=False)
    frames: list[Frame] = field(default_factory=list)
    not_realised: Counter[str] = field(default_factory=Counter)

    @property
    def compared(self) -> int:
        """How many restored chains this scenario has compared with a disk."""
        return self.restorer.compared

    def begin(self, disks: dict[str, int]) -> None:
        """A new scenario on fresh disks of these sizes in bytes. Raises `AdapterBroken`."""
        self.space = BitSets(self.block)
        self.state = initial(self.space, disks)
        self.frames = []
        self.restorer = Restorer(self.space, self.adapter)
        self.adapter.reset(disks)

    def play(self, asked: ScenarioStep, observed: bool = True) -> list[Finding]:
        """One step. Returns what differs; a crash or hang is a finding too. `observed`: look at the result."""
        before = self.state
        if isinstance(asked, Restore):
            findings = self.restorer.restore(asked.jobs)
            self.frames.append(Frame(asked, (), before, before, None, tuple(findings)))
            return findings
        hint = Hint(before, len(self.frames) % (POISON - 1) + 1)
        try:
            performed = self.adapter.perform(asked, hint)
            if not performed.trace:
                self.not_realised[type(asked).__name__] += 1
            findings = self._follow(performed)
            look = observed or findings or len(self.state.jobs) != len(before.jobs)
            seen = self.adapter.observe(self._exactly(before, asked)) if look else None
            if seen is not None:
                findings += judge(self.space, self.state, seen, self.adapter.bits)
        except AdapterBroken as broken:
            findings = [Finding(Verdict.BROKEN, "", type(asked).__name__, "an answer", self._last_words(broken))]
            self.frames.append(Frame(asked, (), before, before, None, tuple(findings)))
            return findings
        self.frames.append(Frame(asked, performed.trace, before, self.state, seen, tuple(findings)))
        return findings

    def _exactly(self, before: State[Bits], asked: Command) -> frozenset[tuple[str, str]] | None:
        """The bitmaps whose exact bits are to be seen after this step; None for all."""
        if self.closely:
            return None
        if isinstance(asked, Write | BeginWrite | EndWrite) and len(before.jobs) == len(self.state.jobs):
            return frozenset()
        then, now = before.nodes, self.state.nodes
        return frozenset(
            (on, name)
            for on, node in now.items()
            for name, bitmap in node.bitmaps.items()
            if (was := then[on].bitmaps.get(name)) is None or was.marks is not bitmap.marks
        )

    @staticmethod
    def _last_words(broken: AdapterBroken) -> str:
        tail = list(dict.fromkeys(broken.output.strip().splitlines()))[-3:]
        return " | ".join([str(broken), *tail])

    def _follow(self, performed: Performed) -> list[Finding]:
        findings: list[Finding] = []
        ended: list[tuple[str, str]] = []
        for command, reply in performed.trace:
            before = self.state
            result = step(before, command)
            self.state = result.state
            if self.listen is not None:
                self.listen(before, command, result)
            if self.self_check:
                wrong = violations(before, command, result)
                assert not wrong, f"the specification itself is wrong: {wrong} after {command}"
            findings += judge_reply(command, reply, result)
            if result.refusal is None and not reply.refusal:
                findings += self.restorer.follow(before, command, result)
            ended += [(end.id, end.outcome) for end in result.ended]
        if sorted(ended) != sorted(performed.ended):
            findings.append(judge_ends(ended, performed.ended))
        return findings

    def play_scenario(self, scenario: Scenario) -> list[Finding]:
        """A whole scenario; stops at the first step that differs."""
        self.block = scenario.block
        try:
            self.begin(scenario.disks)
        except AdapterBroken as broken:
            return [Finding(Verdict.BROKEN, "", "reset", "fresh disks", self._last_words(broken))]
        return self.play_steps(scenario.commands) or self._finish()

    def _finish(self) -> list[Finding]:
        """All bits are as they should be, every job can end, and nothing is broken then."""
        try:
            if not self.closely:
                findings = judge(self.space, self.state, self.adapter.observe(), self.adapter.bits)
                if findings:
                    return findings
            self.adapter.finish()
        except AdapterBroken as broken:
            return [Finding(Verdict.BROKEN, "", "the end", "every job can end", self._last_words(broken))]
        return []

    def play_steps(self, steps: Iterable[ScenarioStep]) -> list[Finding]:
        """Steps until the first that differs."""
        following = [*steps]
        for number, each in enumerate(following):
            if self.turn_away is not None and not isinstance(each, Restore) and self.turn_away(self.state, each):
                continue
            rest = following[number + 1 : number + 2]
            in_a_row = bool(rest) and self.together(each, rest[0])
            findings = self.play(each, self.closely or not in_a_row)
            if findings:
                return findings
        return []


def judge_reply(command: Command, reply: Reply, result: Step[Any]) -> list[Finding]:
    """Whether a command was answered as specified."""
    expected = "" if result.refusal is None else result.refusal.kind
    if expected == reply.refusal or (expected and reply.refusal and _may_name_another_reason(command)):
        return []
    wanted = f"refused: {result.refusal}" if result.refusal else "accepted"
    seen = f"refused: {reply.refusal}: {reply.text}" if reply.refusal else "accepted"
    return [Finding(Verdict.DIVERGES, "", type(command).__name__, wanted, seen)]


def _may_name_another_reason(command: Command) -> bool:
    """Where a grouped transaction has more than one thing wrong, which is named depends on the version.

    QEMU looks at the completion mode first since 8.1, and action by action before (blockdev.c).
    """
    if not isinstance(command, Transaction) or not command.grouped:
        return False
    return any(not isinstance(action, StartBackup) for action in command.actions)


def judge_ends(expected: Sequence[tuple[str, str]], seen: Sequence[tuple[str, str]]) -> Finding:
    """Jobs have ended otherwise than specified. Success that is none is unsafe: that backup will be relied on."""
    false_success = [each for each in seen if each[1] == "completed" and each not in expected]
    verdict = Verdict.UNSAFE if false_success else Verdict.DIVERGES
    property = "DELIVERED" if false_success else ""
    return Finding(verdict, property, "jobs ended", _outcomes(expected), _outcomes(seen))


def _outcomes(ended: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{id} {outcome}" for id, outcome in sorted(ended)) or "none"


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The worst verdict among findings."""
    return worst([each.verdict for each in findings])
