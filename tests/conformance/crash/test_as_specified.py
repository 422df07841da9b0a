"""What a real QEMU has in its image, and what it refuses, is what the specification of images says, step by step."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.crash.histories import BY_HAND, drawn
from cbtcheck.crash.history import Step, parsed, told
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.played import Played
from cbtcheck.crash.setting import CLUSTERS, Setting
from cbtcheck.crash.states import apply
from cbtcheck.scenario.images import as_it_came
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Image, Open, Persist, Reopen, Stored, happen
from cbtmodel.node import State
from cbtmodel.table import Table
from cbtwire.qcow2.bitmaps import bits, read_image
from cbtwire.qcow2.reading import InMemory
from waiting import run

SETTING = Setting(12)
CLUSTER, SIZE = 1 << SETTING.cluster_bits, SETTING.size
READ_ONLY_AND_INCONSISTENT = parsed(
    "open; add b; add c; write 0; close; open; write 1; kill; open; clear b; enable b; disable b; merge c b; "
    "merge b c; backup b; add b; remove c; close; open ro; clear b; remove b; enable b; close; open; remove b; "
    "add b; write 2; add c; write 3; close; open ro; clear b; remove b; merge c b; disable c; enable c; backup b; "
    "close; open; write 4; reopen ro; clear b; disable b; reopen rw; write 5; close; open; close"
)
ADDED_WHERE_NOBODY_WRITES = parsed(
    "open; add b; write 0; close; open ro; add b; add c; add d disabled; close; open; write 1; reopen ro; add c; "
    "add b; reopen rw; write 2; add e; close; open; write 3; kill; open ro; add b; add c; close"
)
WORDS = {
    "is readonly and cannot be modified": "read only", "nobody can write to it": "read only",
    "no write access to node": "read only", "to read-only or inactive node": "read only",
    "is inconsistent and cannot be used": "inconsistent", "Bitmap already exists": "exists",
    "not found": "not found", "could not be found": "not found", "Transaction aborted": "aborted",
}  # fmt: skip


def played_on(binary: str, place: Path, history: tuple[Step, ...]) -> Played:
    async def play() -> Played:
        machine = await Machine.start(str(place), binary, None)
        try:
            return await machine.play(SETTING, history)
        finally:
            await machine.close()

    return asyncio.run(play())


def meant(step: Step) -> Iterator[Any]:
    """The events and commands that a step is."""
    named = "d", step.name
    add = c.AddBitmap(*named, CLUSTER * step.scale, step.enabled)
    match step.verb:
        case "open":
            yield Open("d", not step.read_only)
        case "close" | "quit":
            yield Close("d")
        case "kill":
            yield Crash()
        case "reopen":
            yield Reopen("d", not step.read_only)
        case "write" | "zero":
            first = step.first % CLUSTERS[SETTING.cluster_bits]
            count = min(step.count, CLUSTERS[SETTING.cluster_bits] - first)
            yield c.Write("d", first * CLUSTER, count * CLUSTER, "zeroes" if step.verb == "zero" else "write")
        case "add":
            yield Persist(add)
        case "merge":
            yield c.MergeBitmaps(*named, (c.Source("d", step.source),))
        case "backup":
            yield c.StartBackup("j", "d", "incremental", step.name, cluster=CLUSTER)
            yield from (c.Copy("j", block * CLUSTER, CLUSTER) for block in range(SIZE // CLUSTER))
        case "abort-remove":
            yield c.Transaction((c.RemoveBitmap(*named), c.Abort()))
        case "transaction-remove":
            yield c.Transaction((c.RemoveBitmap(*named),))
        case "remove" | "clear" | "enable" | "disable":
            kinds = {"remove": c.RemoveBitmap, "clear": c.ClearBitmap, "enable": c.EnableBitmap,
                     "disable": c.DisableBitmap}  # fmt: skip
            yield kinds[step.verb](*named)


def said(answer: str) -> str:
    """What kind of refusal QEMU's words are; "" if it has accepted."""
    return "" if not answer else next((kind for words, kind in WORDS.items() if words in answer), answer)


