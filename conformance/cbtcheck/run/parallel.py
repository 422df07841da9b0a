"""A run by several workers at a time, here or on a cluster: each plays tasks, and this process gathers the parts.

The parts are gathered in the order of the run, whoever has played them and whenever. So the report is that of a run
in one process: the same scenarios, counts and failures, and the verdict. What a worker plays when it dies is played
again.
"""

from __future__ import annotations

import heapq
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from itertools import count
from typing import TypeVar

from cbtcheck.adapter import AdapterBroken, AdapterUnusable
from cbtcheck.adapters import Opening
from cbtcheck.host import temporary
from cbtcheck.host.pace import Patience
from cbtcheck.run.course import Progress, Timed, gathering_for, play
from cbtcheck.run.executors import Executor, Processes, greeting
from cbtcheck.run.gather import Gathering, Known
from cbtcheck.run.interrupts import Interrupts, interrupts, or_over
from cbtcheck.run.messages import Answer, CannotBegin, Defect, Introduction, Played, Task
from cbtcheck.run.options import Options
from cbtcheck.run.part import PHASES, Part
from cbtcheck.run.plan import Item, Plan
from cbtcheck.run.record import Record
from cbtcheck.run.report import Report
from cbtcheck.run.start import DeadlyItem, DefectInProcess, ProcessDied
from cbtcheck.run.tasks import by_group, tasks_of
from cbtcheck.run.worker import WorkerDied

PATIENCE = 10.0
"""Seconds that the workers have to end when they are told to; then they are killed."""

LOOK_UP = 0.1
"""Seconds after which it is looked whether the run was interrupted."""

AHEAD = 2
"""So many tasks are given out for each worker, so that none waits for the next one."""

PLAYS = 2
"""How often a task is played whose worker dies, at most."""


class NothingToOpen(LookupError):
    """There is no adapter, or no mistake, of that name. The message is one line."""


def run(opening: Opening, options: Options, jobs: int, progress: Progress) -> Report:
    """The whole run, in `jobs` processes of this machine; see `run_on`."""
    with temporary.directory() as home:
        return run_on(Processes(jobs, greeting(opening, options, home)), options, progress)


