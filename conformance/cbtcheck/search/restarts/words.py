"""Each command on a bitmap that is read-only, inconsistent or both, and what comes of the bitmap later."""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Reopen

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.ground import ONE, Ground, again, restarted


def asked(ground: Ground) -> dict[str, tuple[Step, ...]]:
    """What can be asked for of the bitmap b, beside which there is t, which is not stored."""
    named = ONE, "b"
    return {
        "clear": (c.ClearBitmap(*named),),
        "enable": (c.EnableBitmap(*named),),
        "disable": (c.DisableBitmap(*named),),
        "disable and enable": (c.DisableBitmap(*named), c.EnableBitmap(*named)),
        "merge into it": (c.MergeBitmaps(*named, (c.Source(ONE, "t"),)),),
        "merge from it": (c.MergeBitmaps(ONE, "t", (c.Source(*named),)),),
        "incremental backup": (ground.backup(), ground.copied()),
        "backup always": (ground.backup(mode="always"), ground.copied()),
        "backup never": (ground.backup(mode="never"), ground.copied()),
        "full backup": (ground.backup(None), ground.copied()),
        "add it again": (c.AddBitmap(*named, ground.fine),),
        "add it again, to be stored": (ground.add(),),
        "add another, to be stored": (ground.add("n"),),
        "remove": (c.RemoveBitmap(*named),),
        "remove and add": (c.RemoveBitmap(*named), ground.add()),
        "transaction: remove": (c.Transaction((c.RemoveBitmap(*named),)),),
        "transaction: remove, withdrawn": (c.Transaction((c.RemoveBitmap(*named), c.Abort())),),
        "transaction: clear, withdrawn": (c.Transaction((c.ClearBitmap(*named), c.Abort())),),
        "write": (ground.write(5),),
        "nothing": (),
    }


def standing(ground: Ground) -> dict[str, tuple[Step, ...]]:
    """How the bitmap comes to stand as it does; two granules were written under it."""
    stored: tuple[Step, ...] = (ground.add(), ground.write(1), ground.write(3))
    off: tuple[Step, ...] = (ground.add(enabled=False), ground.write(1), c.EnableBitmap(ONE, "b"), ground.write(3))
    transient = c.AddBitmap(ONE, "t", ground.fine)
    return {
        "just loaded": (*stored, *again(), transient, ground.write(2)),
        "opened read-only": (*stored, Close(ONE), Open(ONE, writable=False), transient),
        "reopened read-only": (*off, transient, Reopen(ONE, writable=False)),
        "reopened for writing": (*stored, transient, Reopen(ONE, writable=False), Reopen(ONE, writable=True)),
        "inconsistent": (*stored, *again(), ground.write(4), *restarted(), transient, ground.write(2)),
        "inconsistent and read-only": (*stored, *again(), ground.write(4), Crash(), Open(ONE, False), transient),
        "inconsistent beside a sound one": (*off, *again(), *restarted(), ground.add("c"), transient),
    }


def answered(claims: Capabilities) -> Iterator[tuple[str, Scenario]]:
    """Each command, then a write, and the image closed and opened once more."""
    ground = Ground(claims)
    for how, before in standing(ground).items():
        for what, steps in asked(ground).items():
            name = f"{what}: {how}"
            if how.endswith("read-only"):
                yield f"{name}, and closed", ground.scenario(f"{name}, and closed", *before, *steps)
                steps = (*steps, Reopen(ONE, writable=True))
            yield name, ground.scenario(name, *before, *steps, ground.write(6))
