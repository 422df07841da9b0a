"""The parts of a whole proof, and the processes that do them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from cbtproofs.arithmetic.arithmetic_proof import prove as prove_of_numbers
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive import vacuity
from cbtproofs.inductive.prove import PROVERS, Proved, batches, prove_together, provers
from cbtproofs.inductive.stage import Scene, scenes

from cbtcheck.cli.problem import Problem
from cbtcheck.host.child.guard import PR_SET_PDEATHSIG, prctl
from cbtcheck.run.start import begin, held_back


@dataclass(frozen=True)
class Scenes:
    """Scenes that begin alike: those of this number among all. `few` are they, if they are proved in this process."""

    number: int
    only: str | None
    few: tuple[Scene, ...] = ()


@dataclass(frozen=True)
class Seeded:
    """The mistakes that are seeded for a theorem."""

    id: str


@dataclass(frozen=True)
class Numbers:
    """The theorem about integers of this number."""

    number: int


Task: TypeAlias = Scenes | Seeded | Numbers


def done(task: Task) -> Any:
    """What comes of a task: a `Proved`, who finds the mistakes, or the `Result` of a theorem about integers."""
    match task:
        case Scenes(number, only, few):
            return prove_together(PROVERS, list(few or _batches()[number]), only)
        case Seeded(job_id):
            return vacuity.found(job_id, provers())
        case Numbers(number):
            return prove_of_numbers(theorems()[number])


def each_done(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Any]]:
    """What comes of each, in their order; in so many processes at a time, or in this one.

    Raises `Problem` if one of these processes is killed.
    """
    if jobs == 1 or len(tasks) == 1:
        yield from ((each, done(each)) for each in tasks)
        return
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), spawned, initializer=_begin, initargs=(os.getpid(),))
    through = False
    try:
        with held_back():
            futures = [pool.submit(_done_elsewhere, _lean(each)) for each in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
        through = True
    except BrokenProcessPool:
        raise Problem("a process that was proving was killed (out of memory?)") from None
    finally:
        for process in () if through else multiprocessing.active_children():
            process.terminate()  # nobody waits for what they do
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int) -> None:
    """In a process of the pool: Ctrl-C is for the one that started it, and it does not outlive that."""
    begin(signal.SIG_DFL)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@cache
def _batches() -> list[list[Scene]]:
    return batches(scenes())


def _lean(task: Task) -> Task:
    """Without scripts, which cannot be sent."""
    return replace(task, few=()) if isinstance(task, Scenes) else task


def _done_elsewhere(task: Task) -> Any:
    found = done(task)
    if isinstance(found, Proved):
        found.without_scripts()
    return found
