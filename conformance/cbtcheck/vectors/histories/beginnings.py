"""How a bitmap comes to belong to a full backup, and how it does not."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    FILLED,
    GRANULE,
    IN_STEP,
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
    granules,
    increment,
    sectors,
    write,
)

TAKEN = (increment(), copied("inc"))

BEGINNINGS = (
    History("added-while-nothing-writes", "The bitmap is added and the full backup started while nothing writes.",
            (add(), full(), copied("full"), write(1), *TAKEN)),
    History("added-in-the-transaction", "The bitmap is added in the transaction that starts the full backup.",
            (at_once(add(), full()), write(0), write(7), copied("full"), *TAKEN)),
    History("added-after-the-start-nothing-written", "The bitmap is added after the start of the full backup, and "
            "nothing is written in between.", (full(), add(), write(2), copied("full"), *TAKEN)),
    History("added-while-the-full-runs", "The bitmap is added while the full backup runs, after a write.",
            (full(), write(2), add(), write(3), copied("full"), *TAKEN), {"inc": by(3, *sectors(2))}),
    History("added-when-the-full-has-ended", "The bitmap is added when the full backup has ended.",
            (full(), write(0), copied("full"), write(5), add(), write(6), *TAKEN), {"inc": by(5, *sectors(0, 5))}),
    History("added-before-the-full", "The bitmap was there long before the full backup: its increment has more than "
            "it needs.", (add(), write(0), write(1), full(), copied("full"), write(2), *TAKEN)),
    History("cleared-in-the-transaction", "An older bitmap is cleared in the transaction that starts the full "
            "backup.",
            (add(), write(0), at_once(clear(), full()), write(1), copied("full"), *TAKEN)),
    History("cleared-while-the-full-runs", "An older bitmap is cleared while the full backup runs.",
            (add(), write(0), full(), write(1), clear(), write(2), copied("full"), *TAKEN),
            {"inc": by(5, *sectors(1))}),
    History("cleared-when-the-full-has-ended", "An older bitmap is cleared when the full backup has ended.",
            (add(), full(), write(3), copied("full"), write(4), clear(), write(5), TABLE, *TAKEN),
            {"inc": by(6, *sectors(3, 4))}),
    History("cleared-with-nothing-in-it", "A bitmap is cleared in which there is nothing that is owed.",
            (*IN_STEP, clear(), write(1), *TAKEN)),
    History("added-disabled", "The bitmap is added disabled, and enabled when the full backup has ended.",
            (at_once(add(enabled=False), full()), copied("full"), write(1), enable(), write(2), *TAKEN),
            {"inc": by(1, *sectors(1))}),
    History("added-disabled-and-enabled-at-once", "The bitmap is added disabled, and enabled in the transaction that "
            "starts the full backup.",
            (add(enabled=False), write(0), at_once(enable(), full()), copied("full"), write(1), *TAKEN)),
    History("full-backup-with-its-bitmap", "The full backup takes the bitmap itself: what was in it is done with.",
            (add(), write(0), full(bitmap="b", mode="on-success"), write(1), copied("full"), *TAKEN)),
    History("full-backup-with-its-bitmap-failed", "The full backup takes the bitmap and fails; an increment on top "
            "of nothing follows.",
            (FILLED, add(), full(bitmap="b", mode="on-success"), failed("full"), write(0), *TAKEN),
            {"inc": by(4, granules(1, 7))}),
    History("full-backup-failed", "The full backup failed, and nobody saw.",
            (FILLED, at_once(add(), full()), copied("full", 0, 3), failed("full", 3), write(1), *TAKEN),
            {"inc": by(4, granules(0, 1), granules(2, 6))}),
    History("full-backup-cancelled", "The full backup was cancelled, and the increments go on.",
            (FILLED, at_once(add(), full()), copied("full", 0, 3), c.CancelJob("full"), write(1), *TAKEN),
            {"inc": by(4, granules(0, 1), granules(2, 6))}),
    History("full-backup-failed-and-repeated", "The full backup failed, and is repeated with another bitmap.",
            (at_once(add(), full()), failed("full"), write(1), at_once(add("again"), full("second")), write(2),
             copied("second"), increment(bitmap="again"), copied("inc"))),
    History("full-backup-failed-and-repeated-alone", "The full backup failed and is repeated, the bitmap is that of "
            "the first: it has more than it needs.",
            (at_once(add(), full()), failed("full"), write(1), full("second"), write(2), copied("second"), *TAKEN)),
    History("write-in-flight-at-the-start", "A write is in flight when the bitmap is added and the full backup "
            "started: the transaction waits for it.",
            (c.BeginWrite("d", "w", GRANULE, 512), at_once(add(), full()), copied("full"), write(2), *TAKEN)),
    History("write-in-flight-at-the-clear", "A write is in flight when the bitmap is cleared: it is recorded when it "
            "ends, after the clear.",
            (*IN_STEP, c.BeginWrite("d", "w", GRANULE, 512), clear(), c.EndWrite("d", "w"), write(2), *TAKEN)),
    History("disabled-before-the-full", "The bitmap was disabled before the full backup, and stays so.",
            (add(), disable(), full(), copied("full"), write(1), increment()), {"inc": by(2, *sectors(1))}),
)
