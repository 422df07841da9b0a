"""What makes long logs quick changes no verdict: lines that are read at once, disks apart, changes that wait."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.run import course
from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.printed import to_json
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from cbtcheck.trace.window import Window
from cbtcheck.vectors.histories.told import HISTORIES, scenario_of
from cbtmodel import commands as c
from cbtmodel.step import step

Line = dict[str, Any]
ONE_DISK = [each for each in HISTORIES if len(scenario_of(each).disks) == 1]


def generator() -> Any:
    """The module that makes long logs for the benchmarks."""
    path = Path(__file__).parents[3] / "benchmarks/long_logs.py"
    spec = importlib.util.spec_from_file_location("long_logs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["long_logs"] = module
    spec.loader.exec_module(module)
    return module


def read(lines: list[Line] | list[str], kind: str = "trace") -> TraceReport:
    text = "\n".join(each.strip() if isinstance(each, str) else json.dumps(each) for each in lines)
    return verify(io.BytesIO(text.encode()), Options(kind))


def logged(history: Any, random: Random, most: int = 14) -> list[Line]:
    """A true history, each write of which may have been a little earlier or later; copies are not in it."""
    frames, findings = course.replay(ReferenceAdapter(), scenario_of(history))
    assert not findings
    lines: list[Line] = []
    for at, frame in enumerate(frames, 1):
        state = frame.before
        for command, reply in frame.trace:
            done = step(state, command)
            state = done.state
            begin = end = float(10 * at)
            ended = {each.job_id: each.outcome for each in done.ended}
            if ended and isinstance(command, c.Write | c.Copy):
                lines.append({"ended": ended, "begin": begin, "end": end})
            data = command_to_data(command) | ({"reply": reply.refusal} if reply.refusal else {})
            if isinstance(command, c.Write):
                begin, end = begin - random.randint(0, most), end + random.randint(0, most)
            elif ended:
                data["ended"] = ended
            if not isinstance(command, c.Copy):
                lines.append(data | {"begin": begin, "end": end})
    return sorted(lines, key=lambda line: line["begin"])


def head(disks: dict[str, int], block: int) -> Line:
    return {"format": "cbtspec-trace", "version": 1, "block": block, "disks": disks, "copies": "unknown"}


# Lines


def test_a_line_that_spells_out_what_it_need_not_says_the_same() -> None:
    lines = [json.loads(each) for each in generator().trace(2_000, disks=2, every=500)]
    spelt = [each | {"kind": "write"} if each.get("do") == "write" else each for each in lines]
    one, other = to_json(read(lines)), to_json(read(spelt))
    assert one == other
    assert not read(lines).number


WRITE = '{"do":"write","node":"d","offset":0,"length":512'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (WRITE + ',"length":1024}', "'length' is there twice"),
        (WRITE + ',"at":2,"at":3}', "'at' is there twice"),
        (WRITE + ',"length":1024,"at":2}', "'length' is there twice"),
        (WRITE + ',"begin":2,"begin":3}', "'begin' is there twice"),
        (WRITE + ',"at":2,"begin":3}', "exclude each other"),
        (WRITE + ',"begin":3,"end":2}', "ends before it begins"),
        (WRITE + ',"at":0}', "out of order"),
        (WRITE + ',"begin":0,"end":5}', "out of order"),
        (WRITE + ',"begin":1}', "'begin' without an 'end'"),
        (WRITE + "}", "some lines say when it was"),
    ],
)
def test_what_looks_like_a_usual_line_and_is_none_is_refused(line: str, reason: str) -> None:
    first = json.dumps(head({"d": 65536}, 512))
    with pytest.raises(TraceProblem, match=f"line 3: .*{re.escape(reason)}"):
        read([first, WRITE + ',"at":1}', line])


def test_a_usual_line_beyond_the_end_of_the_disk_is_judged() -> None:
    first = json.dumps(head({"d": 65536}, 512))
    for length, number in ((512, 0), (1024, 1)):
        line = f'{{"do":"write","node":"d","offset":65024,"length":{length},"at":2}}'
        assert read([first, WRITE + ',"at":1}', line]).number == number


# Disks


def of_disk(line: Any, name: str) -> Any:
    """The same line, about another disk and jobs of other names."""
    if isinstance(line, list):
        return [of_disk(each, name) for each in line]
    if not isinstance(line, dict):
        return line
    made = {key: of_disk(value, name) for key, value in line.items()}
    if "node" in made:
        made["node"] = name
    if "job" in made:
        made["job"] = f"{name}-{made['job']}"
    if "ended" in made:
        made["ended"] = {f"{name}-{job}": outcome for job, outcome in made["ended"].items()}
    return made


def said_of(report: TraceReport, name: str) -> Iterator[object]:
    """What the backups of a disk give, without the lines."""
    for table, _ in report.tables:
        for row in table.rows:
            if row.node == name:
                lost = [(each.why, [*each.certain.numbers()], [*each.perhaps.numbers()]) for each in row.lost]
                yield row.job, row.gives, row.complete, sorted(lost), [*row.supplied.numbers()]


@pytest.mark.parametrize("seed", range(12))
def test_of_a_disk_the_same_is_said_whatever_happens_to_others_meanwhile(seed: int) -> None:
    random = Random(seed)
    chosen = random.sample(ONE_DISK, 3)
    parts = {f"d{at}": [of_disk(line, f"d{at}") for line in logged(each, random)] for at, each in enumerate(chosen)}
    sizes = {f"d{at}": next(iter(scenario_of(each).disks.values())) for at, each in enumerate(chosen)}
    block = min(scenario_of(each).block for each in chosen)
    every = sorted((line for part in parts.values() for line in part), key=lambda line: line["begin"])
    together = read([head(sizes, block), *every])
    assert not together.findings, "a true history"
    assert not together.counts.undecided
    for name, part in parts.items():
        alone = read([head({name: sizes[name]}, block), *part])
        assert [*said_of(alone, name)] == [*said_of(together, name)]
        assert [*said_of(alone, name)], "it has no backup"


def test_a_write_to_another_disk_is_not_told_apart_by_what_it_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has happened, whenever; so what is seen of its disk is judged as exactly as without the overlap."""
    add = {"do": "add-bitmap", "name": "b", "granularity": 512}
    lines: list[Line] = [
        head({"d": 65536, "e": 65536}, 512), add | {"node": "d", "at": 0}, add | {"node": "e", "at": 0},
        {"do": "clear-bitmap", "node": "d", "name": "b", "begin": 10, "end": 12},
        {"do": "write", "node": "e", "offset": 0, "length": 512, "begin": 11, "end": 13},
    ]  # fmt: skip
    runs = []
    chosen = Window._chosen

    def counted(*given: Any) -> Any:
        runs.append(given)
        return chosen(*given)

    monkeypatch.setattr(Window, "_chosen", counted)
    for dirty, number in (([[0, 512]], 0), ([], 1)):
        look = {"see": "bitmaps", "node": "e", "bitmaps": {"b": {"dirty": dirty}}, "at": 20}
        assert read([*lines, look]).number == number
    assert not runs
    lines[-1]["node"] = "d"
    for dirty in ([[0, 512]], []):
        look = {"see": "bitmaps", "node": "d", "bitmaps": {"b": {"dirty": dirty}}, "at": 20}
        assert read([*lines, look]).number == 0
    assert runs


