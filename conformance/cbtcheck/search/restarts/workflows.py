"""Short workflows, closed, reopened or left by a crash at each place between two of their steps."""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.ground import ONE, OTHER, Ground, again, restarted


def workflows(ground: Ground) -> dict[str, tuple[Step, ...]]:
    """What users do with bitmaps that are stored, as far as it goes on over a restart."""
    write, add = ground.write, ground.add
    merge = c.MergeBitmaps(ONE, "c", (c.Source(ONE, "b"),))
    flight = c.BeginWrite(ONE, "w0", 4 * ground.unit, 512)
    return {
        "increments": (
            add(), ground.backup(None), ground.copied(), write(1), ground.backup(), ground.copied(), write(2),
            ground.backup(), ground.copied(),
        ),
        "disabled for a while": (
            add(), write(1), c.DisableBitmap(ONE, "b"), write(2), c.EnableBitmap(ONE, "b"), write(3),
        ),
        "added disabled": (add(enabled=False), write(1), c.EnableBitmap(ONE, "b"), write(2), c.ClearBitmap(ONE, "b")),
        "two bitmaps, merged": (
            add(), add("c", enabled=False, granularity=ground.coarse), write(1), merge, c.ClearBitmap(ONE, "b"),
            write(5), merge, c.RemoveBitmap(ONE, "b"), write(6),
        ),
        "one is stored, one is not": (
            add(), c.AddBitmap(ONE, "t", ground.fine), write(1), c.ClearBitmap(ONE, "b"), write(2),
            c.RemoveBitmap(ONE, "t"), write(3),
        ),
        "a backup is running": (add(), write(1), write(2), ground.backup(), write(3), c.Copy("j0", ground.unit, 1),
                                write(4), c.CancelJob("j0"), write(5)),
        "a backup is paused": (add(), write(1), ground.backup(), c.PauseJob("j0"), write(3), c.ResumeJob("j0"),
                               ground.copied(), write(4)),
        "a best-effort backup is running": (add(), write(1), write(2), ground.backup(mode="always"), write(3),
                                            c.Copy("j0", ground.unit, 1), write(4), c.CancelJob("j0"), write(5)),
        "a full backup is running": (add(), write(1), ground.backup(None), write(2), c.Copy("j0", 0, 1), write(3),
                                     c.CancelJob("j0")),
        "a write is in flight": (add(), write(1), flight, write(2), c.EndWrite(ONE, "w0"), write(3)),
        "removed in a transaction": (
            add(), add("c"), write(1), c.Transaction((c.RemoveBitmap(ONE, "b"), c.Abort())), write(2),
            c.Transaction((c.RemoveBitmap(ONE, "b"), c.AddBitmap(ONE, "t", ground.fine))), write(3),
        ),
        "removed and added again": (add(), write(1), c.RemoveBitmap(ONE, "b"), write(2), add(), write(3)),
        "a new increment in a transaction": (
            add(), write(1), c.Transaction((c.ClearBitmap(ONE, "b"), ground.backup(None))), write(2),
            ground.copied(), write(3),
        ),
    }  # fmt: skip


def interruptions() -> dict[str, tuple[Step, ...]]:
    """What comes in between, after which the disk is open for writing again."""
    return {
        "closed": again(),
        "closed and opened twice": (*again(), *again()),
        "crash": restarted(),
        "crash, and closed": (*restarted(), *again()),
        "opened read-only first": (Close(ONE), Open(ONE, writable=False), Close(ONE), Open(ONE)),
        "crash while it is read-only": (Close(ONE), Open(ONE, writable=False), *restarted()),
        "reopened": (Reopen(ONE, writable=False), Reopen(ONE, writable=True)),
        "opened read-only and reopened": (Close(ONE), Open(ONE, writable=False), Reopen(ONE, writable=True)),
        "crash after a reopening": (Reopen(ONE, writable=False), *restarted()),
        "written to by others": (Close(ONE), WrittenByOthers(ONE), Open(ONE)),
    }


def interrupted(claims: Capabilities) -> Iterator[tuple[str, Scenario]]:
    """Each workflow with each interruption at each place; and closed there, with a crash at its end."""
    ground = Ground(claims)
    for what, steps in workflows(ground).items():
        for how, between in interruptions().items():
            for place in range(1, len(steps) + 1):
                name = f"{what}: {how} after step {place}"
                played = (*steps[:place], *between, *steps[place:])
                yield name, ground.scenario(name, *played)
        for place in range(1, len(steps) + 1):
            name = f"{what}: closed after step {place}, crash at the end"
            yield name, ground.scenario(name, *steps[:place], *again(), *steps[place:], *restarted())
    yield from _of_two_disks(ground)


def _of_two_disks(ground: Ground) -> Iterator[tuple[str, Scenario]]:
    """One is closed or opened while the other goes on; a crash takes both."""
    added = tuple(Persist(c.AddBitmap(node, "b", ground.fine)) for node in (ONE, OTHER))
    written = ground.write(1), ground.write(2, OTHER)
    merged = c.MergeBitmaps(ONE, "b", (c.Source(OTHER, "b"),))
    told: dict[str, tuple[Step, ...]] = {
        "one of two is closed": (*added, *written, Close(ONE), ground.write(3, OTHER), merged, Open(ONE), merged),
        "one of two is read-only": (*added, *written, Reopen(OTHER, writable=False), merged, ground.write(3),
                                    Reopen(OTHER, writable=True)),
        "both are left by a crash": (*added, *written, Close(OTHER), Open(OTHER), Crash(), Open(OTHER), Open(ONE),
                                     ground.write(3), ground.write(4, OTHER)),
        "one is closed before the crash": (*added, *written, Close(OTHER), Crash(), Open(OTHER), Open(ONE), merged),
        "a backup of one, and the other is closed": (*added, *written, ground.backup(), Close(OTHER), ground.copied(),
                                                     Open(OTHER), ground.write(4, OTHER)),
    }  # fmt: skip
    for what, steps in told.items():
        yield what, ground.scenario(what, *steps, disks=2)
