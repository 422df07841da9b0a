"""Backups and transactions, between a close and an opening."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    GRANULE,
    SIZE,
    add,
    at_once,
    clear,
    copied,
    differential,
    disable,
    failed,
    full,
    increment,
    remove,
    write,
)
from cbtcheck.vectors.restarts.telling import (
    AGAIN,
    CRASHED,
    INCONSISTENT,
    ImageHistory,
    close,
    disabled,
    opened,
    sound,
    stored,
)

BACKUPS = (
    ImageHistory("increments-across-restarts", "A full backup, and increments, with a restart between any two of "
                 "them.",
                 (stored(), full(), copied("full"), write(1), *AGAIN, increment("one"), copied("one"), write(2),
                  *AGAIN, write(3), increment("two"), copied("two"), write(4)), {"b": sound(4)},
                 restores=(("full", "one"), ("full", "one", "two"))),
    ImageHistory("closed-while-an-increment-runs", "A close cancels the job: the bitmap has what it had, and what "
                 "was written since.",
                 (stored(), write(1), write(2), increment(), write(3), c.Copy("inc", GRANULE, GRANULE), *AGAIN,
                  write(4)), {"b": sound(1, 2, 3, 4)}),
    ImageHistory("closed-while-a-best-effort-backup-runs", "Of bitmap mode always: what was copied is done with, "
                 "the rest is owed.",
                 (stored(), write(1), write(2), increment(mode="always"), write(3), c.Copy("inc", GRANULE, GRANULE),
                  *AGAIN, write(4)), {"b": sound(2, 3, 4)}),
    ImageHistory("closed-while-a-differential-runs", "Of bitmap mode never: it has everything still.",
                 (stored(), write(1), differential("diff"), write(3), *AGAIN), {"b": sound(1, 3)}),
    ImageHistory("closed-while-a-full-backup-runs", "A full backup without a bitmap is cancelled.",
                 (stored(), write(1), full(), write(2), *AGAIN), {"b": sound(1, 2)}),
    ImageHistory("closed-while-a-backup-is-paused", "A paused job is cancelled, too.",
                 (stored(), write(1), increment(), c.PauseJob("inc"), write(2), *AGAIN), {"b": sound(1, 2)}),
    ImageHistory("closed-with-a-copy-in-flight", "A copy in flight ends first. It was the last one, and the job is "
                 "cancelled all the same.",
                 (stored(), write(1), increment(), write(2), c.BeginCopy("inc", GRANULE, GRANULE), *AGAIN),
                 {"b": sound(1, 2)}),
    ImageHistory("closed-while-a-backup-waits-to-be-finalized", "A job that has copied everything and is not "
                 "finalized is cancelled.",
                 (stored(), write(1), c.StartBackup("inc", "d", "incremental", "b", None, GRANULE, False),
                  copied("inc"), write(2), *AGAIN), {"b": sound(1, 2)}),
    ImageHistory("closed-while-a-group-runs", "With the job of the disk its group is cancelled, on the other disk, "
                 "too.",
                 (stored(), stored(node="e"), write(1), write(1, "e"),
                  at_once(increment("one"), increment("two", node="e"), grouped=True), write(2), write(2, "e"),
                  copied("two"), *AGAIN), {"b": sound(1, 2), "e/b": sound(1, 2)}, disks={"d": SIZE, "e": SIZE}),
    ImageHistory("closed-while-the-other-disk-is-backed-up", "A job of another disk goes on.",
                 (stored(), stored(node="e"), write(1), write(1, "e"), increment("two", node="e"), *AGAIN,
                  copied("two"), write(2, "e")), {"b": sound(1), "e/b": sound(2)}, disks={"d": SIZE, "e": SIZE}),
    ImageHistory("stored-after-a-backup", "The bitmap that a job has left in its place is persistent, too.",
                 (stored(), write(1), increment(), write(2), copied("inc"), write(3), *AGAIN, *AGAIN),
                 {"b": sound(2, 3)}),
    ImageHistory("stored-after-a-failed-backup", "After a job has failed the bitmap is stored with all that it had.",
                 (stored(), write(1), increment(), write(2), failed("inc"), *AGAIN), {"b": sound(1, 2)}),
    ImageHistory("disabled-and-backed-up", "A disabled bitmap is backed up, and comes back disabled.",
                 (stored(), write(1), disable(), increment(), write(2), copied("inc"), *AGAIN, write(3)),
                 {"b": disabled()}),
)  # fmt: skip

TRANSACTIONS = (
    ImageHistory("transaction-removes", "A removal in a transaction is in the file at once.",
                 (stored(), write(1), *AGAIN, at_once(remove(), add("t")), *CRASHED)),
    ImageHistory("transaction-removal-withdrawn", "A removal that is withdrawn is no loss: the close stores the "
                 "bitmap.",
                 (stored(), write(1), *AGAIN, at_once(remove(), c.Abort()), write(2), *AGAIN), {"b": sound(1, 2)},
                 {5: "aborted"}),
    ImageHistory("transaction-removal-withdrawn-and-a-crash", "After a removal that was withdrawn, and a crash, the "
                 "bitmap is openly gone: the removal had reached the file.",
                 (stored(), write(1), *AGAIN, at_once(remove(), c.Abort()), write(2), *CRASHED), {}, {5: "aborted"}),
    ImageHistory("transaction-clears", "Cleared in the transaction that starts a full backup, and closed.",
                 (stored(), write(1), *AGAIN, at_once(clear(), full()), write(2), copied("full"), *AGAIN),
                 {"b": sound(2)}),
    ImageHistory("transaction-clear-withdrawn", "A clear that is withdrawn has cleared nothing.",
                 (stored(), write(1), *AGAIN, at_once(clear(), c.Abort()), *AGAIN), {"b": sound(1)}, {5: "aborted"}),
    ImageHistory("transaction-removes-the-inconsistent-one", "An inconsistent bitmap is removed in a transaction.",
                 (stored(), stored("c"), write(1), *AGAIN, *CRASHED, at_once(remove()), close(), opened()),
                 {"c": INCONSISTENT}),
)  # fmt: skip
