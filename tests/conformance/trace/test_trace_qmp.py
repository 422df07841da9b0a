"""QMP logs: a real QEMU's is allowed, a falsified one is not; every form of log; what is not in a log."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters.qemu import daemon as qemu
from cbtcheck.adapters.qemu.session import Session
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.printed import to_json
from cbtcheck.trace.qemu_io import HumanWrite, human_write
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

RECORDED = Path(__file__).parent / "traces" / "qemu-storage-daemon-7.2.jsonl"
SIZE = 8 * 65536
K64 = 65536


def judged(entries: list[dict[str, Any]], guest: str = "recorded", **options: Any) -> TraceReport:
    text = "".join(json.dumps(each) + "\n" for each in entries).encode()
    return verify(io.BytesIO(text), Options("auto", None, guest, **options))


def sent(execute: str, /, **arguments: Any) -> dict[str, Any]:
    return {"execute": execute, "arguments": arguments}


OK: dict[str, Any] = {"return": {}}


def error(text: str) -> dict[str, Any]:
    return {"error": {"class": "GenericError", "desc": text}}


def nodes(**bitmaps: tuple[int, bool, bool]) -> dict[str, Any]:
    """A reply of query-named-block-nodes: one disk with these bitmaps, each (count in bytes, recording, busy)."""
    listed = [
        {"name": name, "count": count, "granularity": K64, "recording": recording, "busy": busy}
        for name, (count, recording, busy) in bitmaps.items()
    ]
    node = {"node-name": "d", "image": {"virtual-size": SIZE, "cluster-size": K64}}
    return {"return": [node | ({"dirty-bitmaps": listed} if listed else {})]}


LOOK = sent("query-named-block-nodes", flat=True)
ADD = sent("block-dirty-bitmap-add", node="d", name="b", granularity=K64)
BACKUP = sent("blockdev-backup", device="d", **{"job-id": "j"}, target="t", sync="incremental", bitmap="b")


def write(offset: int, length: int = 1) -> dict[str, Any]:
    return {"do": "write", "node": "d", "offset": offset, "length": length}


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"timestamp": {"seconds": 1, "microseconds": 1}, "event": name, "data": data}


def over(job: str = "j", **more: Any) -> dict[str, Any]:
    return event("BLOCK_JOB_COMPLETED", device=job, type="backup", len=0, offset=0, speed=0, **more)


BEGIN = [LOOK, nodes(), ADD, OK, write(0), write(K64)]


# A real one


class Recorder:
    """Keeps what goes over a QMP connection, and the guest's writes between."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        log, send = self.log, qemu._Client._do_send

        def outbound(client: Any, message: Any) -> None:
            log.append({"direction": "send", "message": json.loads(bytes(message))})
            send(client, message)

        def inbound(client: Any, message: Any) -> Any:
            log.append({"direction": "receive", "message": dict(message)})
            return message

        patch.setattr(qemu._Client, "_do_send", outbound)
        patch.setattr(qemu._Client, "_cb_inbound", inbound)


