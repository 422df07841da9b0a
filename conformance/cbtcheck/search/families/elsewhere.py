"""Elsewhere: what happens on a disk while another disk has jobs, copies, writes in flight and bitmaps of its own.

Most of it must make no difference. Every two of: what happens, what the other disk has, what this one has, and which
of the disks comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 8

Happens = Callable[[Ground, str, int], Iterator[Command]]
"""What happens on the disk of that name; with a number, so that it happens in a place of its own."""


def _guest(kind: str, result: str = "ok") -> Happens:
    def happens(ground: Ground, node: str, number: int) -> Iterator[Command]:
        yield c.Write(node, number * ground.unit, ground.unit, kind, result)  # type: ignore[arg-type]

    return happens


def _in_flight(kind: str, result: str) -> Happens:
    def happens(ground: Ground, node: str, number: int) -> Iterator[Command]:
        yield c.BeginWrite(node, "w", number * ground.unit, ground.unit, kind)  # type: ignore[arg-type]
        yield c.EndWrite(node, "w", result)  # type: ignore[arg-type]

    return happens


def _cleared(ground: Ground, node: str, number: int) -> Iterator[Command]:
    yield c.ClearBitmap(node, "a")
    yield ground.write(number, node)


def _replaced(ground: Ground, node: str, number: int) -> Iterator[Command]:
    yield c.RemoveBitmap(node, "a")
    yield ground.add("a", node)
    yield ground.write(number, node)


def _merged(ground: Ground, node: str, number: int) -> Iterator[Command]:
    yield ground.write(number, node)
    yield ground.merge("z", "a", node=node)


def _switched(ground: Ground, node: str, number: int) -> Iterator[Command]:
    yield c.DisableBitmap(node, "a")
    yield ground.write(number + 1, node)
    yield c.EnableBitmap(node, "a")
    yield ground.write(number, node)


def _undone(ground: Ground, node: str, number: int) -> Iterator[Command]:
    yield ground.write(number, node)
    yield c.Transaction(
        (c.ClearBitmap(node, "a"), ground.merge("z", "a", node=node), c.DisableBitmap(node, "z"), c.Abort())
    )


def _backed_up(sync: str, mode: str, end: str) -> Happens:
    def happens(ground: Ground, node: str, number: int) -> Iterator[Command]:
        yield ground.write(number, node)
        yield ground.backup("j", "a", sync, mode, node)  # type: ignore[arg-type]
        yield ground.write((number + 3) % UNITS, node)
        yield c.CancelJob("j") if end == "cancelled" else ground.copy_all("j", UNITS, end)

    return happens


HAPPENS: dict[str, Happens] = {
    "a write": _guest("write"), "zeroes": _guest("zeroes"), "a discard": _guest("discard"),
    "a write that fails": _guest("write", "failed"), "zeroes that fail": _guest("zeroes", "failed"),
    "a write in flight": _in_flight("write", "ok"), "zeroes in flight": _in_flight("zeroes", "ok"),
    "a discard in flight": _in_flight("discard", "ok"), "a write in flight that fails": _in_flight("write", "failed"),
    "a clear": _cleared, "another in its place": _replaced, "a merge": _merged,
    "disabled and enabled": _switched, "an undone transaction": _undone,
    "a backup that completes": _backed_up("full", "on-success", "ok"),
    "a backup that is cancelled": _backed_up("full", "always", "cancelled"),
    "a differential that fails": _backed_up("bitmap", "never", "read error"),
}  # fmt: skip


# What the disks have

Has = Callable[[Ground, str], Iterator[Command]]
"""What is done to a disk that has an enabled bitmap *a* already, with bits, before it begins."""


def _disabled(ground: Ground, node: str) -> Iterator[Command]:
    yield c.DisableBitmap(node, "a")


def _flying(ground: Ground, node: str) -> Iterator[Command]:
    yield ground.begin("w", 0, node)
    yield ground.begin("x", UNITS - 1, node)


def _job(ground: Ground, node: str) -> Iterator[Command]:
    yield ground.backup(f"o-{node}", None, node=node)


def _paused(ground: Ground, node: str) -> Iterator[Command]:
    yield from _job(ground, node)
    yield c.PauseJob(f"o-{node}")


def _copying(ground: Ground, node: str) -> Iterator[Command]:
    yield from _job(ground, node)
    yield c.BeginCopy(f"o-{node}", (UNITS - 1) * ground.unit, ground.unit)


def _pending(ground: Ground, node: str) -> Iterator[Command]:
    yield ground.backup(f"o-{node}", "a", "full", "always", node, auto_finalize=False)
    yield ground.copy_all(f"o-{node}", UNITS)


def _frozen(ground: Ground, node: str) -> Iterator[Command]:
    yield ground.backup(f"o-{node}", "z", "full", "on-success", node)


def _two_jobs(ground: Ground, node: str) -> Iterator[Command]:
    yield from _job(ground, node)
    yield ground.backup(f"p-{node}", "a", "bitmap", "never", node)


THERE: dict[str, Has] = {
    "bitmaps": lambda ground, node: iter(()), "a disabled bitmap": _disabled, "writes in flight": _flying,
    "a job": _job, "a paused job": _paused, "a job amid a copy": _copying, "a pending job": _pending,
    "a frozen bitmap": _frozen, "two jobs": _two_jobs,
}  # fmt: skip

HERE: dict[str, Has] = {
    "bitmaps": lambda ground, node: iter(()), "a job": _job, "a frozen bitmap": _frozen,
}

ORDERS = ("this is the older of two", "this is the newer of two", "this is amid three")


def elsewhere(ground: Ground) -> Iterator[Scenario]:
    """A covering array of it; what happens happens twice, and then the bitmaps are backed up."""
    if ground.capabilities.max_disks < 2:
        return
    happens = claimed(ground, list(HAPPENS), lambda name: HAPPENS[name](ground, DISK, 0))
    has = claimed(ground, list(THERE), lambda name: THERE[name](ground, DISK))
    for what, there, here, order in rows(happens, has, list(HERE), ORDERS):
        count = min(3 if order == 2 else 2, ground.capabilities.max_disks)
        disks = ground.disks(UNITS, count)
        node = list(disks)[0 if order == 0 else 1]
        commands: list[Command] = []
        for each in disks:
            commands += [ground.add("a", each), ground.write(1, each), ground.add("z", each), ground.write(2, each)]
        for each in disks:
            commands += (list(HERE.values())[here] if each == node else THERE[has[there]])(ground, each)
        for number in (4, 5):
            commands += HAPPENS[happens[what]](ground, node, number)
        commands += [ground.write(6, each) for each in disks]
        title = f"{happens[what]} on a disk with {list(HERE)[here]}, elsewhere {has[there]}"
        yield Scenario(disks, tuple(commands), title=f"{title}; {ORDERS[order]}")


ELSEWHERE = Family(
    "meanwhile elsewhere", "what happens on a disk while another one has jobs, copies and writes of its own",
    elsewhere, frozenset({"write", "begin-write", "end-write", "start-backup", "begin-copy", "transaction"}),
)  # fmt: skip
