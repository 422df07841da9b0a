"""Plays the script on an adapter until something is wrong, and says what, and whose fault it is.

Every answer that is expected is the specification's: this is the same `Player` that `cbtspec check` has.
"""

from __future__ import annotations

from collections.abc import Callable

from cbtmodel.commands import AddBitmap, Command, Copy, Write

from cbtcheck.adapter import AdapterBroken
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.follow.judge import judge
from cbtcheck.follow.play import Player
from cbtcheck.host.child import Limits
from cbtcheck.run.bounds import bounds
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.smoke.reproduce import fewest
from cbtcheck.smoke.result import Failure, Smoke, Tried, Who
from cbtcheck.smoke.script import DISK, Stage, sizes_of, stages
from cbtcheck.smoke.transcript import Transcript

HELLO = "it says hello"
HAPPENED = "what was asked for has happened"
BYE = "it answers bye, and exits with code 0"

COPIES = 64
"""How often a copy is asked for at most: an implementation that picks the clusters itself needs more than one."""

NOT_MADE = "the implementation says that it could not be made to happen"


def smoke(command: tuple[str, ...], limits: Limits) -> Smoke:
    """Starts the program and tries it. Raises `AdapterUnusable` if it cannot be started."""
    talk = _Talk(command, limits)
    try:
        talk.run()
    finally:
        talk.close()
    return talk.result


class _Wrong(Exception):
    """A stage is wrong."""

    def __init__(self, who: Who, expected: str, seen: str, mistake: str, of_a_command: bool = False) -> None:
        super().__init__(seen)
        self.who: Who = who
        self.of_a_command = of_a_command
        self.expected, self.seen, self.mistake = expected, seen, mistake


class _Talk:
    """One program, from hello to bye."""

    def __init__(self, command: tuple[str, ...], limits: Limits) -> None:
        self.command, self.limits = command, limits
        self.transcript = Transcript()
        self.result = Smoke()
        self.adapter: ExecAdapter | None = None
        self.happened: set[type] = set()

    def close(self) -> None:
        """Nothing is left behind."""
        if self.adapter is not None:
            self.adapter.close()

    def run(self) -> None:
        """All stages, until one is wrong."""
        if not self._tried(HELLO, self._hello):
            return
        assert self.adapter is not None
        self.player = Player(self.adapter)
        for stage in stages(sizes_of(self.adapter.capabilities)):
            if not self._tried(stage.title, lambda stage=stage: self._stage(stage)):  # type: ignore[misc]
                return
        if self._tried(HAPPENED, self._happened):
            self._tried(BYE, self._bye)

    def _tried(self, title: str, what: Callable[[], str]) -> bool:
        """Tries a stage, and keeps what came of it; whether it may go on. `what` returns why it was skipped."""
        try:
            skipped = what()
        except AdapterBroken as broken:
            wrong = _broken(str(broken))
        except _Wrong as found:
            wrong = found
        else:
            self.result.tried.append(Tried(title, "skipped" if skipped else "right", skipped))
            return True
        self.result.tried.append(Tried(title, "wrong"))
        self.result.failure = self._failure(title, wrong)
        return False

    # Stages

    def _hello(self) -> str:
        self.adapter = ExecAdapter(self.command, self.limits, self.transcript.start)
        self.result.implementation = self.adapter.version
        self.result.bounded = bounds(self.adapter.capabilities)
        return ""

    def _stage(self, stage: Stage) -> str:
        if stage.fresh:
            self._reset()
        assert self.adapter is not None
        for command in stage.commands:
            lacking = missing(self.player.state, command, self.adapter.capabilities)
            if lacking:
                return f"the implementation does not claim {lacking}"
            self._play(command, stage)
            if not self.player.frames[-1].trace:
                return NOT_MADE
            self.happened.add(type(command))
        return ""

    def _reset(self) -> None:
        assert self.adapter is not None
        self.player.begin({DISK: sizes_of(self.adapter.capabilities).disk})
        seen = self.adapter.observe()
        for finding in judge(self.player.space, self.player.state, seen, self.adapter.bits):
            raise _Wrong("implementation", finding.expected, finding.seen, "reset must forget everything")

    def _play(self, command: Command, stage: Stage) -> None:
        for _ in range(COPIES):
            for finding in self.player.play(command):
                raise _as_wrong(finding, command, stage)
            again = isinstance(command, Copy) and command.job in self.player.state.jobs
            if not again or not self.player.frames[-1].trace:
                return

    def _happened(self) -> str:
        if not self.happened >= {AddBitmap, Write}:
            raise _Wrong("adapter", "a bitmap that was added, and a write", "none",
                         "an empty trace is for what cannot be made to happen here, now and then")  # fmt: skip
        return ""

    def _bye(self) -> str:
        assert self.adapter is not None
        code = self.adapter.talk.bye()
        if code != 0:
            how = "it did not go in time" if code is None else f"it exited with code {code}"
            raise _Wrong("adapter", "exit code 0, soon", how, "answer bye, and exit; when standard input ends, exit")
        return ""

    def _failure(self, title: str, wrong: _Wrong) -> Failure:
        number = self.transcript.matters(wrong.of_a_command)
        last = self.transcript.exchanges[number]
        half = self.transcript.half if last.received is None else ""
        everything, received = self.transcript.requests[: number + 1], last.received or ""
        requests, again = fewest(everything, received, self.command, self.limits)
        return Failure(
            wrong.who, title, last.sent, f"{half} (no end of the line)" if half else received, wrong.expected,
            wrong.seen, wrong.mistake, self.transcript.log, requests, again,
        )  # fmt: skip


def _as_wrong(finding: Finding, command: Command, stage: Stage) -> _Wrong:
    """What a finding says, and the mistake that is likely in this stage."""
    if finding.verdict is Verdict.BROKEN:
        return _broken(finding.seen.split(" | ")[0])
    mistake = stage.mistake
    if finding.seen.startswith("refused: unsupported"):
        mistake = "the capability should not be claimed"
    elif finding.seen.startswith("refused: internal"):
        mistake = "the implementation has failed, or the adapter takes every exception for this"
    of_a_command = finding.where in (type(command).__name__, "jobs ended")
    where = describe(command) if finding.where == type(command).__name__ else finding.where
    return _Wrong("implementation", f"{where}: {finding.expected}", finding.seen, mistake, of_a_command)


def _broken(what: str) -> _Wrong:
    """The message names the likely mistake itself; what was asked is told apart from it."""
    return _Wrong("adapter", "a reply as the protocol has it", what.rpartition("; it was asked ")[0] or what, "")
