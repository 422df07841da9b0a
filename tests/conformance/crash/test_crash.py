"""Crash states of a real QEMU: nothing is found in what it writes, and each seeded mistake is."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters.qemu.daemon import QmpRefused
from cbtcheck.crash.confirm import difference
from cbtcheck.crash.crew import Alone
from cbtcheck.crash.faults import with_fault
from cbtcheck.crash.finding import KNOWN
from cbtcheck.crash.histories import BY_HAND, BY_HAND_OFFLINE, drawn
from cbtcheck.crash.history import NoHistory, parsed, told
from cbtcheck.crash.judge import LOST, STUCK, UNOPENABLE, judge
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.mistakes import MISTAKES, versions
from cbtcheck.crash.picture import picture
from cbtcheck.crash.played import Played
from cbtcheck.crash.recording import Event, Fault, Recorder
from cbtcheck.crash.report import Profile, Report
from cbtcheck.crash.run import run
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import SECTORS, WHOLE, Judged, State, enumerate_states
from cbtcheck.crash.tasks import Cast
from cbtwire.qcow2.bitmaps import read_image
from cbtwire.qcow2.reading import InMemory

DEEP = os.environ.get("CBTSPEC_NIGHT") == "1"
SHORT = parsed("open; add b; write 0; close; open; write 1; close")
WITH_LOST = parsed("open; add b; add c; write 0; close; open; write 1; kill; open; remove c; add c; write 2; close")
SEEDED = {
    "no in-use at open": (SHORT, LOST),
    "flushes ignored": (SHORT, LOST),
    "header before directory": (SHORT, UNOPENABLE),
    "old clusters freed before the header": (SHORT, UNOPENABLE),
    "an inconsistent one stored as valid": (WITH_LOST, LOST),
    "auto not stored": (SHORT, LOST),
}


def on_qemu(binary: str, place: Path, work: Callable[[Machine], Coroutine[Any, Any, Any]]) -> Any:
    async def do() -> Any:
        machine = await Machine.start(str(place), binary, shutil.which("qemu-img"))
        try:
            return await work(machine)
        finally:
            await machine.close()

    return asyncio.run(do())


def played_on(binary: str, place: Path, history: str | tuple[Any, ...], setting: Setting) -> Played:
    steps = parsed(history) if isinstance(history, str) else history
    found: Played = on_qemu(binary, place, lambda machine: machine.play(setting, steps))
    return found


# Without QEMU


def test_a_history_is_told_as_it_is_parsed() -> None:
    for each in [*BY_HAND, *BY_HAND_OFFLINE, *(drawn(seed, True) for seed in range(200))]:
        assert parsed(told(each)) == each


@pytest.mark.parametrize(
    "text",
    ["", ";", "opn", "write", "write x", "write 1 2", "add", "add b x3", "reopen", "offline", "offline fly b"],
)
def test_what_is_no_history_is_refused(text: str) -> None:
    with pytest.raises(NoHistory):
        parsed(text)


def write(offset: int, data: bytes) -> Event:
    return Event("write", offset, len(data), data)


FLUSH = Event("flush")


def seen_states(events: list[Event], assumption: str = WHOLE) -> set[bytes]:
    """All contents that are judged, whatever the reader looks at."""
    seen = set()

    def look(state: State, _: Any) -> Any:
        seen.add(state.whole())
        return judge(InMemory(b"QFI\xfb"), {})

    enumerate_states(b"....", events, [(0, {})], look, assumption)
    return seen


def test_a_state_has_what_was_flushed_and_any_subset_of_the_rest() -> None:
    events = [write(0, b"a"), FLUSH, write(1, b"b"), write(2, b"c"), FLUSH, write(1, b"d")]
    assert seen_states(events) == {
        b"....", b"a...", b"ab..", b"a.c.", b"abc.", b"adc.",
    }  # fmt: skip


def test_a_later_write_wins_where_both_are_there() -> None:
    assert seen_states([write(0, b"ab"), write(1, b"cd")]) == {b"....", b"ab..", b".cd.", b"acd."}


def test_a_flush_that_failed_is_none_and_a_write_that_failed_is_not_there() -> None:
    events = [write(0, b"a"), Event("flush", failed=True), Event("write", 1, 1, failed=True), write(2, b"c")]
    assert seen_states(events) == {b"....", b"a...", b"..c.", b"a.c."}


def test_sectors_are_torn_where_the_storage_has_its_boundaries() -> None:
    events = [write(510, b"abcd")]
    assert {each[508:] for each in seen_states(events, SECTORS)} == {b"", b"\0\0ab", b"\0\0\0\0cd", b"\0\0abcd"}
    assert len(seen_states(events, WHOLE)) == 2


def test_a_judgement_is_used_again_only_where_it_holds() -> None:
    """The reader looks at byte 0, and at byte 1 only if byte 0 is an x: states that differ elsewhere are one."""
    asked: list[bytes] = []

    def look(state: State, _: Any) -> Any:
        first = state.read(0, 1)
        asked.append(first + (state.read(1, 1) if first == b"x" else b""))
        return judge(InMemory(b""), {})

    events = [write(0, b"x"), write(1, b"y"), write(2, b"z"), write(3, b"w")]
    found = enumerate_states(b"....", events, [(0, {})], look)
    assert (found.states, sorted(asked)) == (16, [b".", b"x.", b"xy"])


# With QEMU


@pytest.mark.qemu
@pytest.mark.parametrize("cluster_bits", [9, 12, 16])
def test_nothing_is_found_in_what_qemu_writes(binary: str, tmp_path: Path, cluster_bits: int) -> None:
    setting = Setting(cluster_bits, backed=cluster_bits == 12)

    async def work(machine: Machine) -> None:
        for history in BY_HAND if cluster_bits == 9 or DEEP else BY_HAND[:5]:
            played = await machine.play(setting, history)
            judging = partial(judge, backing=setting.backing())
            for assumption in (WHOLE, SECTORS):
                events, owed = played.recorder.events, played.account.versions
                found = enumerate_states(played.base, events, owed, judging, assumption)
                for bad in found.bad:
                    shown = told(history), bad.judgement, picture(played, bad.place)
                    assert is_known(bad, cluster_bits, assumption), shown
                assert found.states > 20
                for each in found.samples[:6]:
                    assert await difference(machine, setting, each.content, True) == ""

    on_qemu(binary, tmp_path, work)


@pytest.mark.qemu
@pytest.mark.parametrize("name", MISTAKES)
def test_the_judge_bites(binary: str, tmp_path: Path, name: str) -> None:
    history, verdict = SEEDED[name]
    setting = Setting(12)
    played = played_on(binary, tmp_path, history, setting)
    events, now = MISTAKES[name](played)
    found = enumerate_states(played.base, events, versions(played, now), judge)
    assert verdict in {each.judgement.verdict for each in found.bad}
    assert enumerate_states(played.base, played.recorder.events, played.account.versions, judge).bad == []


@pytest.mark.qemu
def test_each_mistake_has_a_test(binary: str) -> None:
    assert set(SEEDED) == set(MISTAKES)


def is_known(bad: Judged, cluster_bits: int, assumption: str) -> bool:
    """CRASH-6: with clusters of 64 KiB the extension of bitmaps lies across the first two sectors of the header."""
    torn = assumption == SECTORS and cluster_bits == 16
    return torn and bad.judgement.why == "found bitmaps extension with zero bitmaps (at byte 512)"


def last_flush(played: Played, step: int, verb: str) -> int:
    """The number of the flush that follows the last write of the header in a step."""
    begin = played.done[step - 1].asked if step else 0
    asked = played.recorder.asked
    assert played.done[step].step.verb == verb
    header = max(n for n in range(begin, played.done[step].asked) if asked[n][:2] == ("write", 0))
    return next(n + 1 for n in range(header, len(asked)) if asked[n][0] == "flush")


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("known", "verdict", "history", "step", "trims"),
    [
        ("CRASH-1", LOST, "open; add b; write 0; close; open; write 1; close", 6, "zeroed"),
        ("CRASH-2", LOST, "open; add b; write 0; close; open; write 1; reopen ro; write 2; flush; kill", 6, "none"),
        ("CRASH-3", UNOPENABLE, "open; add b; add c; write 0; close; open; remove b; write 1; write 2", 6, "none"),
        ("CRASH-4", STUCK, "open; add b; close; open ro; reopen rw; write 1; close", 4, "none"),
    ],
)
def test_what_is_known_of_qemu_is_found(
    binary: str, tmp_path: Path, known: str, verdict: str, history: str, step: int, trims: str
) -> None:
    setting, steps = Setting(12, trims=trims), parsed(history)

    async def work(machine: Machine) -> None:
        clean = await machine.play(setting, steps)
        fault = Fault(last_flush(clean, step, steps[step].verb), errno.EIO)
        found = (await with_fault(machine, setting, steps, fault)).found
        kinds = {(each.known, each.verdict) for each, _ in found}
        assert (known, verdict) in kinds, kinds
        assert {each.known for each, _ in found} <= set(KNOWN)
        for each, state in found:
            assert each.picture
            if state is not None:
                assert await difference(machine, setting, state.content, True) == ""

    on_qemu(binary, tmp_path, work)


@pytest.mark.qemu
def test_a_run_keeps_to_its_profile(binary: str, tmp_path: Path) -> None:
    report = Report()
    on_qemu(binary, tmp_path, lambda machine: run(Alone(Cast(machine, machine)), Profile(400, 3, 1), False, report))
    assert report.states >= 400
    assert report.faults == 3
    assert report.confirmed > 0
    assert report.disagreements == []
    assert report.hung == ""
    assert report.findings == {}


@pytest.mark.qemu
def test_a_kill_is_the_end_for_the_storage_and_one_daemon_goes_on(binary: str, tmp_path: Path) -> None:
    """Nothing that a killed daemon does reaches the image: neither its store nor its reads."""

    async def twice(machine: Machine) -> None:
        before = await machine._running()
        for text in (
            "open; add b; write 0; kill",
            "open; add b; write 0; close; open; write 1; kill; kill; open; kill",
        ):
            for setting in (Setting(12, True, "kept"), Setting(9)):
                played = await machine.play(setting, parsed(text))
                assert not any(each.answer for each in played.done)
                verbs = [each.step.verb for each in played.done]
                killed = verbs.index("kill")
                assert played.done[killed].asked == played.done[killed - 1].asked
                assert len(played.recorder.asked) == played.done[-1].asked
                assert await machine._running() is before
        left = played.recorder.storage.all()
        image = read_image(InMemory(left))
        assert [(each.name, each.in_use) for each in image.bitmaps] == [("b", True)]

    on_qemu(binary, tmp_path, twice)


@pytest.mark.qemu
def test_a_process_that_is_really_killed_sends_the_same_requests(binary: str, tmp_path: Path) -> None:
    """What comes after the kill, too: a daemon that goes on asks for the same as a new one."""
    settings = (Setting(9), Setting(12, True), Setting(16, trims="kept"))

    async def work(machine: Machine) -> None:
        async def really(recorder: Recorder) -> None:
            await machine._end(kill=True)

        cut = machine._killed
        for number, history in enumerate([*BY_HAND, *(drawn(seed, False) for seed in range(30 if DEEP else 8))]):
            for fault in (None, Fault(15 + number), Fault(25 + number, for_ever=True)):
                came = []
                for killed in (cut, really):
                    machine._killed = killed  # type: ignore[method-assign]
                    played = await machine.play(settings[number % 3], history, fault)
                    answers = [each.answer for each in played.done]
                    came.append((played.recorder.events, played.recorder.asked, answers))
                assert came[0] == came[1], (told(history), fault)

    on_qemu(binary, tmp_path, work)


@pytest.mark.qemu
def test_a_daemon_that_cannot_let_go_of_the_image_ends(binary: str, tmp_path: Path) -> None:
    async def work(machine: Machine) -> None:
        daemon = await machine._running()

        async def refused() -> None:
            raise QmpRefused("GenericError", "Node d is in use")

        machine._closed = refused  # type: ignore[method-assign]
        played = await machine.play(Setting(), parsed("open; add b; write 0; kill; open; quit"))
        assert not any(each.answer for each in played.done)
        assert not played.broken
        assert daemon.died.done()

    on_qemu(binary, tmp_path, work)
