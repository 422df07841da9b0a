"""Traces in our own format in which images are closed, opened and left by a crash: what is seen, and chains."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import SeenBitmap
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow import chain_words
from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.follow.play import Frame
from cbtcheck.run import course
from cbtcheck.scenario.images import as_it_came, happens
from cbtcheck.scenario.scenario import Scenario, command_to_data, load
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.workflows import interrupted
from cbtcheck.sets.bitsets import extents
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

CLAIMS = ReferenceAdapter.capabilities
AGAIN = Path(__file__).parents[3] / "examples/restarts/added-again-after-a-crash.json"
HEAD = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": 524288}, "images": True}
Line = dict[str, Any]


def judged(*lines: Line, head: Line = HEAD) -> TraceReport:
    return verify(io.BytesIO("".join(json.dumps(each) + "\n" for each in [head, *lines]).encode()), Options())


def played(scenario: Scenario, looks: bool = True) -> tuple[list[Frame], TraceReport]:
    frames, findings = course.replay(ReferenceAdapter(), scenario)
    assert not findings
    head = HEAD | {"block": scenario.block, "disks": scenario.disks}
    return frames, judged(*(line for frame in frames for line in told(frame, looks)), head=head)


def told(frame: Frame, looks: bool) -> Iterator[Line]:
    state, files = frame.before, frame.files
    for command, reply in frame.trace:
        done, files = happens(files, state, as_it_came(command, reply.refusal))
        state = done.state
        ended = {end.job_id: end.outcome for end in done.ended}
        refusal = {"reply": reply.refusal} if reply.refusal else {}
        yield command_to_data(command) | refusal | ({"ended": ended} if ended else {})
    for node in state.nodes if looks and frame.seen is not None else ():
        assert frame.seen is not None
        bitmaps = {name: shown(each) for (on, name), each in frame.seen.bitmaps.items() if on == node}
        yield {"see": "bitmaps", "node": node, "bitmaps": bitmaps, "all": True}


def shown(seen: SeenBitmap) -> Line:
    found = {"granularity": seen.granularity, "recording": seen.recording, "busy": seen.busy,
             "persistent": seen.persistent, "inconsistent": seen.inconsistent}  # fmt: skip
    if isinstance(seen.bits, int) and seen.granularity is not None and not seen.inconsistent:
        found["dirty"] = [list(each) for each in extents(seen.bits, seen.granularity)]  # type: ignore[assignment]
    return {name: each for name, each in found.items() if each is not None}


def rows(table: ChainTable) -> list[Any]:
    return [
        (row.job, row.gives, row.stacks_on, [(chain_words.ranges(each.certain), each.why) for each in row.lost])
        for row in table.rows
    ]


def compared(scenario: Scenario) -> int:
    frames, report = played(scenario)
    assert report.findings == []
    table = chains_of(frames, scenario.block)
    found = [rows(each) for each, _ in report.tables]
    assert found == ([rows(table)] if table.rows or table.failed or table.waived else [])
    return len(table.rows)


def test_a_trace_of_a_restart_says_what_its_replay_says() -> None:
    assert compared(load(AGAIN)) == 3


def test_traces_of_interrupted_workflows_say_what_their_replays_say() -> None:
    scenarios = [scenario for _, scenario in interrupted(CLAIMS)]
    assert sum(compared(each) for each in scenarios[::17]) > 10


def test_traces_of_drawn_restarts_say_what_their_replays_say() -> None:
    assert sum(compared(drawn(CLAIMS, 5, number)) for number in range(60)) > 5


ADD = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536, "persistent": True}
WRITE = {"do": "write", "node": "d", "offset": 65536, "length": 512}
CLOSE, OPEN, CRASH = {"do": "close", "node": "d"}, {"do": "open", "node": "d"}, {"do": "crash"}
FULL = [
    {"do": "start-backup", "job": "full", "node": "d", "sync": "full"},
    {"do": "copy", "job": "full", "offset": 0, "length": 524288, "ended": {"full": "completed"}},
]


def see(**seen: Any) -> Line:
    return {"see": "bitmaps", "node": "d", "bitmaps": {"b": seen}, "all": True}


SOUND: Line = {"inconsistent": False, "recording": True, "granularity": 65536}


@pytest.mark.parametrize(
    ("lines", "verdicts"),
    [
        ([CLOSE, OPEN, see(**SOUND, dirty=[[65536, 65536]])], []),
        ([CLOSE, OPEN, see(**SOUND, dirty=[])], [Verdict.UNSAFE]),
        ([CLOSE, OPEN, see(**SOUND, count=0)], [Verdict.UNSAFE]),
        ([CLOSE, OPEN, see(inconsistent=True)], [Verdict.DIVERGES]),
        ([CLOSE, OPEN, {"see": "bitmaps", "node": "d", "bitmaps": {}, "all": True}], [Verdict.DIVERGES]),
        ([CRASH, OPEN, see(inconsistent=True)], [Verdict.DIVERGES]),  # it was in no file yet
        ([CRASH, OPEN, see(**SOUND, dirty=[])], [Verdict.UNSAFE]),
        ([CRASH, OPEN, {"see": "bitmaps", "node": "d", "bitmaps": {}, "all": True}], []),
        ([CLOSE, OPEN, CRASH, OPEN, see(**SOUND, dirty=[])], [Verdict.UNSAFE]),
        ([CLOSE, OPEN, CRASH, OPEN, see(**SOUND, dirty=[[65536, 65536]])], [Verdict.DIVERGES]),
        ([CLOSE, OPEN, CRASH, OPEN, see(inconsistent=True)], []),
        ([CLOSE, OPEN, CRASH, OPEN, {"do": "clear-bitmap", "node": "d", "name": "b"}], [Verdict.DIVERGES]),
        ([CLOSE, OPEN, CRASH, OPEN, {"do": "clear-bitmap", "node": "d", "name": "b", "reply": "inconsistent"}], []),
        ([CLOSE, OPEN | {"writable": False}, WRITE | {"reply": "read only"}], []),
        ([CLOSE, OPEN | {"writable": False}, WRITE | {"result": "copy failed"}], [Verdict.DIVERGES]),
        ([CLOSE, CLOSE | {"reply": "not found"}], []),
        ([CLOSE | {"reply": "busy"}], [Verdict.DIVERGES]),
        ([OPEN], [Verdict.DIVERGES]),
    ],
)  # fmt: skip
def test_what_is_seen_after_an_event_is_judged(lines: list[Line], verdicts: list[Verdict]) -> None:
    assert [each.verdict for _, each in judged(ADD, WRITE, *lines).findings] == verdicts


def test_without_the_guests_writes_a_chain_says_when_there_must_not_have_been_any() -> None:
    again = [OPEN, {"do": "remove-bitmap", "node": "d", "name": "b"}, ADD]
    increment = {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b"}
    head = HEAD | {"guest": "unknown", "copies": "unknown"}
    over = [{"ended": {"full": "completed"}}, {"ended": {"inc": "completed"}}]
    before = [ADD, FULL[0], over[0], CLOSE, OPEN]
    for between, gives in (([CLOSE, OPEN], "restores"), ([CRASH, *again], "perhaps")):
        report = judged(*before, *between, increment, over[1], head=head)
        assert not report.findings
        [(table, _)] = report.tables
        assert [row.gives for row in table.rows] == ["restores", gives]
    [lost] = table.rows[1].lost
    assert str(lost.blame) == "line 7 (crash)"


def test_a_close_cancels_jobs_and_that_may_be_said_or_not() -> None:
    head = HEAD | {"copies": "unknown"}
    for told_of in ([], [{"ended": {"full": "cancelled"}}]):
        report = judged(ADD, FULL[0], CLOSE, *told_of, OPEN, head=head)
        assert not report.findings
        assert [each.outcome for table, _ in report.tables for each in table.failed] == ["cancelled"]
    assert judged(ADD, FULL[0], CLOSE | {"ended": {"full": "completed"}}, head=head).findings


@pytest.mark.parametrize(
    ("head", "line", "why"),
    [
        (HEAD | {"images": False}, CLOSE, "images"),
        (HEAD | {"images": False}, ADD, "images"),
        (HEAD | {"earlier": True}, CLOSE, "exclude each other"),
        (HEAD, CLOSE | {"begin": 1.0, "end": 2.0}, "one moment"),
        (HEAD, CLOSE | {"reply": "indefinite"}, "must be known"),
        (HEAD, ADD | {"granularity": 256}, "smaller than"),
    ],
)
def test_what_cannot_be_judged_is_refused(head: Line, line: Line, why: str) -> None:
    with pytest.raises(TraceProblem, match=why):
        judged(line, head=head)


def test_what_overlaps_an_event_is_refused() -> None:
    with pytest.raises(TraceProblem, match="under way"):
        judged(ADD | {"at": 0.5}, WRITE | {"begin": 1.0, "end": 3.0}, CLOSE | {"at": 2.0})
    assert not judged(ADD | {"at": 0.5}, WRITE | {"begin": 1.0, "end": None}, CRASH | {"at": 2.0}).findings
