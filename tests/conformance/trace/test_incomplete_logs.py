"""Logs that lack events, replies or a part of the conversation: by what is not there nobody is accused, and
nothing is called right.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import pytest
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

SIZE, K64 = 1 << 20, 65536
Entry = dict[str, Any]
OK: Entry = {"return": {}}
GREETING: Entry = {"QMP": {"version": {}, "capabilities": []}}


def sent(execute: str, /, **arguments: Any) -> Entry:
    return {"execute": execute, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}


def node(name: str = "n", **bitmaps: tuple[int, bool]) -> Entry:
    """What a query shows of a node: its bitmaps with their counts in bytes, and whether they are busy."""
    listed = [{"name": each, "count": count, "granularity": K64, "recording": True, "busy": busy}
              for each, (count, busy) in bitmaps.items()]  # fmt: skip
    return {"node-name": name, "image": {"virtual-size": SIZE, "cluster-size": K64}, "dirty-bitmaps": listed}


def look(*shown: Entry) -> list[Entry]:
    return [sent("query-named-block-nodes"), {"return": [*shown] or [node()]}]


DEVICE = [sent("query-block"), {"return": [{"device": "d0", "inserted": node()}]}]
HELLO = [GREETING, sent("qmp_capabilities"), OK, *look()]
ADD = sent("block-dirty-bitmap-add", node="n", name="b", granularity=K64)
CLEAR = sent("block-dirty-bitmap-clear", node="n", name="b")


def backup(job: str, sync: str = "incremental", device: str = "n", **more: Any) -> Entry:
    bitmap = {"bitmap": "b"} if sync in ("incremental", "bitmap") else {}
    return sent("blockdev-backup", device=device, target=f"t-{job}", job_id=job, sync=sync, **bitmap, **more)


def together(*commands: Entry) -> Entry:
    actions = [{"type": each["execute"], "data": each["arguments"]} for each in commands]
    return sent("transaction", actions=actions)


FULL = together(ADD, backup("full", "full"))
_clock = iter(range(1, 1 << 20))


def event(name: str, **data: Any) -> Entry:
    return {"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": next(_clock)}}


def ended(job: str, **more: Any) -> Entry:
    return event("BLOCK_JOB_COMPLETED", device=job, type="backup", len=1, offset=1, speed=0, **more)


def status(job: str, *states: str) -> list[Entry]:
    return [event("JOB_STATUS_CHANGE", id=job, status=each) for each in states]


def done(start: Entry, job: str) -> list[Entry]:
    return [start, *status(job, "created", "running"), OK, ended(job), *status(job, "concluded", "null")]


BEFORE = [*HELLO, *done(FULL, "full")]


def judged(*parts: Entry | Iterable[Entry], guest: str | None = None) -> TraceReport:
    listed: list[Entry] = []
    for part in parts:
        listed += [part] if isinstance(part, dict) else part
    text = "".join(json.dumps(each) + "\n" for each in listed)
    return verify(io.BytesIO(text.encode()), Options(guest=guest))


def gives(report: TraceReport) -> list[tuple[str, str]]:
    assert report.findings == []
    return [(row.job, row.gives) for table, _ in report.tables for row in table.rows]


def by(name: str | int, *parts: Entry | Iterable[Entry], member: str = "connection") -> list[Entry]:
    """Messages in the wrapper of a tap."""
    listed: list[Entry] = []
    for part in parts:
        listed += [part] if isinstance(part, dict) else part
    return [{member: name, "message": each} for each in listed]


# One QEMU, several clients

SHORT = [GREETING, sent("qmp_capabilities"), OK]


@pytest.mark.parametrize("guest", [None, "recorded"])
def test_a_tool_that_connects_for_each_command_has_one_history(guest: str | None) -> None:
    write = {"do": "write", "node": "n", "offset": 0, "length": 4096}
    wrong = judged(by(1, BEFORE), write, by(2, SHORT, CLEAR, OK), by(3, SHORT, done(backup("i"), "i")), guest=guest)
    assert gives(wrong)[1][1] == ("perhaps" if guest is None else "does not restore")
    assert "clear n/b" in str(wrong.tables[0][0].rows[1].lost[0])
    right = judged(by(1, BEFORE), write, by(2, SHORT), by(3, SHORT, done(backup("i"), "i")), guest=guest)
    assert gives(right) == [("full", "restores"), ("i", "restores")]


def test_a_client_that_comes_while_another_one_goes_on_is_no_restart() -> None:
    start = [backup("i"), *status("i", "created", "running"), OK]
    both = judged(by(1, BEFORE, start), by(2, SHORT, CLEAR, OK), by(1, ended("i")))
    assert [finding.expected[:13] for _, finding in both.findings] == ["refused: busy"]
    again = judged(by(1, BEFORE, start), by(2, SHORT, CLEAR, OK))
    assert again.findings == [], "QEMU may have been started again"


def test_monitors_that_are_told_the_same_event_at_the_same_time_are_of_one_qemu() -> None:
    end = ended("full")
    ours = [*HELLO, FULL, *status("full", "created", "running"), OK, end]
    report = judged(
        by("a", ours, member="monitor"), by("b", SHORT, end, CLEAR, OK, member="monitor"),
        by("a", done(backup("i"), "i"), member="monitor"),
    )  # fmt: skip
    assert gives(report) == [("full", "restores"), ("i", "perhaps")]
    other = end | {"timestamp": {"seconds": 1, "microseconds": 999_999}}
    report = judged(
        by("a", ours, member="monitor"), by("b", SHORT, other, CLEAR, OK, member="monitor"),
        by("a", done(backup("i"), "i"), member="monitor"),
    )  # fmt: skip
    assert gives(report) == [("full", "restores"), ("i", "restores")], "another QEMU's bitmap was cleared"


def test_a_session_that_tells_nothing_of_disks_is_with_those_of_the_one_before() -> None:
    for guest in (None, "recorded"):
        report = judged(BEFORE, SHORT, done(backup("i"), "i"), look(node(b=(0, False))), guest=guest)
        assert gives(report) == [("full", "restores"), ("i", "restores")]
        assert not [note for note in report.notes if "size" in note]


# Without events


def test_without_events_nobody_is_accused_and_nothing_is_known_to_restore() -> None:
    seen = look(node(b=(K64, False)))
    report = judged(HELLO, FULL, OK, seen, backup("i"), OK, look(node(b=(0, False))), CLEAR, OK)
    assert gives(report) == [("full", "undecided"), ("i", "undecided")]
    assert report.chains_undecided
    assert "record events" in report.tables[0][0].unknown[0]


def test_without_events_a_busy_bitmap_and_a_job_are_as_they_are_seen() -> None:
    jobs = [sent("query-jobs"), {"return": [{"id": "i", "type": "backup", "status": "running"}]}]
    in_use = "Bitmap 'b' is currently in use by another operation"
    busy = [CLEAR, {"error": {"class": "GenericError", "desc": in_use}}]
    gives(judged(HELLO, FULL, OK, backup("i"), OK, jobs, look(node(b=(0, True))), busy, look(node(b=(0, False)))))


@pytest.mark.parametrize(("error", "expected"), [({}, "restores"), ({"error": "No space left on device"}, None)])
def test_a_query_that_still_shows_a_job_tells_how_it_ended(error: Entry, expected: str | None) -> None:
    shown = {"id": "full", "type": "backup", "status": "concluded", **error}
    over = [sent("query-jobs"), {"return": [shown]}, sent("job-dismiss", id="full"), OK]
    assert dict(gives(judged(HELLO, FULL, OK, over))).get("full") == expected
    heard = judged(HELLO, FULL, OK, over, done(backup("i"), "i"))
    assert dict(gives(heard)).get("full") == expected, "also where other events are there"


def test_events_that_a_shell_shows_later_count_for_how_a_job_ended() -> None:
    events = [*status("full", "created", "running"), ended("full"), *status("full", "concluded", "null")]
    again = [*status("i", "created", "running"), ended("i", error="No space left on device")]
    seen = look(node(b=(K64, False)))
    report = judged(HELLO, FULL, OK, seen, backup("i"), OK, seen, events, again, seen)
    assert gives(report) == [("full", "restores")]
    gone = [sent("query-block-jobs"), {"return": []}]
    assert gives(judged(HELLO, FULL, OK, gone, seen, ended("full"))) == [("full", "restores")]


@pytest.mark.parametrize(("states", "expected"), [
    (("waiting", "pending", "concluded", "null"), "restores"), (("aborting", "concluded", "null"), None),
])  # fmt: skip
def test_states_of_a_job_tell_how_it_ended(states: tuple[str, ...], expected: str | None) -> None:
    report = judged(HELLO, FULL, status("full", "created", "running"), OK, status("full", *states))
    assert dict(gives(report)).get("full") == expected


def test_a_job_that_is_finalized_by_hand_ends_then() -> None:
    start = together(ADD, backup("full", "full", auto_finalize=False))
    report = judged(HELLO, start, OK, sent("job-finalize", id="full"), OK, look(node(b=(0, False))))
    assert gives(report) == [("full", "undecided")]


def test_a_job_that_is_over_before_its_start_is_answered_is_heard() -> None:
    """Nothing was dirty: QEMU tells of its end first. A query does not show it then, and events are not late."""
    quick = [backup("i"), *status("i", "created", "running"), ended("i"), *status("i", "concluded", "null"), OK]
    gone = [sent("query-jobs"), {"return": []}]
    report = judged(BEFORE, quick, gone, done(backup("k"), "k"))
    assert gives(report) == [("full", "restores"), ("i", "restores"), ("k", "restores")]
    write = {"do": "write", "node": "n", "offset": 0, "length": 1}
    lost = judged(BEFORE, quick, gone, write, look(node(b=(0, False))), guest="recorded")
    assert [finding.property for _, finding in lost.findings] == ["NO-LOST-WRITE"]


def test_without_events_a_device_may_stand_for_a_filter() -> None:
    add = sent("block-dirty-bitmap-add", node="d0", name="b", granularity=K64)
    start = [backup("full", "full"), OK, add, OK]
    for shown in (node(), node(b=(0, False))):
        report = judged(HELLO, DEVICE, start, look(shown), add, OK, backup("i"), OK)
        assert {row for _, row in gives(report)} == {"undecided"}


def test_without_events_a_failed_job_that_was_to_be_finalized_is_over() -> None:
    start = [backup("j", "full", auto_finalize=False), OK]
    shown = {"id": "j", "type": "backup", "status": "concluded", "error": "No space left on device"}
    over = [sent("query-jobs"), {"return": [shown]}, sent("job-dismiss", id="j"), OK]
    assert gives(judged(HELLO, start, over, start, sent("query-jobs"), {"return": []})) == [("j", "undecided")]


@pytest.mark.parametrize("by_hand", [False, True])
def test_of_a_group_whose_end_only_states_tell_one_failed_and_the_others_were_cancelled(by_hand: bool) -> None:
    group = sent("transaction", actions=[
        {"type": "blockdev-backup", "data": backup(each, "full")["arguments"]} for each in ("j", "k")
    ], properties={"completion-mode": "grouped"})  # fmt: skip
    begun = [group, *status("j", "created", "running"), *status("k", "created", "running"), OK]
    cancel: list[Entry] = [sent("job-cancel", id="k"), OK] if by_hand else []
    over = [*status("j", "aborting"), *status("k", "aborting", "concluded"), *status("j", "concluded")]
    report = judged(HELLO, begun, cancel, over, done(FULL, "full"))
    assert gives(report) == [("full", "restores")]


def test_connections_are_numbered_from_one_again_after_a_restart() -> None:
    run = [*by(1, BEFORE), *by(2, SHORT, done(backup("i"), "i"))]
    report = judged(run, run)
    assert gives(report) == [("full", "restores"), ("i", "restores")] * 2


@pytest.mark.parametrize("guest", [None, "recorded"])
def test_the_size_of_a_disk_is_the_last_that_was_known_and_not_less_than_what_is_written(guest: str | None) -> None:
    far = [{"do": "write", "node": "n", "offset": 8 * SIZE, "length": K64}] if guest else []
    resized = [sent("block_resize", node_name="n", size=16 * SIZE), OK]
    again = together(sent("block-dirty-bitmap-add", node="n", name="c", granularity=K64), backup("full", "full"))
    clear = sent("block-dirty-bitmap-clear", node="n", name="c")
    step = sent("blockdev-backup", device="n", target="t", job_id="i", sync="incremental", bitmap="c")
    for grown in (resized, []):
        parts = by(1, BEFORE, grown), by(2, SHORT, done(again, "full")), far, by(2, clear, OK, done(step, "i"))
        report = judged(*parts, guest=guest)
        assert report.findings == []
        assert [row.gives for table, _ in report.tables for row in table.rows][-1] != "restores", grown


# Without replies


def test_the_events_of_an_older_job_prove_nothing_of_a_second_start_with_its_id() -> None:
    start = [backup("j", "full"), *status("j", "created", "running"), OK]
    report = judged(HELLO, start, backup("j", "full"), ended("j"), look())
    assert gives(report) == [("j", "restores")]


@pytest.mark.parametrize("queried", [False, True])
def test_a_job_that_is_seen_to_run_has_begun(queried: bool) -> None:
    jobs = [sent("query-jobs"), {"return": [{"id": "i", "type": "backup", "status": "running"}]}]
    seen: list[Entry] = jobs if queried else []
    report = judged(BEFORE, look(node(b=(K64, False))), backup("i"), seen, ended("i"), look(node(b=(0, False))))
    assert gives(report) == [("full", "restores"), ("i", "restores")]


def test_a_job_that_was_only_created_may_have_been_refused() -> None:
    refused = [backup("i"), *status("i", "created", "null")]
    report = judged(BEFORE, refused, look(node(b=(K64, False))))
    assert gives(report) == [("full", "restores")]
    assert report.counts.unjudged


@pytest.mark.parametrize("lost", [CLEAR, ADD, sent("block-dirty-bitmap-remove", node="n", name="b")])
def test_what_may_have_been_done_just_before_an_increment_is_undecided(lost: Entry) -> None:
    numbered = {**backup("i"), "id": 7}
    events = status("i", "created", "running")
    report = judged(BEFORE, {**lost, "id": 6}, numbered, events, {**OK, "id": 7}, ended("i"))
    assert gives(report) == [("full", "restores"), ("i", "undecided")]


# What is no backup, or is of another node


def test_a_backup_of_the_top_only_is_none_where_writes_are_recorded_too() -> None:
    for sync in ("top", "none"):
        start = together(ADD, backup("full", sync))
        report = judged(HELLO, done(start, "full"), done(backup("i"), "i"), guest="recorded")
        assert gives(report) == [("i", "assumed")]


def test_an_increment_after_a_full_backup_that_was_refused_has_nothing_below_it() -> None:
    refused = [backup("full", "full"), {"error": {"class": "GenericError", "desc": "Cannot find device='t-full'"}}]
    report = judged(HELLO, ADD, OK, refused, done(backup("i"), "i"))
    assert gives(report) == [("i", "perhaps")]
    assert "full refused" in report.tables[0][0].rows[0].lost[0].why
    again = judged(HELLO, refused, done(FULL, "full"), done(backup("i"), "i"))
    assert gives(again) == [("full", "restores"), ("i", "restores")]
    before = judged(SHORT, look(node(b=(0, False))), refused, done(backup("i"), "i"))
    assert gives(before) == [("i", "assumed")], "the bitmap was there before, and perhaps its full backup"


def test_what_a_backup_has_is_not_said_to_be_in_none() -> None:
    write = {"do": "write", "node": "n", "offset": 0, "length": 4096}
    remove = sent("block-dirty-bitmap-remove", node="n", name="b")
    other = sent("block-dirty-bitmap-add", node="n", name="c", granularity=K64)
    step = together(other, backup("i", "bitmap", bitmap_mode="never"))
    report = judged(BEFORE, write, done(step, "i"), remove, OK, guest="recorded")
    assert gives(report) == [("full", "restores"), ("i", "restores")]
    assert not report.tables[0][0].waived
    late = judged(BEFORE, write, done(step, "i"), write | {"offset": K64}, remove, OK, guest="recorded")
    assert late.tables[0][0].waived, "written since, and only one of the two bitmaps has recorded it for a backup"


def test_a_device_stands_for_the_filter_while_its_disk_is_backed_up() -> None:
    start = [backup("full", "full", "d0"), *status("full", "created", "running"), OK]
    add = sent("block-dirty-bitmap-add", node="d0", name="b", granularity=K64)
    report = judged(HELLO, DEVICE, start, add, OK, ended("full"), look(), add, OK, look(node(b=(0, False))))
    assert gives(report) == [("full", "restores")]
    by_node = judged(HELLO, DEVICE, start, ADD, OK, ended("full"), look())
    assert by_node.findings, "that one was of the disk, and is gone"


def test_a_device_stands_for_an_overlay_without_a_name() -> None:
    snapshot = [sent("blockdev-snapshot-sync", device="d0", snapshot_file="/ov"), OK]
    add = sent("block-dirty-bitmap-add", node="d0", name="b", granularity=K64)
    shown = [sent("query-block"), {"return": [{"device": "d0", "inserted": node("#block1")}]}]
    gives(judged(HELLO, DEVICE, done(FULL, "full"), snapshot, add, OK))
    report = judged(HELLO, DEVICE, done(FULL, "full"), snapshot, shown, add, OK, done(backup("i", device="d0"), "i"))
    assert gives(report) == [("full", "restores"), ("i", "undecided")]


@pytest.mark.parametrize("where", ["d0", "n"])
def test_backups_are_not_followed_over_a_snapshot(where: str) -> None:
    key = {"device": where} if where == "d0" else {"node_name": where}
    snapshot = [sent("blockdev-snapshot-sync", snapshot_node_name="ov", snapshot_file="/ov", **key), OK]
    name = "d0" if where == "d0" else "ov"
    add = sent("block-dirty-bitmap-add", node=name, name="b", granularity=K64)
    report = judged(BEFORE[:5], DEVICE, BEFORE[5:], snapshot, add, OK, look(node("ov", b=(0, False))),
                    done(backup("i", device=name), "i"))  # fmt: skip
    assert gives(report) == [("full", "restores"), ("i", "undecided")]


def test_writes_to_a_device_that_may_be_any_node_count_as_not_recorded() -> None:
    write = [sent("human-monitor-command", command_line='qemu-io d0 "write 0 64k"'), {"return": ""}]
    report = judged(BEFORE, write, done(backup("i"), "i"), guest="recorded")
    assert gives(report) == [("full", "restores"), ("i", "restores")]
    assert [note for note in report.notes if "d0" in note and "query-block" in note]
    known = judged(HELLO, DEVICE, done(FULL, "full"), write, done(backup("i"), "i"), guest="recorded")
    assert known.counts.writes == 1
    assert not [note for note in known.notes if "query-block" in note]


def test_how_much_a_failed_job_had_copied_is_not_known_and_nobody_is_to_blame() -> None:
    start = [backup("i", "bitmap", bitmap_mode="always"), *status("i", "created", "running"), OK]
    failed = [ended("i", error="No space left on device")]
    report = judged(BEFORE, start, failed, done(backup("k"), "k"))
    assert dict(gives(report))["k"] == "undecided"
    assert "how much i had copied when it failed" in report.tables[0][0].unknown[0]
    cleared = judged(BEFORE, start, failed, CLEAR, OK, done(backup("k"), "k"))
    assert dict(gives(cleared))["k"] == "perhaps", "the clear is to blame"


# Forms


def test_commands_that_qmp_shell_lays_out_on_several_lines_are_read() -> None:
    text = "".join("(QEMU) " * ("execute" in each) + json.dumps(each, indent=4) + "\n" for each in BEFORE[1:])
    report = verify(io.BytesIO(text.encode()), Options())
    assert gives(report) == [("full", "restores")]


def test_dockers_log_is_read_as_what_was_written() -> None:
    lines = [{"log": json.dumps(each) + "\n", "stream": "stdout", "time": "t"} for each in BEFORE]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    assert gives(verify(io.BytesIO(text.encode()), Options())) == [("full", "restores")]


@pytest.mark.parametrize("form", ["utf-16", "utf-16-le"])
def test_what_is_in_utf_16_is_told(form: str) -> None:
    text = "\ufeff" * (form != "utf-16") + json.dumps(GREETING)
    with pytest.raises(TraceProblem, match="UTF-16"):
        verify(io.BytesIO(text.encode(form)), Options())


def test_what_libvirt_says_of_a_command_besides_is_no_monitor() -> None:
    def line(kind: str, member: str, each: Entry) -> str:
        return f"2026-01-01: 1: info : qemuMonitor:1 : QEMU_MONITOR_{kind}: mon=0x7f10 {member}={json.dumps(each)}\n"

    text = "".join(line("SEND_MSG", "msg", each) if "execute" in each else
                   line("RECV_EVENT", "event", each) if "event" in each else line("RECV_REPLY", "reply", each)
                   for each in BEFORE)  # fmt: skip
    text += f"2026-01-01: 1: debug : virDomainQemuMonitorCommand:72 : dom=0x1, cmd={json.dumps(CLEAR)}, flags=0x0\n"
    report = verify(io.BytesIO(text.encode()), Options())
    assert gives(report) == [("full", "restores")]
    assert not [note for note in report.notes if "monitors" in note]
