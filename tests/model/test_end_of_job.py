"""The table of what a job's end does to its bitmap: P was dirty, W was written meanwhile, U was not copied."""

from typing import Any

import pytest
from cbtmodel.commands import AddBitmap, CancelJob, Copy, StartBackup, Write

G = 4096
P, W, U = {0, 1}, {5}, {1}

TABLE = [
    ("incremental", None, "completed", W),
    ("incremental", None, "failed", P | W),
    ("incremental", None, "cancelled", P | W),
    ("bitmap", "on-success", "completed", W),
    ("bitmap", "on-success", "failed", P | W),
    ("bitmap", "on-success", "cancelled", P | W),
    ("bitmap", "never", "completed", P | W),
    ("bitmap", "never", "failed", P | W),
    ("bitmap", "never", "cancelled", P | W),
    ("bitmap", "always", "completed", W),
    ("bitmap", "always", "failed", W | U),
    ("bitmap", "always", "cancelled", W | U),
]

ENDS = {"completed": Copy("j", G, 1), "failed": Copy("j", G, 1, "write error"), "cancelled": CancelJob("j")}


@pytest.mark.parametrize(("sync", "mode", "outcome", "dirty"), TABLE)
def test_the_end_of_a_job(sync: Any, mode: Any, outcome: str, dirty: set[int], story: Any) -> None:
    story.do(AddBitmap("d", "b", G), Write("d", 0, 2 * G))
    story.do(StartBackup("j", "d", sync, "b", mode, cluster=G), Copy("j", 0, 1), Write("d", 5 * G, 1))
    assert story.dirty() == P, "a frozen bitmap stands still"
    story.do(ENDS[outcome])
    assert story.ended == [("j", outcome)]
    assert story.dirty() == dirty
    assert story.state.nodes["d"].bitmaps["b"].successor is None


@pytest.mark.parametrize("enabled", [True, False])
def test_what_a_job_of_mode_always_did_not_copy_is_owed_written_or_not(enabled: bool, story: Any) -> None:
    """The next increment goes on top of its target, and the target lacks it."""
    story.do(AddBitmap("d", "b", G, enabled), StartBackup("j", "d", "full", "b", "always", cluster=G))
    story.do(Copy("j", 0, G), Write("d", 0, 1), CancelJob("j"))
    marks = story.state.nodes["d"].bitmaps["b"].marks
    left = story.state.space.blocks(G, 7 * G)
    assert left <= marks.owed
    assert marks.owed == (left | story.state.space.blocks(0, 1) if enabled else left)
    assert story.dirty() == ({*range(8)} if enabled else {*range(1, 8)})


def test_leftovers_are_rounded_out_to_the_granularity(story: Any) -> None:
    story.do(AddBitmap("d", "b", G), Write("d", 0, 1), StartBackup("j", "d", "bitmap", "b", "always", cluster=512))
    story.do(Copy("j", 0, 7 * 512), CancelJob("j"))
    assert story.dirty() == {0}


def test_a_disabled_bitmap_comes_out_of_a_job_disabled(story: Any) -> None:
    story.do(AddBitmap("d", "b", G, False), StartBackup("j", "d", "full", "b", "on-success", cluster=G))
    story.do(Write("d", 0, 1), CancelJob("j"))
    assert not story.state.nodes["d"].bitmaps["b"].enabled
    assert story.dirty() == set()


def test_after_an_increment_the_next_one_needs_no_preparation(story: Any) -> None:
    """The first worry of 2016: the bitmap has abdicated; how do I make the second increment?"""
    story.do(AddBitmap("d", "b", G))
    for number in range(3):
        story.do(Write("d", number * G, 1), StartBackup(f"j{number}", "d", "incremental", "b", cluster=G))
        story.do(Copy(f"j{number}", number * G, 1))
    assert [outcome for _, outcome in story.ended] == ["completed"] * 3
    assert set(story.state.nodes["d"].bitmaps) == {"b"}, "and nothing anonymous is left: the second worry"
