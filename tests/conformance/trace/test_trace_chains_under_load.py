"""Chains in traces whose guest writes overlap commands: no right tool is accused, and what is lost is doubted."""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow import chain_words
from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Scenario, command_to_data
from cbtcheck.trace.verify import Options, verify
from cbtcheck.vectors.histories.told import HISTORIES, scenario_of
from cbtmodel import commands as c
from cbtmodel.step import step

OF = {each.name: each for each in HISTORIES}
RIGHT = (  # whatever the order of a write and a command beside it, all of it restores
    "added-in-the-transaction", "cleared-in-the-transaction", "three-increments", "written-while-the-increment-runs",
    "failed-and-repeated", "failed-twice-and-repeated", "cancelled-and-repeated", "differentials",
    "differential-failed", "two-disks-one-instant", "two-disks-grouped-and-failed", "two-schedules", "checkpoints",
    "a-full-backup-in-between",
)  # fmt: skip


def under_load(
    scenario: Scenario, random: Random, most: int = 14, copies: bool = True
) -> tuple[ChainTable, ChainTable]:
    """What is true, and what is said of a trace in which each write may have been a little earlier or later.

    `copies`: they are in the trace; in logs of real tools they are not.
    """
    frames, findings = course.replay(ReferenceAdapter(), scenario)
    assert not findings
    lines: list[dict[str, Any]] = []
    for at, frame in enumerate(frames, 1):
        state = frame.before
        for command, reply in frame.trace:
            done = step(state, command)
            state = done.state
            ended = {end.job_id: end.outcome for end in done.ended}
            data = command_to_data(command) | ({"ended": ended} if ended else {})
            data |= {"reply": reply.refusal} if reply.refusal else {}
            begin = end = float(10 * at)
            if not copies and isinstance(command, c.Copy):
                data = {"ended": ended}
            if not copies and ended and isinstance(command, c.Write):
                lines.append({"ended": data.pop("ended"), "begin": begin, "end": end})
            if data == {"ended": {}}:
                continue
            if isinstance(command, c.Write) and not ended:
                begin, end = begin - random.randint(0, most), end + random.randint(0, most)
            lines.append(data | {"begin": begin, "end": end})
    head = {"format": "cbtspec-trace", "version": 1, "block": scenario.block, "disks": scenario.disks,
            "copies": "recorded" if copies else "unknown"}  # fmt: skip
    text = "\n".join(json.dumps(each) for each in (head, *sorted(lines, key=lambda line: line["begin"])))
    report = verify(io.BytesIO(text.encode()), Options())
    assert not report.findings, "a true history"
    return chains_of(frames, scenario.block), report.tables[0][0]


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_tool_is_not_accused_because_its_guest_was_writing(name: str) -> None:
    overlapping = 0
    for seed in range(4):
        true, said = under_load(scenario_of(OF[name]), Random(seed), copies=False)
        assert chain_words.verdict(said) == "", seed
        assert [(row.job, row.complete) for row in said.rows] == [(row.job, row.complete) for row in true.rows]
        overlapping += len(said.rows)
    assert overlapping


def lost(table: ChainTable, certain: bool) -> dict[str, set[int]]:
    """By job, the blocks that are lost for certain, or perhaps."""
    return {
        row.job: {number for each in row.lost for number in (each.certain if certain else each.perhaps).numbers()}
        for row in table.rows
    }


@pytest.mark.parametrize("history", HISTORIES, ids=lambda each: each.name)
def test_what_is_lost_is_doubted_and_what_is_said_to_be_lost_is(history: Any) -> None:
    for seed in range(4):
        true, said = under_load(scenario_of(history), Random(seed), copies=seed % 2 == 0)
        really, perhaps, certain = lost(true, True), lost(said, False), lost(said, True)
        for job, blocks in really.items():
            assert blocks <= perhaps[job], (seed, job)
            assert certain[job] <= blocks, (seed, job)


def test_wrong_orders_are_found_under_load_too() -> None:
    """Most of them for certain: their writes are far enough from the command that is to blame."""
    found = {"does not restore": 0, "perhaps": 0}
    for history in HISTORIES:
        if history.lost:
            _, said = under_load(scenario_of(history), Random(1), most=4)
            found["does not restore" if said.unsafe else "perhaps"] += 1
            assert said.unsafe or said.depends, history.name
    assert found["does not restore"] > 30


def test_a_write_that_can_be_at_many_places_is_perhaps_at_each() -> None:
    """More than the variants there are: disabled and enabled, it is lost in the middle only."""
    head = {"format": "cbtspec-trace", "version": 1, "block": 512, "disks": {"d": 524288}, "copies": "unknown"}
    bitmap = {"node": "d", "name": "b"}
    lines = [
        {"do": "transaction", "at": 1, "actions": [
            {"do": "add-bitmap", **bitmap, "granularity": 65536},
            {"do": "start-backup", "job": "full", "node": "d", "sync": "full"}]},
        {"ended": {"full": "completed"}, "at": 2},
        {"do": "write", "node": "d", "offset": 0, "length": 512, "begin": 3, "end": 20},
        {"do": "disable-bitmap", **bitmap, "at": 4}, {"do": "enable-bitmap", **bitmap, "at": 5},
        {"do": "add-bitmap", "node": "d", "name": "x", "granularity": 65536, "at": 6},
        {"do": "add-bitmap", "node": "d", "name": "y", "granularity": 65536, "at": 7},
        {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b", "at": 25},
        {"ended": {"inc": "completed"}, "at": 26},
    ]  # fmt: skip
    for taken in (range(9), (0, 1, 2, 3, 4, 7, 8)):
        text = "\n".join(json.dumps(each) for each in (head, *(lines[at] for at in taken)))
        [(table, _)] = verify(io.BytesIO(text.encode()), Options()).tables
        assert table.rows[-1].gives == "perhaps"