def run_on(
    executor: Executor, options: Options, progress: Progress, record: Record | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Report:  # fmt: skip
    """The whole run, by the workers of `executor`. Ctrl-C ends it early, with a report of what was found until then.

    What is in `record` is not played again. However it ends, no process is left behind.

    Raises what `Opening.open` does, `ProcessDied` if a worker dies twice before it has begun anything, `DeadlyItem`,
    and `DefectInProcess`.
    """
    started = time.monotonic()
    patience = 0.0
    try:
        with interrupts(signal.SIGINT, signal.SIGTERM) as pressed:
            shared = _Shared(executor, options, progress, or_over(pressed, options.most_seconds), record, say)
            report = shared.run(pressed)
            patience = 0.0 if report.interrupted else PATIENCE
    finally:
        executor.close(patience)
    report.seconds = time.monotonic() - started
    return report


T = TypeVar("T")


class _Peekable(Iterator[T]):
    """An iterator whose next one can be looked at."""

    def __init__(self, iterable: Iterable[T]) -> None:
        self._rest = iter(iterable)
        self._next: list[T] = []

    def peek(self) -> T | None:
        """The next one, which stays; None at the end."""
        if not self._next:
            self._next = [each for each in [next(self._rest, None)] if each is not None]
        return self._next[0] if self._next else None

    def __next__(self) -> T:
        if self.peek() is None:
            raise StopIteration
        return self._next.pop()


Items = tuple[Item, ...]


class _Shared:
    """A run whose items others play."""

    def __init__(
        self, executor: Executor, options: Options, progress: Progress, interrupted: Callable[[], bool],
        record: Record | None, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.executor, self.options, self.progress, self.interrupted = executor, options, progress, interrupted
        self.record, self.say = record, say
        self.introduction: Introduction | None = None
        self.gathering: Gathering | None = None
        self.timed: Timed | None = None
        self.under_way: dict[Future[Answer], Items] = {}
        self.again: deque[Items] = deque()
        self.deaths: Counter[tuple[int, int] | None] = Counter()
        self.died, self.played_again = 0, 0
        self.waiting: list[tuple[tuple[int, int], int, Part]] = []
        self._numbers = count()
        self._shown: Counter[str] = Counter()

    def run(self, pressed: Interrupts) -> Report:
        """The whole run. Raises `KeyboardInterrupt` if it is interrupted before anything is known."""
        with pressed.at_once():
            met = self._introduced()
            self.gathering = gathering_for(met.name, met.version, self.options)
            self.timed = Timed(self.gathering, self.options.seconds)
            plan = Plan(met.name, met.capabilities, self.options)
            scope = plan.scope
        try:
            play(plan, self.gathering, self.timed, self.play_all)
        except KeyboardInterrupt:
            self._interrupt()
            self.gathering.report.interrupted = True
        report = self.gathering.finished(scope, met.capabilities)
        report.tour.seconds /= self.executor.size  # they were at it at the same time
        report.workers_died, report.played_again = self.died, self.played_again
        return report

    def _introduced(self) -> Introduction:
        """On what it is played: the first worker says so."""
        nothing: Items = ()
        while self.introduction is None:
            self._submit(nothing)
            while self.under_way:
                self._look()
            self.again.clear()
        if self.record is not None:
            self.record.met(self.introduction)
            if len(self.record):
                self.say(f"{len(self.record):,} items are done already")
        return self.introduction

    def play_all(self, items: Iterable[Item]) -> None:
        """Has items played, and gathers what comes of them. Raises `KeyboardInterrupt`."""
        tasks = _Peekable(tasks_of(items))
        while self.again or tasks.peek() is not None or self.under_way:
            while len(self.under_way) < AHEAD * self.executor.size and (self.again or tasks.peek() is not None):
                self._begin(self.again.popleft() if self.again else next(tasks))
                self._gather(tasks)
            self._look()
            self._gather(tasks)
        self._gather(tasks)

    def _begin(self, task: Items) -> None:
        """Has a task played, if it is still wanted and was not played yet."""
        assert self.timed is not None
        if self.timed.left_out(task[0].phase):
            return
        done = [parts for each in task if self.record is not None and (parts := self.record.parts(each)) is not None]
        if len(done) == len(task):
            for parts in done:
                self._take(parts)
        else:
            self._submit(task)

    def _submit(self, task: Items) -> None:
        known = self.gathering.known if self.gathering is not None else Known()
        self.under_way[self.executor.submit(Task(task, known))] = task

    def _look(self) -> None:
        """Waits a moment, and takes what has come."""
        if self.interrupted():
            raise KeyboardInterrupt
        for future in wait(self.under_way, LOOK_UP, FIRST_COMPLETED).done:
            task = self.under_way.pop(future)
            if future.cancelled():
                continue
            try:
                self._heard(task, future.result())
            except WorkerDied as died:
                self._play_again(task, died)
        for future, task in self.under_way.items():
            if task and self.timed is not None and self.timed.left_out(task[0].phase):
                future.cancel()

    def _heard(self, task: Items, answer: Answer) -> None:
        match answer:
            case CannotBegin(why, unknown, broken):
                raise NothingToOpen(why) if unknown else AdapterBroken(why) if broken else AdapterUnusable(why)
            case Defect(traceback):
                raise DefectInProcess(traceback)
            case Played(introduction, parts, interrupted):
                first, self.introduction = self.introduction, self.introduction or introduction
                if first is not None and first != introduction:
                    raise AdapterUnusable("not all workers have the same implementation: "
                                          f"{first.version}, and {introduction.version}")  # fmt: skip
                if self.record is not None and task and not interrupted:
                    self.record.keep(zip(task, parts, strict=True))
                for each in parts:
                    self._take(each)

    def _play_again(self, task: Items, died: WorkerDied) -> None:
        """What was lost with a worker. It is played item by item, so that the one that is to blame can be named."""
        self.died += 1
        if died.code == 1:
            raise ProcessDied("a process of this run", died.how, defect=True)
        alone = by_group(task) if task else [task]
        for each in alone:
            self.deaths[each[0].place if each else None] += 1
        if not task and self.deaths[None] >= PLAYS:
            raise ProcessDied("each process that was to begin this run", died.how)
        if task and len(alone) == 1 and self.deaths[task[0].place] >= PLAYS:
            item = task[0]
            raise DeadlyItem(f"item {item.number} of '{item.phase}' (seed {self.options.seed}) has ended the process "
                             f"that played it twice ({died.how}): there is no result")  # fmt: skip
        self.played_again += len(task)
        what = f"; what it played of '{task[0].phase}' is played again" if task else ""
        self.say(f"a worker has died ({died.how}){what}")
        self.again.extend(alone)

    def _take(self, parts: list[Part]) -> None:
        for part in parts:
            heapq.heappush(self.waiting, (part.place, next(self._numbers), part))

    def _gather(self, tasks: _Peekable[Items]) -> None:
        """Gathers what no part can come before any more."""
        first = tasks.peek()
        coming = [*self.under_way.values(), *self.again, *([first] if first is not None else [])]
        bound = min((task[0].place for task in coming if task), default=(len(PHASES), 0))
        while self.waiting and self.waiting[0][0] < bound:
            part = self._gather_next()
            self._shown[part.phase] += 1
            self.progress(part.phase, self._shown[part.phase], part.of)

    def _gather_next(self) -> Part:
        assert self.timed is not None
        _, _, part = heapq.heappop(self.waiting)
        self.timed.take(part)
        return part

    def _interrupt(self) -> None:
        """Asks all to end, and hears what they have played until then. A second interrupt ends it at once."""
        for future in self.under_way:
            future.cancel()
        self.interrupted = Patience(PATIENCE).expired
        with suppress(KeyboardInterrupt, WorkerDied):
            self.executor.halt()
            while self.under_way:
                self._look()
        while self.waiting:
            self._gather_next()