def entries_of(stored: Stored[Any]) -> dict[str, tuple[int, bool, bool, int]]:
    """Granularity, in use, enabled, and dirty granules of each entry. Of those in use, bits and more do not count."""
    image = stored.images["d"]
    shown = {}
    for name, entry in (image.entries if image.current else {}).items():
        granules = [
            number for number in range(-(-SIZE // entry.granularity))
            if entry.marks.dirty & stored.state.space.blocks(number * entry.granularity, 1)
        ]  # fmt: skip
        word = sum(1 << number for number in granules)
        shown[name] = entry.granularity, entry.in_use, entry.enabled, 0 if entry.in_use else word
    return shown


def entries_in(content: bytes) -> dict[str, tuple[int, bool, bool, int]]:
    """The same, of an image."""
    source = InMemory(content)
    image = read_image(source)
    return {
        each.name: (each.granularity, each.in_use, each.auto, 0 if each.in_use else bits(source, image.header, each))
        for each in image.bitmaps
    }


def differences(played: Played) -> Iterator[str]:
    """Where QEMU and the specification part."""
    space = BitSets(512)
    stored: Stored[Any] = Stored(State(space, Table()), Table({"d": Image(SIZE)}))
    content, at = bytearray(played.base), 0
    for number, done in enumerate(played.done):
        refusal, last = "", None
        for what in meant(done.step):
            last = happen(stored, as_it_came(what, said(done.answer)))
            stored = last.stored
            if last.refusal is not None and not isinstance(what, c.Copy):
                refusal = getattr(last.refusal, "kind", last.refusal)
                break
        for event in played.recorder.events[at : done.position]:
            apply(content, event)
        at = done.position
        where = f"step {number}, {done.step}"
        if done.step.verb != "flush" and said(done.answer) != refusal:
            yield f"{where}: answered {done.answer or 'well'!r}, specified {refusal or 'well'!r}"
        if (there := entries_in(bytes(content))) != (expected := entries_of(stored)):
            yield f"{where}: in the image {there}, specified {expected}"


@pytest.mark.qemu
def test_what_read_only_and_inconsistent_bitmaps_answer(binary: str, tmp_path: Path) -> None:
    assert list(differences(played_on(binary, tmp_path, READ_ONLY_AND_INCONSISTENT))) == []


@pytest.mark.qemu
def test_a_bitmap_to_be_stored_is_added_where_nobody_writes_or_refused(binary: str, tmp_path: Path) -> None:
    played = played_on(binary, tmp_path, ADDED_WHERE_NOBODY_WRITES)
    assert list(differences(played)) == []


@pytest.mark.qemu
@pytest.mark.parametrize("number", range(len(BY_HAND)))
def test_histories_made_by_hand(number: int, binary: str, tmp_path: Path) -> None:
    assert list(differences(played_on(binary, tmp_path, BY_HAND[number]))) == []


@pytest.mark.qemu
@pytest.mark.parametrize("seed", range(12))
def test_histories_that_are_drawn(seed: int, binary: str, tmp_path: Path) -> None:
    history = drawn(seed, offline=False)
    assert list(differences(played_on(binary, tmp_path, history))) == [], told(history)


@pytest.mark.qemu
@pytest.mark.skipif(not (shutil.which("qemu-img") and shutil.which("qemu-io")), reason="no qemu-img or qemu-io")
def test_what_the_specification_forbids_and_qemu_does(binary: str) -> None:
    """CRASH-8. If this fails QEMU may have mended it: then docs/findings/crashes.md is to say so."""
    script = Path(__file__).parents[3] / "examples/crashes/snapshot_during_backup.py"
    done = run([sys.executable, script, binary])
    assert done.returncode == 1, done.stderr
    assert done.stdout.count(b"LOST WRITE") == 3
