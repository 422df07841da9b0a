"""Increments and differentials: one after the other, failed and repeated, with leftovers, and overlapping writes."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    FILLED,
    GRANULE,
    IN_STEP,
    SIZE,
    TABLE,
    History,
    add,
    at_once,
    by,
    clear,
    copied,
    differential,
    failed,
    full,
    granules,
    increment,
    sectors,
    write,
)


def _taken(job: str, bitmap: str = "b") -> tuple[c.Command, ...]:
    return increment(job, bitmap), copied(job)


INCREMENTS = (
    History("three-increments", "A full backup and three increments, each on the one before.",
            (*IN_STEP, TABLE, write(1), *_taken("one"), write(2), *_taken("two"), write(3), *_taken("three"))),
    History("increment-that-has-everything", "The third increment has all that the two before have: it stacks on "
            "each.",
            (*IN_STEP, write(1), *_taken("one"), write(2), *_taken("two"), write(1), write(2), *_taken("three"))),
    History("increment-of-nothing", "Nothing was written: an increment without a block restores, too.",
            (*IN_STEP, increment("one"), write(1), *_taken("two"))),
    History("written-while-the-increment-runs", "Writes while an increment runs are in the next one.",
            (*IN_STEP, write(1), write(2), increment("one"), write(1), write(3), copied("one"), TABLE,
             *_taken("two"))),
    History("failed-and-repeated", "An increment fails half way, more is written, and it is repeated.",
            (*IN_STEP, write(1), write(5), increment("one"), copied("one", 1, 1), failed("one"), write(2), TABLE,
             *_taken("two"))),
    History("cancelled-and-repeated", "An increment is cancelled after a write, and repeated.",
            (*IN_STEP, write(1), write(5), increment("one"), write(1), write(4), c.CancelJob("one"), *_taken("two"))),
    History("failed-twice-and-repeated", "An increment fails twice before it succeeds.",
            (*IN_STEP, write(1), increment("one"), write(2), failed("one"), increment("two"), write(3), failed("two"),
             *_taken("three"))),
    History("failed-and-cleared", "An increment fails, the bitmap is cleared all the same.",
            (*IN_STEP, write(1), increment("one"), write(2), failed("one"), clear(), write(3), *_taken("two")),
            {"two": by(7, *sectors(1, 2))}),
    History("cleared-after-the-increment", "A tool clears the bitmap when the increment has ended, as if that was "
            "needed: what was written meanwhile is lost.",
            (*IN_STEP, write(1), increment("one"), write(2), copied("one"), clear(), write(3), *_taken("two")),
            {"two": by(7, *sectors(2))}),
    History("what-is-below-is-lost-in-all-that-follows", "What one increment lacks, the next one lacks, too, unless "
            "it was written again.",
            (*IN_STEP, write(1), write(2), clear(), write(4), *_taken("one"), write(1), *_taken("two")),
            {"one": by(5, *sectors(1, 2)), "two": by(5, *sectors(2))}),
    History("refused-clear", "While the increment runs its bitmap cannot be cleared: refused, and nothing is lost.",
            (*IN_STEP, write(1), increment("one"), write(2), clear(), copied("one"), *_taken("two"))),
    History("discards-and-zeroes", "Blocks that are discarded or zeroed have changed as well.",
            (write(1), write(2), *IN_STEP, c.Write("d", GRANULE, 512, "discard"),
             c.Write("d", 2 * GRANULE, 512, "zeroes"), *_taken("one"))),
    History("a-discard-that-is-waived", "A block that was discarded is lost like any other.",
            (write(1), *IN_STEP, c.Write("d", GRANULE, 512, "discard"), clear(), write(2), *_taken("one")),
            {"one": by(5, *sectors(1))}),
    History("a-discard-without-effect", "A discard that has no effect has changed nothing: to waive it costs "
            "nothing.",
            (write(1), *IN_STEP, c.Write("d", GRANULE, 512, "discard", "ignored"), clear(), write(2),
             *_taken("one"))),
    History("partial-last-granule", "The disk ends within a granule.",
            (at_once(add(), full()), c.Copy("full", 0, SIZE + 1536), c.Write("d", SIZE, 100), increment("one"),
             c.Copy("one", SIZE, 1536)), disks={"d": SIZE + 1536}),
    History("granules-finer-than-clusters", "The bitmap is finer than what a job copies at a time.",
            (at_once(add(granularity=4096), full()), copied("full"), write(1), clear(), c.Write("d", 3 * GRANULE,
             512),
             increment("one"), copied("one")), {"one": by(4, *sectors(1))}),
    History("two-writes-in-one-cluster", "What was waived and what is copied lie in one cluster: nothing is lost.",
            (at_once(add(granularity=4096), full()), copied("full"), write(1), clear(),
             c.Write("d", GRANULE + 8192, 512), increment("one"), copied("one"))),
)

DIFFERENTIALS = (
    History("differentials", "Two differentials: each has all since the full backup.",
            (*IN_STEP, write(1), differential("one"), copied("one"), write(2), differential("two"), copied("two"))),
    History("differential-and-increment", "A differential, an increment with the same bitmap, and another "
            "differential: the last one needs the increment.",
            (*IN_STEP, write(1), differential("one"), copied("one"), write(2), *_taken("two"), write(3),
             differential("three"), copied("three"))),
    History("differential-failed", "A differential fails: the bitmap is as if there had been none.",
            (*IN_STEP, write(1), differential("one"), write(2), failed("one"), differential("two"), copied("two"))),
    History("cleared-between-differentials", "The bitmap is cleared between two differentials, as if it was one of "
            "increments: on the first differential the second restores, without it it does not.",
            (*IN_STEP, write(1), differential("one"), copied("one"), clear(), write(2), differential("two"),
             copied("two"))),
    History("cleared-between-differentials-after-a-write", "The bitmap is cleared between two differentials, after a "
            "write.",
            (*IN_STEP, write(1), differential("one"), copied("one"), write(3), clear(), write(2), differential("two"),
             copied("two")), {"two": by(7, *sectors(3))}),
)

LEFTOVERS = (
    History("always-cancelled-and-repeated", "A job of mode always is cancelled half way: what it has copied counts, "
            "what is left the next one has.",
            (*IN_STEP, write(1), write(5), increment("one", mode="always"), copied("one", 1, 1), write(2),
             c.CancelJob("one"), TABLE, *_taken("two"))),
    History("always-failed-and-repeated", "A job of mode always fails half way.",
            (*IN_STEP, write(1), write(5), increment("one", mode="always"), copied("one", 1, 1), failed("one", 5),
             increment("two", mode="always"), copied("two"))),
    History("always-cancelled-twice", "Two jobs of mode always are cancelled, each after another part.",
            (*IN_STEP, write(1), write(3), write(5), increment("one", mode="always"), copied("one", 1, 1),
             c.CancelJob("one"), write(1), increment("two", mode="always"), copied("two", 3, 1), c.CancelJob("two"),
             *_taken("three"))),
    History("always-cancelled-and-cleared", "A job of mode always is cancelled half way, and its bitmap cleared: "
            "what is left is lost.",
            (*IN_STEP, write(1), write(5), increment("one", mode="always"), copied("one", 1, 1), c.CancelJob("one"),
             clear(), write(2), *_taken("two")), {"two": by(8, *sectors(5))}),
    History("full-always-cancelled", "A full backup of mode always is cancelled half way: the next increment has all "
            "that is left of the disk.",
            (add(), full(bitmap="b", mode="always"), copied("full", 0, 3), write(1), c.CancelJob("full"), TABLE,
             *_taken("one"))),
    History("full-always-cancelled-and-cleared", "A full backup of mode always is cancelled half way, and its bitmap "
            "cleared: there is nothing to lay the increment over but a part.",
            (FILLED, add(), full(bitmap="b", mode="always"), copied("full", 0, 3), c.CancelJob("full"), write(1),
             clear(),
             write(2), *_taken("one")), {"one": by(7, *sectors(1), granules(3, 5))}),
    History("always-completed", "Jobs of mode always that complete are increments like any others.",
            (*IN_STEP, write(1), increment("one", mode="always"), write(2), copied("one"), write(3),
             increment("two", mode="always"), copied("two"))),
    History("always-after-a-failure-on-success", "A job of mode on-success fails, one of mode always is cancelled, "
            "one of mode never completes, and then an increment.",
            (*IN_STEP, write(1), increment("one"), failed("one"), write(2), increment("two", mode="always"),
             copied("two", 1, 1), c.CancelJob("two"), differential("three"), copied("three"), write(4),
             *_taken("four"))),
)
