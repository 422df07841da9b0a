"""Logs as people have them: every right value of `inputs`, and further cases of each kind."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.cli.command import main
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from click.testing import CliRunner

INPUTS = Path(__file__).parent / "inputs"
K64 = 65536
SIZE = 64 * K64
OK: dict[str, Any] = {"return": {}}
Entry = dict[str, Any]


def of_input(name: str, **options: Any) -> TraceReport:
    with (INPUTS / name).open("rb") as file:
        return verify(file, Options(**options))


def judged(entries: list[Entry | str], guest: str = "recorded", **options: Any) -> TraceReport:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in entries]
    return verify(io.BytesIO("\n".join([*lines, ""]).encode()), Options("qmp", None, guest, **options))


def sent(execute: str, /, **arguments: Any) -> Entry:
    return {"execute": execute, "arguments": arguments}


def error(text: str) -> Entry:
    return {"error": {"class": "GenericError", "desc": text}}


def nodes(
    count: int | None = None, size: int = SIZE, busy: bool = False, node: str = "d", message_id: object = None
) -> Entry:
    bitmap = {"name": "b", "count": count, "granularity": K64, "recording": True, "busy": busy}
    shown: Entry = {"node-name": node, "image": {"virtual-size": size, "cluster-size": K64}}
    shown |= {} if count is None else {"dirty-bitmaps": [bitmap]}
    return {"return": [shown]} | ({} if message_id is None else {"id": message_id})


LOOK = sent("query-named-block-nodes")
ADD = sent("block-dirty-bitmap-add", node="d", name="b", granularity=K64)
CLEAR = sent("block-dirty-bitmap-clear", node="d", name="b")
WRITE: Entry = {"do": "write", "node": "d", "offset": 0, "length": 1}
BEGIN: list[Entry | str] = [LOOK, nodes(), ADD, OK, WRITE]
LOST: list[Entry | str] = [LOOK, nodes(0)]
KEPT: list[Entry | str] = [LOOK, nodes(K64)]


def verdicts(report: TraceReport) -> list[Verdict]:
    return [each.verdict for _, each in report.findings]


# The inputs


@pytest.mark.parametrize(
    ("name", "options", "counted"),
    [
        ("libvirt-killed-and-restarted.log", {}, (1, 5)),
        ("qemu-io-refused.log", {"guest": "recorded"}, (1, 1)),
        ("qemu-io-qdev.log", {"guest": "recorded"}, (1, 2)),
        ("job-id-is-no-node.log", {}, (1, 0)),
        ("qemu-qmp-debug.log", {}, (2, 2)),
        ("socat-v.log", {}, (6, 5)),
        ("docs-arrows.txt", {}, (1, 0)),
        ("iotest-236.txt", {}, (2, 0)),
    ],
)
def test_an_input_is_allowed(name: str, options: dict[str, Any], counted: tuple[int, int]) -> None:
    report = of_input(name, **options)
    assert report.findings == []
    assert report.conformant
    assert (report.counts.replies_judged, report.counts.looks_judged) == counted


def test_a_job_is_no_node() -> None:
    assert not [note for note in of_input("job-id-is-no-node.log").notes if "backup-vda" in note]


@pytest.mark.parametrize("guest", ["recorded", "unknown"])
def test_marks_that_are_missing_before_a_resize_are_told(guest: str) -> None:
    report = of_input("lost-before-and-at-resize.log", guest=guest)
    assert [(line, each.verdict) for line, each in report.findings] == [(7, Verdict.UNSAFE), (11, Verdict.UNSAFE)]


def test_a_count_that_drops_is_unsafe() -> None:
    report = of_input("count-drops.jsonl")
    assert [(line, each.verdict) for line, each in report.findings] == [(9, Verdict.UNSAFE)]


def test_what_a_cancelled_job_of_mode_always_has_left_is_owed() -> None:
    (finding,) = of_input("lost-leftovers.jsonl").findings
    assert (finding[0], finding[1].verdict, finding[1].property) == (6, Verdict.UNSAFE, "NO-LOST-WRITE")
    assert finding[1].expected.endswith("1-7")


@pytest.mark.parametrize("name", ["forum-qmp.txt", "pretty-printed.txt"])
def test_where_nothing_can_be_judged_it_says_what_is_missing(name: str) -> None:
    result = CliRunner().invoke(main, ["verify", str(INPUTS / name)])
    assert result.exit_code == 64
    assert "nothing was judged" in result.output
    assert "cbtspec tap SOCKET LOG" in result.output


@pytest.mark.parametrize("granularity", [512, 511, 65535, 65536, 3 << 16, (1 << 32) + 65536, 10**200, -1, 0, True])
def test_a_bitmap_of_a_granularity_that_none_has_is_not_followed(granularity: int) -> None:
    """It is shown where its beginning is not in the log: only what can be a bitmap is taken for one."""
    shown = {"name": "b", "count": 0, "granularity": granularity, "recording": True, "busy": False}
    listed: Entry = {"return": [{"node-name": "d", "image": {"virtual-size": SIZE}, "dirty-bitmaps": [shown]}]}
    report = judged([LOOK, listed, WRITE, LOOK, listed])
    right = granularity in (512, 65536) and granularity is not True
    assert bool(report.findings) == right, "a write is lost in a bitmap that was seen, and is one"


# Forms


def socat(entries: list[Entry], chunk: int) -> str:
    """As `socat -v` writes it: a header before each piece, without an end of line of its own after it."""
    text, at = "", {"<": 0, ">": 0}
    for each in entries:
        way = ">" if "execute" in each else "<"
        data = json.dumps(each) + ("\n" if way == ">" else "\r\n")
        for start in range(0, len(data), chunk):
            piece = data[start : start + chunk]
            text += f"{way} 2026/11/28 04:06:31.000833031  length={len(piece)} from={at[way]} to={at[way]}\n"
            text += piece.replace("\\", "\\\\").replace("\r", "\\r")
    return text


def qemu_trace(entries: list[Entry]) -> str:
    return "".join(
        f"77@1700000000.25:handle_qmp_command mon 0x55aa req: {json.dumps(each)}\n" if "execute" in each
        else f"77@1700000000.26:monitor_qmp_respond mon 0x55aa resp: {json.dumps(each)}\n"
        for each in entries
    )  # fmt: skip


def python_prints(entries: list[Entry]) -> str:
    return "".join(f"DEBUG:QMP:{'>>>' if 'execute' in each else '<<<'} {each}\n" for each in entries)


FORMS: dict[str, Callable[[list[Entry]], str]] = {
    "socat": lambda entries: socat(entries, 8192),
    "socat in pieces": lambda entries: socat(entries, 40),
    "qemu's trace": qemu_trace,
    "python": python_prints,
    "arrows": lambda entries: "".join(
        f" {'->' if 'execute' in each else '<-'} {json.dumps(each, indent=2)}\n\n" for each in entries),
    "pretty": lambda entries: "".join(f"{json.dumps(each, indent=4)}\n# text\n" for each in entries),
    "indented": lambda entries: "".join(f"    {json.dumps(each, indent=4)}\n" for each in entries),
    "pasted": lambda entries: " ".join(json.dumps(each) for each in entries),
    "syslog": lambda entries: "".join(f"Nov 28 01:02:03 host vm[1]: qmp: {json.dumps(each)}\r\n" for each in entries),
    "qemu.qmp": lambda entries: "DEBUG:asyncio:Using selector\n" + "".join(
        f"DEBUG:qemu.qmp.protocol.vm:{'-->' if 'execute' in each else '<--'} {json.dumps(each, indent=2)}\n"
        for each in entries),
    "libvirt, which repeats": lambda entries: "".join(
        f"2026-11-28 03:50:51.7+0000: 1: debug : qemuMonitorJSONIOProcessLine:191 : Line [{json.dumps(each)}]\n"
        f"2026-11-28 03:50:51.7+0000: 1: info : f:1 : QEMU_MONITOR_"
        f"{'SEND_MSG: mon=0x1 msg' if 'execute' in each else 'RECV_REPLY: mon=0x1 reply'}={json.dumps(each)}\n"
        for each in entries),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_to_the_last_bit(form: str) -> None:
    """The escaped quotes are there because they are what `socat` doubles."""
    odd = sent("human-monitor-command", **{"command-line": 'info "\\ { block'})
    begin: list[Entry] = [LOOK, nodes(), ADD, OK, odd, {"return": 'no such "thing" }\r\n'}, LOOK, nodes(3 * K64)]
    for count, expected in ((3, []), (2, [Verdict.UNSAFE])):
        report = verify(io.BytesIO(FORMS[form]([*begin, LOOK, nodes(count * K64)]).encode()), Options())
        assert verdicts(report) == expected, form
        assert (report.counts.commands, report.counts.looks, report.counts.unjudged) == (1, 3, {})
        assert not [note for note in report.notes if "cannot be read" in note]


# Sessions and monitors


GREETING: Entry = {"QMP": {"version": {}, "capabilities": []}}
CAPABILITIES = sent("qmp_capabilities")


@pytest.mark.parametrize("anew", [[GREETING], [CAPABILITIES, OK], [GREETING, CAPABILITIES, OK]])
def test_a_session_begins_anew(anew: list[Entry]) -> None:
    for begin in ([], anew):
        again = judged([*begin, *BEGIN, *anew, LOOK, nodes(), ADD, OK, *LOST])
        assert again.findings == []
        assert again.counts.commands == 2
        assert verdicts(judged([*begin, *BEGIN, *LOST, *anew, LOOK, nodes()])) == [Verdict.UNSAFE]


def of_monitor(monitor: object, entries: list[Entry | str]) -> list[Entry]:
    return [{"monitor": monitor, "message": each} for each in entries if isinstance(each, dict)]


def test_each_of_several_monitors_is_judged_by_itself() -> None:
    right, wrong = of_monitor("one", [*BEGIN, *KEPT]), of_monitor("two", [*BEGIN, *LOST])
    mixed: list[Entry | str] = [each for pair in zip(right, wrong, strict=True) for each in pair]
    report = judged(mixed)
    assert [(line, each.verdict) for line, each in report.findings] == [(14, Verdict.UNSAFE)]
    assert [note for note in report.notes if note.startswith("2 monitors") and "one (7), two (7)" in note]
    assert judged(mixed, monitor="one").conformant
    assert judged(mixed, monitor="two").number == 1
    with pytest.raises(TraceProblem, match=r"there is no monitor three in this log \(there are: one, two\)"):
        judged(mixed, monitor="three")


def test_an_event_that_one_qemu_tells_to_two_monitors_happened_once() -> None:
    backup = sent("blockdev-backup", device="d", target="t", sync="full", **{"job-id": "j"})
    over: Entry = {"event": "BLOCK_JOB_COMPLETED", "timestamp": {"seconds": 1, "microseconds": 2},
                   "data": {"device": "j", "type": "backup"}}  # fmt: skip
    entries: list[Entry | str] = [
        f"5@1.5:{'handle_qmp_command' if 'execute' in each else 'monitor_qmp_respond'} mon {mon} "
        f"{'req' if 'execute' in each else 'resp'}: {json.dumps(each)}"
        for mon, each in [("0x1", LOOK), ("0x1", nodes()), ("0x1", backup), ("0x1", OK), ("0x1", over), ("0x2", over)]
    ]
    report = judged(entries)
    assert (report.findings, report.counts.ends) == ([], 1)


# Replies and commands that are missing


def test_a_command_without_a_reply_may_have_been_done() -> None:
    for count in (0, K64):
        entries = [*BEGIN, CLEAR | {"id": 1}, LOOK | {"id": 2}, nodes(count, message_id=2)]
        assert judged(entries).findings == []
        report = judged(entries)
        assert report.counts.unjudged == {"commands without a reply in the log": 1}
    assert verdicts(judged([*BEGIN, LOOK | {"id": 2}, nodes(0, message_id=2)])) == [Verdict.UNSAFE]


def test_a_reply_without_an_id_is_of_the_command_that_it_fits() -> None:
    assert judged([LOOK, nodes(), ADD, OK, WRITE, CLEAR, LOOK, nodes(0)]).findings == []
    assert judged([LOOK, nodes(), ADD, OK, WRITE, CLEAR, LOOK, nodes(K64)]).findings == []
    other = sent("block-dirty-bitmap-disable", node="d", name="b")
    assert judged([LOOK, nodes(), ADD, OK, WRITE, CLEAR, other, OK, LOOK, nodes(0)]).findings == []


def test_pipelined_commands_are_answered_in_their_order() -> None:
    entries: list[Entry | str] = [LOOK, nodes(), ADD, CLEAR, LOOK, OK, OK, nodes(0)]
    assert judged(entries).conformant
    assert verdicts(judged([*entries[:-1], nodes(K64)])) == [Verdict.WASTEFUL]


def test_the_reply_of_a_command_that_is_missing_may_be_of_anything() -> None:
    report = judged([*BEGIN, OK, *LOST])
    assert report.findings == []
    assert report.counts.unjudged["replies whose commands are not in the log"] == 1
    assert judged([*BEGIN, {"return": ""}, LOOK, nodes(2 * K64)]).findings == []
    assert verdicts(judged([*BEGIN, {"return": ""}, *LOST])) == [Verdict.UNSAFE]


# Commands refused in words, and devices by other names


def hmp(line: str) -> Entry:
    return sent("human-monitor-command", **{"command-line": line})


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("", 1, 1),
        ("wrote 65536/65536 bytes at offset 0\r\n64 KiB, 1 ops; 00.00 sec", 1, 1),
        ("Permission conflict on node 'd': permissions 'write' are both required", 0, 0),
        ("Error: Device 'd' not found\r\n", 0, 0),
        ("Cannot find device='' nor node-name='d'", 0, 0),
        ("Block node is read-only", 0, 0),
        ("invalid option -- 'Q'", 0, 0),
        ("write failed: Input/output error", 0, 1),
    ],
)
def test_whether_a_write_was_made_is_in_the_words_of_the_reply(said: str, least: int, most: int) -> None:
    for count in (0, 1):
        asked = hmp('qemu-io d "write 0 64k"')
        report = judged([LOOK, nodes(), ADD, OK, asked, {"return": said}, LOOK, nodes(count * K64)])
        assert verdicts(report) == ([Verdict.UNSAFE] if count < least else [Verdict.WASTEFUL] if count > most else [])


QDEV = "/machine/peripheral/virtio-disk0/virtio-backend"


@pytest.mark.parametrize("name", [QDEV, "virtio-disk0", "drive7", "d"])
def test_a_device_is_known_by_each_of_its_names(name: str) -> None:
    block: Entry = {"return": [{"device": "drive7", "qdev": QDEV, "inserted": {"node-name": "d"}}]}
    begin: list[Entry | str] = [LOOK, nodes(), sent("query-block"), block, ADD, OK]
    line = f'qemu-io {"-d " if name in (QDEV, "virtio-disk0") else ""}{name} "write 0 64k"'
    assert judged([*begin, hmp(line), {"return": ""}, LOOK, nodes(K64)]).findings == []
    assert verdicts(judged([*begin, hmp(line), {"return": ""}, *LOST])) == [Verdict.UNSAFE]


def test_a_write_to_a_device_that_the_log_does_not_tell_may_be_anywhere() -> None:
    nobody = hmp('qemu-io nobody "write 0 64k"')
    report = judged([LOOK, nodes(), ADD, OK, nobody, {"return": ""}, LOOK, nodes(5 * K64)])
    assert report.findings == []
    assert sum(report.counts.unjudged.values()) == 1


# Counts


def start(mode: str, sync: str = "bitmap") -> Entry:
    named = {"job-id": "j", "bitmap-mode": mode}
    return sent("blockdev-backup", device="d", target="t", sync=sync, bitmap="b", **named)


def end(name: str, **more: Any) -> Entry:
    return {"event": name, "timestamp": {"seconds": 1, "microseconds": 1},
            "data": {"device": "j", "type": "backup", **more}}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "over"),
    [("never", end("BLOCK_JOB_COMPLETED")), ("never", end("BLOCK_JOB_CANCELLED")),
     ("on-success", end("BLOCK_JOB_CANCELLED")), ("on-success", end("BLOCK_JOB_COMPLETED", error="x"))],
)  # fmt: skip
def test_a_count_is_remembered_across_a_job_that_keeps_the_bitmap(mode: str, over: Entry) -> None:
    begin: list[Entry | str] = [ADD, OK, LOOK, nodes(7 * K64), start(mode), OK, over, LOOK]
    assert judged([*begin, nodes(7 * K64)], "unknown").findings == []
    assert verdicts(judged([*begin, nodes(6 * K64)], "unknown")) == [Verdict.UNSAFE]


def test_a_count_is_forgotten_where_a_job_has_taken_the_bitmap() -> None:
    begin: list[Entry | str] = [ADD, OK, LOOK, nodes(7 * K64), start("on-success"), OK, end("BLOCK_JOB_COMPLETED")]
    assert judged([*begin, *LOST], "unknown").findings == []


# What the specification does not know yet


def test_what_an_export_uses_follows_the_rules() -> None:
    export = sent("block-export-add", id="e", type="nbd", bitmaps=["b"], **{"node-name": "d"})
    begin = [*BEGIN, export, OK]
    assert judged([*begin, LOOK, nodes(K64, busy=True)]).findings == []
    assert judged([*begin, *KEPT]).findings == []
    assert verdicts(judged([*begin, LOOK, nodes(0, busy=True)])) == [Verdict.UNSAFE]
    busy = error("Bitmap 'b' is currently in use by another operation and cannot be used")
    assert judged([*begin, CLEAR, busy, LOOK, nodes(K64, busy=True)]).findings == []
    assert verdicts(judged([*begin, CLEAR, busy, LOOK, nodes(0, busy=True)])) == [Verdict.UNSAFE]
    assert judged([*BEGIN, CLEAR, busy]).number == 1


@pytest.mark.parametrize("size", [2 * SIZE, SIZE // 2])
@pytest.mark.parametrize("told", [True, False])
def test_what_is_left_of_a_resized_disk_keeps_its_marks(size: int, told: bool) -> None:
    begin = [*BEGIN, *([sent("block_resize", size=size, **{"node-name": "d"}), OK] if told else [])]
    assert judged([*begin, LOOK, nodes(K64, size)]).findings == []
    assert verdicts(judged([*begin, LOOK, nodes(0, size)])) == [Verdict.UNSAFE]
    last: Entry = WRITE | {"offset": size - 512}
    seen: list[Entry | str] = [LOOK, nodes(K64, size)]
    assert judged([*begin, *seen, last, LOOK, nodes(2 * K64, size)]).findings == []
    assert verdicts(judged([*begin, *seen, last, LOOK, nodes(K64, size)])) == [Verdict.UNSAFE]


@pytest.mark.parametrize(
    "command",
    [
        sent("blockdev-snapshot", node="d", overlay="o"),
        sent("blockdev-mirror", device="d", target="o", sync="full"),
        sent("blockdev-reopen", options=[{"node-name": "d", "driver": "qcow2"}]),
        sent("transaction", actions=[{"type": "blockdev-snapshot", "data": {"node": "d", "overlay": "o"}}]),
        sent("block-dirty-bitmap-of-tomorrow", node="d"),
        sent("block-commit", device="x"),
        hmp("loadvm s"),
    ],
    ids=lambda each: str(each["execute"]),
)
def test_before_a_command_that_is_not_specified_all_is_judged_and_after_it_other_disks(command: Entry) -> None:
    done: Entry = {"return": ""} if command["execute"] == "human-monitor-command" else OK
    add = sent("block-dirty-bitmap-add", node="e", name="b", granularity=K64)
    begin = [*BEGIN, LOOK, nodes(node="e"), add, OK, WRITE | {"node": "e"}]
    assert verdicts(judged([*begin, *LOST, command, done, LOOK, nodes(5 * K64)])) == [Verdict.UNSAFE]
    assert judged([*begin, *KEPT, command, done, *LOST]).findings == []
    certain = command["execute"] in ("blockdev-snapshot", "blockdev-mirror", "blockdev-reopen", "transaction")
    assert verdicts(judged([*begin, command, done, LOOK, nodes(0, node="e")])) == [Verdict.UNSAFE] * certain


@pytest.mark.parametrize("name", ["block_set_io_throttle", "block-job-set-speed", "query-block", "blockdev-create"])
def test_harmless_commands_leave_all_as_it_was(name: str) -> None:
    assert verdicts(judged([*BEGIN, sent(name, device="d"), OK, *LOST])) == [Verdict.UNSAFE]