# Chains


def test_points_that_are_told_of_changes_late_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of a disk wait until a backup begins, or somebody asks; here they are told at once, for comparison."""
    logs = [[head(scenario_of(each).disks, scenario_of(each).block), *logged(each, Random(1))] for each in HISTORIES]
    late = [to_json(read(each)) for each in logs]
    wrote = ChainsFollowed.wrote
    monkeypatch.setattr(ChainsFollowed, "wrote", lambda *given: wrote(*given).told())
    assert late == [to_json(read(each)) for each in logs]


@pytest.mark.parametrize("disks", [1, 3])
def test_a_long_log_of_a_right_tool_is_right_and_one_count_too_few_is_found(disks: int) -> None:
    lines = [json.loads(each) for each in generator().trace(8_000, disks=disks, every=600)]
    report = read(lines)
    assert not report.findings
    assert report.restores
    assert report.counts.looks_judged > 10
    looks = [line for line in lines if "see" in line and line["bitmaps"]["inc"]["count"]]
    looks[-1]["bitmaps"]["inc"]["count"] -= 64 * looks[-1]["bitmaps"]["inc"]["granularity"]
    assert read(lines).number == 1


def test_a_log_of_its_monitor_is_right() -> None:
    report = read([*generator().qmp(400, disks=2, every=40)], "qmp")
    assert not report.findings
    assert report.counts.replies_judged > 100
    assert report.counts.looks_judged > 50
