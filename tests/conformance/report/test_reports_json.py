"""The JSON report: its published schema, what it says was not verified, and when it calls a run conformant."""

import dataclasses
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.report import report_format
from cbtcheck.report.exported import to_json
from cbtcheck.report.junit import write_junit
from cbtcheck.run import course
from cbtcheck.run.not_verified import KINDS, blocking_in_words, not_verified
from cbtcheck.run.options import Options
from cbtcheck.run.outcome import outcome
from cbtcheck.run.part import NOT_ASKED_FOR
from cbtcheck.run.report import CommandCount, LedgerResult, MissedEdge, PropertyCount, Report
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.scenario.scenario import KINDS as COMMANDS
from cbtcheck.scenario.verdict import Verdict
from jsonschema import Draft202012Validator
from junitparser import JUnitXml, Skipped

SCHEMA = json.loads(report_format.published())
PAGE = (Path(__file__).parents[3] / "docs/use/reports.md").read_text()


def valid(report: Report) -> dict:
    """The report as JSON data, which is as the published schema says."""
    data = json.loads(to_json(report))
    Draft202012Validator(SCHEMA).validate(data)
    return data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """A real run on the reference implementation, as small as may be, unless it is to be whole."""

    def run(mistake: str = "", only: str | None = None, examples: int = 3) -> Report:
        reports = tmp_path_factory.mktemp("reports")
        options = Options("quick", 1, examples, None, only, reports)
        host = (host_with(mistake), mistake) if mistake else ()
        return course.run(lambda: ReferenceAdapter(*host), options, lambda *_: None)

    return run


@pytest.fixture(scope="module")
def whole(run) -> Report:
    return run()


@pytest.fixture
def complete(whole: Report) -> Report:
    """A run in which all was exercised that is claimed; to be changed by a test."""
    return dataclasses.replace(
        whole,
        commands={name: dataclasses.replace(each, features=Counter(each.features))
                  for name, each in whole.commands.items()},
        properties={property_id: dataclasses.replace(each) for property_id, each in whole.properties.items()},
        skipped=dict(whole.skipped), ledger=list(whole.ledger), unreached=Counter(whole.unreached),
    )  # fmt: skip


