"""Commands in which more than one thing is wrong, and transactions that are refused late: what is told, what is left.

A removal writes at once, so a transaction that is refused after it leaves the image without the entry, and one that
is refused before it leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.image import Close, Open

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.absent import NOWHERE
from cbtcheck.search.restarts.ground import ONE, Ground, again, restarted

TOLD_FIRST = "what is told first"


def told_first(claims: Capabilities) -> Iterator[tuple[str, Scenario]]:
    """Each such command where bitmaps stand as it takes."""
    ground = Ground(claims)
    kinds = {
        "read-only": of_read_only(ground), "inconsistent": of_inconsistent(ground), "loaded": of_loaded(ground),
        "one inconsistent, one sound": of_two(ground),
    }  # fmt: skip
    for how, (before, listed) in kinds.items():
        for what, steps in listed.items():
            name = f"{TOLD_FIRST}: {what}, {how}"
            yield name, ground.scenario(name, *before, *steps)


Listed = tuple[tuple[Step, ...], dict[str, tuple[Step, ...]]]
"""What comes before, and then each of these."""

CLEAR, REMOVE = c.ClearBitmap(ONE, "b"), c.RemoveBitmap(ONE, "b")
CLEAR_NOTHING = c.ClearBitmap(ONE, NOWHERE)


def merge(target: str, *sources: str) -> c.MergeBitmaps:
    """Into a bitmap of the disk from others of it."""
    return c.MergeBitmaps(ONE, target, tuple(c.Source(ONE, each) for each in sources))


def of_read_only(ground: Ground) -> Listed:
    """The bitmap b of a disk that is only read, and t, which is not stored."""
    before = (ground.add(), ground.write(1), *again(), Close(ONE), Open(ONE, writable=False))
    return (*before, c.AddBitmap(ONE, "t", ground.fine)), {
        "a source that is not there": (merge("b", NOWHERE),),
        "a second source that is not there": (merge("b", "t", NOWHERE),),
        "a bitmap that is not there before it": (c.Transaction((CLEAR_NOTHING, CLEAR)),),
        "a bitmap that is not there after it": (c.Transaction((CLEAR, CLEAR_NOTHING)),),
        "an abort before it": (c.Transaction((c.Abort(), CLEAR)),),
        "a backup that has it": (c.Transaction((ground.backup(mode="never"), CLEAR)),),
    }


def of_inconsistent(ground: Ground) -> Listed:
    """The inconsistent bitmap b, and t, which is not stored."""
    before = (ground.add(), ground.write(1), *again(), ground.write(4), *restarted())
    return (*before, c.AddBitmap(ONE, "t", ground.fine)), {
        "a source that is not there": (merge("b", NOWHERE, "t"),),
        "as a source, before one that is not there": (merge("t", "b", NOWHERE),),
        "as a source, after one that is not there": (merge("t", NOWHERE, "b"),),
        "merged into a new one": (c.Transaction((c.AddBitmap(ONE, "s", ground.fine), merge("s", "t", "b"))),),
        "removed and added": (c.Transaction((REMOVE, c.AddBitmap(ONE, "b", ground.fine), CLEAR)), ground.write(2)),
        "removed and cleared": (c.Transaction((REMOVE, CLEAR)), ground.write(2)),
    }


def of_loaded(ground: Ground) -> Listed:
    """The bitmap b, as it was stored."""
    new = c.AddBitmap(ONE, "t", ground.fine)
    return (ground.add(), ground.write(1), *again()), {
        "not there, before a removal": (c.Transaction((CLEAR_NOTHING, REMOVE)), ground.write(2)),
        "not there, after a removal": (c.Transaction((REMOVE, CLEAR_NOTHING)), ground.write(2)),
        "no bitmap of a backup, before a removal": (c.Transaction((ground.backup(NOWHERE), REMOVE)), ground.write(2)),
        "no source of a merge, before a removal": (
            c.Transaction((new, merge("t", "b", NOWHERE), REMOVE)), ground.write(2),
        ),
        "an abort before a removal": (c.Transaction((c.Abort(), REMOVE)), ground.write(2)),
        "a job before a removal": (ground.backup(), c.Transaction((REMOVE,)), ground.write(2), c.CancelJob("j0")),
    }  # fmt: skip


def of_two(ground: Ground) -> Listed:
    """The inconsistent bitmap b, and c, which is as it was stored."""
    crashed = (ground.add(), ground.write(1), *again(), ground.write(4), *restarted())
    removed = c.RemoveBitmap(ONE, "c")
    return (*crashed, ground.add("c"), ground.write(2), *again()), {
        "a removal before it": (c.Transaction((removed, CLEAR)), ground.write(3)),
        "a removal after it": (c.Transaction((CLEAR, removed)), ground.write(3)),
        "a removal before no source of a merge": (c.Transaction((removed, merge("b", NOWHERE))), ground.write(3)),
        "a merge into one that a job has": (ground.backup("c"), merge("c", "b"), c.CancelJob("j0")),
        "a merge from one that a job has": (ground.backup("c"), merge("b", "c"), c.CancelJob("j0")),
    }
