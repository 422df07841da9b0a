"""The report of a run: printed, as JSON, as JUnit. What was not run is never a pass."""

import io
import json
from pathlib import Path

import pytest
from cbtcheck.report import brief
from cbtcheck.report.exported import to_json, write_junit
from cbtcheck.report.printed import print_report
from cbtcheck.run.not_verified import KINDS, NotVerified
from cbtcheck.run.report import LedgerResult, Report
from cbtcheck.scenario.scenario import from_data
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel.commands import AddBitmap, Write
from cbtmodel.properties import IDS
from junitparser import JUnitXml, Skipped
from rich.console import Console

STEPS = (AddBitmap("disk0", "b0", 65536), Write("disk0", 65536, 4096))


def printed(report: Report, more_options: str = "", verbose: bool = True) -> str:
    out = io.StringIO()
    print_report(report, Console(file=out, width=100), more_options, verbose)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def test_an_agreeing_run_is_printed(agreeing: Report, golden) -> None:
    golden("report-conformant.txt", printed(agreeing))


def test_a_failing_run_is_printed(failing: Report, golden) -> None:
    golden("report-failing.txt", printed(failing))


def test_a_run_that_passes_is_ten_lines_with_a_next_step(agreeing: Report, golden) -> None:
    agreeing.ledger = [
        LedgerResult(f"known-{number}", "loses bits", "known", "", Verdict.UNSAFE, 3) for number in range(20)
    ]
    agreeing.not_realised["read error"] = 5
    text = printed(agreeing, verbose=False)
    assert len(text.splitlines()) <= 10
    golden("report-brief.txt", text)


def test_a_run_that_fails_shows_first_what_failed_and_ends_with_the_same_summary(failing: Report, golden) -> None:
    text = printed(failing, verbose=False)
    heading, reproduce, summary = (text.index(each) for each in ("Failure 1 of 1", "Reproduce with", "scenarios  "))
    assert heading < reproduce < summary
    golden("report-brief-failing.txt", text)
    assert printed(failing).index("Failure 1 of 1") < printed(failing).index("command   ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "-v names what was never exercised"),
        ({"only": "write"}, "cbtspec check reference --profile quick --memory 9M   (without --only: "),
        ({"interrupted": True}, "cbtspec check reference --profile quick --memory 9M   (to its end)"),
        ({"steps": 0}, "cbtspec check --help"),
    ],
)
def test_the_next_step_is_that_of_what_came_out(agreeing: Report, change: dict[str, object], said: str) -> None:
    for name, value in change.items():
        setattr(agreeing, name, value)
    (line,) = (each for each in printed(agreeing, "--memory 9M", False).splitlines() if each.startswith("next "))
    assert line.removeprefix("next").strip().startswith(said)


def test_the_next_step_after_a_failure_is_to_see_it_again(failing: Report) -> None:
    (line,) = (each for each in printed(failing, "", False).splitlines() if each.startswith("next "))
    assert line.split(None, 1)[1] == "cbtspec replay 'reports/lost write.json' --adapter reference"


def test_the_line_to_paste_can_be_pasted(failing: Report) -> None:
    line = "Reproduce with: cbtspec replay 'reports/lost write.json' --adapter reference --mistake m"
    assert line in printed(failing, "--mistake m").splitlines()


def test_nothing_run_is_no_result(nothing: Report) -> None:
    text = printed(nothing)
    assert text.splitlines()[-1] == "NO RESULT: nothing was run."
    assert "exact " not in text
    assert text.count("not run") >= len(IDS) + 2


def test_an_interrupted_run_is_not_conformant(agreeing: Report) -> None:
    agreeing.interrupted = True
    assert "(not conformant): interrupted" in printed(agreeing)
    assert not json.loads(to_json(agreeing))["conformant"]


def test_a_known_failure_stands_beside_the_results(failing: Report) -> None:
    failing.failures = []
    text = printed(failing)
    assert "safety     exact: no write was seen lost, but for what is known: merge-loses" in text
    assert "AGREES, INCOMPLETE (not conformant), but for 1 known failure in the ledger: " in text


@pytest.mark.parametrize(("outcome", "words"), [("gone", "does not fail any more"), ("changed", "in another way")])
def test_a_ledger_that_is_not_true_any_more_is_the_closing_line(agreeing: Report, outcome: str, words: str) -> None:
    agreeing.ledger = [LedgerResult("merge-loses", "A merge loses bits", outcome, "", Verdict.EXACT)]
    assert printed(agreeing).splitlines()[-1].startswith("NOT CONFORMANT: the ledger is to be reviewed: merge-loses")
    assert words in printed(agreeing)


