"""A run in several processes at a time: each plays a shard, on an adapter of its own; this one gathers the parts.

The parts are gathered in the order of the run, whoever has played them and whenever. So the report is that of a run
in one process: the same scenarios, counts and failures, and the verdict.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from cbtcheck.adapter import AdapterBroken, AdapterUnusable
from cbtcheck.adapters import Opening
from cbtcheck.host import temporary
from cbtcheck.host.pace import Patience
from cbtcheck.run.begun import Begun
from cbtcheck.run.course import Options, Progress, gathering_for
from cbtcheck.run.gather import Gathering
from cbtcheck.run.interrupts import interrupts, or_over
from cbtcheck.run.messages import (
    CannotBegin,
    Confirmed,
    Defect,
    FromWorker,
    Introduction,
    Order,
    Played,
    Stopped,
    ToWorker,
)
from cbtcheck.run.part import PHASES, Part
from cbtcheck.run.report import Report
from cbtcheck.run.shard import Shard
from cbtcheck.run.start import DeadlyItem, DefectInProcess, ProcessDied, start
from cbtcheck.run.worker import work

PATIENCE = 10.0
"""Seconds that the workers have to end when they are told to; then they are killed."""

LOOK_UP = 0.1
"""Seconds after which it is looked whether the run was interrupted."""


Place = tuple[int, int]
NOWHERE: Place = (-1, -1)


class NothingToOpen(LookupError):
    """There is no adapter, or no mistake, of that name. The message is one line."""


def run(opening: Opening, options: Options, jobs: int, progress: Progress) -> Report:
    """The whole course, in `jobs` processes. Ctrl-C ends it early, with a report of what was found until then.

    A process that dies is replaced: its shard is played again from its start, since what is played depends on what
    was seen before, and what had come back already counts once. However it ends, no process is left behind.

    Raises what `Opening.open` does, `ProcessDied` if one dies twice before it has begun anything, `DeadlyItem`, and
    `DefectInProcess`.
    """
    started = time.monotonic()
    with (
        temporary.directory() as home,
        interrupts(signal.SIGINT, signal.SIGTERM) as pressed,
    ):
        interrupted = or_over(pressed, options.most_seconds)
        crew = Crew(options, progress, _hiring(opening, options, home))
        try:
            for index in range(jobs):
                crew.workers.append(crew.hire(Shard(index, jobs), index == 0))
            try:
                crew.oversee(interrupted)
            except KeyboardInterrupt:
                crew.interrupt()
        finally:
            crew.dismiss()
        report = crew.finished()
        report.seconds = time.monotonic() - started
        return report


@dataclass
class Worker:
    """A worker as it is seen from here: the parts that it has played and that are not gathered yet.

    What came is `reached`, whoever has played it. What had been begun when another worker on this shard died is
    `lost`, if it is beyond that.
    """

    shard: Shard
    process: SpawnProcess
    connection: Connection
    begun: Begun
    parts: deque[Part] = field(default_factory=deque)
    reached: Place = NOWHERE
    lost: Place = NOWHERE
    introduced: bool = False
    ended: bool = False

    def tell(self, order: ToWorker) -> None:
        """An order; who is dead already is noticed elsewhere."""
        with suppress(OSError):
            self.connection.send(order)

    def died(self) -> ProcessDied:
        """What to say when it has ended without a word."""
        return ProcessDied(f"process {self.shard.index + 1} of {self.shard.of} of this run", self.process)


Hire = Callable[[Shard, bool], Worker]
"""A new worker for a shard; whether it confirms the ledger."""


def _hiring(opening: Opening, options: Options, home: str) -> Hire:
    context, numbers = multiprocessing.get_context("spawn"), count()

    def hire(shard: Shard, confirms: bool) -> Worker:
        begun = Begun(home, next(numbers))
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(opening, options, shard, home, theirs, begun, confirms))
        start(process)
        theirs.close()
        return Worker(shard, process, ours, begun)

    return hire


class Crew:
    """The workers of a run, and what is known of it."""

    def __init__(self, options: Options, progress: Progress, hire: Hire) -> None:
        self.options, self.progress, self.hire = options, progress, hire
        self.confirmed: Confirmed | None = None
        self.deaths: Counter[tuple[int, Place]] = Counter()
        self.played_again = 0
        self.workers: list[Worker] = []
        self.first: Introduction | None = None
        self.gathering: Gathering | None = None
        self.played: Counter[int] = Counter()
        self.interrupted = False
        self.patience = PATIENCE

    def oversee(self, interrupted: Callable[[], bool]) -> None:
        """Until all workers have ended. Raises `KeyboardInterrupt` between two messages."""
        while not all(each.ended for each in self.workers):
            if interrupted():
                raise KeyboardInterrupt
            at_work = {each.connection: each for each in self.workers if not each.ended}
            for connection in wait([*at_work], LOOK_UP):
                worker = at_work[connection]  # type: ignore[index]
                try:
                    message: FromWorker = worker.connection.recv()
                except (EOFError, OSError):
                    self._replace(worker)
                    continue
                self._heard(worker, message)
            self._gather()

    def _replace(self, dead: Worker) -> None:
        """Another worker for the shard of one that has died, with what came from it."""
        died, place = dead.died(), dead.begun.last() or NOWHERE
        if self.interrupted or died.defect:
            raise died
        self.deaths[dead.shard.index, place] += 1
        if self.deaths[dead.shard.index, place] > 1:
            if place == NOWHERE:
                raise died
            phase, number = PHASES[place[0]], place[1]
            raise DeadlyItem(f"item {number} of '{phase}' (seed {self.options.seed}) has ended the process that "
                             f"played it twice ({died.how}): there is no result")  # fmt: skip
        dead.process.kill()  # if it has only closed its end
        dead.process.join()
        dead.connection.close()
        new = self.hire(dead.shard, dead.shard.index == 0 and self.confirmed is None)
        self.workers[dead.shard.index] = new
        new.parts, new.reached, new.lost = dead.parts, dead.reached, max(dead.lost, place)
        if self.confirmed is not None:
            new.tell(self.confirmed)
        if self.gathering is not None and self.gathering.enough:
            new.tell(Order.ENOUGH)

    def _heard(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case CannotBegin(why, unknown, broken):
                raise NothingToOpen(why) if unknown else AdapterBroken(why) if broken else AdapterUnusable(why)
            case Defect(traceback):
                raise DefectInProcess(traceback)
            case Introduction():
                worker.introduced = True
                self._introduced(message)
            case Confirmed():
                self.confirmed = message
                for each in self.workers:
                    each.tell(message)
            case Played(parts):
                new = [each for each in parts if each.place > worker.reached]
                if new:
                    self.played_again += sum(each.place <= worker.lost for each in new)
                    worker.parts.extend(new)
                    worker.reached = new[-1].place
                    self._show(new)
            case Stopped(interrupted, exhausted):
                if exhausted and self.gathering is not None:
                    self.gathering.exhausted = True
                if interrupted and not self.interrupted:
                    self.interrupted = True  # somebody has asked that worker to end
                    for each in self.workers:
                        each.tell(Order.STOP)
                worker.ended = True

    def _introduced(self, new: Introduction) -> None:
        first = self.first
        if first is None:
            self.gathering = gathering_for(new.name, new.version, self.options)
        elif (first.name, first.version, first.capabilities) != (new.name, new.version, new.capabilities):
            raise AdapterUnusable(f"each process has another implementation: {first.version}, and {new.version}")
        if first is None or new.scope is not None:
            self.first = new

    def _show(self, parts: list[Part]) -> None:
        """The progress of all together: that of the phase in which the last of them is."""
        for each in parts:
            self.played[PHASES.index(each.phase)] += 1
        phase = max(0, min(each.reached for each in self.workers if not each.ended)[0])
        of = parts[-1].of if PHASES.index(parts[-1].phase) == phase else 0
        if self.played[phase]:
            self.progress(PHASES[phase], self.played[phase], of)

    def _gather(self) -> None:
        """Gathers what no part can come before any more."""
        while all(each.parts or each.ended for each in self.workers):
            if not self._gather_next():
                return

    def _gather_next(self) -> bool:
        next = min((each for each in self.workers if each.parts), key=lambda each: each.parts[0].place, default=None)
        if next is None or self.gathering is None:
            return False
        enough = self.gathering.enough
        self.gathering.add(next.parts.popleft())
        if self.gathering.enough and not enough:
            for each in self.workers:
                each.tell(Order.ENOUGH)
        return True

    def interrupt(self) -> None:
        """Asks all to end, and hears what they have played until then. A second interrupt ends it at once."""
        self.interrupted = True
        for each in self.workers:
            each.tell(Order.STOP)
        if self.first is None or self.first.scope is None:
            self.patience = 0.0  # nothing was played that could be reported
            return
        with suppress(KeyboardInterrupt, ProcessDied):
            self.oversee(Patience(PATIENCE).expired)
        self.patience = 0.0  # they have had their time, or there is none
        while self._gather_next():
            pass

    def dismiss(self) -> None:
        """Ends what is left of them, if need be with force."""
        for each in self.workers:
            each.tell(Order.STOP)
        patience = Patience(self.patience)
        try:
            for each in self.workers:
                while (each.ended or each.introduced) and each.process.is_alive() and not patience.expired():
                    each.process.join(patience.step())
        finally:
            for each in self.workers:
                if each.process.is_alive():
                    each.process.kill()
                each.process.join()
                each.connection.close()

    def finished(self) -> Report:
        """The report. Raises `KeyboardInterrupt` if the run was interrupted before anything could be known."""
        if self.gathering is None or self.first is None or self.first.scope is None:
            raise KeyboardInterrupt
        report = self.gathering.finished(self.first.scope, self.first.capabilities)
        report.tour.seconds /= len(self.workers)  # they were at it at the same time
        report.interrupted = self.interrupted
        report.workers_died, report.played_again = self.deaths.total(), self.played_again
        return report