def test_the_published_schema_is_the_one_of_the_types() -> None:
    command = [sys.executable, "-m", "cbtcheck.report.report_format"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == report_format.published()
    Draft202012Validator.check_schema(SCHEMA)


def test_real_runs_are_as_the_schema_says(whole: Report, run) -> None:
    assert valid(whole)["conformant"]
    failed = valid(run("drop-successor-on-failure", only="cancel-job"))
    assert failed["failures"]
    assert failed["counts"]["failures"] == len(failed["failures"])
    assert not failed["conformant"]


def test_other_reports_are_as_the_schema_says(agreeing: Report, failing: Report) -> None:
    failing.failures[0].findings[0] = dataclasses.replace(failing.failures[0].findings[0], seen="half \ud800")
    assert "half ?" in valid(failing)["failures"][0]["findings"][0]["seen"]
    valid(agreeing)
    valid(Report("0.1.0", "qemu", "qemu-storage-daemon 7.2", "quick", 1))


@pytest.mark.parametrize(
    ("member", "wrong"),
    [("verdict", "splendid"), ("steps", -1), ("conformant", "yes"), ("not_verified", {}), ("version", 2)],
)
def test_what_is_not_as_the_schema_says_is_found(agreeing: Report, member: str, wrong: object) -> None:
    data = json.loads(to_json(agreeing)) | {member: wrong}
    assert not Draft202012Validator(SCHEMA).is_valid(data)


def test_every_member_is_required_and_more_are_allowed(agreeing: Report) -> None:
    data = json.loads(to_json(agreeing))
    assert SCHEMA["$defs"]["Document"]["required"] == list(data)
    assert Draft202012Validator(SCHEMA).is_valid(data | {"a member of a later suite": 1})


# When a run is conformant


def test_a_whole_run_on_the_reference_is_strictly_conformant(whole: Report) -> None:
    assert outcome(whole).conformant
    assert [each.name for each in not_verified(whole) if each.kind == "property"] == ["BATCH"]
    assert blocking_in_words(whole) == ""


def test_a_command_that_is_claimed_and_was_not_run_is_in_the_way(complete: Report) -> None:
    complete.commands["merge-bitmaps"] = CommandCount()
    assert blocking_in_words(complete) == "1 command"
    data = valid(complete)
    assert not data["conformant"]
    assert {"kind": "command", "name": "merge-bitmaps", "reason": "claimed, and never exercised", "count": 1,
            "blocking": True} in data["not_verified"]  # fmt: skip
    assert data["counts"]["commands"] == {"exact": len(data["commands"]) - 1, "not run": 1}
    assert data["counts"]["blocking"] == 1


def test_one_that_is_not_claimed_is_skipped_and_not_in_the_way(complete: Report) -> None:
    complete.commands["merge-bitmaps"] = CommandCount()
    complete.skipped["merge-bitmaps"] = "the implementation does not claim it"
    complete.skipped["zeroes"] = "the implementation does not claim it"
    data = valid(complete)
    assert data["conformant"]
    kinds = {(each["kind"], each["name"]): each["blocking"] for each in data["not_verified"]}
    assert kinds["command", "merge-bitmaps"] is kinds["capability", "zeroes"] is False
    assert data["counts"]["skipped"] == 3
    assert data["counts"]["commands"]["skipped"] == 1


def test_a_command_that_was_only_ever_refused_was_not_exercised(complete: Report) -> None:
    complete.commands["merge-bitmaps"] = CommandCount(0, Counter({"not found": 9}))
    (found,) = [each for each in not_verified(complete) if each.blocking]
    assert (found.name, found.reason) == ("merge-bitmaps", "claimed, and only ever refused")
    assert not outcome(complete).conformant


@pytest.mark.parametrize("feature", ["grouped", "disabled", "zeroes", "failed-copy", "refusals"])
def test_a_feature_that_is_claimed_and_was_not_exercised_is_in_the_way(complete: Report, feature: str) -> None:
    for count in complete.commands.values():
        count.features = Counter({name: number for name, number in count.features.items() if name != feature})
        count.refused = Counter({} if feature == "refusals" else count.refused)
    assert blocking_in_words(complete) == "1 capability"
    complete.skipped[feature] = "the implementation does not claim it"
    assert outcome(complete).conformant


def test_a_feature_that_means_nothing_without_another_is_not_in_the_way(complete: Report) -> None:
    for name in ("discard", "ignored-discard"):
        for count in complete.commands.values():
            count.features.pop(name, None)
    complete.skipped["discard"] = "the implementation does not claim it"
    assert outcome(complete).conformant
    reason = next(each.reason for each in not_verified(complete) if each.name == "ignored-discard")
    assert reason == "needs discard, which is not claimed"


def test_a_property_that_was_not_checked_is_in_the_way_unless_it_needs_what_is_not_claimed(complete: Report) -> None:
    complete.properties["DELIVERED"] = PropertyCount()
    assert blocking_in_words(complete) == "1 property"
    for name in PROPERTIES["DELIVERED"]:
        complete.skipped[name] = "the implementation does not claim it"
        complete.commands[name] = CommandCount()
    assert outcome(complete).conformant
    reason = next(each.reason for each in not_verified(complete) if each.name == "DELIVERED")
    assert reason == "needs one of start-backup, transaction; none is claimed"


def test_data_that_were_never_compared_are_in_the_way_unless_they_cannot_be_read(complete: Report) -> None:
    complete.compared = 0
    assert blocking_in_words(complete) == "restored data"
    complete.skipped["content"] = "the implementation does not claim it"
    assert outcome(complete).conformant


def test_a_run_that_was_narrowed_is_not_strictly_conformant(run) -> None:
    narrowed = run(only="clear-bitmap")
    assert narrowed.conformant
    assert narrowed.unreached[NOT_ASKED_FOR]
    data = valid(narrowed)
    assert not data["conformant"]
    assert any(each["kind"] == "edges" and each["blocking"] for each in data["not_verified"])


@pytest.mark.parametrize(("outcome", "conformant"), [("known", True), ("gone", False), ("changed", False)])
def test_the_ledger_must_be_true(complete: Report, outcome: str, conformant: bool) -> None:
    complete.ledger = [LedgerResult("QEMU-1", "A title", outcome, "a detail", Verdict.UNSAFE, 3)]
    data = valid(complete)
    assert data["conformant"] is conformant
    assert data["counts"]["ledger"] == {outcome: 1}
    assert [each["count"] for each in data["not_verified"] if each["kind"] == "turned away"] == [3]


def test_an_interrupted_run_is_not_conformant(complete: Report) -> None:
    complete.interrupted = True
    assert not valid(complete)["conformant"]


def test_all_that_was_not_verified_is_counted(agreeing: Report) -> None:
    agreeing.compared = 0
    agreeing.ledger = [LedgerResult("QEMU-1", "A title", "skipped", "only since 8.0", Verdict.UNSAFE, 3)]
    agreeing.bounded = {"disks of more than 64M": "hello has no 'largest_disk'"}
    data = valid(agreeing)
    assert set(data["counts"]["not_verified"]) == set(KINDS)
    assert data["counts"]["not_verified"] == Counter(each["kind"] for each in data["not_verified"])


def test_edges_are_told_by_command(complete: Report) -> None:
    assert sum(complete.reached.values()) == complete.edges_covered
    complete.missed = [MissedEdge("copy", "copy | running", "a reason")]
    edges = valid(complete)["edges_by_command"]
    assert edges["copy"]["missed"] == {"a reason": 1}
    assert set(edges) == set(COMMANDS) - {"abort", "restore"}


# JUnit


def test_junit_says_why_something_was_not_verified(complete: Report, tmp_path: Path) -> None:
    complete.commands["merge-bitmaps"] = CommandCount(0, Counter({"not found": 9}))
    complete.commands["copy"] = CommandCount()
    complete.skipped |= {"zeroes": "not claimed", "copy": "not claimed"}
    write_junit(complete, tmp_path / "junit.xml")
    document = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    said = {case.name: case.result[0] for suite in document for case in suite if case.result}
    assert all(isinstance(each, Skipped) for each in said.values())
    assert said["merge-bitmaps"].message == "skipped: claimed, and only ever refused"
    assert said["copy"].message == "skipped: not claimed"
    assert said["capability: zeroes"].message == "not claimed (1)"
    assert said["the whole run"].message.endswith("claimed, and never exercised: 1 command.")
    properties = {each.name: each.value for suite in document for each in suite.properties()}
    assert properties == {
        "suite": complete.suite, "implementation": complete.implementation, "profile": "quick", "seed": "1",
        "conformant": "false",
    }  # fmt: skip


# The page


def test_the_page_shows_what_a_run_says(whole: Report) -> None:
    data = json.loads(to_json(whole))
    lines = PAGE.splitlines()
    assert json.dumps(data["counts"], separators=(",", ":")) in lines
    for each in data["not_verified"]:
        assert json.dumps(each, separators=(",", ":")) in lines


def test_the_page_has_every_kind_of_what_was_not_verified() -> None:
    assert re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.MULTILINE) == list(KINDS)


def test_why_a_scenario_was_not_saved_is_there(failing: Report) -> None:
    assert {each["not_saved"] for each in valid(failing)["failures"]} == {None}
    failing.failures[0].saved, failing.failures[0].not_saved = None, "reports cannot be written: disk full"
    told = valid(failing)["failures"][0]
    assert (told["saved"], told["not_saved"]) == (None, "reports cannot be written: disk full")
