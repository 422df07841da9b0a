"""Which one, in which company: the same happens three times to one of several bitmaps, on one of several disks.

Every two of: what happens, which bitmap it is by age, which disk, what the others are meanwhile, and which ids are
used. That it happens three times is the same in all of them, so that the second and third time meet every company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.again import ROUNDS, SUBJECT, Round
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 12
TIMES = 3


# More of what happens


def _at_once(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number % UNITS)
    yield c.Transaction((c.ClearBitmap(DISK, "b"), ground.backup(job, "b", "full")))
    yield ground.write((number + 5) % UNITS)
    yield c.CancelJob(job) if number != 1 else ground.copy_all(job, UNITS)


def _amid_a_copy(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.backup(job, "b", "full", ("always", "on-success")[number % 2])
    yield ground.write(UNITS - 2 - number)
    yield c.BeginCopy(job, 0, ground.unit)
    yield c.CancelJob(job)


def _same_place(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(1)
    yield c.ClearBitmap(DISK, "b")
    yield ground.write(1)
    yield ground.backup(job, "b")
    yield ground.write(1)
    yield ground.copy_all(job, UNITS)
    yield ground.write(1)


def _replaced_in_flight(ground: Ground, job: str, number: int) -> Iterator[Command]:
    sizes = ground.capabilities.granularities
    yield ground.begin("w", number)
    yield ground.begin("v", number + 4)
    yield c.RemoveBitmap(DISK, "b")
    yield ground.add("b", granularity=sizes[(number + 1) % len(sizes)])
    yield c.EndWrite(DISK, "v")
    yield c.EndWrite(DISK, "w", ("ok", "failed")[number % 2])


def _backed_up_and_replaced(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number)
    yield ground.backup(job, "b", "incremental")
    yield ground.copy_all(job, UNITS)
    yield c.RemoveBitmap(DISK, "b")
    yield ground.add("b")
    yield ground.write(number + 1)


def _in_flight_at_its_start(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.begin("w", 4 * number)
    yield ground.begin("v", 4 * number + 1)
    yield ground.backup(job, "b", "bitmap", ("on-success", "always", "never")[number % 3])
    yield ground.begin("w", 4 * number + 2)
    yield ground.begin("v", 4 * number + 3)
    yield c.EndWrite(DISK, "v")
    yield c.EndWrite(DISK, "w")
    yield c.CancelJob(job)


def _otherwise(ground: Ground, job: str, number: int) -> Iterator[Command]:
    for kind, place in (("zeroes", number), ("discard", number + 3), ("write", number + 6)):
        yield replace(ground.write(place), kind=kind)  # type: ignore[arg-type]
    yield ground.backup(job, "b")
    for kind, place in (("zeroes", number + 4), ("discard", number + 5)):
        yield replace(ground.write(place), kind=kind)  # type: ignore[arg-type]
    yield c.CancelJob(job)


def _disabled_while_frozen(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.write(number)
    yield c.DisableBitmap(DISK, "b")
    yield ground.backup(job, "b", "bitmap", ("always", "on-success")[number % 2])
    yield ground.write(number + 4)
    yield c.CancelJob(job) if number != 1 else ground.copy_all(job, UNITS)
    yield ground.write(number + 5)
    yield c.EnableBitmap(DISK, "b")
    yield ground.write(number + 6)


def _merged_and_cancelled(ground: Ground, job: str, number: int) -> Iterator[Command]:
    yield ground.backup(job, "b", "full")
    yield ground.write(number)
    yield c.CancelJob(job)
    yield ground.merge("b", "other")
    yield c.Transaction((ground.merge("b", "other"), c.ClearBitmap(DISK, "other"), c.Abort()))


MORE: dict[str, Round] = {
    "cleared and backed up at once": _at_once,
    "cancelled amid a copy": _amid_a_copy,
    "written in the same place": _same_place,
    "replaced while writes are in flight": _replaced_in_flight,
    "backed up and replaced": _backed_up_and_replaced,
    "frozen while writes are in flight": _in_flight_at_its_start,
    "zeroes and discards": _otherwise,
    "disabled, and backed up": _disabled_while_frozen,
    "merged after a cancel": _merged_and_cancelled,
}

LEFT_OUT = ("always", "never, cancelled", "full, on success", "without a bitmap", "pauses", "is refused")
"""Of how often: what differs little from others in company."""

HAPPENS = {**{name: each for name, each in ROUNDS.items() if name not in LEFT_OUT}, **MORE}


# Which one

RANKS = {"the oldest of 3": (0, 3), "the 2nd of 3": (1, 3), "the 3rd of 3": (2, 3), "the 3rd of 6": (2, 6)}
DISKS = {"the only disk": (0, 1), "the 1st of 2 disks": (0, 2), "the 2nd of 2 disks": (1, 2), "the 3rd disk": (2, 3)}
NAMESAKES = (False, True)

IDS: dict[str, tuple[Callable[[int], str], str]] = {
    "one id": (lambda number: "j", "i"),
    "ids that begin with it": (lambda number: "j", "j1"),
    "an id that begins with them": (lambda number: f"j1{number}", "j1"),
    "ids that are longer each time": (lambda number: "j" * (number + 2), "j"),
}
"""Of the jobs in turn, and of the one that is there meanwhile."""


# The company

Company = Callable[[Ground, str, list[str], list[str], str], Iterator[Command]]
"""With a disk, the older bitmaps and the newer ones, and the id for a job: what is done to them before."""


def _disabled(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
    yield from (c.DisableBitmap(node, each) for each in newer)


def _older_disabled(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
    yield from (c.DisableBitmap(node, each) for each in older)


def _frozen(which: int, enabled: bool, state: str) -> Company:
    def company(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
        name = [*older, *newer][which]
        if not enabled:
            yield c.DisableBitmap(node, name)
        yield ground.backup(job, name, "full", ("on-success", "always")[which], node)
        if state == "paused":
            yield c.PauseJob(job)
        elif state == "a copy in flight":
            yield c.BeginCopy(job, (UNITS - 3) * ground.unit, ground.unit)

    return company


def _two_frozen(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
    names = [*older, *newer]
    yield ground.backup(job, names[0], "full", "always", node)
    yield ground.backup(job + "x", names[-1], "bitmap", "never", node)


def _writes(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
    yield from (ground.begin(each, UNITS - 2 - place, node) for place, each in enumerate(("a", "z")))


def _removed(ground: Ground, node: str, older: list[str], newer: list[str], job: str) -> Iterator[Command]:
    yield c.RemoveBitmap(node, [*older, *newer][0])
    yield ground.add([*older, *newer][0], node)


COMPANY: dict[str, Company] = {
    "all enabled": lambda ground, node, older, newer, job: iter(()),
    "the newer disabled": _disabled,
    "the older disabled": _older_disabled,
    "another frozen": _frozen(0, True, "running"),
    "the newest frozen and disabled": _frozen(-1, False, "running"),
    "another's job paused": _frozen(0, True, "paused"),
    "another's job amid a copy": _frozen(-1, True, "a copy in flight"),
    "two frozen": _two_frozen,
    "two writes in flight": _writes,
    "another added again": _removed,
}


def moved(command: Any, node: str, name: str) -> Any:
    """The same command on the disk `on`, and on the bitmap of that name instead of *b*."""
    changes: dict[str, Any] = {}
    for field in fields(command):
        value = getattr(command, field.name)
        if field.name == "node" and value == DISK:
            changes["node"] = node
        elif field.name in ("name", "target", "bitmap") and value == "b":
            changes[field.name] = name
        elif field.name in ("actions", "sources"):
            changes[field.name] = tuple(moved(each, node, name) for each in value)
    return replace(command, **changes)


def company(ground: Ground) -> Iterator[Scenario]:
    """A covering array of it."""
    parts = [list(HAPPENS), list(COMPANY), list(RANKS), list(DISKS), list(IDS)]
    for *numbers, namesakes in rows(*parts, NAMESAKES):
        kind, others, rank, disk, job_id = (part[number] for part, number in zip(parts, numbers, strict=True))
        place, of = RANKS[rank]
        disks = ground.disks(UNITS, DISKS[disk][1])
        node = list(disks)[min(DISKS[disk][0], len(disks) - 1)]
        names = [f"n{(number * 5) % 7}" for number in range(of)]
        commands: list[Command] = []
        for each in [node] if not NAMESAKES[namesakes] else list(disks):
            for number, name in enumerate(names):
                commands += [ground.add(name, each), ground.write(number, each)]
            commands += [ground.add("other", each), ground.write(UNITS - 1, each)]
        commands += COMPANY[others](ground, node, names[:place], names[place + 1 :], IDS[job_id][1])
        for number in range(TIMES):
            commands += (
                moved(each, node, names[place]) for each in HAPPENS[kind](ground, IDS[job_id][0](number), number)
            )
            commands += [ground.write((number + 7) % UNITS, each) for each in disks]
        title = f"three times {kind}: {rank} on {disk}, {others}, {job_id}"
        yield Scenario(disks, tuple(commands), title=title)


COMPANY_FAMILY = Family(
    "which one, again", "the same happens three times to one of several bitmaps, in company", company,
    SUBJECT - {"resume-job"},
)
