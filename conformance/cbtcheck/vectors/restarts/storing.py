"""What a close stores, and what comes back; and what is in no file."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    GRANULE,
    SIZE,
    add,
    clear,
    disable,
    enable,
    merge,
    remove,
    write,
)
from cbtcheck.vectors.restarts.telling import (
    AGAIN,
    CRASHED,
    ImageHistory,
    begin,
    close,
    disabled,
    opened,
    opened_to_read,
    others,
    sound,
    stored,
)

TWO = {"d": SIZE, "e": SIZE}

STORING = (
    ImageHistory("closed-and-opened", "A bitmap is stored by a close, and comes back with what it had.",
                 (stored(), write(1), write(3), *AGAIN, write(5)), {"b": sound(1, 3, 5)}),
    ImageHistory("closed-twice", "What a second session adds is stored with what the first had.",
                 (stored(), write(1), write(3), *AGAIN, write(6), *AGAIN, write(0)), {"b": sound(0, 1, 3, 6)}),
    ImageHistory("closed-with-nothing-in-it", "A clean bitmap is stored, too.",
                 (stored(), *AGAIN), {"b": sound()}),
    ImageHistory("not-to-be-stored", "A bitmap that is not persistent is gone after a close.",
                 (add(), write(1), *AGAIN)),
    ImageHistory("one-is-stored-one-is-not", "Of two bitmaps one is persistent: that one comes back.",
                 (stored(), add("t"), write(1), clear(), write(2), *AGAIN), {"b": sound(2)}),
    ImageHistory("two-are-stored", "Two bitmaps are stored, each with its own granules.",
                 (stored(), stored("c"), write(1), clear(), write(2), *AGAIN), {"b": sound(2), "c": sound(1, 2)}),
    ImageHistory("granularities", "Bitmaps of three granularities are stored, each in its own.",
                 (stored(), stored("fine", granularity=4096), stored("coarse", granularity=4 * GRANULE),
                  c.Write("d", 3 * GRANULE + 4096, 8192), *AGAIN),
                 {"b": sound(3), "fine": sound(49, 50), "coarse": sound(0)}),
    ImageHistory("a-last-granule-in-part", "The disk ends within a granule of the bitmap that is stored.",
                 (stored(), c.Write("d", 7 * GRANULE, 512), *AGAIN, c.Write("d", SIZE - 2048, 512)),
                 {"b": sound(7)}, disks={"d": SIZE - 1536}),
    ImageHistory("disabled-when-it-is-closed", "That a bitmap is disabled is stored.",
                 (stored(), write(1), disable(), write(2), *AGAIN, write(3)), {"b": disabled(1)}),
    ImageHistory("added-disabled", "A bitmap is added disabled, comes back so, and is enabled then.",
                 (stored(enabled=False), write(1), *AGAIN, write(2), enable(), write(3)), {"b": sound(3)}),
    ImageHistory("enabled-before-the-close", "A bitmap that was added disabled records when it is closed.",
                 (stored(enabled=False), enable(), write(1), *AGAIN, write(2)), {"b": sound(1, 2)}),
    ImageHistory("cleared-before-the-close", "What was cleared does not come back.",
                 (stored(), write(1), clear(), *AGAIN), {"b": sound()}),
    ImageHistory("cleared-after-it-was-loaded", "A loaded bitmap is cleared: the close stores what came after.",
                 (stored(), write(1), *AGAIN, clear(), write(2), *AGAIN), {"b": sound(2)}),
    ImageHistory("merged-before-the-close", "A disabled bitmap collects what another has, and both are stored.",
                 (stored(), stored("c", enabled=False), write(1), merge("c", "b"), clear(), write(5), *AGAIN,
                  merge("c", "b")),
                 {"b": sound(5), "c": disabled(1, 5)}),
    ImageHistory("merged-into-one-that-is-not-stored", "A loaded bitmap is merged into one that is not persistent.",
                 (stored(), write(1), *AGAIN, add("t"), merge("t", "b"), write(2)), {"b": sound(1, 2)}),
    ImageHistory("removed-and-closed", "What was removed does not come back.",
                 (stored(), stored("c"), write(1), *AGAIN, remove(), write(2)), {"c": sound(1, 2)}),
    ImageHistory("removed-and-left-by-a-crash", "A removal is in the file at once: after a crash there is no such "
                 "bitmap.", (stored(), write(1), *AGAIN, remove(), *CRASHED, stored(), write(2)), {"b": sound(2)}),
    ImageHistory("removed-and-added-again", "A new bitmap takes the name of a stored one, and has nothing of it.",
                 (stored(), write(1), *AGAIN, remove(), write(2), stored(), write(3)), {"b": sound(3)}),
    ImageHistory("removed-and-added-not-to-be-stored", "A bitmap that is not persistent takes the name of a stored "
                 "one.", (stored(), write(1), *AGAIN, remove(), add(), write(2))),
    ImageHistory("a-write-in-flight-at-the-close", "A close waits for a guest write, and stores what that has "
                 "touched.", (stored(), write(1), begin(4), close(), opened()), {"b": sound(1, 4)}),
    ImageHistory("one-of-two-disks-is-closed", "A disk is closed and opened, while the other goes on.",
                 (stored(), stored(node="e"), write(1), write(2, "e"), close(), write(3, "e"), opened(), write(4)),
                 {"b": sound(1, 4), "e/b": sound(2, 3)}, disks=TWO),
    ImageHistory("closed-with-nothing-open-to-write", "A disk that was only read is closed: its file stays as it "
                 "is.", (stored(), write(1), close(), opened_to_read(), disable(), close(), opened(), write(2)),
                 {"b": sound(1, 2)}),
    ImageHistory("written-by-others", "Somebody has written to the image who knows nothing of bitmaps: none is "
                 "loaded.", (stored(), write(1), close(), others(), opened(), write(2))),
    ImageHistory("written-by-others-and-read-only", "The bitmaps stay away, however the image is opened later.",
                 (stored(), write(1), close(), others(), opened_to_read(), close(), opened(), *AGAIN)),
    ImageHistory("written-by-others-and-begun-anew", "After others have written a new bitmap takes the name.",
                 (stored(), write(1), close(), others(), opened(), stored(), write(2), *AGAIN), {"b": sound(2)}),
    ImageHistory("written-by-others-after-a-crash", "Others write to an image that a crash has left: not even an "
                 "inconsistent bitmap is there.", (stored(), write(1), *AGAIN, CRASHED[0], others(), opened())),
    ImageHistory("not-there-while-it-is-closed", "Every command on a closed disk is refused.",
                 (stored(), write(1), close(), write(2), clear(), stored("c"), remove(), merge("b", "b")),
                 {"b": sound(1)}, dict.fromkeys((4, 5, 6, 7, 8), "not found")),
    ImageHistory("opened-and-closed-as-it-is-not", "Who opens what is open, or closes what is closed, is refused; "
                 "and nobody writes to an image that is open.",
                 (stored(), write(1), opened(), others(), close(), close(), opened(), opened_to_read()),
                 {"b": sound(1)}, {3: "exists", 4: "exists", 6: "not found", 8: "exists"}),
)  # fmt: skip
