"""The oracle says what backups give back: in each history that is possible, and as a replay of the same says it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow import chain_words
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.follow.worlds import MOST_CHAINS
from cbtcheck.oracle import INDEFINITE, Oracle
from cbtcheck.oracle.service import Service
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Restore, Scenario, load
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.search.restarts.workflows import interrupted
from cbtcheck.workflows import workflows
from cbtmodel import commands as c

WRONG = sorted((Path(__file__).parents[3] / "examples/wrong-orders").glob("*.json"))
SIZE, GRANULE = 524288, 65536


def rows(table: Any) -> list[Any]:
    return [(row.job, row.gives, row.stacks_on, [chain_words.ranges(each.certain) for each in row.lost])
            for row in table.rows]  # fmt: skip


def as_replayed(scenario: Scenario) -> tuple[list[Any], list[Any]]:
    commands = tuple(each for each in scenario.commands if not isinstance(each, Restore))
    frames, findings = course.replay(ReferenceAdapter(), replace(scenario, commands=commands))
    assert not findings
    oracle = Oracle(scenario.disks, scenario.block, images=scenario.images)
    for frame in frames:
        for command, _ in frame.trace:
            oracle.command(command)
    (table,) = oracle.chains()
    return rows(table), rows(chains_of(frames, scenario.block))


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_of_a_wrong_order_it_says_what_the_replay_says(path: Path) -> None:
    said, replayed = as_replayed(load(path))
    assert said == replayed
    assert said[-1][1] == "does not restore"


def test_of_drawn_scenarios_it_says_what_the_replay_says() -> None:
    drawn: list[Scenario] = list(workflows().values())
    draw_scenarios(ReferenceAdapter.capabilities, drawn.append, seed=11, examples=60, steps=25)
    compared = 0
    for scenario in drawn:
        said, replayed = as_replayed(scenario)
        assert said == replayed
        compared += len(said)
    assert compared > 30


def test_of_restarts_it_says_what_the_replay_says() -> None:
    compared = 0
    for _, scenario in islice(interrupted(ReferenceAdapter.capabilities), 0, None, 7):
        said, replayed = as_replayed(scenario)
        assert said == replayed
        compared += len(said)
    assert compared > 30


def test_what_may_have_happened_is_in_a_history_of_its_own() -> None:
    oracle = Oracle({"d": SIZE})
    oracle.command(c.Transaction((c.AddBitmap("d", "b", GRANULE), c.StartBackup("full", "d", "full"))))
    oracle.command(c.Copy("full", 0, SIZE))
    oracle.write("d", 0, 512)
    oracle.command(c.ClearBitmap("d", "b"), INDEFINITE)
    assert sorted(len(table.waived) for table in oracle.chains()) == [0, 1]


def a_clear_that_may_have_been() -> Oracle:
    """Of a bitmap that is written again all over, so that both histories are in the same state afterwards."""
    oracle = Oracle({"d": SIZE})
    oracle.command(c.Transaction((c.AddBitmap("d", "b", GRANULE), c.StartBackup("full", "d", "full"))))
    oracle.command(c.Copy("full", 0, SIZE))
    oracle.write("d", 0, 512)
    oracle.command(c.ClearBitmap("d", "b"), INDEFINITE)
    oracle.command(c.ClearBitmap("d", "b"))
    return oracle


def test_histories_that_led_to_the_same_state_are_told_apart() -> None:
    oracle = a_clear_that_may_have_been()
    assert len(oracle.states) == 1
    assert sorted(waived.at.number for table in oracle.chains() for waived in table.waived) == [3, 4]
    oracle.command(c.StartBackup("inc", "d", "bitmap", "b", "on-success"))
    blamed = {table.rows[-1].lost[0].blame.number for table in oracle.chains()}
    assert blamed == {3, 4}, "either may have been it"
    assert oracle.chains_left_out == 0


def test_of_too_many_histories_it_says_how_many_are_left_out() -> None:
    oracle = a_clear_that_may_have_been()
    for _ in range(20):
        oracle.write("d", 0, 512)
        oracle.command(c.ClearBitmap("d", "b"), INDEFINITE)
        oracle.command(c.ClearBitmap("d", "b"))
    assert len(oracle.states) == 1
    assert len(oracle.chains()) == MOST_CHAINS
    assert oracle.chains_left_out > 0


def test_the_service_says_how_many_histories_are_left_out() -> None:
    lines: list[dict[str, Any]] = [
        {"do": "disks", "disks": {"d": SIZE}},
        {"do": "start-backup", "job": "full", "node": "d", "sync": "full"},
        {"do": "copy", "job": "full", "offset": 0, "length": SIZE},
        {"do": "add-bitmap", "node": "d", "name": "b", "granularity": GRANULE},
    ]
    for _ in range(6):
        lines += [
            {"do": "write", "node": "d", "offset": 0, "length": 512},
            {"do": "clear-bitmap", "node": "d", "name": "b", "reply": "indefinite"},
            {"do": "clear-bitmap", "node": "d", "name": "b"},
        ]
    service = Service()
    for each in lines:
        answer = json.loads(service.answer(json.dumps(each).encode()))
        assert answer["is"] != "error", answer
    answer = json.loads(service.answer(b'{"do":"chains"}'))
    assert len(answer["histories"]) == MOST_CHAINS
    assert answer["left_out"] > 0


def test_the_service_numbers_by_lines_and_says_nothing_changed_by_a_question() -> None:
    lines = [
        {"do": "disks", "disks": {"d": SIZE}},
        {"do": "start-backup", "job": "full", "node": "d", "sync": "full"},
        {"do": "copy", "job": "full", "offset": 0, "length": SIZE},
        {"do": "chains"},
        {"do": "write", "node": "d", "offset": 0, "length": 512},
        {"do": "add-bitmap", "node": "d", "name": "b", "granularity": GRANULE},
        {"do": "start-backup", "job": "inc", "node": "d", "sync": "incremental", "bitmap": "b"},
        {"do": "chains"},
    ]
    service = Service()
    answers = [json.loads(service.answer(json.dumps(each).encode())) for each in lines]
    assert [point["gives"] for point in answers[3]["histories"][0]["restore_points"]] == ["restores"]
    (history,) = answers[7]["histories"]
    (lost,) = history["restore_points"][1]["lost"]
    assert (lost["blame"], lost["from"], lost["to"], lost["certain"]) == (6, 2, 6, [[0, 512]])
    assert service.exit_code == 0
