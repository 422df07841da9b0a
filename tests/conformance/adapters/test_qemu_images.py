"""A real QEMU whose disks lie in qcow2 images: closed, reopened and killed, by the same daemon or a new one."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from cbtcheck.adapter import Hint, Observation
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.adapters.qemu.images import QemuImages
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.restarts import restarts
from cbtcheck.search.restarts.ground import ONE, Ground, again, restarted
from cbtcheck.vectors.restarts.told import IMAGE_HISTORIES, scenario_of
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Event, Open, Reopen, WrittenByOthers
from cbtwire.qcow2.bitmaps import IN_USE, read_image
from cbtwire.qcow2.reading import InFile

pytestmark = pytest.mark.qemu

CLAIMS = QemuAdapter.capabilities
GROUND = Ground(CLAIMS)
FLAGS_AT = 12
"""Bytes from the beginning of an entry in a directory to its flags."""

CHOSEN = {
    "a backup is running: closed after step 6", "a best-effort backup is running: closed after step 6",
    "a write is in flight: closed after step 4", "two bitmaps, merged: crash after step 7",
    "removed in a transaction: crash after step 5", "one of two is closed", "clear: reopened read-only",
    "remove: inconsistent and read-only",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(binary: str) -> Iterator[QemuAdapter]:
    adapter = QemuAdapter(binary)
    yield adapter
    adapter.close()


def chosen() -> list[str]:
    """Those that are named, and a few more."""
    found = restarts(CLAIMS, 3, 4)
    others = random.Random(5).sample(sorted(found.keys() - CHOSEN), 8)
    return [*sorted(CHOSEN), *others, "drawn 0", "drawn 1"]


@pytest.mark.parametrize("name", chosen())
def test_qemu_and_the_specification_agree(name: str, shared: QemuAdapter) -> None:
    assert Player(shared).play_scenario(restarts(CLAIMS, 3, 4)[name]) == []


OF_THE_VECTORS = {
    "granularities", "a-last-granule-in-part", "written-by-others-and-begun-anew", "crash-while-a-backup-runs",
    "inconsistent-removal-withdrawn", "read-only-and-busy", "reopened-to-write-and-cleared",
    "closed-with-a-copy-in-flight", "transaction-removal-withdrawn-and-a-crash", "increments-across-restarts",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OF_THE_VECTORS))
def test_qemu_and_the_vectors_agree(name: str, shared: QemuAdapter) -> None:
    """Of the history with a crash while a backup runs: the next job of that id has a target of its own."""
    (history,) = (each for each in IMAGE_HISTORIES if each.name == name)
    player = Player(shared)
    assert player.play_scenario(scenario_of(history)) == []
    assert not player.not_realised


class AsQemuImgSees(QemuAdapter):
    """Of each image that is closed, `qemu-img info` says the same as our reader after every step."""

    compared = 0

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """What is seen, once both have looked."""
        seen = super().observe(exact)
        assert self._images is not None
        for name, disk in self._images.disks.items():
            ours = (seen.images or {})[name].entries
            if disk.open or ours is None:
                continue
            words = ["qemu-img", "info", "-f", "qcow2", "--output=json", disk.path]
            said = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            theirs = {
                each["name"]: (each["granularity"], "auto" in each["flags"], "in-use" in each["flags"])
                for each in said["format-specific"]["data"].get("bitmaps", [])
            }
            assert theirs == {key: (each.granularity, each.enabled, each.in_use) for key, each in ours.items()}
            self.compared += len(theirs)
        return seen


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img: not on PATH")
def test_qemu_img_sees_in_closed_images_what_our_reader_sees(binary: str) -> None:
    adapter = AsQemuImgSees(binary)
    try:
        for name in [*sorted(CHOSEN), "drawn 0", "drawn 1"]:
            assert Player(adapter).play_scenario(restarts(CLAIMS, 3, 4)[name]) == []
        steps: tuple[Step, ...] = (
            GROUND.add(), GROUND.add("off", enabled=False), GROUND.write(1), Close(ONE), Open(ONE), Crash(),
            WrittenByOthers(ONE), Open(ONE), GROUND.add("after"), Close(ONE),
        )  # fmt: skip
        assert Player(adapter).play_scenario(GROUND.scenario("flags", *steps)) == []
        assert adapter.compared >= 10
    finally:
        adapter.close()


def test_what_is_asked_for_happens(shared: QemuAdapter) -> None:
    steps: tuple[Step, ...] = (
        GROUND.add(), GROUND.write(1), Close(ONE), Close(ONE), Open(ONE), Open(ONE), GROUND.write(2),
        Reopen(ONE, writable=False), GROUND.write(3), c.ClearBitmap(ONE, "b"), Reopen(ONE, writable=True),
        *restarted(), c.EnableBitmap(ONE, "b"), c.RemoveBitmap(ONE, "b"),
    )  # fmt: skip
    player = Player(shared, self_check=True)
    assert player.play_scenario(GROUND.scenario("all events", *steps)) == []
    answers = [(type(frame.asked).__name__, frame.trace[-1][1].refusal) for frame in player.frames]
    refused = [each for each in answers if each[1]]
    assert refused == [
        ("Close", "not found"), ("Open", "exists"), ("Write", "read only"), ("ClearBitmap", "read only"),
        ("EnableBitmap", "inconsistent"),
    ]  # fmt: skip
    assert not player.not_realised


def test_every_third_close_is_a_quit_and_the_bitmap_is_as_it_was(shared: QemuAdapter) -> None:
    player = Player(shared)
    steps = (GROUND.add(), GROUND.write(1), *again(), GROUND.write(2), *again(), *again(), *again())
    pids = set()
    shared.reset_in_images({ONE: GROUND.size})
    player.begin({ONE: GROUND.size}, images=True)
    for step in steps:
        assert player.play(step) == []
        assert shared._session is not None
        pids.add(shared._session.daemon.pid)
    assert len(pids) > 1
    assert player.state.nodes[ONE].bitmaps["b"].marks.owed


def test_entries_that_are_valid_after_a_crash_are_a_lost_write(
    shared: QemuAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if QEMU had not marked them when it opened the image."""
    happen = QemuImages.happen

    async def unmarked(self: QemuImages, event: Event, hint: Hint) -> object:
        trace = await happen(self, event, hint)
        if isinstance(event, Crash):
            with open(self.disks[ONE].path, "r+b") as file:
                for each in read_image(InFile(file.fileno())).bitmaps:
                    assert each.in_use
                    file.seek(each.entry_at + FLAGS_AT)
                    flags = int.from_bytes(file.read(4), "big") & ~IN_USE
                    file.seek(each.entry_at + FLAGS_AT)
                    file.write(flags.to_bytes(4, "big"))
        return trace

    monkeypatch.setattr(QemuImages, "happen", unmarked)
    steps = (GROUND.add(), GROUND.write(1), *again(), GROUND.write(2), *restarted())
    found = Player(shared).play_scenario(GROUND.scenario("unmarked", *steps))
    assert verdict_of(found) is Verdict.UNSAFE
    assert found[0].where == f"{ONE}/b stored"


def test_disks_without_images_are_played_between_others_with_them(shared: QemuAdapter) -> None:
    player = Player(shared)
    plain = Scenario({ONE: GROUND.size}, (c.AddBitmap(ONE, "b", GROUND.fine), GROUND.write(1)))
    stored = GROUND.scenario("stored", GROUND.add(), GROUND.write(1), *restarted())
    assert [player.play_scenario(each) for each in (plain, stored, plain, stored)] == [[]] * 4
