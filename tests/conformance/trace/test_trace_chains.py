"""Chains in traces: whether a tool's commands add up to a restore, with the guest's writes recorded or without."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow import chain_words
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Restore, Scenario, command_to_data, load
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.trace.printed import to_json
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from cbtcheck.workflows import workflows
from cbtmodel.step import step
from click.testing import CliRunner

WRONG = sorted((Path(__file__).parents[3] / "examples/wrong-orders").glob("*.json"))
OK: dict[str, Any] = {"return": {}}


def sent(execute: str, /, **arguments: Any) -> list[dict[str, Any]]:
    return [{"execute": execute, "arguments": arguments}, OK]


def over(job: str, how: str = "COMPLETED") -> list[dict[str, Any]]:
    data = {"device": job, "type": "backup", "len": 1, "offset": 1, "speed": 0}
    return [{"timestamp": {"seconds": 1, "microseconds": 1}, "event": f"BLOCK_JOB_{how}", "data": data}]


def happened(name: str) -> list[dict[str, Any]]:
    return [{"timestamp": {"seconds": 1, "microseconds": 1}, "event": name}]


def backup(job: str, sync: str = "full", **more: Any) -> dict[str, Any]:
    return {"job-id": job, "device": "d", "target": f"t-{job}", "sync": sync, **more}


DISK = [
    {"execute": "query-named-block-nodes"},
    {"return": [{"node-name": "d", "image": {"virtual-size": 1048576, "filename": "x", "format": "raw"}}]},
]
ADD = sent("block-dirty-bitmap-add", node="d", name="b")
CLEAR = sent("block-dirty-bitmap-clear", node="d", name="b")
FULL = [*sent("blockdev-backup", **backup("full")), *over("full")]
INCREMENT = [*sent("blockdev-backup", **backup("inc", "incremental", bitmap="b")), *over("inc")]


def together(*actions: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sent("transaction", actions=[{"type": kind, "data": data} for kind, data in actions])


ADD_AND_FULL = [
    *together(("block-dirty-bitmap-add", {"node": "d", "name": "b"}), ("blockdev-backup", backup("full"))),
    *over("full"),
]


def judged(*entries: dict[str, Any], guest: str | None = None) -> TraceReport:
    text = "".join(json.dumps(each) + "\n" for each in [*DISK, *entries])
    return verify(io.BytesIO(text.encode()), Options("auto", None, guest))


def windows(report: TraceReport) -> list[tuple[int, int]]:
    """Between which lines a guest must not have written."""
    [(table, session)] = report.tables
    return [window for row in table.rows for lost in row.lost for window in session.listed(lost.perhaps)]


# Without the guest's writes: when it must not have written


def test_add_and_full_in_one_transaction_restores_whatever_the_guest_wrote() -> None:
    assert windows(judged(*ADD_AND_FULL, *INCREMENT, *INCREMENT)) == []


def test_a_bitmap_that_is_added_after_the_full_backup_has_a_window() -> None:
    report = judged(*FULL, *ADD, *INCREMENT)
    assert windows(report) == [(4, 7)]  # from the full backup's reply to that of the add
    [(table, _)] = report.tables
    assert [(row.gives, [each.blame.number for each in row.lost]) for row in table.rows] == [
        ("restores", []), ("perhaps", [7]),
    ]  # fmt: skip


def test_there_is_no_window_while_the_guest_is_stopped() -> None:
    for stop, go_on in ((happened("STOP"), happened("RESUME")), (sent("stop"), sent("cont"))):
        assert windows(judged(*stop, *FULL, *ADD, *go_on, *INCREMENT)) == []
        assert windows(judged(*FULL, *stop, *ADD, *go_on, *INCREMENT)) == [(4, 5 + len(stop))]


def test_what_is_written_when_the_guest_goes_on_is_in_a_window_of_its_own() -> None:
    """Although nothing was commanded between the end of the stop and the write."""
    stopped = [*happened("STOP"), *FULL, *happened("RESUME")]  # lines 3 to 7, the add is answered in line 9
    assert windows(judged(*stopped, *ADD, *INCREMENT)) == [(7, 9)]
    assert windows(judged(*ADD, *stopped, *CLEAR, *INCREMENT)) == [(9, 11)]
    twice = [*happened("STOP"), *happened("RESUME"), *happened("STOP"), *FULL, *happened("RESUME")]
    assert windows(judged(*twice, *ADD, *INCREMENT)) == [(9, 11)]


@pytest.mark.parametrize(
    ("entries", "whose"),
    [
        ([*ADD, *FULL, *CLEAR, *INCREMENT], "clear d/b"),
        ([*ADD_AND_FULL, *INCREMENT, *CLEAR, *INCREMENT], "clear d/b"),
        ([*ADD_AND_FULL, *sent("block-dirty-bitmap-disable", node="d", name="b"),
          *sent("block-dirty-bitmap-enable", node="d", name="b"), *INCREMENT], "disable d/b"),
        ([*ADD_AND_FULL, *sent("block-dirty-bitmap-remove", node="d", name="b"), *ADD, *INCREMENT], "remove d/b"),
    ],
    ids=["cleared after the full", "cleared after the increment", "disabled", "removed"],
)  # fmt: skip
def test_a_wrong_order_names_the_command(entries: list[dict[str, Any]], whose: str) -> None:
    report = judged(*entries)
    assert windows(report)
    assert {each.blame.said for table, _ in report.tables for row in table.rows for each in row.lost} == {whose}


def test_a_full_backup_that_was_cancelled_is_no_base(tmp_path: Path) -> None:
    cancelled = [*ADD_AND_FULL[:2], *sent("block-job-cancel", device="full"), *over("full", "CANCELLED"), *INCREMENT]
    [(table, session)] = judged(*cancelled).tables
    assert [row.gives for row in table.rows] == ["perhaps"]
    assert [each.outcome for each in table.failed] == ["cancelled"]
    (lost,) = table.rows[0].lost
    assert session.named(lost.perhaps) == "whatever this backup has not copied itself"
    log = tmp_path / "tool.log"
    log.write_text("".join(json.dumps(each) + "\n" for each in [*DISK, *cancelled]))
    for output in ("pretty", "json"):
        assert CliRunner().invoke(main, ["verify", "--output", output, str(log)]).exit_code == 7


def test_a_bitmap_from_before_the_log_may_belong_to_a_backup_from_before_it() -> None:
    """Also if another full backup of the disk has failed since."""
    there = {"name": "b", "count": 0, "granularity": 65536, "recording": True, "busy": False}
    image = {"virtual-size": 1048576, "filename": "x", "format": "raw"}
    seen = {"return": [{"node-name": "d", "image": image, "dirty-bitmaps": [there]}]}
    entries = [DISK[0], seen, *FULL[:2], *over("full", "CANCELLED"), *INCREMENT]
    text = "".join(json.dumps(each) + "\n" for each in entries)
    [(table, _)] = verify(io.BytesIO(text.encode()), Options()).tables
    assert [row.gives for row in table.rows] == ["assumed"]


def test_a_job_of_which_nothing_more_is_known_is_not_taken_for_the_next_one_of_its_id() -> None:
    start = sent("blockdev-backup", **backup("full"))
    forgotten = [*start, *sent("migrate", uri="x")]
    [(table, _)] = judged(*forgotten, *ADD, *start, *over("full", "CANCELLED"), *INCREMENT).tables
    assert [(each.job, each.began.number) for each in table.failed] == [("full", 10)]
    assert [row.job for row in table.rows] == ["inc"], "no backup is said to have completed"


def test_a_bitmap_from_before_the_log_has_recorded_what_came_since() -> None:
    assert windows(judged(*FULL, *INCREMENT)) == []
    assert windows(judged(*FULL, *CLEAR, *INCREMENT)) == [(4, 7)]


def test_a_log_that_begins_in_the_middle_accuses_nobody_of_what_was_before() -> None:
    report = judged(*INCREMENT, *INCREMENT)
    assert windows(report) == []
    assert [row.gives for table, _ in report.tables for row in table.rows] == ["assumed", "restores"]


def test_the_target_of_a_fleecing_job_is_no_backup() -> None:
    none = [*sent("blockdev-backup", **backup("fleece", "none")), *over("fleece", "CANCELLED")]
    assert judged(*ADD, *none).tables == []


# With them: which blocks are lost


def guest(offset: int) -> dict[str, Any]:
    return {"do": "write", "node": "d", "offset": offset, "length": 512}


def test_writes_that_are_in_the_log_are_lost_for_certain_or_not_at_all() -> None:
    lost = judged(*FULL, guest(65536), *ADD, guest(0), *INCREMENT, guest="recorded")
    [(table, session)] = lost.tables
    assert table.unsafe
    assert [session.named(each.certain) for each in table.rows[1].lost] == ["64K+512"]
    right = judged(*FULL, *ADD, guest(0), *INCREMENT, guest="recorded")
    assert not right.tables[0][0].unsafe
    assert not right.tables[0][0].depends


def timed(*lines: dict[str, Any]) -> list[Any]:
    """What the backups of a trace give back whose lines have their times."""
    head = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": 524288}, "copies": "unknown"}
    text = "".join(json.dumps(each) + "\n" for each in [head, *lines])
    report = verify(io.BytesIO(text.encode()), Options())
    assert not report.findings
    return [row.gives for table, _ in report.tables for row in table.rows]


def test_a_write_that_overlaps_two_backups_and_is_recorded_by_nothing_is_lost_perhaps() -> None:
    """Before the first one began, it is in that; between the two, it is in none; and later, it is nobody's yet."""
    add = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536, "enabled": False, "at": 1.0}
    write = {"do": "write", "node": "d", "offset": 0, "length": 512, "begin": 1.5, "end": 6.5}
    full = {"do": "start-backup", "job": "full", "node": "d", "sync": "full", "at": 2.0}
    increment = {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b", "at": 4.0}
    ends = [{"ended": {"full": "completed"}, "at": 3.0}, {"ended": {"inc": "completed"}, "at": 5.0}]
    assert timed(add, write, full, ends[0], increment, ends[1]) == ["restores", "perhaps"]
    before, between = write | {"end": 1.8}, write | {"begin": 3.2, "end": 3.4}
    assert timed(add, before, full, ends[0], increment, ends[1]) == ["restores", "restores"]
    assert timed(add, full, ends[0], between, increment, ends[1]) == ["restores", "does not restore"]
    begins = write | {"end": 2.5}
    assert timed(add, begins, full, ends[0], increment, ends[1]) == ["restores", "perhaps"]


def test_nothing_is_said_of_backups_behind_what_is_undecided() -> None:
    lines = [
        {"do": "transaction", "at": 0.1, "actions": [
            {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536},
            {"do": "start-backup", "job": "full", "node": "d", "sync": "full"}]},
        {"ended": {"full": "completed"}, "at": 0.2},
        *({"do": "merge-bitmaps", "node": "d", "target": f"b{n}", "begin": 1.0, "end": 2.0,
           "sources": [{"node": "d", "name": f"b{m}"} for m in range(8) if m != n]} for n in range(8)),
    ]  # fmt: skip
    added = [{"do": "add-bitmap", "node": "d", "name": f"b{n}", "granularity": 65536, "at": 0.3} for n in range(8)]
    wrong = {"do": "remove-bitmap", "node": "d", "name": "b0", "reply": "not found", "begin": 1.0, "end": 2.0}
    later = [
        {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b", "at": 3.0},
        {"ended": {"inc": "completed"}, "at": 4.0},
    ]
    head = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": 524288}, "copies": "unknown"}
    text = "".join(json.dumps(each) + "\n" for each in [head, *lines[:2], *added, *lines[2:], wrong, *later])
    report = verify(io.BytesIO(text.encode()), Options())
    assert report.counts.undecided
    [(table, session)] = report.tables
    assert session.lost_from
    assert [row.job for row in table.rows] == ["full"]


def test_a_write_that_overlaps_the_clear_is_lost_perhaps() -> None:
    clear = {"do": "clear-bitmap", "node": "d", "name": "b", "begin": 3.0, "end": 4.0}
    lines = [
        {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": 524288}, "copies": "unknown"},
        {"do": "transaction", "actions": [
            {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536},
            {"do": "start-backup", "job": "full", "node": "d", "sync": "full"}]},
        {"ended": {"full": "completed"}},
        {"do": "write", "node": "d", "offset": 0, "length": 512, "begin": 2.5, "end": 3.5}, clear,
        {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b", "at": 5.0},
        {"ended": {"inc": "completed"}, "at": 6.0},
    ]  # fmt: skip
    for number, line in enumerate(lines[1:3], 1):
        line["at"] = float(number)
    report = verify(io.BytesIO("".join(json.dumps(each) + "\n" for each in lines).encode()), Options())
    [(table, _)] = report.tables
    assert [row.gives for row in table.rows] == ["restores", "perhaps"]


def told(scenario: Scenario) -> bytes:
    """A scenario as a trace: what the reference answered, one thing after the other."""
    frames, findings = course.replay(ReferenceAdapter(), scenario)
    assert not findings
    lines: list[dict[str, Any]] = [
        {"format": "cbtspec-trace", "version": 1, "block": scenario.block, "disks": scenario.disks}
    ]
    for frame in frames:
        state = frame.before
        for command, reply in frame.trace:
            done = step(state, command)
            state = done.state
            ended = {end.job_id: end.outcome for end in done.ended}
            data = command_to_data(command)
            if reply.refusal:
                data["reply"] = reply.refusal
            lines.append(data | ({"ended": ended} if ended else {}))
    return "".join(json.dumps(each) + "\n" for each in lines).encode()


def rows(table: Any) -> list[Any]:
    return [(row.job, row.gives, row.stacks_on, [chain_words.ranges(each.certain) for each in row.lost])
            for row in table.rows]  # fmt: skip


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_trace_of_a_wrong_order_says_what_its_replay_says(path: Path) -> None:
    scenario = load(path)
    frames, _ = course.replay(ReferenceAdapter(), scenario)
    report = verify(io.BytesIO(told(scenario)), Options())
    assert rows(report.tables[0][0]) == rows(chains_of(frames, scenario.block))


def test_a_trace_of_a_drawn_scenario_says_what_its_replay_says() -> None:
    drawn: list[Scenario] = list(workflows().values())
    draw_scenarios(ReferenceAdapter.capabilities, drawn.append, seed=7, examples=120, steps=25)
    compared = 0
    for scenario in drawn:
        commands = tuple(each for each in scenario.commands if not isinstance(each, Restore))
        bare = Scenario(scenario.disks, commands, block=scenario.block)
        frames, _ = course.replay(ReferenceAdapter(), bare)
        table = chains_of(frames, bare.block)
        report = verify(io.BytesIO(told(bare)), Options())
        assert report.number == 0
        found = [rows(each) for each, _ in report.tables]
        assert found == ([rows(table)] if table.rows or table.failed or table.waived else [])
        compared += len(table.rows)
    assert compared > 30


# The command


def test_the_command_says_which_command_is_to_blame_and_exits_with_7(tmp_path: Path) -> None:
    log = tmp_path / "tool.log"
    log.write_text("".join(json.dumps(each) + "\n" for each in [*DISK, *FULL, *ADD, *INCREMENT]))
    done = CliRunner().invoke(main, ["verify", str(log)])
    assert done.exit_code == 7
    assert "lost if it was written: what a guest writes between lines 4 and 7" in done.output
    assert "line 7 (add bitmap d/b (64K))" in done.output
    last = "unsafe (the commands), if something was written then: inc"
    assert done.output.splitlines()[-2:] == ["everything that was judged is allowed", last]
    as_json = CliRunner().invoke(main, ["verify", "--output", "json", str(log)])
    assert as_json.exit_code == 7
    [chain] = json.loads(as_json.output)["chains"]
    assert chain["blocks"] == "lines"
    assert chain["restore_points"][1]["lost"][0]["perhaps"] == [[4, 7]]
    document = json.loads(as_json.output)
    assert (document["conformant"], document["restores"]) == (True, False)
    assert json.loads(to_json(judged(*ADD_AND_FULL)))["restores"] is True
    assert json.loads(to_json(judged(*ADD)))["restores"] is None


def test_the_document_has_chains_in_bytes_where_the_writes_are_recorded() -> None:
    report = judged(*FULL, guest(65536), *ADD, *INCREMENT, guest="recorded")
    [chain] = json.loads(to_json(report))["chains"]
    assert chain["blocks"] == "bytes"
    assert chain["restore_points"][1]["lost"][0]["certain"] == [[65536, 512]]
