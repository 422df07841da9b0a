"""Pictures, compared literally with the files in golden/ (see conftest.py for how to write those anew)."""

import io

import pytest
from cbtcheck.adapter import Performed
from cbtcheck.report.picture import picture, picture_text
from cbtcheck.scenario.scenario import Restore
from cbtmodel.commands import (
    AddBitmap,
    BeginCopy,
    BeginWrite,
    CancelJob,
    ClearBitmap,
    Copy,
    DisableBitmap,
    EndCopy,
    EndWrite,
    MergeBitmaps,
    ResumeJob,
    Source,
    StartBackup,
    Write,
)
from rich.console import Console

K = 1024

WHILE_COPYING = [
    AddBitmap("disk0", "b0", 64 * K),
    Write("disk0", 64 * K, 4 * K),
    StartBackup("j0", "disk0", "incremental", "b0"),
    BeginCopy("j0", 64 * K, 512),
    ClearBitmap("disk0", "b0"),
    Write("disk0", 128 * K, 100 * K),
    EndCopy("j0"),
]

STOPPED = [
    AddBitmap("disk0", "b0", 64 * K),
    Write("disk0", 64 * K, 4 * K),
    Write("disk0", 600 * K, 64 * K),
    StartBackup("j0", "disk0", "bitmap", "b0", "always", auto_finalize=False, on_target_error="stop"),
    BeginWrite("disk0", "w0", 128 * K, 100 * K),
    BeginCopy("j0", 64 * K, 512),
    EndCopy("j0", "write error"),
    ResumeJob("j0"),
    EndWrite("disk0", "w0"),
    Write("disk0", 64 * K, 1),
    CancelJob("j0"),
]

TWO_DISKS = [
    AddBitmap("disk0", "b0", 64 * K),
    AddBitmap("disk1", "b1", 64 * K),
    Write("disk0", 0, 1),
    Write("disk1", 960 * K, 1),
    DisableBitmap("disk0", "b0"),
    MergeBitmaps("disk0", "b0", (Source("disk1", "b1"),)),
]


def test_a_lost_write(play, mirror, golden) -> None:
    golden("lost-write.txt", picture_text(play(WHILE_COPYING, adapter=mirror(lost=1 << 3)).frames, 100))


def test_waste(play, mirror, golden) -> None:
    golden("waste.txt", picture_text(play(WHILE_COPYING, adapter=mirror(added=1 << 12)).frames, 100))


def test_wrong_data_on_the_target(play, mirror, golden) -> None:
    golden("wrong-data.txt", picture_text(play(WHILE_COPYING, adapter=mirror(spoils=True)).frames, 100))


def test_a_crash(play, mirror, golden) -> None:
    golden("crash.txt", picture_text(play(WHILE_COPYING, adapter=mirror(dies_at=4)).frames, 100))


def test_a_job_that_stops_resumes_and_is_cancelled(play, golden) -> None:
    golden("stopped.txt", picture_text(play(STOPPED).frames, 100))


def test_a_disk_so_wide_that_words_are_above_their_strips(play, golden) -> None:
    golden("wide.txt", picture_text(play(STOPPED, {"disk0": 4096 * K}).frames, 100))


def test_two_disks(play, mirror, golden) -> None:
    disks = {"disk0": 1024 * K, "disk1": 1024 * K}
    golden("two-disks.txt", picture_text(play(TWO_DISKS, disks, mirror(lost=1 << 15)).frames, 100))


def test_the_end_of_a_restored_chain(play) -> None:
    text = picture_text(play([*WHILE_COPYING, Restore(("j0",)), Restore(("j9",))]).frames)
    assert "8  restore j0 and compare" in text
    assert "expected: an ended backup" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("size", [512, 65536 + 512, 1 << 20, 64 << 20])
def test_no_line_is_wider_than_asked(play, width: int, size: int) -> None:
    steps = [AddBitmap("disk0", "b0", 512), Write("disk0", 0, size), StartBackup("j0", "disk0", "incremental", "b0")]
    text = picture_text(play(steps, {"disk0": size}).frames, width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_in_colour_it_says_the_same(play, mirror) -> None:
    frames = play(WHILE_COPYING, adapter=mirror(lost=1 << 3)).frames
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False).print(picture(frames, 512))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == picture_text(frames, 100).splitlines()


def test_what_happened_instead_is_said(play, mirror) -> None:
    class Chooses(mirror):
        """Copies what it likes, and cannot hold a write."""

        def perform(self, command, hint):
            if isinstance(command, BeginWrite):
                return Performed(())
            if isinstance(command, BeginCopy):
                command = Copy("j0", 64 * K, 64 * K)
            return super().perform(command, hint)

    steps = [*WHILE_COPYING[:4], BeginWrite("disk0", "w0", 0, 1)]
    text = picture_text(play(steps, adapter=Chooses()).frames)
    assert " 4  begin copy j0 cluster at 64K → j0 completed     b0     ················\n" in text
    assert "    ↳ copy j0 in 64K+64K\n" in text
    assert " 5  begin w0: write disk0 0+1 → could not be made to happen\n" in text


def test_nothing_played_is_said() -> None:
    assert picture_text([]) == "nothing was played\n"


def test_only_what_is_drawn_is_explained(play) -> None:
    assert picture_text(play(TWO_DISKS[:3], {"disk0": 1024 * K, "disk1": 1024 * K}).frames).splitlines()[-1] == (
        "█ dirty   ▼ written by the guest"
    )
