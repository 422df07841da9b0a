"""Bitmaps that are cleared, removed, disabled and added anew between backups, rightly or not."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    IN_STEP,
    SIZE,
    TABLE,
    History,
    add,
    at_once,
    by,
    clear,
    copied,
    disable,
    enable,
    failed,
    full,
    increment,
    merge,
    remove,
    sectors,
    write,
)

TAKEN = (increment(), copied("inc"))

BITMAPS = (
    History("removed-and-added-again", "The bitmap is removed and added again after a write.",
            (*IN_STEP, write(1), remove(), write(2), add(), write(3), *TAKEN), {"inc": by(4, *sectors(1, 2))}),
    History("removed-and-added-at-once", "The bitmap is removed and added again in one transaction: the same.",
            (*IN_STEP, write(1), at_once(remove(), add("c")), write(3), increment(bitmap="c"), copied("inc")),
            {"inc": by(4, *sectors(1))}),
    History("added-again-with-a-full-backup", "A new bitmap begins with a new full backup; the old one is removed "
            "after.",
            (*IN_STEP, write(1), at_once(add("c"), full("second")), remove(), write(2), copied("second"), TABLE,
             write(3),
             increment(bitmap="c"), copied("inc"))),
    History("disabled-and-written", "The bitmap is disabled for a while, and something written.",
            (*IN_STEP, write(1), disable(), write(2), enable(), write(3), *TAKEN), {"inc": by(4, *sectors(2))}),
    History("disabled-and-nothing-written", "The bitmap is disabled for a while, and nothing written.",
            (*IN_STEP, write(1), disable(), enable(), write(3), *TAKEN)),
    History("disabled-twice", "The bitmap is disabled twice: each time costs what was written then.",
            (*IN_STEP, disable(), write(1), enable(), write(2), disable(), write(3), enable(), *TAKEN),
            {"inc": (*by(3, *sectors(1)), *by(7, *sectors(3)))}),
    History("disabled-and-cleared", "What was written while it was disabled, and what a clear has waived, have each "
            "a command to blame.",
            (*IN_STEP, write(1), clear(), disable(), write(2), enable(), write(3), *TAKEN),
            {"inc": (*by(4, *sectors(1)), *by(5, *sectors(2)))}),
    History("waived-and-made-good", "What a clear has waived a new full backup has.",
            (*IN_STEP, write(1), clear(), TABLE, at_once(add("c"), full("second")), copied("second"), TABLE, write(2),
             increment(bitmap="c"), copied("inc"))),
    History("waived-for-good", "A clear at the end: nothing is lost yet, but no backup has what it has waived.",
            (*IN_STEP, write(1), *TAKEN, write(2), clear())),
    History("removed-at-the-end", "The bitmap is removed in the end: no backup has what was in it.",
            (*IN_STEP, write(1), *TAKEN, write(2), write(3), remove())),
    History("cleared-for-a-full-that-fails", "The bitmap is cleared in the transaction of a new full backup, and "
            "that fails: the increments go on on the old one, and lack what was cleared.",
            (*IN_STEP, write(1), at_once(clear(), full("second")), write(2), failed("second"), *TAKEN),
            {"inc": by(4, *sectors(1))}),
    History("another-bitmap-for-a-full-that-fails", "A new full backup with a bitmap of its own fails: the old chain "
            "goes on.",
            (*IN_STEP, write(1), at_once(add("c"), full("second")), write(2), failed("second"), remove("c"), *TAKEN)),
    History("cleared-in-a-transaction-that-fails", "A transaction clears the bitmap and fails: nothing has happened.",
            (*IN_STEP, write(1), at_once(clear(), c.Abort()), write(2), *TAKEN)),
    History("cleared-before-the-increment-in-one-transaction", "The bitmap is cleared in the transaction of its own "
            "increment.",
            (*IN_STEP, write(1), at_once(clear(), increment()), TABLE, write(2), increment("next"), copied("next")),
            {"inc": by(4, *sectors(1)), "next": by(4, *sectors(1))}),
    History("saved-by-a-merge", "What a bitmap has is merged into another one before it is removed.",
            (*IN_STEP, write(1), at_once(add("c"), merge("c", "b"), disable()), remove(), write(2),
             increment(bitmap="c"), copied("inc"))),
    History("merged-and-the-wrong-one-cleared", "Of two bitmaps that were merged the target is cleared.",
            (*IN_STEP, write(1), at_once(add("c"), merge("c", "b")), clear("c"), write(2), increment(bitmap="c"),
             copied("inc")), {"inc": by(5, *sectors(1))}),
)


def _both(*actions: str) -> c.Transaction:
    """A bitmap and a full backup of each of these disks."""
    made: list[c.Action] = [add(node=node) for node in actions]
    return at_once(*made, *(full(f"full-{node}", node=node) for node in actions))


TWO = {"d": SIZE, "e": SIZE}
THREE = {"d": SIZE, "e": SIZE, "f": SIZE}
FULLS = (_both("d", "e"), copied("full-d"), copied("full-e"))


def _increments(number: int, *nodes: str, grouped: bool = False) -> c.Transaction:
    return at_once(*(increment(f"{node}{number}", node=node) for node in nodes), grouped=grouped)


DISKS = (
    History("two-disks-one-instant", "Two disks, each backup of both in one transaction.",
            (*FULLS, write(1), write(2, "e"), _increments(1, "d", "e"), write(3), write(3, "e"), copied("d1"),
             copied("e1"), TABLE, _increments(2, "d", "e"), copied("d2"), copied("e2")), disks=TWO),
    History("two-disks-two-instants", "Two disks, the increments in two commands: each restores, at two instants.",
            (*FULLS, write(1), write(2, "e"), increment("d1"), write(4), write(4, "e"), increment("e1", node="e"),
             copied("d1"), copied("e1")), disks=TWO),
    History("two-disks-grouped-and-failed", "Of two increments that end together one fails: none counts, both are "
            "repeated.",
            (*FULLS, write(1), write(2, "e"), _increments(1, "d", "e", grouped=True), copied("d1"), failed("e1"),
             TABLE, write(3), _increments(2, "d", "e"), copied("d2"), copied("e2")), disks=TWO),
    History("two-disks-apart-and-failed", "Of two increments one fails, and the other counts: the disks have no "
            "common restore point until the next ones.",
            (*FULLS, write(1), write(2, "e"), _increments(1, "d", "e"), copied("d1"), failed("e1"), TABLE, write(3),
             write(3, "e"), _increments(2, "d", "e"), copied("d2"), copied("e2")), disks=TWO),
    History("two-disks-one-cleared", "The bitmap of one disk is cleared: the other disk restores.",
            (*FULLS, write(1), write(1, "e"), clear(node="e"), write(2), write(2, "e"), _increments(1, "d", "e"),
             copied("d1"), copied("e1")), {"e1": by(6, *sectors(1))}, TWO),
    History("second-disk-later", "A second disk is backed up from later on: its chain begins then.",
            (*IN_STEP, write(1), write(1, "e"), at_once(increment("d1"), add(node="e"), full("full-e", node="e")),
             write(2), write(2, "e"), copied("d1"), copied("full-e"), _increments(2, "d", "e"), copied("d2"),
             copied("e2")), disks=TWO),
    History("three-disks", "Three disks at one instant, the bitmap of one added too late.",
            (at_once(add(), add(node="e"), *(full(f"full-{node}", node=node) for node in THREE)), write(1, "f"),
             add(node="f"), *(copied(f"full-{node}") for node in THREE), *(write(2, node) for node in THREE),
             _increments(1, *THREE), *(copied(f"{node}1") for node in THREE)), {"f1": by(3, *sectors(1))}, THREE),
)

SCHEDULES = (
    History("two-schedules", "Daily and weekly backups, each with a bitmap of its own.",
            (at_once(add(), add("weekly"), full()), copied("full"), write(1), increment("day1"), copied("day1"),
             write(2), increment("day2"), copied("day2"), write(3), increment("week", "weekly"), copied("week"),
             write(4), increment("day3"), copied("day3"))),
    History("two-schedules-one-bitmap", "Daily and weekly backups share a bitmap: the weekly one does not stack on "
            "the full backup alone.",
            (*IN_STEP, write(1), increment("day1"), copied("day1"), write(2), increment("week"), copied("week"),
             write(3), increment("day2"), copied("day2"))),
    History("the-other-schedule-clears", "The weekly schedule clears the bitmap of the daily one.",
            (at_once(add(), add("weekly"), full()), copied("full"), write(1), increment("week", "weekly"),
             copied("week"), write(2), clear(), write(3), increment("day"), copied("day")),
            {"day": by(7, *sectors(2))}),
    History("two-full-backups-at-a-time", "Two schedules begin with full backups of their own, one while the other "
            "runs.",
            (at_once(add(), full()), write(1), at_once(add("weekly"), full("second")), write(2), copied("second"),
             copied("full"), increment("day"), copied("day"), write(3), increment("week", "weekly"), copied("week"))),
    History("a-full-backup-in-between", "A full backup without a bitmap in between takes nothing from a chain.",
            (*IN_STEP, write(1), full("copy"), copied("copy"), write(2), *TAKEN)),
)


def _checkpoint(old: str, new: str) -> c.Transaction:
    return at_once(disable(old), add(new))


def _since(job: str, *checkpoints: str) -> tuple[c.Command, ...]:
    """A backup of all since the first of these checkpoints, by a temporary bitmap."""
    return (
        at_once(add("t", enabled=False), merge("t", *checkpoints), increment(job, "t")),
        copied(job),
        remove("t"),
    )


FIRST = (at_once(add("c1"), full()), copied("full"))

CHECKPOINTS = (
    History("checkpoints", "A bitmap for each checkpoint, and increments from a temporary one that they are merged "
            "into.",
            (*FIRST, write(1), _checkpoint("c1", "c2"), write(2), *_since("one", "c1", "c2"), TABLE, write(3),
             _checkpoint("c2", "c3"), write(4), *_since("two", "c2", "c3"))),
    History("checkpoint-forgotten", "A checkpoint is forgotten in the merge.",
            (*FIRST, write(1), _checkpoint("c1", "c2"), write(2), _checkpoint("c2", "c3"), write(3),
             *_since("one", "c1", "c3")), {"one": by(8, *sectors(2))}),
    History("checkpoint-in-two-commands", "The old checkpoint is disabled, something written, and then the new one "
            "added.",
            (*FIRST, write(1), disable("c1"), write(2), add("c2"), write(3), *_since("one", "c1", "c2")),
            {"one": by(4, *sectors(2))}),
    History("checkpoint-added-first", "The new checkpoint is added, something written, and then the old one "
            "disabled: both have it.",
            (*FIRST, write(1), add("c2"), write(2), disable("c1"), write(3), *_since("one", "c1", "c2"))),
    History("checkpoint-removed-after-a-merge", "An old checkpoint is merged into the next one before it is removed.",
            (*FIRST, write(1), _checkpoint("c1", "c2"), write(2), at_once(merge("c2", "c1"), c.RemoveBitmap("d",
             "c1")),
             write(3), *_since("one", "c2"))),
    History("checkpoint-removed", "An old checkpoint is removed without a merge.",
            (*FIRST, write(1), _checkpoint("c1", "c2"), write(2), remove("c1"), write(3), *_since("one", "c2")),
            {"one": by(6, *sectors(1))}),
    History("merged-while-nothing-writes", "The temporary bitmap is filled by commands of its own, and nothing "
            "written.",
            (*FIRST, write(1), disable("c1"), add("t", enabled=False), merge("t", "c1"), increment("one", "t"),
             copied("one"), remove("t"))),
    History("merged-before-the-increment", "The temporary bitmap is filled, something written, and then the "
            "increment started.",
            (*FIRST, write(1), add("t", enabled=False), merge("t", "c1"), write(2), increment("one", "t"),
             copied("one"), remove("t")), {"one": by(4, *sectors(2))}),
)
