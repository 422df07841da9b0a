"""Which schedules there are: one window at a time, one fault at a time, two windows, and drawn ones, by seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from cbtcheck.judging.plan import GRANULE, SECTOR, Plan, PlannedDisk
from cbtcheck.judging.schedule import Fault, FaultKind, Operation, Schedule, Write, parsed

FIRST = "1/start"
CHUNK = 16 << 20
"""Bytes that are filled at a time when a disk gets its first content."""

WINDOWS_FROM = 8
"""The first granule that only windows write to; what is before is written between backups."""

OPERATIONS: tuple[Operation, ...] = ("write", "write", "write", "zeroes", "discard")
"""What is drawn from."""

ANYWHERE: tuple[FaultKind, ...] = ("KILL", "emulator-killed", "closed", "TERM")
AT_COMMANDS: tuple[FaultKind, ...] = ("error", *ANYWHERE)
WHILE_COPYING: tuple[FaultKind, ...] = ("cancel", "slow", "source-EIO")
AT_TARGETS: tuple[FaultKind, ...] = ("target-EIO", "target-ENOSPC")
ENDING_QEMU: tuple[FaultKind, ...] = ("emulator-killed", "closed", "restart")
"""Where the tool starts QEMU, only if the plan says how it is started once more."""

BETWEEN_RUNS: tuple[FaultKind, ...] = ("restart", "emulator-killed")


@dataclass(frozen=True)
class Profile:
    """How much is played: at most so many of each kind. None: all there are.

    `idle`: windows of a run before which nothing was written. `after`: windows of what a tool does after a failure.
    """

    name: str
    windows: int | None
    idle: int | None
    faults: int | None
    pairs: int | None
    drawn: int
    after: int | None


PROFILES = {
    each.name: each
    for each in (
        Profile("quick", None, None, 60, 0, 10, 20),
        Profile("ci", None, None, None, 60, 40, 200),
        Profile("deep", None, None, None, None, 500, None),
    )
}


def labels(increments: int) -> list[str]:
    """Every run that there may be: "1", "1a", "2", "2a", "2b", …"""
    return [f"{n}{again}" for n in range(1, increments + 2) for again in ("", "a", "b") if n > 1 or again != "b"]


def baseline(plan: Plan) -> tuple[Write, ...]:
    """What the guest writes in any case: the whole disk before the full backup, a little before each other run."""
    found = []
    for disk in plan.disks:
        for offset in range(0, disk.size, CHUNK):
            found.append(Write(FIRST, disk.name, offset, min(CHUNK, disk.size - offset)))
        found.append(Write(FIRST, disk.name, 3 * GRANULE, GRANULE, "zeroes"))
    for number, label in enumerate(labels(plan.increments)[1:]):
        at = f"{label}/start"
        for disk in plan.disks:
            last = disk.size // GRANULE - 1
            found.append(Write(at, disk.name, GRANULE, GRANULE))
            found.append(Write(at, disk.name, (4 + number % 4) * GRANULE, GRANULE))
            found.append(Write(at, disk.name, last * GRANULE, 8 * SECTOR))
    return tuple(found)


def burst(plan: Plan, at: str, number: int = 0) -> tuple[Write, ...]:
    """What the guest writes in a window, one of each kind, where it does not write otherwise; `number` moves it."""
    return tuple(each for disk in plan.disks for each in _burst(disk, at, number))


def _burst(disk: PlannedDisk, at: str, number: int) -> Iterator[Write]:
    width = disk.size // GRANULE - 2 - WINDOWS_FROM

    def place(index: int) -> int:
        return (WINDOWS_FROM + (5 * number + index) % width) * GRANULE

    yield Write(at, disk.name, place(0), GRANULE)
    yield Write(at, disk.name, place(1) + GRANULE - 2 * SECTOR, 4 * SECTOR)  # in two granules, a part of each
    yield Write(at, disk.name, place(3), GRANULE, "zeroes")
    yield Write(at, disk.name, place(4), GRANULE, "discard")
    yield Write(at, disk.name, disk.size - (2 + 2 * (number % 4)) * SECTOR, 2 * SECTOR)  # the tail
    yield Write(at, disk.name, GRANULE, 8 * SECTOR)  # where it writes otherwise, too


def windows(plan: Plan, points: Sequence[str]) -> list[Schedule]:
    """The guest writes in one window; one schedule for each point."""
    common = baseline(plan)
    return [
        Schedule(f"window {at}", plan.increments, (*common, *burst(plan, at)))
        for at in dict.fromkeys(points)
        if at != FIRST
    ]


IDLE = "nothing written"
"""How the names of such schedules begin."""


def idle(plan: Plan, points: Sequence[str]) -> list[Schedule]:
    """Nothing was written since the backup before: as the run's bitmap is empty, a tool may do something else.

    The guest writes in one window of that run, or, one schedule for each run, not at all.
    """
    common, found = baseline(plan), []
    for at in dict.fromkeys(points):
        point = parsed(at)
        if point.run != "1":
            quiet = tuple(each for each in common if each.at != f"{point.run}/start")
            writes = () if point.kind == "start" else burst(plan, at)
            name = f"{IDLE} before run {point.run}" + (f", then {at}" if writes else "")
            found.append(Schedule(name, plan.increments, (*quiet, *writes)))
    return found


def after_failures(plan: Plan, recoveries: Sequence[tuple[Schedule, Sequence[str]]]) -> list[Schedule]:
    """Something has failed, or nothing was written, and the guest writes in a window of what the tool does then.

    With each schedule the points that there are only in that case: of a retry, say, or of the runs that follow.
    """
    found = []
    for schedule, points in recoveries:
        for at in dict.fromkeys(points):
            if parsed(at).kind != "start":
                writes = (*schedule.writes, *burst(plan, at.replace("/copying/", "/before/"), 1))
                name = f"{schedule.name}, then {at}"
                found.append(Schedule(name, schedule.increments, writes, schedule.faults))
    return found


def shape_of(points: Sequence[str]) -> Hashable:
    """What is alike of points in different runs: what is done after a failure in run 2 is done after one in run 3."""
    return tuple((each.run.lstrip("0123456789"), each.kind, each.name, each.number) for each in map(parsed, points))


def is_again(point: str) -> bool:
    """Whether it is in a run that there is only after a failure."""
    return parsed(point).run[-1] in "ab"


def faults(plan: Plan, points: Sequence[str], targets: Sequence[str]) -> list[Schedule]:
    """One thing fails; one schedule for each kind at each point where it can."""
    common = baseline(plan)
    served = all(each.served for each in plan.disks)
    found = []
    for at in dict.fromkeys(points):
        kinds: tuple[FaultKind, ...] = ANYWHERE
        match parsed(at).kind:
            case "start":
                kinds = BETWEEN_RUNS if at != FIRST else ()
            case "before":
                kinds = AT_COMMANDS + (AT_TARGETS if at in targets else ())
            case "copying":
                kinds = WHILE_COPYING if served else ("cancel",)
        if plan.kind == "tool" and not plan.restart:
            kinds = tuple(each for each in kinds if each not in ENDING_QEMU)
        written = at.replace("/copying/", "/before/")  # a write would have to wait for what the disk holds back
        found += [
            Schedule(f"fault {kind} at {at}", plan.increments, (*common, *burst(plan, written)), (Fault(at, kind),))
            for kind in kinds
        ]
    return found


def pairs(plan: Plan, points: Sequence[str]) -> Iterator[Schedule]:
    """The guest writes in two windows."""
    common = baseline(plan)
    there = [each for each in dict.fromkeys(points) if each != FIRST]
    for one, other in combinations(there, 2):
        writes = (*common, *burst(plan, one), *burst(plan, other, 1))
        yield Schedule(f"windows {one} and {other}", plan.increments, writes)


def drawn(plan: Plan, points: Sequence[str], targets: Sequence[str], seed: int, number: int) -> Schedule:
    """The guest writes whatever, wherever, whenever; every third has a fault, too."""
    random = Random(f"{seed} {number}")
    there = list(dict.fromkeys(points))
    writes = list(baseline(plan))
    for at in sorted(random.sample(range(len(there)), min(len(there), random.randint(2, 8)))):
        for _ in range(random.randint(1, 4)):
            disk = random.choice(plan.disks)
            length = random.choice((1, 2, 7, 8, 127, 128, 129, 256)) * SECTOR
            offset = random.randrange(0, disk.size - length + 1, SECTOR)
            op = random.choice(OPERATIONS)
            writes.append(Write(there[at], disk.name, offset, length, op))
    failing: tuple[Fault, ...] = ()
    if number % 3 == 2:
        possible = faults(plan, points, targets)
        failing = random.choice(possible).faults if possible else ()
    return Schedule(f"drawn {number} with seed {seed}", plan.increments, tuple(writes), failing)


@dataclass(frozen=True)
class Chosen:
    """What is played, and for each kind how many of how many."""

    schedules: tuple[Schedule, ...]
    bounds: tuple[tuple[str, int, int], ...]


def chosen(plan: Plan, points: Sequence[str], targets: Sequence[str], profile: Profile, seed: int) -> Chosen:
    """The schedules of a profile, in the order in which they are played."""
    parts: list[tuple[str, list[Schedule], int | None]] = [
        ("windows", windows(plan, points), profile.windows),
        ("windows after nothing was written", idle(plan, points), profile.idle),
        ("faults", faults(plan, points, targets), profile.faults),
    ]
    there = [each for each in dict.fromkeys(points) if each != FIRST]
    number_of_pairs = len(there) * (len(there) - 1) // 2
    wanted = number_of_pairs if profile.pairs is None else min(profile.pairs, number_of_pairs)
    picked = set(Random(f"{seed} pairs").sample(range(number_of_pairs), wanted))
    of_pairs = [each for number, each in enumerate(pairs(plan, points)) if number in picked] if wanted else []
    schedules: list[Schedule] = []
    bounds = []
    for name, all_of_them, limit in parts:
        some = at_most(all_of_them, limit)
        schedules += some
        bounds.append((name, len(some), len(all_of_them)))
    bounds.append(("pairs of windows", len(of_pairs), number_of_pairs))
    bounds.append(("drawn", profile.drawn, profile.drawn))
    schedules += [*of_pairs, *(drawn(plan, points, targets, seed, number) for number in range(profile.drawn))]
    return Chosen(tuple(schedules), tuple(bounds))


def at_most(schedules: list[Schedule], limit: int | None) -> list[Schedule]:
    """So many of them, from everywhere; None: all."""
    return schedules if limit is None or limit >= len(schedules) else _spread(schedules, limit)


def _spread(schedules: list[Schedule], limit: int) -> list[Schedule]:
    """So many of them: every kind of fault in turn, and of each kind from everywhere."""
    by_kind: dict[str, list[Schedule]] = {}
    for each in schedules:
        by_kind.setdefault(each.faults[0].kind if each.faults else "", []).append(each)
    share = -(-limit // len(by_kind))
    found = []
    for of_a_kind in by_kind.values():
        count = min(share, len(of_a_kind))
        found += [of_a_kind[number * len(of_a_kind) // count] for number in range(count)]
    order = {id(each): number for number, each in enumerate(schedules)}
    return sorted(found[:limit] if len(by_kind) > limit else found, key=lambda each: order[id(each)])