async def story(binary: str, recorder: Recorder) -> None:
    """Backups on a real daemon: one completes, one is cancelled, with guest writes; and a transaction fails."""
    session = await Session.start(binary)
    daemon = session.daemon
    try:
        source, target = await session.source(SIZE, 0), await session.target(SIZE, 0)
        node = source.node

        async def guest(offset: int, length: int) -> None:
            await source.guest.write(offset, b"\1" * length)
            recorder.log.append({"do": "write", "node": node, "offset": offset, "length": length})

        async def look() -> None:
            await daemon.execute("query-named-block-nodes", {"flat": True})
            for name in ("b", "fine"):
                await daemon.execute("x-debug-block-dirty-bitmap-sha256", {"node": node, "name": name})

        async def backup(mode: str, filter_name: str) -> None:
            arguments = {"device": node, "job-id": "j", "target": target.node, "sync": "bitmap", "bitmap": "b",
                         "bitmap-mode": mode, "filter-node-name": filter_name, "auto-finalize": False}  # fmt: skip
            pending = daemon.expect(lambda each: each["event"] == "BLOCK_JOB_PENDING")
            await daemon.execute("blockdev-backup", arguments)
            await pending

        async def end(command: str) -> None:
            gone = daemon.expect(
                lambda each: each["event"] == "JOB_STATUS_CHANGE" and each["data"]["status"] == "null"
            )
            await daemon.execute(command, {"id": "j"})
            await gone

        await daemon.execute("block-dirty-bitmap-add", {"node": node, "name": "b", "granularity": K64})
        await daemon.execute("block-dirty-bitmap-add", {"node": node, "name": "fine", "granularity": 4096})
        await guest(0, 1)
        await guest(3 * K64 - 1, 2)
        await look()
        await backup("on-success", "f0")
        await guest(5 * K64, 4096)
        await look()
        await end("job-finalize")
        await look()
        await backup("always", "f1")
        await guest(0, 512)
        await end("job-cancel")
        await look()
        with pytest.raises(qemu.QmpRefused):
            await daemon.execute("transaction", {"actions": [
                {"type": "block-dirty-bitmap-clear", "data": {"node": node, "name": "fine"}},
                {"type": "abort", "data": {}},
            ]})  # fmt: skip
        await daemon.execute("block-dirty-bitmap-disable", {"node": node, "name": "fine"})
        await guest(7 * K64, 1)
        await daemon.execute("block-dirty-bitmap-merge", {"node": node, "target": "b", "bitmaps": ["fine"]})
        await look()
    finally:
        await session.stop()


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


@pytest.mark.qemu
def test_what_a_real_qemu_does_is_allowed(
    binary: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    recorder = Recorder()
    recorder.install(monkeypatch)
    asyncio.run(story(binary, recorder))
    if request.config.getoption("--regenerate-golden"):
        RECORDED.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in recorder.log))
    for guest in ("recorded", "unknown"):
        report = judged(recorder.log, guest)
        assert report.findings == []
        assert report.counts.looks_judged >= 15
    assert not judged(recorder.log).counts.unjudged


def test_a_recorded_log_is_allowed_to_the_last_bit(recorded: list[dict[str, Any]]) -> None:
    report = judged(recorded)
    assert report.findings == []
    assert report.conformant
    assert (report.counts.writes, report.counts.commands, report.counts.looks) == (5, 9, 15)
    assert not report.counts.unjudged


def test_every_falsified_count_and_digest_is_found_at_its_line(recorded: list[dict[str, Any]]) -> None:
    falsified = 0
    for number, entry in enumerate(recorded):
        reply = entry.get("message", {}).get("return")
        if isinstance(reply, list):
            for at, node in enumerate(reply):
                for which, bitmap in enumerate(node.get("dirty-bitmaps", [])):
                    if "name" in bitmap:
                        for change in (-bitmap["granularity"], bitmap["granularity"]):
                            wrong = copy.deepcopy(recorded)
                            wrong[number]["message"]["return"][at]["dirty-bitmaps"][which]["count"] += change
                            assert found_at(judged(wrong)) == {number + 1}
                            falsified += 1
        elif isinstance(reply, dict) and "sha256" in reply:
            wrong = copy.deepcopy(recorded)
            wrong[number]["message"]["return"]["sha256"] = "0" * 64
            assert found_at(judged(wrong)) == {number + 1}
            falsified += 1
    assert falsified == 30


def found_at(report: TraceReport) -> set[int]:
    return {line for line, _ in report.findings}


# What is judged


def test_a_lost_write_is_found_at_its_line() -> None:
    report = judged([*BEGIN, LOOK, nodes(b=(K64, True, False))])
    assert [(line, each.verdict, each.property) for line, each in report.findings] == [
        (8, Verdict.UNSAFE, "NO-LOST-WRITE")
    ]


