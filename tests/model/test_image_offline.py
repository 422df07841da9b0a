"""What is done to the bitmaps of a closed image: its effect, and what it leaves as it was."""

from __future__ import annotations

from typing import Any

import pytest
from cbtmodel import commands as c
from cbtmodel.blocks import Frozensets
from cbtmodel.image import Close, Crash, Image, Open, Opened, Persist, Stored, WrittenByOthers, happen
from cbtmodel.image_offline import Offline, Operation, offline, only_that
from cbtmodel.node import initial
from cbtmodel.refusal import Refused
from cbtmodel.table import Table

A, B, N = ("d", "a"), ("d", "b"), ("d", "n")
WRITTEN = (Persist(c.AddBitmap(*A, 512)), Persist(c.AddBitmap(*B, 512)), c.Write("d", 0, 512), c.DisableBitmap(*B))


def closed(*more: Any) -> Stored[Any]:
    """An image with two bitmaps in which the first block is dirty, `b` disabled."""
    images: Table[Image[Any]] = Table({"d": Image(1024)})
    stored: Stored[Any] = Stored(initial(Frozensets(512), {"d": 1024}), images, Table({"d": Opened(True)}))
    for each in (*WRITTEN, c.Write("d", 512, 512), Close("d"), *more):
        stored = happen(stored, each).stored
    return stored


def done(stored: Stored[Any], operation: Operation) -> tuple[str, dict[str, tuple[bool, bool, list[int]]]]:
    """Why it is refused, "" if not; and of each entry whether it is in use, whether it records, and what is dirty."""
    what = Offline(operation)
    happened = offline(stored, what)
    assert [claim for claim in only_that(stored, what, happened) if not claim.holds()] == []
    why = happened.refusal.kind if isinstance(happened.refusal, Refused) else happened.refusal or ""
    entries = happened.stored.images["d"].entries.items()
    return why, {name: (each.in_use, each.enabled, sorted(each.marks.dirty)) for name, each in entries}


BEFORE = {"a": (False, True, [0, 1]), "b": (False, False, [0])}


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        (Persist(c.AddBitmap(*N, 512)), {**BEFORE, "n": (False, True, [])}),
        (c.RemoveBitmap(*A), {"b": BEFORE["b"]}),
        (c.ClearBitmap(*A), {**BEFORE, "a": (False, True, [])}),
        (c.DisableBitmap(*A), {**BEFORE, "a": (False, False, [0, 1])}),
        (c.EnableBitmap(*B), {**BEFORE, "b": (False, True, [0])}),
        (c.MergeBitmaps(*B, (c.Source(*A),)), {**BEFORE, "b": (False, False, [0, 1])}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_it_has_its_effect_and_no_other(operation: Operation, after: object) -> None:
    assert done(closed(), operation) == ("", after)


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Persist(c.AddBitmap(*A, 512)), "exists"), (c.RemoveBitmap(*N), "not found"),
        (c.MergeBitmaps(*A, (c.Source(*B), c.Source(*N))), "not found"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_all_as_it_was(operation: Operation, why: str) -> None:
    assert done(closed(), operation) == (why, BEFORE)


def test_what_a_crash_has_left_can_only_be_removed() -> None:
    crashed = closed(Open("d"), Crash())
    in_use = done(crashed, c.ClearBitmap(*A))
    assert in_use[0] == "inconsistent"
    assert [each[0] for each in in_use[1].values()] == [True, True]
    assert [*done(crashed, c.RemoveBitmap(*A))[1]] == ["b"]


def test_what_others_have_written_to_has_no_bitmaps_and_a_new_one_is_valid() -> None:
    assert done(closed(WrittenByOthers("d")), Persist(c.AddBitmap(*A, 512))) == ("", {"a": (False, True, [])})


def test_an_image_that_is_open_or_not_there_is_left_alone() -> None:
    assert done(closed(Open("d")), c.ClearBitmap(*A))[0] == "open already"
    assert offline(closed(), Offline(c.ClearBitmap("nowhere", "a"))).refusal == "no image"
