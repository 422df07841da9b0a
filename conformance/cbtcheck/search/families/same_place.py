"""The same place: one range is written again and again, and each time between, something is done to its bitmap.

An implementation that knows what it has recorded, and for whom, need not record it again, as long as it notices
everything that changes this. So the range is written before and after every two of what may happen to a bitmap that
is free, and to one that is frozen all the time between: the writes do not differ, and nothing else is written there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 12
ROUNDS = 3

Happens = Callable[[Ground, int], Iterator[Command]]
"""What happens between two writes to the bitmap *b*; with the number of the round."""


def _replaced(order: int) -> Happens:
    def happens(ground: Ground, number: int) -> Iterator[Command]:
        sizes = sorted(each for each in ground.capabilities.granularities if each <= 2 * ground.unit)[::order]
        yield c.RemoveBitmap(DISK, "b")
        yield ground.add("b", granularity=sizes[min(number, len(sizes) - 1)])

    return happens


def _merged(ground: Ground, number: int) -> Iterator[Command]:
    yield c.ClearBitmap(DISK, "b")
    yield ground.merge("b", "other")


def _undone(ground: Ground, number: int) -> Iterator[Command]:
    yield c.Transaction((c.ClearBitmap(DISK, "b"), c.DisableBitmap(DISK, "b"), c.Abort()))


def _at_once(ground: Ground, number: int) -> Iterator[Command]:
    yield c.Transaction((c.ClearBitmap(DISK, "b"), ground.backup("k", "b", "full", "always")))
    yield c.CancelJob("k")


def _disabled(end: str) -> Happens:
    def happens(ground: Ground, number: int) -> Iterator[Command]:
        yield c.DisableBitmap(DISK, "b")
        yield ground.backup("k", "b", "full")
        yield c.CancelJob("k") if end == "cancelled" else ground.copy_all("k", UNITS)
        yield c.EnableBitmap(DISK, "b")

    return happens


FREE: dict[str, Happens] = {
    "nothing": lambda ground, number: iter(()),
    "a clear": lambda ground, number: iter((c.ClearBitmap(DISK, "b"),)),
    "a clear while disabled": lambda ground, number: iter((
        c.DisableBitmap(DISK, "b"), c.ClearBitmap(DISK, "b"), c.EnableBitmap(DISK, "b"),
    )),
    "a finer one in its place": _replaced(-1),
    "a coarser one in its place": _replaced(1),
    "a clear and a merge": _merged,
    "an undone clear": _undone,
    "a backup that completes": lambda ground, number: iter((
        ground.backup("k", "b", "bitmap"), ground.copy_all("k", UNITS),
    )),
    "a backup that is cancelled": lambda ground, number: iter((ground.backup("k", "b", "full"), c.CancelJob("k"))),
    "a clear and a backup at once": _at_once,
    "a backup while disabled": _disabled("cancelled"),
    "a whole backup while disabled": _disabled("completed"),
}  # fmt: skip
"""A bitmap that no job has, before and after."""


def _again(end: Callable[[Ground], Command], sync: str, modes: tuple[str, ...]) -> Happens:
    def happens(ground: Ground, number: int) -> Iterator[Command]:
        yield end(ground)
        yield ground.backup("j", "b", sync, modes[number % len(modes)])  # type: ignore[arg-type]

    return happens


FROZEN: dict[str, Happens] = {
    "nothing": lambda ground, number: iter(()),
    "a cancel and the next backup": _again(lambda ground: c.CancelJob("j"), "full", ("on-success", "always")),
    "a cancel and the next differential": _again(lambda ground: c.CancelJob("j"), "bitmap", ("never",)),
    "the end and the next backup": _again(
        lambda ground: ground.copy_all("j", UNITS), "full", ("always", "on-success")
    ),
    "a failure and the next backup": _again(
        lambda ground: ground.copy_all("j", UNITS, "read error"), "full", ("on-success",)
    ),
    "a pause": lambda ground, number: iter((c.PauseJob("j"), c.ResumeJob("j"))),
    "a backup of another": lambda ground, number: iter((ground.backup("k", "other", "full"), c.CancelJob("k"))),
    "an undone start": lambda ground, number: iter((
        c.Transaction((ground.backup("k", "other", "full", "always"), c.Abort())),
    )),
}  # fmt: skip
"""A bitmap that a job has frozen, before and after."""

RANGES: dict[str, Callable[[Ground], tuple[int, int]]] = {
    "a unit": lambda ground: (ground.unit, ground.unit),
    "some bytes": lambda ground: (ground.unit + 1, 3),
    "across 3 units": lambda ground: (2 * ground.unit - 1, ground.unit + 2),
    "most of the disk": lambda ground: (ground.unit, (UNITS - 2) * ground.unit),
}

WAYS = ("write", "zeroes", "in flight", "failed")

OTHERS = ("none", "enabled", "disabled", "frozen")
"""Another bitmap, which is older; the one that is merged and backed up is always there."""


def _write(offset: int, length: int, way: str) -> Iterator[Command]:
    if way == "in flight":
        yield c.BeginWrite(DISK, "w", offset, length)
        yield c.EndWrite(DISK, "w")
    else:
        kind, result = ("zeroes" if way == "zeroes" else "write"), ("failed" if way == "failed" else "ok")
        yield c.Write(DISK, offset, length, kind, result)  # type: ignore[arg-type]


def _rounds(ground: Ground, listed: dict[str, Happens], name: str) -> Iterator[Command]:
    """What happens there in all rounds."""
    for number in range(ROUNDS):
        yield from listed[name](ground, number)


def same_place(ground: Ground) -> Iterator[Scenario]:
    """Every two of what happens, in both orders, three times in turn; with every range, way, and other bitmap."""
    ways = claimed(ground, WAYS, lambda way: _write(0, 1, way))
    for frozen, listed in ((False, FREE), (True, FROZEN)):
        names = claimed(ground, list(listed), partial(_rounds, ground, listed))
        for first, second, at, how, others in rows(names, names, list(RANGES), ways, OTHERS):
            offset, length = list(RANGES.values())[at](ground)
            other = OTHERS[others]
            commands: list[Command] = []
            if other != "none":
                commands.append(ground.add("older", enabled=other != "disabled"))
                commands += [ground.backup("o", "older", "full")] if other == "frozen" else []
            commands += [ground.add("other"), ground.write(UNITS - 1), c.DisableBitmap(DISK, "other")]
            commands += [ground.add("b"), ground.write(0)]
            commands += [ground.backup("j", "b", "full")] if frozen else []
            for number in range(ROUNDS):
                for each in (first, second):
                    commands += [*_write(offset, length, ways[how]), *listed[names[each]](ground, number)]
            commands += [*_write(offset, length, ways[how])]
            state = "frozen" if frozen else "free"
            title = f"{list(RANGES)[at]} ({ways[how]}), again and again: {names[first]}, {names[second]}; {state}"
            yield Scenario(ground.disks(UNITS), tuple(commands), title=f"{title}, an older one {other}")


SAME_PLACE = Family(
    "the same place", "one range is written again and again, and in between something is done to its bitmap",
    same_place, frozenset({
        "write", "begin-write", "clear-bitmap", "remove-bitmap", "add-bitmap", "start-backup", "cancel-job", "copy",
    }),
)  # fmt: skip