def test_a_job_abdicates_and_reclaims() -> None:
    begun = [*BEGIN, BACKUP, OK, write(5 * K64), LOOK, nodes(b=(2 * K64, True, True))]
    done = [*begun, over(), LOOK, nodes(b=(K64, True, False))]
    failed = [*begun, over(error="Input/output error"), LOOK, nodes(b=(3 * K64, True, False))]
    cancelled = [*begun, sent("job-cancel", id="j"), OK, LOOK, nodes(b=(2 * K64, True, True)),
                 event("BLOCK_JOB_CANCELLED", device="j", type="backup"),
                 LOOK, nodes(b=(3 * K64, True, False))]  # fmt: skip
    for entries in (done, failed, cancelled):
        assert judged(entries).findings == []
        last = copy.deepcopy(entries)
        last[-1]["return"][0]["dirty-bitmaps"][0]["count"] -= K64
        assert [each.verdict for _, each in judged(last).findings] == [Verdict.UNSAFE]


def test_what_a_failed_best_effort_has_copied_is_not_known() -> None:
    backup = BACKUP | {"arguments": BACKUP["arguments"] | {"sync": "bitmap", "bitmap-mode": "always"}}
    begun = [*BEGIN, backup, OK, write(5 * K64), over(error="No space left on device"), LOOK]
    for count, verdicts in ((0, [Verdict.UNSAFE]), (1, []), (2, []), (3, []), (4, [Verdict.WASTEFUL])):
        report = judged([*begun, nodes(b=(count * K64, True, False))])
        assert [each.verdict for _, each in report.findings] == verdicts


def test_a_job_may_end_while_a_command_that_drains_is_under_way() -> None:
    """Before the transaction's actions, or after: its reply tells which."""
    clear = sent("transaction", actions=[{"type": "block-dirty-bitmap-clear", "data": {"node": "d", "name": "b"}}])
    busy = error("Bitmap 'b' is currently in use by another operation and cannot be used")
    begun = [*BEGIN, BACKUP, OK, write(5 * K64), clear, over()]
    assert judged([*begun, OK, LOOK, nodes(b=(0, True, False))]).findings == []
    assert judged([*begun, busy, LOOK, nodes(b=(K64, True, False))]).findings == []
    assert len(judged([*begun, busy, LOOK, nodes(b=(0, True, False))]).findings) == 1


def test_a_wrong_reply_is_found() -> None:
    not_there = sent("block-dirty-bitmap-clear", node="d", name="nobody")
    report = judged([*BEGIN, not_there, OK])
    assert [(line, each.where) for line, each in report.findings] == [(8, "clear-bitmap")]
    assert judged([*BEGIN, not_there, error("Dirty bitmap 'nobody' not found")]).findings == []
    running = {"event": "JOB_STATUS_CHANGE", "data": {"id": "j", "status": "running"}}
    report = judged([*BEGIN, BACKUP, running, OK, ADD | sent("block-dirty-bitmap-clear", node="d", name="b"), OK])
    assert [each.expected[:13] for _, each in report.findings] == ["refused: busy"]


def test_false_success_is_unsafe() -> None:
    grouped = sent("transaction", properties={"completion-mode": "grouped"}, actions=[
        {"type": "blockdev-backup", "data": BACKUP["arguments"] | {"job-id": job_id, "bitmap": bitmap}}
        for job_id, bitmap in (("j", "b"), ("k", "c"))
    ])  # fmt: skip
    add = sent("block-dirty-bitmap-add", node="d", name="c", granularity=K64)
    begun = [*BEGIN, add, OK, write(0), grouped, OK, over(error="Input/output error")]
    assert judged([*begun, event("BLOCK_JOB_CANCELLED", device="k", type="backup")]).findings == []
    report = judged([*begun, over("k")])
    assert [(each.verdict, each.property) for _, each in report.findings] == [(Verdict.UNSAFE, "DELIVERED")]


def test_refusals_for_other_reasons_are_not_judged() -> None:
    report = judged([*BEGIN, BACKUP, error("Cannot find device='t' nor node-name='t'")])
    assert report.findings == []
    assert report.counts.unjudged["refusals for reasons outside of the specification"] == 1


