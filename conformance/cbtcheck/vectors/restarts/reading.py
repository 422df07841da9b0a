"""What a disk that is only read allows; and reopenings, between reading and writing."""

from __future__ import annotations

from cbtmodel import commands as c

from cbtcheck.vectors.histories.telling import (
    GRANULE,
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
    CRASHED,
    ImageHistory,
    begin,
    close,
    disabled,
    opened_to_read,
    sound,
    stored,
    to_reading,
    to_writing,
)

READ = (stored(), write(1), close(), opened_to_read(), add("t"))
"""Five steps, after which the bitmap b was loaded by a disk that is only read, and t is not to be stored."""


def refuses(name: str, title: str, *asked: c.Command) -> ImageHistory:
    """What is asked is refused, as the disk is only read."""
    refused = dict.fromkeys(range(6, 6 + len(asked)), "read only")
    return ImageHistory(f"read-only-{name}", title, (*READ, *asked, to_writing(), write(4)), {"b": sound(1, 4)},
                        refused)  # fmt: skip


READING = (
    refuses("written", "A guest write is refused, whole or in flight.", write(2), begin(2)),
    refuses("cleared", "A stored bitmap cannot be cleared.", clear()),
    refuses("merged-into", "Nothing can be merged into it.", merge("b", "t")),
    refuses("removed", "It cannot be removed, also not in a transaction.", remove(), at_once(remove())),
    refuses("backed-up", "No backup can be made that would change it.", increment(), increment(mode="always")),
    refuses("in-a-transaction", "A transaction with it is refused, and nothing of it has happened.",
            at_once(clear("t"), clear())),
    ImageHistory("read-only-and-others-use-it", "It can be merged from, and backed up without a change; a bitmap "
                 "that is not stored can be changed.",
                 (*READ, merge("t", "b"), differential("diff"), copied("diff"), clear("t"), remove("t")),
                 {"b": sound(1)}),
    ImageHistory("read-only-and-a-full-backup", "A full backup needs no bitmap.",
                 (*READ, full(), copied("full")), {"b": sound(1)}),
    ImageHistory("read-only-and-disabled", "It can be disabled in memory: in the file it records.",
                 (*READ, disable(), close(), opened_to_read()), {"b": sound(1)}),
    ImageHistory("read-only-disabled-and-reopened", "It is disabled in memory, and stored so once it is open for "
                 "writing.", (*READ, disable(), to_writing(), write(2)), {"b": disabled(1)}),
    ImageHistory("read-only-and-busy", "Of a bitmap that a job has it is said that it is busy, first of all.",
                 (*READ, differential("diff"), clear(), remove()), {"b": sound(1)}, {7: "busy", 8: "busy"}),
)  # fmt: skip

REOPENING = (
    ImageHistory("reopened-to-read", "What was recorded is stored by a reopening for reading only.",
                 (stored(), write(1), to_reading()), {"b": sound(1)}),
    ImageHistory("reopened-to-write", "After a reopening for writing it records again, and its entry is in use.",
                 (stored(), write(1), to_reading(), to_writing(), write(2)), {"b": sound(1, 2)}),
    ImageHistory("reopened-to-write-and-cleared", "After a reopening for writing it can be changed again.",
                 (stored(), write(1), to_reading(), clear("b"), to_writing(), clear("b"), write(2)), {"b": sound(2)},
                 {4: "read only"}),
    ImageHistory("opened-to-read-reopened-and-backed-up", "An increment is made with a bitmap that was opened to be "
                 "read, and is written to now.",
                 (stored(), write(1), close(), opened_to_read(), increment("no"), to_writing(), increment(), write(2),
                  copied("inc")), {"b": sound(2)}, {5: "read only"}),
    ImageHistory("reopened-as-it-is", "A reopening as it is open already changes nothing.",
                 (stored(), write(1), *AGAIN, to_writing(), write(2), to_reading(), to_reading()),
                 {"b": sound(1, 2)}),
    ImageHistory("opened-to-read-and-reopened-to-write", "An image that was opened to be read is written to.",
                 (stored(), write(1), close(), opened_to_read(), to_writing(), write(2), *CRASHED, remove())),
    ImageHistory("reopened-with-a-write-in-flight", "A reopening for reading only waits for a guest write, and "
                 "stores what that has touched.",
                 (stored(), write(1), begin(4), to_reading(), *CRASHED), {"b": sound(1, 4)}),
    ImageHistory("reopened-to-read-with-a-copy-in-flight", "It waits for a copy in flight, too; the backup goes on.",
                 (stored(), write(1), full(), c.BeginCopy("full", 0, GRANULE), to_reading(), copied("full")),
                 {"b": sound(1)}),
    ImageHistory("reopened-while-a-backup-has-it", "A job has the bitmap: what is recorded meanwhile would be in no "
                 "file, so a reopening for reading only is refused.",
                 (stored(), write(1), increment(), write(2), to_reading(), write(3), copied("inc"), to_reading()),
                 {"b": sound(2, 3)}, {5: "busy"}),
    ImageHistory("reopened-while-it-is-closed", "What is closed cannot be reopened.",
                 (stored(), write(1), close(), to_reading(), to_writing()), {"b": sound(1)},
                 {4: "not found", 5: "not found"}),
    ImageHistory("reopened-with-one-that-is-disabled", "That it is disabled is stored by a reopening, too.",
                 (stored(), write(1), disable(), to_reading(), to_writing(), write(2), *AGAIN, enable(), write(3)),
                 {"b": sound(1, 3)}),
)  # fmt: skip
