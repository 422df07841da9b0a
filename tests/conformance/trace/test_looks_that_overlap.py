"""What a look saw while commands or writes overlapped it is remembered: for granules, for counts, in logs of QEMU."""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run import course
from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.trace import explained
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from cbtcheck.vectors.histories.told import HISTORIES, scenario_of
from cbtmodel import commands as c
from cbtmodel.node import State
from cbtmodel.step import step

Line = dict[str, Any]
K64 = 65536
SIZE = 8 * K64
ADD: Line = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": K64, "at": 0}
CLEAR: Line = {"do": "clear-bitmap", "node": "d", "name": "b"}
OTHER: Line = {"do": "add-bitmap", "node": "d", "name": "x", "granularity": K64}


def during(begin: float, end: float) -> Line:
    return {"begin": begin, "end": end}


def write(granule: int, **when: Any) -> Line:
    return {"do": "write", "node": "d", "offset": granule * K64, "length": 1, **when}


def see(*granules: int, **when: Any) -> Line:
    dirty = [[each * K64, K64] for each in granules]
    return {"see": "bitmaps", "node": "d", "bitmaps": {"b": {"dirty": dirty}}, **when}


def count(granules: int, **when: Any) -> Line:
    return {"see": "bitmaps", "node": "d", "bitmaps": {"b": {"count": granules * K64}}, **when}


def judged(*lines: Line, **head: Any) -> TraceReport:
    first = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": SIZE}} | head
    text = "\n".join(json.dumps(each) for each in (first, *lines))
    return verify(io.BytesIO(text.encode()), Options())


def verdicts(*lines: Line, **head: Any) -> list[tuple[int, str]]:
    return [(line, each.verdict.value) for line, each in judged(*lines, **head).findings]


NAMELESS = OTHER | {"name": "", "reply": "invalid"}


@pytest.mark.parametrize("overlapped_by", [OTHER, NAMELESS, CLEAR | {"name": "y", "reply": "not found"}])
def test_what_was_dirty_then_and_is_not_now_is_lost(overlapped_by: Line) -> None:
    """Nobody knows what the guest wrote; so only the look tells that there was something to lose."""
    overlapped = [ADD, see(1, 2, **during(30, 40)), overlapped_by | during(32, 34)]
    assert verdicts(*overlapped, see(1, at=50), guest="unknown")[-1] == (5, "unsafe")
    assert (5, "unsafe") not in verdicts(*overlapped, see(1, 2, 3, at=50), guest="unknown")


def test_a_count_is_a_lower_bound_then_too() -> None:
    overlapped = [ADD, count(2, **during(30, 40)), OTHER | during(32, 34)]
    assert verdicts(*overlapped, count(1, at=50), guest="unknown") == [(5, "unsafe")]
    assert not verdicts(*overlapped, count(2, at=50), guest="unknown")
    assert not verdicts(*overlapped, count(3, at=50), guest="unknown")


def test_what_a_command_may_have_cleaned_after_the_look_is_not_held_against_anybody() -> None:
    cleared = [ADD, see(1, 2, **during(30, 40)), CLEAR | during(32, 34)]
    assert not verdicts(*cleared, see(1, at=50), guest="unknown")
    assert not verdicts(*cleared, see(at=50), guest="unknown")
    after = [ADD, CLEAR | during(30, 40), OTHER | during(32, 60), see(1, 2, **during(42, 50))]
    assert verdicts(*after, see(1, at=70), guest="unknown") == [(6, "unsafe")]


def test_what_was_clean_then_is_dirty_only_if_it_was_written_since() -> None:
    begun = [ADD, write(1, **during(10, 20)), CLEAR | during(11, 12), write(5, **during(30, 40))]
    assert verdicts(*begun, see(**during(32, 34)), see(1, 5, at=50)) == [(7, "wasteful")]
    assert not verdicts(*begun, see(**during(32, 34)), see(5, at=50))
    assert not verdicts(*begun, see(1, **during(32, 34)), see(1, 5, at=50))
    later = [write(1, **during(33, 60)), see(1, 5, at=70)]
    assert not verdicts(*begun, see(**during(32, 34)), *later)