def test_json_has_its_keys_and_the_scenario_can_be_played_again(failing: Report) -> None:
    data = json.loads(to_json(failing))
    assert list(data) == [
        "format", "version", "suite", "adapter", "implementation", "profile", "seed", "conformant", "interrupted",
        "verdict", "safety", "exactness", "scenarios", "steps", "compared", "seconds", "commands", "properties",
        "skipped", "not_realised", "ledger", "tour", "edges", "edges_by_command", "counts", "not_verified",
        "failures", "not_repeatable", "agrees", "closing", "exit_code", "incomplete", "claimed",
        "failed_first", "workers_died", "played_again", "image_edges",
    ]  # fmt: skip
    assert (data["format"], data["version"], data["conformant"]) == ("cbtspec-report", 1, False)
    assert (data["safety"], data["exactness"]) == ("unsafe", "exact")
    assert data["commands"]["add-bitmap"] == {
        "accepted": 1200, "refused": {"exists": 3, "invalid": 40}, "verdict": "exact",
    }  # fmt: skip
    (failure,) = data["failures"]
    assert from_data(failure["scenario"]).commands == STEPS
    assert failure["findings"][0]["missing"] == "0x2"


def test_the_tour_is_told_with_what_it_did_not_reach(agreeing: Report, tmp_path: Path) -> None:
    text = printed(agreeing)
    assert "40 control sequences × every write history of up to 5 writes: 640 pairs, 1,280/s" in text  # noqa: RUF001
    assert "not reached  20 edges: copy: not made to happen" in text
    assert "in part    3 control sequences: merge-bitmaps: turned away (merge-loses)" in text
    assert "bounded    2 longer control sequences" in text
    data = json.loads(to_json(agreeing))
    assert data["edges"] == {"covered": 180, "reachable": 200, "unreached": {"copy: not made to happen": 20}}
    assert data["tour"] == {
        "walks": 90, "sequences": 40, "writes": 5, "bounded": 2, "pairs": 640, "plays": 80,
        "in_part": {"merge-bitmaps: turned away (merge-loses)": 3}, "seconds": 0.5, "pairs_per_second": 1280,
    }  # fmt: skip
    write_junit(agreeing, tmp_path / "junit.xml")
    suites = {suite.name: list(suite) for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml"))}
    tour, histories, unreached, in_part = suites["cbtspec.tour"]
    assert (tour.name, tour.system_out, tour.result) == ("tour", "180 of 200 edges", [])
    assert histories.result == []
    assert "640 pairs" in histories.system_out
    assert isinstance(unreached.result[0], Skipped)
    assert isinstance(in_part.result[0], Skipped)


def test_a_tour_that_found_something_is_no_pass(failing: Report, tmp_path: Path) -> None:
    failing.failures[0].origin = "every write history"
    write_junit(failing, tmp_path / "junit.xml")
    cases = {case.name: case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite}
    assert "expected at least granules 1" in cases["every write history"].result[0].text
    assert cases["tour"].result == []


def test_json_of_nothing_has_no_verdicts(nothing: Report) -> None:
    data = json.loads(to_json(nothing))
    assert (data["conformant"], data["verdict"], data["safety"], data["exactness"]) == (False, None, None, None)
    assert {each["verdict"] for each in [*data["commands"].values(), *data["properties"].values()]} == {None}


def test_junit_skips_what_was_not_run_and_shows_what_failed(failing: Report, tmp_path: Path) -> None:
    failing.failures[0].findings.append(Finding(Verdict.BROKEN, "", "reset", "fresh disks", "garbage \x00\x1b"))
    write_junit(failing, tmp_path / "junit.xml")
    cases = {case.name: case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite}
    passed = {name for name, case in cases.items() if not case.result}
    assert passed == {"ATOMIC", "add-bitmap", "tour", "every write history"}
    assert all(isinstance(cases[name].result[0], Skipped) for name in ("BATCH", "merge-bitmaps", "merge-loses"))
    for name in ("NO-LOST-WRITE", "write", "drawn 1"):
        assert "expected at least granules 1" in cases[name].result[0].text
        assert "✗" in cases[name].result[0].text
    assert "NOT CONFORMANT" in cases["the whole run"].result[0].message


def test_junit_of_nothing_passes_nothing(nothing: Report, tmp_path: Path) -> None:
    write_junit(nothing, tmp_path / "junit.xml")
    cases = [case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite]
    assert cases
    assert all(isinstance(case.result[0], Skipped) for case in cases)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [1, 2, 5])
def test_whatever_was_not_verified_can_be_counted_in_a_line(kind: str, many: int) -> None:
    found = [NotVerified(kind, f"n{number}", "why", 1, False) for number in range(many)]
    assert brief._counted(Report("0", "x", "1", "quick", 1), kind, found)
