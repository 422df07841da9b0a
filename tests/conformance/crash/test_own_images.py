"""Our own image file: nothing is found in what it leaves, QEMU agrees, and seeded mistakes are found."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.crash.confirm import difference
from cbtcheck.crash.crew import Alone
from cbtcheck.crash.faults import with_fault
from cbtcheck.crash.histories import BY_HAND, drawn
from cbtcheck.crash.history import parsed, told
from cbtcheck.crash.judge import LOST, UNOPENABLE
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.own import Own
from cbtcheck.crash.played import Played
from cbtcheck.crash.recording import Fault
from cbtcheck.crash.remembering import Remembering
from cbtcheck.crash.report import Profile, Report
from cbtcheck.crash.run import run
from cbtcheck.crash.setting import CLUSTERS, Setting
from cbtcheck.crash.tasks import Cast
from cbtwire.qcow2.bitmaps import bits, read_image
from cbtwire.qcow2.image_file import ImageFile, Refused
from cbtwire.qcow2.reading import InMemory
from cbtwire.qcow2.refcounts import free_but_used

FAULTS = 2_000 if os.environ.get("CBTSPEC_NIGHT") == "1" else 120


def found_in(profile: Profile) -> Report:
    report = Report(adapter="reference")
    asyncio.run(run(Alone(Cast(Own(), None, "reference")), profile, True, report))
    return report


def played(history: str, bits_of_cluster: int = 12) -> Played:
    return asyncio.run(Own().play(Setting(bits_of_cluster), parsed(history)))


def test_nothing_is_found() -> None:
    report = found_in(Profile(3_000, FAULTS, 5))
    assert {kind: each.why for kind, each in report.findings.items()} == {}
    assert (report.states >= 3_000, report.faults) == (True, FAULTS)


def no_mark(self: Any, image: Any) -> None:
    pass


def never_unsure(self: Any) -> None:
    """Goes on after a header whose flush has failed, as if it had not been written."""
    self._unsure = False


def no_flush(self: Any) -> None:
    pass


@pytest.mark.parametrize(("name", "mistake"), [("_mark", no_mark), ("_record", lambda self, offset, length: None)])
def test_a_seeded_mistake_is_found_without_faults(
    monkeypatch: pytest.MonkeyPatch, name: str, mistake: Callable[..., None]
) -> None:
    monkeypatch.setattr(ImageFile, name, mistake)
    report = found_in(Profile(500, 0, 5))
    assert {kind[0] for kind in report.findings} == {LOST}
    assert all(not each.known for each in report.findings.values())
    assert all("cbtspec crash reference" in each.replay() for each in report.findings.values())


def after_each(kind: str, history: str) -> set[str]:
    """The verdicts of all that is found when each request of this kind fails once."""
    setting, steps = Setting(12), parsed(history)
    asked = asyncio.run(Own().play(setting, steps)).recorder.asked
    verdicts = set()
    for number in (number for number, each in enumerate(asked, 1) if each[0] == kind):
        found = asyncio.run(with_fault(Own(), setting, steps, Fault(number))).found
        verdicts |= {each.verdict for each, _ in found}
    return verdicts


REOPENED = "open; add b; write 0; close; open; write 1; reopen ro; write 2; flush; kill"


@pytest.mark.parametrize("kind", ["flush", "write"])
def test_it_stands_each_request_that_fails(kind: str) -> None:
    assert after_each(kind, REOPENED) == set()


def test_one_that_fails_as_a_whole_because_it_cannot_free_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it was once, and the deep run of the test above has found it."""
    monkeypatch.setattr("cbtwire.qcow2.image_file.suppress", lambda *kinds: nullcontext())
    assert LOST in after_each("write", REOPENED)


def test_one_that_goes_on_after_a_header_whose_flush_has_failed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "_settle", never_unsure)
    assert LOST in after_each("flush", REOPENED)


def test_a_store_that_does_not_flush_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from cbtcheck.crash.own import _Storage

    monkeypatch.setattr(_Storage, "flush", no_flush)
    assert {kind[0] for kind in found_in(Profile(500, 0, 5)).findings} & {LOST, UNOPENABLE}


def test_who_remembers_plays_the_same_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where the setting, a step, the fault or what was there before differs; nor what it has forgotten."""
    monkeypatch.setattr("cbtcheck.crash.remembering.MOST", 6)
    plays: list[Any] = []

    class Counting(Own):
        async def play(self, *asked: Any) -> Played:
            plays.append(asked)
            return await super().play(*asked)

    player, one, other = Remembering(Counting()), parsed("open; add b; write 0; close"), parsed("open; close")

    async def work() -> None:
        first = await player.play(Setting(), one)
        for _ in range(3):
            assert await player.play(Setting(), one) is first
            again = await player.play(Setting(), other, None, first)
            assert again.base == first.recorder.storage.all()
            faulty = await player.play(Setting(), one, Fault(9))
            await player.play(Setting(), other, None, faulty)
            await player.play(Setting(9), one)
            await player.play(Setting(), other)
            assert len(plays) == 6
        await player.play(Setting(16), one)
        assert await player.play(Setting(), one) is not first
        assert len(plays) == 8

    asyncio.run(work())


def test_it_stores_and_loads_what_was_there() -> None:
    history = "open; add b; write 2; close; open; write 5; close"
    for bits_of_cluster in CLUSTERS:
        content = played(history, bits_of_cluster).recorder.storage.all()
        source = InMemory(content)
        image = read_image(source)
        assert [(each.name, each.in_use, bits(source, image.header, each)) for each in image.bitmaps] == [
            ("b", False, 1 << 2 | 1 << 5)
        ]
        assert free_but_used(source, image) == []


def test_what_cannot_be_done_is_refused() -> None:
    done = played("open; add b; add b; remove x; write 1; reopen ro; write 2; clear b; kill; open; clear b").done
    answers = [each.answer for each in done]
    assert answers[2:4] == ["Bitmap already exists: b", "Dirty bitmap 'x' not found"]
    assert answers[6:8] == ["it is read-only", "it is read-only"]
    assert issubclass(Refused, Exception)
    lost = played("open; add b; close; open; write 1; kill; open; clear b").done[-1]
    assert lost.answer == "Bitmap 'b' is inconsistent and cannot be used"


@pytest.mark.qemu
def test_qemu_agrees_about_what_it_wrote(binary: str, tmp_path: Path) -> None:
    """QEMU sees the same bitmaps, bits and data, and `qemu-img check` finds nothing but what a crash may leak."""
    qemu_img = shutil.which("qemu-img")

    async def work() -> None:
        machine = await Machine.start(str(tmp_path), binary, None)
        try:
            for number, history in enumerate([*BY_HAND, *(drawn(seed, False) for seed in range(8))]):
                setting = Setting(tuple(CLUSTERS)[number % 3])
                done = await Own().play(setting, history)
                content = done.recorder.storage.all()
                assert await difference(machine, setting, content, True) == "", told(history)
                (tmp_path / "image").write_bytes(content)
                if qemu_img is not None:
                    words = [qemu_img, "check", "-f", "qcow2", tmp_path / "image"]
                    said = subprocess.run(words, capture_output=True, text=True, check=False)
                    assert said.returncode in (0, 3), said.stdout + said.stderr
                    clean = "kill" not in told(history)
                    assert not clean or said.returncode == 0, (told(history), said.stdout + said.stderr)
        finally:
            await machine.close()

    asyncio.run(work())
