"""How often: something happens to a bitmap two, three, five or ten times, then something else does.

Every two of: what happens, how often, what happens in between, what happens then, and whether ids are used again.
All of it judged at every step, so that ten times are also four, six, seven, eight and nine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 12
TIMES = (2, 3, 5, 10)

Round = Callable[[Ground, str, int], Iterator[Command]]
"""What happens once to the bitmap *b*: with the id of a job, and the number of the round."""


def _job(sync: str, mode: str | None, end: str) -> Round:
    def happens(ground: Ground, job: str, number: int) -> Iterator[Command]:
        yield ground.write(number % UNITS)
        yield ground.backup(job, "b", sync, mode)  # type: ignore[arg-type]
        yield ground.write((number + 5) % UNITS)
        if end == "cancelled":
            yield c.CancelJob(job)
        elif end == "paused":
            yield c.PauseJob(job)
            yield c.ResumeJob(job)
            yield ground.copy_all(job, UNITS)
        else:
            yield ground.copy_all(job, UNITS, end)

    return happens


def _whole(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.backup(job, None)
    yield ground.write(number % UNITS)
    yield ground.copy_all(job, UNITS)


def _refused(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number % UNITS)
    yield c.Transaction((ground.backup(job, "b"), c.Abort()))


def _undone(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number % UNITS)
    yield c.Transaction((c.ClearBitmap(DISK, "b"), ground.add("x"), c.Abort()))


def _in_flight(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.begin("w", number % UNITS)
    yield ground.write((number + 1) % UNITS)
    yield c.EndWrite(DISK, "w")


def _disabled(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield c.DisableBitmap(DISK, "b")
    yield ground.write(number % UNITS)
    yield c.EnableBitmap(DISK, "b")
    yield ground.write((number + 1) % UNITS)


def _added_again(ground: Ground, job: str, number: int) -> Iterator[Command]:
    sizes = ground.capabilities.granularities
    yield c.RemoveBitmap(DISK, "b")
    yield ground.write(number % UNITS)
    yield ground.add("b", granularity=sizes[number % len(sizes)], enabled=number % 3 != 2)
    yield ground.write((number + 1) % UNITS)


def _cleared(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number % UNITS)
    yield c.ClearBitmap(DISK, "b")
    yield ground.write((number + 1) % UNITS)


def _merged(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.merge("b", "other")
    yield c.ClearBitmap(DISK, "other")
    yield ground.write(number % UNITS)


def _copy_failed(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number % UNITS)
    yield ground.backup(job, "b")
    yield ground.write(number % UNITS, result="copy failed")
    yield c.CancelJob(job)


ROUNDS: dict[str, Round] = {
    "succeeds": _job("incremental", None, "ok"),
    "fails to read": _job("incremental", None, "read error"),
    "fails to write": _job("bitmap", "always", "write error"),
    "is cancelled": _job("bitmap", "on-success", "cancelled"),
    "never": _job("bitmap", "never", "ok"),
    "never, cancelled": _job("bitmap", "never", "cancelled"),
    "always": _job("bitmap", "always", "ok"),
    "always, cancelled": _job("bitmap", "always", "cancelled"),
    "full, on success": _job("full", "on-success", "ok"),
    "pauses": _job("incremental", None, "paused"),
    "without a bitmap": _whole,
    "is refused": _refused,
    "is undone": _undone,
    "a write in flight": _in_flight,
    "disabled and enabled": _disabled,
    "removed and added": _added_again,
    "cleared": _cleared,
    "merged": _merged,
    "a copy fails": _copy_failed,
}


def _nothing(ground: Ground, number: int) -> Iterator[Command]:
    yield from ()


BETWEEN: dict[str, Callable[[Ground, int], Iterator[Command]]] = {
    "nothing": _nothing,
    "a write": lambda ground, number: iter((ground.write((number + 3) % UNITS),)),
    "a clear": lambda ground, number: iter((c.ClearBitmap(DISK, "b"),)),
    "disabled": lambda ground, number: iter((c.DisableBitmap(DISK, "b"), ground.write((number + 3) % UNITS))),
    "enabled": lambda ground, number: iter((c.EnableBitmap(DISK, "b"),)),
    "another backup": lambda ground, number: iter((
        ground.backup("k", "other"), ground.write((number + 3) % UNITS), ground.copy_all("k", UNITS),
    )),
}  # fmt: skip

IDS = (lambda number: "j", lambda number: f"j{number}")


def again(ground: Ground) -> Iterator[Scenario]:
    """A covering array of it."""
    rounds, between = list(ROUNDS), list(BETWEEN)
    times = TIMES if not ground.thorough else (*TIMES, 17, 33)
    for what, often, meanwhile, then, job_id in rows(rounds, times, between, rounds, IDS):
        commands: list[Command] = [ground.add("b"), ground.add("other"), ground.write(UNITS - 1)]
        for number in range(times[often] + 2):
            happens = ROUNDS[rounds[what if number < times[often] else then]]
            commands += happens(ground, IDS[job_id](number), number)
            commands += BETWEEN[between[meanwhile]](ground, number)
        title = f"{times[often]} times {rounds[what]}, then {rounds[then]}; in between {between[meanwhile]}"
        yield Scenario(ground.disks(UNITS), tuple(commands), title=title)


SUBJECT = frozenset({
    "add-bitmap", "remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap", "merge-bitmaps", "start-backup",
    "cancel-job", "pause-job", "resume-job", "copy", "begin-write", "end-write", "transaction",
})  # fmt: skip

AGAIN = Family("how often", "the same happens to a bitmap 2, 3, 5 and 10 times, then something else", again, SUBJECT)