# What a log does not tell


def test_unknown_guest_writes_are_never_too_many_but_what_was_seen_stays() -> None:
    begun = [LOOK, nodes(b=(K64, True, False)), LOOK]
    assert judged([*begun, nodes(b=(5 * K64, True, False))], "unknown").findings == []
    disable = sent("block-dirty-bitmap-disable", node="d", name="b")
    still = [*begun, nodes(b=(5 * K64, True, False)), disable, OK, LOOK, nodes(b=(6 * K64, False, False)), LOOK]
    assert judged([*still, nodes(b=(6 * K64, False, False))], "unknown").findings == []
    report = judged([*still, nodes(b=(7 * K64, False, False))], "unknown")
    assert [(line, each.property) for line, each in report.findings] == [(10, "FROZEN-IS-STILL")]


def test_a_new_bitmap_that_does_not_record_is_known_exactly() -> None:
    add = sent("block-dirty-bitmap-add", node="d", name="b", granularity=K64, disabled=True)
    assert judged([LOOK, nodes(), add, OK, LOOK, nodes(b=(0, False, False))], "unknown").findings == []
    report = judged([LOOK, nodes(), add, OK, LOOK, nodes(b=(K64, False, False))], "unknown")
    assert [each.verdict for _, each in report.findings] == [Verdict.WASTEFUL]


def test_bitmaps_from_before_the_log_are_followed_from_when_they_are_seen() -> None:
    clear = sent("block-dirty-bitmap-clear", node="d", name="b")
    seen = [LOOK, nodes(b=(2 * K64, True, False))]
    report = judged([clear, OK, *seen, write(0, SIZE), LOOK, nodes(b=(SIZE, True, False))])
    assert report.findings == []
    assert report.counts.unjudged["commands about nodes, bitmaps or jobs whose beginning is not in the trace"] == 1
    report = judged([*seen, clear, OK, LOOK, nodes(b=(K64, True, False))])
    assert [each.verdict for _, each in report.findings] == [Verdict.WASTEFUL]


def test_of_a_disk_of_unknown_size_names_and_replies_are_judged() -> None:
    clear = sent("block-dirty-bitmap-clear", node="d", name="b")
    report = judged([ADD, OK, write(0), clear, OK])
    assert report.findings == []
    assert "the size of 'd' is not in the log, so no bits of it are judged: give it with --disk" in report.notes
    assert report.conformant
    wrong = judged([ADD, OK, ADD, OK])
    assert [(line, each.where) for line, each in wrong.findings] == [(4, "add-bitmap")]
    assert judged([ADD, OK, ADD, OK], disks={"d": SIZE}).number == 1
    refused = judged([ADD, error("Cannot find device='d' nor node-name='d'")])
    assert refused.findings == []
    assert not refused.conformant


def test_a_disk_that_is_too_large_is_not_followed() -> None:
    large = nodes()
    large["return"][0]["image"]["virtual-size"] = 1 << 50
    assert "'d' is larger than 32 TiB, so it was not followed" in judged([LOOK, large, ADD, OK]).notes


def test_a_greeting_begins_anew_and_a_disk_may_be_another() -> None:
    greeting = {"QMP": {"version": {}, "capabilities": []}}
    larger, later = nodes(), nodes(b=(K64, True, False))
    for each in (larger, later):
        each["return"][0]["image"]["virtual-size"] = 2 * SIZE
    report = judged([greeting, *BEGIN, greeting, LOOK, larger, ADD, OK, write(SIZE), LOOK, later])
    assert report.findings == []


def test_commands_that_the_specification_does_not_know_make_bitmaps_unknown() -> None:
    snapshot = sent("blockdev-snapshot", node="d", overlay="o")
    report = judged([*BEGIN, snapshot, OK, LOOK, nodes(b=(0, True, False))])
    assert report.findings == []
    assert judged([*BEGIN, snapshot, error("Device 'd' is in use"), LOOK, nodes(b=(0, True, False))]).number == 1


