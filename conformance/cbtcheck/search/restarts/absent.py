"""Events and commands that name what is not there, or is closed, or is open already: they are refused."""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Reopen, WrittenByOthers

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.ground import ONE, Ground

NOWHERE = "nowhere"
"""A disk that no scenario has, and a bitmap that no disk has."""

NOT_THERE = "what is not there"


def absent(claims: Capabilities) -> Iterator[tuple[str, Scenario]]:
    """What names it, one after the other; between what a bitmap has seen before, and what it sees later."""
    ground = Ground(claims)
    for what, steps in named(ground).items():
        name = f"{NOT_THERE}: {what}"
        yield name, ground.scenario(name, ground.add(), ground.write(1), *steps, ground.write(2))


def named(ground: Ground) -> dict[str, tuple[Step, ...]]:
    """By what it is that is not there."""
    again = ground.write(3), Open(ONE)
    read = Close(ONE), Open(ONE, writable=False)
    closed = *events(ONE)[:-1], *changes(ground, ONE, "b"), *uses(ground, ONE, "b")
    flight = c.BeginWrite(ONE, "w0", 4 * ground.unit, 512)
    running = ground.backup(), flight
    return {
        "an image": (*events(NOWHERE), WrittenByOthers(NOWHERE)),
        "a disk": (*changes(ground, NOWHERE, "b"), *uses(ground, NOWHERE, "b"), ground.write(1, NOWHERE)),
        "a bitmap": (*changes(ground, ONE, NOWHERE)[1:], *uses(ground, ONE, NOWHERE)),
        "a bitmap of a disk that is only read": (
            *read, *changes(ground, ONE, NOWHERE)[1:], *uses(ground, ONE, NOWHERE), Reopen(ONE, writable=True),
        ),
        "a disk that is closed": (Close(ONE), *closed, *again),
        "a disk that a crash has left": (Crash(), *closed, *again),
        "a job and a write that a close has ended": (*running, Close(ONE), *left(), Open(ONE), *left()),
        "a job and a write that a crash has ended": (*running, Crash(), *left(), Open(ONE), *left()),
        "room, since it is open already": (
            Open(ONE), Open(ONE, writable=False), WrittenByOthers(ONE), ground.add(), Reopen(ONE, writable=False),
            Open(ONE), Open(ONE, writable=False), WrittenByOthers(ONE), Reopen(ONE, writable=True),
        ),
    }  # fmt: skip


def events(node: str) -> tuple[Step, ...]:
    """What can happen to a disk only if it is open; and at last an opening."""
    return Close(node), Reopen(node, writable=False), Reopen(node, writable=True), Open(node)


def changes(ground: Ground, node: str, name: str) -> tuple[Step, ...]:
    """Of a bitmap, after one is added to be stored."""
    removal = c.RemoveBitmap(node, name)
    return (
        ground.add(name, node=node), c.ClearBitmap(node, name), c.EnableBitmap(node, name),
        c.DisableBitmap(node, name), removal, c.Transaction((removal,)),
        c.Transaction((c.AddBitmap(ONE, "t", ground.fine), c.ClearBitmap(node, name))),
    )  # fmt: skip


def uses(ground: Ground, node: str, name: str) -> tuple[Step, ...]:
    """Of a bitmap, as a source or a target of a merge, and by a backup."""
    return (
        c.MergeBitmaps(ONE, "b", (c.Source(node, name),)), c.MergeBitmaps(node, name, (c.Source(ONE, "b"),)),
        ground.backup(name, node=node), ground.backup(name, mode="never", node=node),
    )  # fmt: skip


def left() -> tuple[Step, ...]:
    """What is asked of a job and a write that are gone."""
    return c.PauseJob("j0"), c.CancelJob("j0"), c.EndWrite(ONE, "w0")
