"""Counters that wrap at 2^8 and tables that never shrink: more than 256 jobs, bitmaps, writes and refusals in turn.

One bitmap lives all the time, and others come and go. Ids and names are the same each time, or new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 8
ROUNDS = 260
MANY_ROUNDS = 1100


def _round(ground: Ground, number: int, new: bool) -> Iterator[Command]:
    """Everything that may be counted, once: a job's end of each kind, a bitmap, a write, an undone transaction."""
    name = f"n{number}" if new else "n"
    job = f"j{number}-" if new else "j"
    place = number % UNITS
    yield ground.add(name)
    yield ground.begin(f"w{number}" if new else "w", place)
    yield c.EndWrite(DISK, f"w{number}" if new else "w")
    yield ground.backup(job + "a", "kept", "incremental")
    yield ground.write((place + 3) % UNITS)
    yield (ground.copy_all(job + "a", UNITS), ground.copy_all(job + "a", UNITS, "read error"))[number % 2]
    yield ground.backup(job + "b", "kept", "bitmap", "always")
    yield ground.write((place + 4) % UNITS)
    yield c.CancelJob(job + "b")
    yield c.Transaction((c.ClearBitmap(DISK, "kept"), c.DisableBitmap(DISK, name), c.Abort()))
    yield c.Transaction((ground.merge(name, "kept"), c.ClearBitmap(DISK, "kept")))
    yield c.DisableBitmap(DISK, "kept")
    yield c.EnableBitmap(DISK, "kept")
    yield c.RemoveBitmap(DISK, name)


def wrapping(ground: Ground) -> Iterator[Scenario]:
    """Rounds of it: 260, and with new names also 1,100 of a few commands."""
    for new in (False, True) if ground.thorough else (True,):
        commands = [each for number in range(ROUNDS) for each in _round(ground, number, new)]
        title = f"{ROUNDS} rounds with {'new names' if new else 'the same names'}"
        yield Scenario(ground.disks(UNITS), (ground.add("kept"), *commands), title=title)
    if ground.thorough:
        for new in (False, True):
            short: list[Command] = [ground.add("kept")]
            for number in range(MANY_ROUNDS):
                job = f"j{number}" if new else "j"
                short += [ground.write(number % UNITS), ground.backup(job, "kept"), c.CancelJob(job)]
            title = f"{MANY_ROUNDS} jobs, {'new ids' if new else 'one id'}"
            yield Scenario(ground.disks(UNITS), tuple(short), title=title)


def _of_one_job(ground: Ground, rounds: int) -> Iterator[Command]:
    """One job that lives on: copies before writes, pauses, copies that fail, refusals because of what it has."""
    yield ground.add("kept")
    yield ground.add("b")
    yield replace(ground.backup("j", "b", "full", "always"), on_source_error="ignore")
    for number in range(rounds):
        yield ground.write(number)
        yield c.PauseJob("j")
        yield c.ResumeJob("j")
        yield c.Copy("j", (rounds + 3) * ground.unit, ground.unit, "read error")
        yield c.ClearBitmap(DISK, "b")
    yield c.CancelJob("j")


def _of_one_sum(ground: Ground, rounds: int) -> Iterator[Command]:
    """One bitmap into which everything is merged, and one that is merged each time."""
    yield ground.add("kept")
    yield ground.add("sum", enabled=False)
    for number in range(rounds):
        yield c.ClearBitmap(DISK, "kept")
        yield ground.write(number)
        yield c.Transaction((ground.merge("sum", "kept"), c.Abort()))
        yield ground.merge("sum", "kept")


def _of_groups(ground: Ground, rounds: int) -> Iterator[Command]:
    """Two bitmaps that are backed up together, in a group that one of them ends; and a start that is refused."""
    yield ground.add("a")
    yield ground.add("b")
    for number in range(rounds):
        yield c.Transaction((ground.backup("j", "a", "full"), ground.backup("k", "b", "full", "always")), True)
        yield ground.write(number % UNITS)
        yield ground.backup("l", ("a", "b")[number % 2], "full")
        yield c.CancelJob(("j", "k")[number % 2])


def _of_one_place(ground: Ground, rounds: int) -> Iterator[Command]:
    """One unit that is written again and again, and has to be recorded each time; and merges that are missed."""
    yield ground.add("older")
    yield ground.add("kept")
    for number in range(rounds):
        yield ground.add("n", enabled=False)
        yield c.ClearBitmap(DISK, "kept")
        yield ground.write(1)
        yield c.DisableBitmap(DISK, "kept")
        yield c.Transaction((c.ClearBitmap(DISK, "older"), c.EnableBitmap(DISK, "kept")))
        yield ground.write(2 + number % 2)
        yield ground.merge("n", "kept", "older")
        yield c.RemoveBitmap(DISK, "n")


def wrapping_of_one(ground: Ground) -> Iterator[Scenario]:
    """What one job, one bitmap, one pair, one place may count. Where there is a unit for each round, what is lost in
    one shows."""
    rounds = MANY_ROUNDS if ground.thorough else ROUNDS
    lists = (
        ("of one job", rounds + 4, _of_one_job), ("merges into one bitmap", rounds + 4, _of_one_sum),
        ("groups", UNITS, _of_groups), ("writes to one place", UNITS, _of_one_place),
    )  # fmt: skip
    for title, units, made in lists:
        yield Scenario(ground.disks(units), tuple(made(ground, rounds)), title=f"{rounds} rounds {title}")


SUBJECT = frozenset({
    "add-bitmap", "remove-bitmap", "begin-write", "end-write", "start-backup", "cancel-job", "transaction",
})  # fmt: skip

WRAPPING = Family(
    "how often, beyond 256", "260 jobs of each kind, bitmaps and writes in turn; in ci 1,100", wrapping, SUBJECT
)

OF_ONE = frozenset({
    "start-backup", "cancel-job", "pause-job", "resume-job", "copy", "write", "merge-bitmaps", "transaction",
})  # fmt: skip

WRAPPING_OF_ONE = Family(
    "how often, of one",
    "260 writes, pauses, failures and refusals of one job, merges, groups, writes to one place; in ci 1,100",
    wrapping_of_one, OF_ONE, closely=False,
)  # fmt: skip