def test_qemu_io_writes_count() -> None:
    hmp = sent("human-monitor-command", **{"command-line": 'qemu-io d "write -P 9 64k 1k"'})
    begun = [LOOK, nodes(), ADD, OK, hmp, {"return": ""}, LOOK]
    assert judged([*begun, nodes(b=(K64, True, False))]).findings == []
    assert [each.verdict for _, each in judged([*begun, nodes(b=(0, True, False))]).findings] == [Verdict.UNSAFE]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('qemu-io d0 "write -P 9 0 64k"', HumanWrite("d0", 0, 65536)),
        ("qemu-io d0 'write -z -u 1M 4k'", HumanWrite("d0", 1 << 20, 4096)),
        ('qemu-io d0 "aio_write 512 512"', HumanWrite("d0", 512, 512, True, True)),
        ('qemu-io d0 "writev 0 1k 2k"', HumanWrite("d0", 0, 3072)),
        ('qemu-io d0 "discard 0x10000 64k"', HumanWrite("d0", 65536, 65536, False)),
        ('qemu-io -d scsi0 "write 0 1"', HumanWrite("scsi0", 0, 1)),
        ('qemu-io d0 "write 0"', HumanWrite("d0", 0, None, False)),
        ('qemu-io d0 "write zero 12"', HumanWrite("d0", 0, None, False)),
        ('qemu-io d0 "read 0 64k"', None),
        ("info block", None),
        ('qemu-io d0 "write', None),
    ],
)
def test_lines_of_the_human_monitor(line: str, expected: HumanWrite | None) -> None:
    assert human_write(line) == expected


# Forms of logs


