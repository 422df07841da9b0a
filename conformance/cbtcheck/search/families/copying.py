"""Several jobs of one disk, each with a copy in flight or none, and a guest write that meets some of these copies.

Each job whose copy the write meets is waited for, whoever else was. Every two of: what the jobs are
copying, where the write is, how it is written, and what happens then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode, Sync
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 8

COPIES: dict[str, tuple[int, int] | None] = {
    "no copy": None, "the place": (2, 1), "the place and more": (1, 3), "another place": (5, 1),
}
"""The unit where a copy in flight begins, and how many it has."""

PLACES: dict[str, tuple[int, int]] = {"the place": (2, 1), "both places": (2, 4), "neither": (7, 1)}

MODES: tuple[tuple[Sync, BitmapMode], ...] = (("bitmap", "on-success"), ("full", "always"), ("bitmap", "never"))


def _whole(kind: str) -> Callable[[Ground, int, int], Iterator[Command]]:
    def write(ground: Ground, place: int, units: int) -> Iterator[Command]:
        yield c.Write(DISK, place * ground.unit, units * ground.unit, kind)  # type: ignore[arg-type]

    return write


def _in_flight(ground: Ground, place: int, units: int) -> Iterator[Command]:
    yield c.BeginWrite(DISK, "w", place * ground.unit, units * ground.unit)
    yield c.EndWrite(DISK, "w")


WAYS: dict[str, Callable[[Ground, int, int], Iterator[Command]]] = {
    "write": _whole("write"), "zeroes": _whole("zeroes"), "in flight": _in_flight,
}


def _ends(how: str) -> Callable[[Ground, int], Iterator[Command]]:
    def ends(ground: Ground, jobs: int) -> Iterator[Command]:
        for number in range(jobs):
            yield c.CancelJob(f"j{number}") if how == "cancelled" else ground.copy_all(f"j{number}", UNITS, how)

    return ends


THEN: dict[str, Callable[[Ground, int], Iterator[Command]]] = {
    "they complete": _ends("ok"), "they are cancelled": _ends("cancelled"), "they fail": _ends("write error"),
}


def copying(ground: Ground) -> Iterator[Scenario]:
    """Three jobs, in a group or each by itself, or as many as may be."""
    jobs = min(3, ground.jobs)
    if jobs < 2:
        return
    every = [each for each in product(range(len(COPIES)), repeat=jobs) if sum(map(_at_the_place, each)) >= 2]
    modes = claimed(ground, MODES, lambda mode: (ground.backup("j", "b", *mode),))
    ways = claimed(ground, list(WAYS), lambda name: WAYS[name](ground, 0, 1))
    together = (False, True) if "grouped" in ground.capabilities.features else (False,)
    for which, at, way, then, grouped in rows(every, list(PLACES), ways, list(THEN), together):
        copies = every[which]
        commands: list[Command] = []
        for number in range(jobs):
            commands += [ground.add(f"b{number}")]
        commands.append(c.Write(DISK, 0, UNITS * ground.unit))
        starts = tuple(
            ground.backup(f"j{number}", f"b{number}", *modes[number % len(modes)]) for number in range(jobs)
        )
        commands += [c.Transaction(starts, True)] if together[grouped] else starts
        for number, each in enumerate(copies):
            what = list(COPIES.values())[each]
            if what is not None:
                commands.append(c.BeginCopy(f"j{number}", what[0] * ground.unit, what[1] * ground.unit))
        place = list(PLACES.values())[at]
        commands += WAYS[ways[way]](ground, *place)
        commands += WAYS[ways[way]](ground, 3, 1)
        commands += [c.EndCopy(f"j{number}") for number, each in enumerate(copies) if not _met(each, place)]
        commands += list(THEN.values())[then](ground, jobs)
        told = ", ".join(list(COPIES)[each] for each in copies)
        title = f"{jobs} jobs amid copies of: {told}; a guest write to {list(PLACES)[at]} ({ways[way]})"
        yield Scenario(ground.disks(UNITS), tuple(commands), title=f"{title}; {list(THEN)[then]}")


def _at_the_place(copy: int) -> bool:
    return list(COPIES)[copy].startswith("the place")


def _met(copy: int, place: tuple[int, int]) -> bool:
    """Whether there is no copy, or one that ends before one of the writes, which are to the place and to unit 3."""
    what = list(COPIES.values())[copy]
    return what is None or any(
        what[0] < at + units and at < what[0] + what[1] for at, units in (place, (3, 1))
    )  # fmt: skip


COPYING = Family(
    "copies of several jobs", "two and three jobs of a disk with copies in flight, which guest writes meet",
    copying, frozenset({"begin-copy", "end-copy", "copy", "write", "begin-write"}),
)  # fmt: skip
