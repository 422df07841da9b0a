"""What is left of bitmaps by a crash, and what can be done with one that is not to be trusted."""

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
    enable,
    full,
    increment,
    merge,
    remove,
    write,
)
from cbtcheck.vectors.restarts.telling import (
    AGAIN,
    CRASH,
    CRASHED,
    INCONSISTENT,
    ImageHistory,
    begin,
    close,
    opened,
    opened_to_read,
    sound,
    stored,
    to_reading,
    to_writing,
)

IN_USE = (stored(), write(1), *AGAIN, write(3))
"""A bitmap that was loaded, and has changed since; four steps, and the image is open for writing."""

LEFT = (*IN_USE, *CRASHED)
"""Seven steps, after which the bitmap b is inconsistent."""

LEFT_WITH_ANOTHER = (*LEFT, add("t"), write(2))
"""Nine steps, after which there is a sound bitmap, too."""

CRASHES = (
    ImageHistory("crash-before-it-was-stored", "A bitmap that was never stored is gone after a crash.",
                 (stored(), write(1), *CRASHED)),
    ImageHistory("crash-after-it-has-changed", "A bitmap that was loaded for writing is inconsistent after a crash.",
                 LEFT, {"b": INCONSISTENT}),
    ImageHistory("crash-with-nothing-written", "It is inconsistent also if nothing was written: nobody can know.",
                 (stored(), write(1), *AGAIN, *CRASHED), {"b": INCONSISTENT}),
    ImageHistory("crash-while-it-is-closed", "A crash is nothing to a closed image.",
                 (stored(), write(1), close(), *CRASHED, write(2)), {"b": sound(1, 2)}),
    ImageHistory("crash-while-it-is-read-only", "A crash is nothing to an image that is only read.",
                 (stored(), write(1), close(), opened_to_read(), *CRASHED, write(2)), {"b": sound(1, 2)}),
    ImageHistory("crash-after-a-reopening-to-read", "A reopening for reading only has stored the bitmaps.",
                 (stored(), write(1), to_reading(), *CRASHED, write(2)), {"b": sound(1, 2)}),
    ImageHistory("crash-after-a-reopening-to-write", "A reopening for writing has marked the bitmaps.",
                 (stored(), write(1), to_reading(), to_writing(), *CRASHED), {"b": INCONSISTENT}),
    ImageHistory("crash-and-opened-to-read", "What a crash has left is inconsistent for whoever only reads, too.",
                 (*IN_USE, CRASH, opened_to_read(), close(), opened()), {"b": INCONSISTENT}),
    ImageHistory("crash-with-a-write-in-flight", "A write is in flight when the process dies.",
                 (*IN_USE, begin(5), *CRASHED), {"b": INCONSISTENT}),
    ImageHistory("crash-while-a-backup-runs", "The job is gone, and its id is free; the bitmap that it had is "
                 "inconsistent.",
                 (*IN_USE, increment("j"), write(4), c.Copy("j", GRANULE, GRANULE), *CRASHED, full("j"),
                  copied("j")), {"b": INCONSISTENT}),
    ImageHistory("crash-of-two-disks", "One disk was closed before the crash, the other was not.",
                 (stored(), stored(node="e"), write(1), write(1, "e"), *AGAIN, close("e"), opened("e"), write(2),
                  close(), CRASH, opened("e"), opened(), write(3)),
                 {"b": sound(1, 2, 3), "e/b": INCONSISTENT}, disks={"d": SIZE, "e": SIZE}),
    ImageHistory("crash-with-one-that-was-new", "One bitmap was stored once, the other was added since.",
                 (stored(), write(1), *AGAIN, stored("c"), write(2), *CRASHED), {"b": INCONSISTENT}),
    ImageHistory("crash-twice", "A second crash changes nothing.", (*LEFT, write(2), *CRASHED), {"b": INCONSISTENT}),
)  # fmt: skip


def refuses(name: str, title: str, *asked: c.Command) -> ImageHistory:
    """What is asked is refused, as the bitmap b is inconsistent."""
    first = len(LEFT_WITH_ANOTHER) + 1
    refused = dict.fromkeys(range(first, first + len(asked)), "inconsistent")
    return ImageHistory(
        f"inconsistent-{name}", title, (*LEFT_WITH_ANOTHER, *asked, write(6)), {"b": INCONSISTENT}, refused
    )


INCONSISTENT_ONES = (
    refuses("cleared", "An inconsistent bitmap cannot be cleared.", clear()),
    refuses("enabled", "It cannot be enabled, nor disabled.", enable(), disable()),
    refuses("merged-into", "Nothing can be merged into it.", merge("b", "t")),
    refuses("merged-from", "Nothing can be merged from it.", merge("t", "b")),
    refuses("merged-with-a-sound-one", "A merge of which one source is inconsistent merges nothing.",
            merge("t", "t", "b")),
    refuses("backed-up", "No increment can be made with it, in no bitmap mode.",
            increment(), increment(mode="always"), differential("inc")),
    refuses("in-a-transaction", "A transaction with it is refused, and nothing of it has happened.",
            at_once(clear("t"), clear())),
    ImageHistory("inconsistent-and-a-full-backup", "A full backup needs no bitmap: it can be made.",
                 (*LEFT, full(), write(2), copied("full")), {"b": INCONSISTENT}),
    ImageHistory("inconsistent-records-nothing", "What is written is not recorded in it, and a close does not heal "
                 "it.", (*LEFT, write(2), *AGAIN, write(4)), {"b": INCONSISTENT}),
    ImageHistory("inconsistent-and-reopened", "A reopening does not heal it.",
                 (*LEFT, to_reading(), to_writing(), write(2)), {"b": INCONSISTENT}),
    ImageHistory("inconsistent-beside-a-sound-one", "Another bitmap is stored as ever.",
                 (*LEFT, stored("c"), write(2), *AGAIN, write(4)), {"b": INCONSISTENT, "c": sound(2, 4)}),
    ImageHistory("inconsistent-takes-its-name", "Its name is taken.",
                 (*LEFT, add(), stored()), {"b": INCONSISTENT}, {8: "exists", 9: "exists"}),
    ImageHistory("inconsistent-removed", "It can be removed, and another one takes its name.",
                 (*LEFT, remove(), stored(), write(2), *AGAIN, write(4)), {"b": sound(2, 4)}),
    ImageHistory("inconsistent-removal-withdrawn", "Its removal is withdrawn: it is there until the close, and has "
                 "no entry any more.", (*LEFT, at_once(remove(), c.Abort()), write(2)), {}, {8: "aborted"}),
    ImageHistory("inconsistent-and-read-only", "On a disk that is only read the first reason is that, where the "
                 "bitmap would be changed.",
                 (*IN_USE, CRASH, opened_to_read(), clear(), remove(), enable(), differential("diff"), increment()),
                 {"b": INCONSISTENT},
                 {8: "read only", 9: "read only", 10: "inconsistent", 11: "inconsistent", 12: "inconsistent"}),
)  # fmt: skip
