"""Images: what is forbidden, who is told what first, and what a transaction that is refused leaves in a file."""

from __future__ import annotations

from typing import Any

import pytest
from cbtmodel import commands as c
from cbtmodel.blocks import Frozensets
from cbtmodel.image import Close, Crash, Event, Image, Open, Opened, Persist, Reopen, Stored, happen
from cbtmodel.node import initial
from cbtmodel.refusal import Refused
from cbtmodel.table import Table

A, B, T = ("d", "a"), ("d", "b"), ("d", "t")
ADD = {name: Persist(c.AddBitmap("d", name, 512)) for name in ("a", "b")}
TRANSIENT = c.AddBitmap(*T, 512)
CRASHED = (Close("d"), Open("d"), Crash(), Open("d"))
"""After these every bitmap that is stored is inconsistent."""

Asked = c.Command | Event


def after(*history: Asked) -> Stored[Any]:
    """What has come of it, from an empty image that is open for writing."""
    images: Table[Image[Any]] = Table({"d": Image(1024)})
    stored: Stored[Any] = Stored(initial(Frozensets(512), {"d": 1024}), images, Table({"d": Opened(True)}))
    for each in history:
        stored = happen(stored, each).stored
    return stored


def refusal(stored: Stored[Any], asked: Asked) -> str:
    """Why it is refused; "" if it is not."""
    why = happen(stored, asked).refusal
    return why.kind if isinstance(why, Refused) else why or ""


def merge(target: tuple[str, str], *sources: tuple[str, str]) -> c.MergeBitmaps:
    return c.MergeBitmaps(*target, tuple(c.Source(*each) for each in sources))


NOBODY = ("d", "nobody")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (merge(A, B), "read only"),
        (merge(A), ""),
        (merge(A, NOBODY), "not found"),
        (merge(A, B, NOBODY), "read only"),
        (merge(NOBODY, B), "not found"),
        (merge(T, A, B), ""),
        (c.EndWrite("d", "w"), "not found"),
        (c.Write("d", 0, 512), "read only"),
        (Persist(c.AddBitmap("d", "n", 512)), ""),
        (Persist(c.AddBitmap("d", "n", 512), fails=True), "read only"),
        (Persist(c.AddBitmap("d", "a", 512)), "exists"),
        (c.AddBitmap("d", "n", 512), ""),
        (c.RemoveBitmap(*T), ""),
    ],
)
def test_what_a_disk_forbids_that_is_only_read(asked: Asked, why: str) -> None:
    assert refusal(after(*ADD.values(), TRANSIENT, Reopen("d", False)), asked) == why


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (merge(T, A), "inconsistent"),
        (merge(T, NOBODY, A), "not found"),
        (merge(T, A, NOBODY), "inconsistent"),
        (c.Transaction((c.ClearBitmap(*NOBODY), c.ClearBitmap(*A))), "not found"),
        (c.Transaction((c.RemoveBitmap(*A), c.ClearBitmap(*A))), "busy"),
        (c.Transaction((c.StartBackup("j", "d", "bitmap", "t", "never", 512), c.ClearBitmap(*T))), "busy"),
    ],
)
def test_what_forbids_a_bitmap_that_is_not_to_be_trusted(asked: Asked, why: str) -> None:
    assert refusal(after(*ADD.values(), *CRASHED, TRANSIENT), asked) == why


@pytest.mark.parametrize("asked", [c.ClearBitmap("d", "n"), merge(("d", "n"), A), c.RemoveBitmap("d", "n")])
def test_what_is_in_no_file_yet_can_be_changed_while_the_rest_is_only_read(asked: Asked) -> None:
    added = Persist(c.AddBitmap("d", "n", 512))
    assert refusal(after(ADD["a"], Reopen("d", False), added), asked) == ""
    assert refusal(after(ADD["a"], added, Reopen("d", False)), asked) == "read only"
    assert refusal(after(ADD["a"], Reopen("d", False), added, Reopen("d", True), Reopen("d", False)), asked) != ""


def entries_after(*actions: c.Action, grouped: bool = False) -> set[str]:
    """The entries that a transaction leaves, of the bitmaps `a`, which a job has, and `b`, which is not trusted."""
    job = c.StartBackup("j", "d", "bitmap", "a", "never", 512, False)
    ready = after(ADD["b"], *CRASHED, ADD["a"], Reopen("d", False), Reopen("d", True), job)
    return set(happen(ready, c.Transaction(actions, grouped)).stored.images["d"].entries)


def test_a_removal_that_is_refused_itself_writes_nothing() -> None:
    assert entries_after(c.RemoveBitmap(*A)) == {"a", "b"}
    assert entries_after(c.RemoveBitmap(*B), c.RemoveBitmap(*A)) == {"a"}
    assert entries_after(c.RemoveBitmap(*A), c.RemoveBitmap(*B)) == {"a", "b"}


def test_a_removal_that_is_undone_has_been_written() -> None:
    assert entries_after(c.RemoveBitmap(*B), c.Abort()) == {"a"}
    assert entries_after(c.RemoveBitmap(*B), c.EnableBitmap(*A)) == {"a"}
    assert entries_after(c.Abort(), c.RemoveBitmap(*B)) == {"a", "b"}


def test_what_is_no_transaction_at_all_writes_nothing() -> None:
    assert entries_after(c.RemoveBitmap(*B), grouped=True) == {"a", "b"}
    assert entries_after(c.RemoveBitmap(*B), c.AddBitmap("d", "n", -1)) == {"a", "b"}


def test_a_removal_is_undone_in_memory_and_stored_with_the_next_close() -> None:
    undone = c.Transaction((c.RemoveBitmap(*A), c.Abort()))
    stored = after(ADD["a"], Close("d"), Open("d"), undone)
    assert not stored.images["d"].entries
    assert dict(stored.opened["d"].persistent) == {"a": "sound"}
    assert not happen(stored, Close("d")).stored.images["d"].entries["a"].in_use


def test_what_was_inconsistent_and_is_refused_a_second_time_stays_so() -> None:
    stored = after(ADD["a"], ADD["b"], *CRASHED, c.Transaction((c.RemoveBitmap(*A), c.ClearBitmap(*B))))
    assert set(stored.images["d"].entries) == {"b"}
    assert dict(stored.opened["d"].persistent) == {"a": "inconsistent", "b": "inconsistent"}
