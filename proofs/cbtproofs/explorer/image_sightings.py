"""What must be seen when images are explored, so that it says something that nothing is ever violated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Happened, Open, Persist, Reopen, Stored

from cbtproofs.explorer.image_scopes import DISK, Asked, ImageScope

Predicate = Callable[[Stored[Any], Asked, Happened[Any]], bool]


def worth(stored: Stored[Any]) -> dict[str, str]:
    """What the bitmaps that are to be stored are worth; none if the image is closed."""
    return dict(stored.opened[DISK].persistent) if DISK in stored.opened else {}


def in_flight(stored: Stored[Any]) -> bool:
    """Whether a write is in flight."""
    return DISK in stored.state.nodes and bool(stored.state.nodes[DISK].writes)


def trusted(stored: Stored[Any]) -> bool:
    """Whether the image has an entry that is valid and owes something."""
    image = stored.images[DISK]
    return image.current and any(not each.in_use and bool(each.marks.owed) for each in image.entries.values())


def comes_back_with_a_write(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A bitmap that owes a write is loaded, and is sound."""
    return isinstance(asked, Open) and not asked.fails and not happened.refusal and trusted(before)


def crash_leaves_it_inconsistent(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """An image is opened after a crash, and has a bitmap that is not to be trusted."""
    return isinstance(asked, Open) and "inconsistent" in worth(happened.stored).values()


def crash_when_only_read(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A crash, while a bitmap that owes a write is only read, leaves a valid entry."""
    return isinstance(asked, Crash) and DISK in before.opened and trusted(happened.stored)


def crash_before_the_first_store(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A crash takes a bitmap that was never stored, and leaves no entry."""
    return isinstance(asked, Crash) and bool(worth(before)) and not happened.stored.images[DISK].entries


def others_make_it_worthless(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """An image that others have written to is opened, and has no bitmap, although it has a valid entry."""
    valid = any(not each.in_use for each in before.images[DISK].entries.values())
    opened = DISK in happened.stored.opened and not happened.stored.state.nodes[DISK].bitmaps
    return isinstance(asked, Open) and valid and not before.images[DISK].current and opened


def failed_close(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A close fails, and leaves an entry in use."""
    in_use = any(each.in_use for each in happened.stored.images[DISK].entries.values())
    return isinstance(asked, Close) and asked.fails and not happened.refusal and in_use


def failed_open_marks_it(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """An open fails, and an entry that was valid is in use from then on."""
    return isinstance(asked, Open) and asked.fails == "in use" and trusted(before) and not trusted(happened.stored)


def inconsistent_and_closed_well(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk is closed well, with a sound bitmap and one that is not to be trusted."""
    return isinstance(asked, Close) and not asked.fails and {*worth(before).values()} == {"sound", "inconsistent"}


def removed_for_good(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A bitmap that is not to be trusted is removed, and its entry with it."""
    lost = set(before.images[DISK].entries) - set(happened.stored.images[DISK].entries)
    return isinstance(asked, c.RemoveBitmap) and any(worth(before).get(each) == "inconsistent" for each in lost)


def undone_and_without_an_entry(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A transaction that removes a bitmap is undone: the bitmap stays, its entry is gone."""
    lost = set(before.images[DISK].entries) - set(happened.stored.images[DISK].entries)
    return isinstance(asked, c.Transaction) and bool(happened.refusal) and bool(lost & set(worth(happened.stored)))


def reopened_with_a_write(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk is open for reading only from now on, and what its bitmap owes is stored."""
    reopened = isinstance(asked, Reopen) and not asked.writable and not asked.fails
    return reopened and not trusted(before) and trusted(happened.stored)


def reopened_in_use_again(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk is open for writing again, and its entry, which was valid, is in use."""
    well = isinstance(asked, Reopen) and not asked.fails
    return well and trusted(before) and not trusted(happened.stored)


def failed_reopen_marks_it(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk stays open for reading only, because marking failed, and an entry that was valid is in use."""
    failed = isinstance(asked, Reopen) and asked.fails == "in use"
    return failed and trusted(before) and not trusted(happened.stored)


def failed_reopen_waits_for_a_write(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk stays open for writing, because its bitmaps could not be stored; a write in flight has ended first."""
    failed = isinstance(asked, Reopen) and bool(asked.fails) and not asked.writable
    return failed and in_flight(before) and not in_flight(happened.stored)


def busy_when_reopened(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A disk whose bitmap a job has cannot be reopened for reading only."""
    return isinstance(asked, Reopen) and happened.refusal == "busy"


def not_written_when_only_read(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A guest may not write to a disk that is only read."""
    return isinstance(asked, c.Write) and happened.refusal == "read only"


def not_used_when_inconsistent(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """No backup begins with a bitmap that is not to be trusted."""
    return isinstance(asked, c.StartBackup) and happened.refusal == "inconsistent"


def not_merged_when_inconsistent(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """Nobody merges a bitmap that is not to be trusted."""
    return isinstance(asked, c.MergeBitmaps) and happened.refusal == "inconsistent"


def close_cancels_a_job(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A close cancels a job, and stores what was owed before it and what was written since."""
    had = [each for each in before.state.jobs.values() if each.bitmap is not None and each.bitmap in worth(before)]
    return isinstance(asked, Close) and bool(had) and bool(happened.ended) and trusted(happened.stored)


def close_waits_for_a_write(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A close waits for a write in flight, and stores it."""
    return isinstance(asked, Close) and in_flight(before) and trusted(happened.stored)


def crash_with_a_write_in_flight(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A crash, with a write in flight and an entry."""
    return isinstance(asked, Crash) and in_flight(before) and bool(before.images[DISK].entries)


def added_when_only_read(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A bitmap that is to be stored is added to a disk that is only read: it is in no file until that is reopened."""
    only_read = DISK in before.opened and not before.opened[DISK].writable
    return isinstance(asked, Persist) and only_read and not happened.refusal


def not_added_when_only_read(before: Stored[Any], asked: Asked, happened: Happened[Any]) -> bool:
    """A bitmap that is to be stored is not added to a disk that is only read: that is refused."""
    return isinstance(asked, Persist) and happened.refusal == "read only"


def with_a_job(scope: ImageScope) -> bool:
    """Whether a scope has backups."""
    return scope.jobs > 0


def always(scope: ImageScope) -> bool:
    """Every scope."""
    return True


EXPECTED: tuple[tuple[Predicate, Callable[[ImageScope], bool]], ...] = (
    (comes_back_with_a_write, always),
    (crash_leaves_it_inconsistent, always),
    (crash_when_only_read, always),
    (crash_before_the_first_store, always),
    (crash_with_a_write_in_flight, lambda scope: scope.flight),
    (others_make_it_worthless, always),
    (failed_close, lambda scope: scope.fails),
    (failed_open_marks_it, lambda scope: scope.fails),
    (inconsistent_and_closed_well, lambda scope: scope.bitmaps > 1),
    (removed_for_good, always),
    (undone_and_without_an_entry, always),
    (reopened_with_a_write, always),
    (reopened_in_use_again, always),
    (failed_reopen_marks_it, lambda scope: scope.fails),
    (failed_reopen_waits_for_a_write, lambda scope: scope.fails and scope.flight),
    (added_when_only_read, always),
    (not_added_when_only_read, lambda scope: scope.fails),
    (not_written_when_only_read, always),
    (busy_when_reopened, with_a_job),
    (not_used_when_inconsistent, with_a_job),
    (not_merged_when_inconsistent, lambda scope: scope.bitmaps > 1),
    (close_cancels_a_job, with_a_job),
    (close_waits_for_a_write, lambda scope: scope.flight),
)
"""What is to be seen, and in which scopes."""
