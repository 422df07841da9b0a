"""Scenarios in which the same happens to the same bitmap, or under the same id, five times and more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from cbtmodel import commands as c
from cbtmodel.node import State

from cbtcheck.search.tour.contexts.stage import A, B, Commands, D, Stage, Way, backup, ended, merge, whole, write
from cbtcheck.search.tour.reachable import BLOCK
from cbtcheck.sets.bitsets import Bits

TIMES = 6
ROOM = 8
"""Blocks of the disk."""

MODES = ("on-success", "always", "never")
OUTCOMES = ("completed", "cancelled", "failed")


def start(mode: str, job: str = "j", dirty: bool = True) -> c.StartBackup:
    """A backup that has something to do, also of a bitmap that is clean."""
    return backup(job, A, "bitmap" if dirty or mode == "never" else "full", mode)


def end(outcome: str, job: str = "j") -> c.Command:
    """What gives a job that outcome, at once."""
    every = ROOM * BLOCK
    ends: dict[str, c.Command] = {
        "completed": c.Copy(job, 0, every), "cancelled": c.CancelJob(job),
        "failed": c.Copy(job, 0, every, "read error"),
    }  # fmt: skip
    return ends[outcome]


def backups() -> Iterator[Way]:
    """The same backup of the same bitmap again and again: in each mode, with each end, and with every bit or none."""
    yes_or_no = ((True, False),) * 3
    for mode, outcome, dirty, enabled, written in product(MODES, OUTCOMES, *yes_or_no):
        if (mode == "never" and not dirty and (outcome != "completed" or written)) or (written and not enabled):
            continue  # it has ended before anything can happen
        stage = Stage({D: ROOM}, c.AddBitmap(*A, BLOCK))
        for number in range(TIMES):
            stage.happen(c.EnableBitmap(*A), c.ClearBitmap(*A))
            stage.happen(*([write(D, number)] if dirty else []), *([] if enabled else [c.DisableBitmap(*A)]))
            stage.happen(start(mode, dirty=dirty), *([write(D, number + 1)] if written else []))
            if "j" in stage.state.jobs:
                stage.happen(end(outcome))
        yield stage.ended()
    for outcome in OUTCOMES:
        yield ended({D: ROOM}, *(each for number in range(TIMES) for each in
                                 (whole("j", D), write(D, number), end(outcome))))  # fmt: skip


def one_after_another() -> Iterator[Way]:
    """Every mode and end after every other, of the same bitmap, which is not touched in between."""
    kinds = tuple(product(MODES, OUTCOMES))
    for one in kinds:
        stage = Stage({D: ROOM}, c.AddBitmap(*A, BLOCK), write(D, 0), *_round(*one, 1))
        for number, other in enumerate(kinds):
            stage.happen(*_round(*other, number), *_round(*one, number + 1))
        yield stage.ended()
    for first, second in product(OUTCOMES, OUTCOMES):
        yield ended({D: ROOM}, whole("j", D), end(first), whole("j", D), end(second))


def _round(mode: str, outcome: str, number: int) -> Commands:
    block = number % (ROOM - 1)
    return write(D, block), start(mode), write(D, block + 1), end(outcome)


def commands() -> Iterator[Way]:
    """Every command on bitmaps and jobs, and what is refused, again and again; with new bits each time."""
    add, remove = c.AddBitmap(*A, BLOCK), c.RemoveBitmap(*A)
    rounds: tuple[tuple[Commands, tuple[c.Command, ...]], ...] = (
        ((), (add, remove)), ((), (c.AddBitmap(*A, BLOCK, False), c.EnableBitmap(*A), remove)),
        ((add,), (c.ClearBitmap(*A),)), ((add,), (c.DisableBitmap(*A), c.EnableBitmap(*A))),
        ((add, c.AddBitmap(*B, BLOCK)), (merge(A, B), c.ClearBitmap(*A))),
        ((add,), (c.Transaction((c.ClearBitmap(*A), c.Abort())),)),
        ((add,), (c.BeginWrite(D, "w", 0, BLOCK), c.EndWrite(D, "w"))),
        ((add, whole("j", D)), (c.PauseJob("j"), c.ResumeJob("j"))),
        ((add, whole("j", D)), (c.Write(D, 7 * BLOCK, BLOCK, "write", "copy failed"),)),
    )  # fmt: skip
    for before, again in rounds:
        stage = Stage({D: ROOM}, *before)
        for number in range(TIMES):
            for each in again:
                stage.happen(each, write(D, number))
        yield stage.ended()


def in_transactions() -> Iterator[Way]:
    """The same in transactions that are accepted."""
    add = c.AddBitmap(*A, BLOCK)
    yield _transactions((), (add,), (c.RemoveBitmap(*A),))
    yield _transactions((), (c.AddBitmap(*A, BLOCK, False),), (c.EnableBitmap(*A), c.RemoveBitmap(*A)))
    yield _transactions((add,), (c.DisableBitmap(*A), c.ClearBitmap(*A)), (c.EnableBitmap(*A),))
    yield _transactions((add, c.AddBitmap(*B, BLOCK)), (merge(A, B),), (c.ClearBitmap(*A), merge(B, A)))
    for mode in MODES:
        for outcome in OUTCOMES:
            yield _transactions((add,), (start(mode),), then=end(outcome))


def _transactions(before: Commands, *again: tuple[c.Action, ...], then: c.Command | None = None) -> Way:
    stage = Stage({D: ROOM}, *before)
    for number in range(TIMES):
        stage.happen(write(D, number))
        for each in again:
            state: State[Bits] = stage.happen(c.Transaction(each), write(D, number + 1))
            if then is not None and "j" in state.jobs:
                stage.happen(then)
    return stage.ended()


def ways_repeated(_: str) -> Iterator[Way]:
    """All of them, in every scope."""
    for some in (backups, one_after_another, commands, in_transactions):
        yield from some()