def arrows(entries: list[dict[str, Any]]) -> str:
    """As qemu.qmp logs at level DEBUG: laid out for people."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    for each in entries:
        text = f"{'-->' if 'execute' in each else '<--'} {json.dumps(each, indent=2)}"
        handler.emit(logging.LogRecord("qemu.qmp", logging.DEBUG, "", 0, text, (), None))
    return "INFO: a line of something else\n" + stream.getvalue()


def libvirt(entries: list[dict[str, Any]]) -> str:
    lines = []
    for each in entries:
        name, member, end = "RECV_REPLY", "reply", ""
        if "execute" in each:
            name, member, end = "SEND_MSG", "msg", "\r\n fd=-1"
        elif "event" in each:
            name, member = "RECV_EVENT", "event"
        head = "2022-03-09 17:29:34.248+0000: 20387: info : f:1 : QEMU_MONITOR_"
        lines.append(f"{head}{name}: mon=0x7faa9003ebf0 {member}={json.dumps(each)}{end}\n")
    return "".join(lines)


def plain(entries: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in entries)


def wrapped(entries: list[dict[str, Any]]) -> str:
    return plain([{"time": 1.5, "direction": "send", "message": each} for each in entries])


def one_line_arrows(entries: list[dict[str, Any]]) -> str:
    return "".join(f"12:00 {'-->' if 'execute' in each else '<--'} {json.dumps(each)}\n" for each in entries)


@pytest.mark.parametrize("form", [arrows, one_line_arrows, libvirt, plain, wrapped])
def test_every_form_of_log_is_read(form: Callable[[list[dict[str, Any]]], str]) -> None:
    right, wrong = nodes(b=(0, True, False)), nodes(b=(0, False, False))
    entries = [LOOK, nodes(), ADD, OK, BACKUP, OK, over(), LOOK, right, LOOK, wrong]
    report = verify(io.BytesIO(form(entries).encode()), Options())
    assert (report.format, report.counts.commands, report.counts.looks_judged) == ("qmp", 2, 2)
    assert [each.where for _, each in report.findings] == ["d/b recording"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"message": {"return": 1}, "who": 1}\n', 1, "a wrapper has no 'who'"),
        ('{"message": {"return": 1}, "direction": "in"}\n', 1, "'direction' is"),
        ('{"message": 1}\n', 1, "'message' is an object"),
        ('{"do": "write", "node": "d", "offset": -1, "length": 1}\n', 1, "Expected `int` >= 0"),
        ('{"do": "write", "node": "d", "offset": 1, "length": 1, "at": 1}\n', 1, "no times"),
    ],
)  # fmt: skip
def test_a_bad_log_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(TraceProblem) as problem:
        verify(io.BytesIO(text.encode()), Options(format="qmp"))
    assert problem.value.line == line
    assert reason in problem.value.reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"execute": "x"}\n{"return": {}', 2, "it is cut off: the log ends before the message does"),
        ('{"return": {"a"\n{"return": {}}\n', 1, "it is cut off where another message begins"),
        ('{"execute": "x", "execute": "y"}\n', 1, "not JSON: a member is there twice"),
        ('{"return": NaN}\n', 1, "not JSON: NaN is no JSON"),
        ("x\n<-- {\n  1\n", 2, "it is cut off: the log ends before the message does"),
    ],
)
def test_a_message_that_cannot_be_read_is_told_with_its_line(text: str, line: int, reason: str) -> None:
    report = verify(io.BytesIO(text.encode()), Options(format="qmp"))
    assert any(each.startswith(f"line {line}: ") and reason in each for each in report.notes), report.notes
    assert report.counts.unjudged["messages that cannot be read"] == 1


def test_after_a_message_that_cannot_be_read_no_bitmap_is_known() -> None:
    """It may have been the reply of a clear."""
    text = "".join(json.dumps(each) + "\n" for each in BEGIN) + '{"return": {}, "id\n'
    text += "".join(json.dumps(each) + "\n" for each in [LOOK, nodes(b=(0, True, False))])
    assert verify(io.BytesIO(text.encode()), Options(guest="recorded")).findings == []


def test_a_count_that_was_seen_is_remembered_until_something_cleans_the_bitmap() -> None:
    """Also where guest writes are not in the log: a bitmap that had 128 granules has lost them if it has none."""
    image = {"virtual-size": 64 << 20}

    def counted(count: int) -> list[dict[str, Any]]:
        bitmap = {"name": "b", "granularity": 65536, "recording": True, "busy": False, "count": count}
        node = {"node-name": "d", "image": image, "dirty-bitmaps": [bitmap]}
        return [{"execute": "query-named-block-nodes"}, {"return": [node]}]

    def verdict(*messages: dict[str, Any]) -> Verdict:
        text = "".join(json.dumps(each) + "\n" for each in messages)
        return verify(io.BytesIO(text.encode()), Options(format="qmp")).worst

    add = {"execute": "block-dirty-bitmap-add", "arguments": {"node": "d", "name": "b", "granularity": 65536}}
    clear = {"execute": "block-dirty-bitmap-clear", "arguments": {"node": "d", "name": "b"}}
    begun = [add, {"return": {}}, *counted(128 * 65536)]
    assert verdict(*begun, *counted(200 * 65536), *counted(200 * 65536)) is Verdict.EXACT
    assert verdict(*begun, *counted(129 * 65536), *counted(130 * 65536)) is Verdict.EXACT, "the guest writes on"
    assert verdict(*begun, *counted(0)) is Verdict.UNSAFE
    assert verdict(*begun, *counted(127 * 65536)) is Verdict.UNSAFE
    assert verdict(*begun, clear, {"return": {}}, *counted(0)) is Verdict.EXACT


def test_names_with_half_a_surrogate_pair_are_in_the_report_as_far_as_json_has_them() -> None:
    half = "\ud800"
    backup = {**BACKUP, "arguments": {**BACKUP["arguments"], "bitmap": half}}
    ended = {"event": "BLOCK_JOB_COMPLETED", "data": {"device": "j", "type": "backup"}}
    report = judged([LOOK, nodes(**{half: (0, True, False)}), backup, OK, ended], guest="unknown")
    [table] = json.loads(to_json(report))["chains"]
    assert [each["bitmap"] for each in table["restore_points"]] == ["?"]
