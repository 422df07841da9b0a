"""Judges a tool: a run in which nothing happens, then every schedule, in several processes; what was done is kept."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import re
import shlex
import signal
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path

import msgspec

from cbtcheck.host.child.guard import PR_SET_PDEATHSIG, prctl
from cbtcheck.judging.emulator import EmulatorProblem
from cbtcheck.judging.enumerated import IDLE, Profile, after_failures, at_most, baseline, chosen, shape_of
from cbtcheck.judging.grouped import Shown, grouped
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Schedule
from cbtcheck.judging.shorten import shortened
from cbtcheck.judging.tool import GUARDS
from cbtcheck.judging.verdicts import Judgement, worst
from cbtcheck.run.interrupts import taken
from cbtcheck.run.start import begin, held_back

DONE = "done.jsonl"
MOST_SHORTENED = 8
"""Kinds of failures that are made short; of further ones the first schedule is shown as it was."""


ENDED = re.compile(r"run \w+( restore)?: (exit code [1-9]|ended by|did not end|was killed)")


class CannotJudge(Exception):
    """The tool fails though nothing happens, or QEMU cannot be had: no verdict. The message has a line or more."""


@dataclass
class Result:
    """What came of judging a tool.

    `bounds`: for each kind of schedule, how many of how many the profile has. `left_out`: how many of the profile
    were not to be played. `complete`: false if it was interrupted. `unprovoked`: where the tool failed, and said so,
    though nothing else had failed. `recoveries`: one schedule for each thing that the tool does otherwise, after a
    failure or where nothing was written, with the points of that.
    """

    plan: Plan
    profile: str
    seed: int
    quiet: Outcome
    counts: dict[Judgement, int] = field(default_factory=dict)
    bounds: tuple[tuple[str, int, int], ...] = ()
    failed: list[Outcome] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unprovoked: list[str] = field(default_factory=list)
    restored: int = 0
    writes: int = 0
    resumed: int = 0
    complete: bool = True
    left_out: int = 0
    recoveries: dict[Hashable, tuple[Schedule, list[str]]] = field(default_factory=dict)

    @property
    def schedules(self) -> int:
        """How many were played, that without any happening among them."""
        return sum(self.counts.values())

    @property
    def judgement(self) -> Judgement:
        """The worst of all schedules; a tool that is loud where something fails is safe."""
        found = worst(list(self.counts))
        return Judgement.SAFE if found is Judgement.LOUD else found

    def add(self, outcome: Outcome) -> None:
        """One more schedule has been played."""
        found = outcome.judgement
        self.counts[found] = self.counts.get(found, 0) + 1
        self.restored += outcome.restored
        self.writes += outcome.writes
        self.missed += [f"{outcome.schedule.name}: {each}" for each in outcome.missed[:1]]
        if found is Judgement.LOUD and not outcome.schedule.faults:
            self.unprovoked.append(f"{outcome.schedule.name}: {_why(outcome)}")
        if found in (Judgement.SAFE, Judgement.LOUD):
            again = [each for each in outcome.points if each not in self.quiet.points]
            self.recoveries.setdefault(shape_of(again), (outcome.schedule, again))
            return
        self.failed.append(outcome)


Told = Callable[[int, int], None]


def judge(
    plan: Plan, profile: Profile, seed: int, jobs: int, resume: Path | None = None,
    told: Told = lambda done, of: None, only: str = "",
) -> Result:  # fmt: skip
    """Judges a tool. `only`: by schedules that have this in their name. `CannotJudge`.

    `OSError` if what was done cannot be kept.
    """
    try:
        quiet = play(plan, Schedule("nothing but writes between backups", plan.increments, baseline(plan)))
    except EmulatorProblem as problem:
        raise CannotJudge(str(problem)) from None
    result = Result(plan, profile.name, seed, quiet)
    if quiet.loud or quiet.judgement in (Judgement.BROKEN, Judgement.STUCK):
        raise CannotJudge(f"the tool fails though nothing happens to it:\n{_why(quiet)}")
    result.add(quiet)
    picked = chosen(plan, quiet.points, quiet.targets, profile, seed)
    schedules = [each for each in picked.schedules if only in each.name]
    if not schedules:
        raise CannotJudge(_no_schedule(only, picked.schedules[0].name, quiet))
    result.bounds, result.left_out = picked.bounds, len(picked.schedules) - len(schedules)
    kept = Kept(resume, plan, seed) if resume is not None else None
    rounds = _Rounds(plan, jobs, result, kept, told)
    try:
        rounds.play(schedules)
        every = after_failures(plan, [*result.recoveries.values()])
        after = at_most(every, profile.after)
        rounds.play([each for each in after if only in each.name])
        result.bounds = (*result.bounds, ("windows where the tool did otherwise", len(after), len(every)))
        result.left_out += sum(only not in each.name for each in after)
    except EmulatorProblem as problem:
        raise CannotJudge(str(problem)) from None
    except KeyboardInterrupt:
        taken()
        result.complete = False
    result.shown = grouped(quiet.points, result.failed)
    for each_kind in result.shown[: MOST_SHORTENED if result.complete else 0]:
        with suppress(EmulatorProblem):
            each_kind.outcome = shortened(each_kind.outcome, lambda schedule: play(plan, schedule))
    return result


class _Rounds:
    """Plays schedules, but for those whose outcomes were kept."""

    def __init__(self, plan: Plan, jobs: int, result: Result, kept: Kept | None, told: Told) -> None:
        self._plan, self._jobs, self._result, self._kept, self._told = plan, jobs, result, kept, told
        self._done: dict[str, Outcome] = kept.read() if kept is not None else {}
        self._over, self._all = 0, 0

    def play(self, schedules: Sequence[Schedule]) -> None:
        """Plays a round. `EmulatorProblem`."""
        left = []
        self._all += len(schedules)
        for each in schedules:
            before = self._done.get(key(each))
            if before is None:
                left.append(each)
            else:
                self._result.resumed += 1
                self._result.add(before)
                self._over += 1
        for outcome in _played(self._plan, left, self._jobs):
            if self._kept is not None:
                self._kept.write(outcome)
            self._result.add(outcome)
            self._over += 1
            self._told(self._over, self._all)


def _no_schedule(only: str, first: str, quiet: Outcome) -> str:
    said = f"no schedule has {only!r} in its name, as {first!r} has"
    reason = quiet.reasons[0].text if quiet.reasons else ""
    return f"{said}\nand the tool is {quiet.judgement.value} though nothing happens: {reason}" if reason else said


def _played(plan: Plan, schedules: list[Schedule], jobs: int) -> Iterator[Outcome]:
    """Plays them, several at a time, in processes of their own."""
    if jobs == 1:
        gc.freeze()  # thousands of schedules, which each collection would go through
        for each in schedules:
            yield _one(plan, each)
        return
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawned, initializer=_begin, initargs=(os.getpid(),))
    try:
        waiting: set[Future[Outcome]] = set()
        rest = iter(schedules)
        while True:
            for each in rest:
                with held_back():
                    waiting.add(pool.submit(_one, plan, each))
                if len(waiting) >= 2 * jobs:
                    break
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for found in done:
                yield found.result()
    except BrokenProcessPool:
        raise CannotJudge("a process that played a schedule was killed (out of memory?)") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int) -> None:
    """In a process of the pool: it is killed when the one that started it is, and takes QEMU and the tool along."""
    begin(signal.SIG_DFL)
    gc.freeze()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    Finalize(None, GUARDS.close, exitpriority=1)  # such a process ends without `atexit`


def _one(plan: Plan, schedule: Schedule) -> Outcome:
    """Plays a schedule. `EmulatorProblem`.

    What it leaves is collected at once: megabytes of disks hang in a few cycles, which Python would let be for long.
    """
    try:
        return _lean(play(plan, schedule))
    finally:
        gc.collect()


def _lean(outcome: Outcome) -> Outcome:
    """Without the conversation, where nobody will look at it; but with how the tool has ended, if it failed."""
    if outcome.judgement in (Judgement.SAFE, Judgement.LOUD):
        outcome.entries = [each for each in outcome.entries if each.who == "suite" and ENDED.match(each.text)]
        unusual = bool(outcome.schedule.faults) or outcome.schedule.name.startswith(IDLE)
        outcome.points, outcome.targets = outcome.points if unusual else [], []
    return outcome


def key(schedule: Schedule) -> str:
    """What a schedule is called in the file of what was done: it changes with everything that is in it."""
    return hashlib.sha256(msgspec.json.encode(schedule)).hexdigest()[:24]


class Kept:
    """What was done, in a directory: one line for each schedule, so that a run that is killed goes on."""

    def __init__(self, directory: Path, plan: Plan, seed: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / DONE
        self._head = hashlib.sha256(repr((plan, seed, *_files(plan))).encode()).hexdigest()

    def read(self) -> dict[str, Outcome]:
        """The outcomes that are there, by key. `CannotJudge` if they are of something else."""
        if not self._path.exists():
            self._path.write_text(self._head + "\n")
            return {}
        head, *lines = self._path.read_bytes().split(b"\n")
        if head.decode(errors="replace") != self._head:
            raise CannotJudge(
                f"{self._path} is of another tool (or its files have changed), other disks, or another seed: "
                "name another one"
            )
        found = {}
        for line in lines:
            with suppress(msgspec.DecodeError):  # the last line of a run that was killed
                outcome = msgspec.json.decode(line, type=Outcome)
                found[key(outcome.schedule)] = outcome
        return found

    def write(self, outcome: Outcome) -> None:
        """One more."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(outcome) + b"\n")


def _files(plan: Plan) -> list[str]:
    """What is in the files that the tool's commands name: a script that was changed is another tool."""
    found = []
    for command in (plan.setup, plan.service, plan.restart, plan.backup, plan.increment, plan.restore):
        for word in shlex.split(command.replace("{here}", shlex.quote(str(plan.here)))):
            path = Path(word)
            with suppress(OSError):
                if path.is_absolute() and path.is_file():
                    found.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def _why(outcome: Outcome) -> str:
    said = [each.text for each in outcome.entries if each.who == "suite" and ENDED.match(each.text)]
    return "\n".join([*(each.text for each in outcome.reasons), *said[:4]])
