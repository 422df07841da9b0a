"""Logs in which QEMU is started again: what of its stored bitmaps is judged across that, and what is not."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

K64 = 65536
SIZE = 8 * K64
OK: dict[str, Any] = {"return": {}}


def sent(execute: str, /, **arguments: Any) -> dict[str, Any]:
    return {"execute": execute, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}


HELLO = [sent("qmp_capabilities"), OK]
LOOK = sent("query-named-block-nodes")
ADD = [sent("block-dirty-bitmap-add", node="d", name="b", granularity=K64, persistent=True), OK]
QUIT = [sent("quit"), OK, {"event": "SHUTDOWN", "data": {}}]
DEL = [sent("blockdev-del", node_name="d"), OK, sent("blockdev-add", node_name="d", driver="qcow2"), OK]


def seen(count: int | None, file: str = "/d.qcow2", size: int = SIZE, **more: Any) -> list[dict[str, Any]]:
    """A look at the disk: a bitmap with so many granules; None: without it."""
    bitmap = {"name": "b", "count": (count or 0) * K64, "granularity": K64, "recording": True, "busy": False,
              "persistent": True, **more}  # fmt: skip
    node = {"node-name": "d", "file": file, "image": {"virtual-size": size, "cluster-size": K64}}
    return [LOOK, {"return": [node | ({} if count is None else {"dirty-bitmaps": [bitmap]})]}]


INCONSISTENT = {"inconsistent": True, "recording": False}


def judged(*parts: list[dict[str, Any]]) -> TraceReport:
    text = "".join(json.dumps(each) + "\n" for part in parts for each in part)
    return verify(io.BytesIO(text.encode()), Options())


def found(*parts: list[dict[str, Any]]) -> list[tuple[int, Verdict, str]]:
    return [(line, each.verdict, each.seen) for line, each in judged(*parts).findings]


BEFORE = [*HELLO, *ADD, *seen(2)]
WAYS = {"a crash": HELLO, "a quit": [*QUIT, *HELLO], "a close": DEL}

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@ways
def test_stored_with_two_granules_and_back_with_none_is_unsafe_at_the_first_look(way: list[dict[str, Any]]) -> None:
    line = len(BEFORE) + len(way) + 2
    assert found(BEFORE, way, seen(0)) == [(line, Verdict.UNSAFE, "0 bytes dirty")]
    assert found(BEFORE, way, seen(1), seen(1)) == [(line, Verdict.UNSAFE, f"{K64} bytes dirty")]
    assert found(BEFORE, way, seen(2), seen(3)) == []


@ways
@pytest.mark.parametrize("back", [seen(None), seen(0, **INCONSISTENT)], ids=["absent", "inconsistent"])
def test_openly_gone_or_inconsistent_is_no_lost_write(way: list[dict[str, Any]], back: list[dict[str, Any]]) -> None:
    report = judged(BEFORE, way, back)
    verdicts = [each.verdict for _, each in report.findings]
    if way is HELLO:
        assert verdicts == []
        assert any("openly, so it was not judged" in note for note in report.notes)
    else:
        assert verdicts == [Verdict.DIVERGES]


CLEAR = [sent("block-dirty-bitmap-clear", node="d", name="b"), OK]
REMOVE = [sent("block-dirty-bitmap-remove", node="d", name="b"), OK]
BACKUP = [sent("blockdev-backup", device="d", job_id="j", target="t", sync="incremental", bitmap="b"), OK]
SNAPSHOT = [sent("blockdev-snapshot", node="d", overlay="o"), OK]
UNANSWERED = [sent("block-dirty-bitmap-clear", node="d", name="b")]


@pytest.mark.parametrize(
    "between",
    [CLEAR, REMOVE, BACKUP, [*BACKUP, *seen(2, busy=True)], SNAPSHOT, UNANSWERED,
     [sent("transaction", actions=[{"type": "block-dirty-bitmap-clear", "data": {"node": "d", "name": "b"}}]), OK]],
    ids=["clear", "remove", "backup", "seen during a backup", "snapshot", "unanswered", "transaction"],
)  # fmt: skip
def test_what_may_have_cleaned_it_takes_back_what_was_seen(between: list[dict[str, Any]]) -> None:
    assert found(BEFORE, between, HELLO, seen(0)) == []


def test_another_disk_of_that_name_is_not_held_against_it() -> None:
    assert found(BEFORE, QUIT, HELLO, seen(0, file="/other.qcow2")) == []
    assert found(BEFORE, QUIT, HELLO, seen(None, size=2 * SIZE)) == []


def test_what_is_not_to_be_stored_may_be_gone() -> None:
    plain = [*HELLO, *seen(2, persistent=False)]
    assert found(plain, QUIT, HELLO, seen(None)) == []


@ways
def test_one_that_recorded_and_comes_back_disabled_is_unsafe(way: list[dict[str, Any]]) -> None:
    line = len(BEFORE) + len(way) + 2
    assert found(BEFORE, way, seen(2, recording=False)) == [(line, Verdict.UNSAFE, "it does not record")]
    disable = [sent("block-dirty-bitmap-disable", node="d", name="b"), OK]
    assert found(BEFORE, disable, way, seen(2, recording=False)) == []
    assert found(HELLO, seen(2, recording=False), way, seen(2, recording=False)) == []


def test_a_shutdown_after_which_something_is_done_is_no_end() -> None:
    shutdown = [{"event": "SHUTDOWN", "data": {}}]
    assert found(BEFORE, shutdown, HELLO, seen(0, **INCONSISTENT)) != []
    assert found(BEFORE, shutdown, [sent("system_reset"), OK], HELLO, seen(0, **INCONSISTENT)) == []


def test_a_refused_clear_cleans_nothing() -> None:
    refused = [CLEAR[0], {"error": {"class": "GenericError", "desc": "Bitmap 'b' is currently in use by another "
                                    "operation and cannot be used"}}]  # fmt: skip
    verdicts = [verdict for _, verdict, said in found(BEFORE, refused, HELLO, seen(0)) if said == "0 bytes dirty"]
    assert verdicts == [Verdict.UNSAFE]


@pytest.mark.parametrize("name", [None, 7, {}, []])
def test_a_bitmap_whose_name_is_none_is_passed_over(name: Any) -> None:
    assert found(HELLO, seen(2, name=name), QUIT, HELLO, seen(0)) == []