def test_a_query_in_a_log_of_qemu_that_overlaps_a_command_is_remembered() -> None:
    def shown(granules: int, number: int) -> Line:
        bitmap = {"name": "b", "granularity": K64, "count": granules * K64, "recording": True, "busy": False}
        node = {"node-name": "d", "image": {"virtual-size": SIZE}, "dirty-bitmaps": [bitmap]}
        return {"return": [node], "id": number}

    def log(last: int) -> list[Line]:
        add, query = {"execute": "block-dirty-bitmap-add"}, {"execute": "query-named-block-nodes"}
        return [
            {"QMP": {"version": {}, "capabilities": []}}, {"execute": "qmp_capabilities"}, {"return": {}},
            {**query, "id": 0}, {"return": [{"node-name": "d", "image": {"virtual-size": SIZE}}], "id": 0},
            {**add, "arguments": {"node": "d", "name": "b", "granularity": K64}, "id": 1}, {"return": {}, "id": 1},
            {**query, "id": 2}, {**add, "arguments": {"node": "d", "name": "b"}, "id": 3}, shown(3, 2),
            {"error": {"class": "GenericError", "desc": "Bitmap already exists: b"}, "id": 3},
            {**query, "id": 4}, shown(last, 4),
        ]  # fmt: skip

    for last, found in ((3, []), (4, []), (2, ["unsafe"])):
        text = "\n".join(map(json.dumps, log(last)))
        report = verify(io.BytesIO(text.encode()), Options("qmp"))
        assert [each.verdict.value for _, each in report.findings] == found


def test_where_too_much_overlaps_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    overlapped = [ADD, see(1, 2, **during(30, 40)), OTHER | during(32, 34), see(1, at=50)]
    assert verdicts(*overlapped, guest="unknown")
    monkeypatch.setattr(explained.remembered, "MOST_RUNS", 1)
    assert not verdicts(*overlapped, guest="unknown")


def bitmaps_of(state: State[Any], block: int, node: str, counts: bool) -> Line:
    found = {}
    for name, each in state.nodes[node].bitmaps.items():
        word = each.marks.dirty.word
        numbers = [number for number in range(word.bit_length()) if word >> number & 1]
        per = each.granularity // block
        granules = len({number // per for number in numbers})
        told = {"count": granules * each.granularity} if counts else {"dirty": [[n * block, block] for n in numbers]}
        found[name] = {**told, "busy": each.successor is not None or each.leaving}
    return found


@pytest.mark.parametrize("guest", ["recorded", "unknown"])
def test_a_true_history_is_allowed_with_looks_that_overlap_all_the_time(guest: str) -> None:
    """Each interval has the moment in it at which it was: what is remembered of a look must not accuse anybody."""
    looks = 0
    for seed, history in enumerate(HISTORIES):
        scenario, random = scenario_of(history), Random(seed)
        frames, findings = course.replay(ReferenceAdapter(), scenario)
        assert not findings
        lines: list[Line] = []
        for at, frame in enumerate(frames, 1):
            state, now = frame.before, float(10 * at)
            for command, reply in frame.trace:
                done = step(state, command)
                state, ended = done.state, {each.job_id: each.outcome for each in done.ended}
                if ended and isinstance(command, c.Write | c.Copy):
                    lines.append({"ended": ended} | during(now, now))
                if isinstance(command, c.Copy):
                    continue
                data = command_to_data(command) | ({"reply": reply.refusal} if reply.refusal else {})
                data |= {"ended": ended} if ended and not isinstance(command, c.Write) else {}
                if not isinstance(command, c.Write):
                    lines.append(data | during(now, now + 2))
                elif guest == "recorded":
                    lines.append(data | during(now - random.randint(0, 14), now + random.randint(0, 14)))
            for node in state.nodes:
                seen = bitmaps_of(state, scenario.block, node, random.random() < 0.5)
                when = during(now + 5 - random.randint(0, 4), now + 5 + random.randint(0, 9))
                lines.append({"see": "bitmaps", "node": node, "bitmaps": seen} | when)
        lines.sort(key=lambda line: line["begin"])
        report = judged(*lines, disks=scenario.disks, block=scenario.block, copies="unknown", guest=guest)
        assert not report.findings, (history.name, seed)
        looks += report.counts.looks_judged
    assert looks > 300
