"""`--failed-first`: a run begins with what failed in the last one, and says what came of it."""

import json
from pathlib import Path

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.run.course import Course, gathering_for
from cbtcheck.run.failed_before import LIST, FailedBefore, Keeper, failed_before
from cbtcheck.run.gather import Gathering
from cbtcheck.run.options import Options
from cbtcheck.run.part import DRAWN, FAILED_BEFORE, Part
from cbtcheck.run.plan import Plan
from cbtcheck.run.report import FailedFirst, Failure, Report
from cbtcheck.scenario.scenario import Scenario, save
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel.commands import AddBitmap, Write
from click.testing import CliRunner, Result

LOST = Scenario({"disk0": 65536}, (AddBitmap("disk0", "b", 512), Write("disk0", 0, 512)), title="lost")


def check(*words: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, words)])


def listed(reports: Path) -> list[str]:
    return (reports / f"{LIST}reference").read_text().splitlines()


def gathered(reports: Path, stopped: str = "", agree: dict[str, bool] | None = None, *found: Scenario) -> Report:
    """A run that found this."""
    report = Report("0", "reference", "it 1", "quick", 1, stopped=stopped)
    if agree is not None:
        report.before = FailedFirst(str(reports), tuple(agree), agree=agree)
    gathering = Gathering(report, reports)
    for number, each in enumerate(found):
        part = Part(DRAWN, number, len(found))
        finding = Finding(Verdict.UNSAFE, "DELIVERED", "somewhere", "this", "that")
        part.failures.append(((number,), Failure("drawn", each, [], [finding])))
        gathering.add(part)
    gathering._remember()
    return report


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_second_run_fails_at_its_first_scenario(tmp_path: Path, jobs: int) -> None:
    words = ("-x", "--failed-first", "--reports", tmp_path, "--mistake", "zeroes-not-marked", "--jobs", jobs)
    first = check(*words)
    assert "nothing to play: no failure of the last run is saved" in " ".join(first.output.split())
    again = json.loads(check(*words, "--format", "json").stdout)
    assert again["scenarios"] == {FAILED_BEFORE: 1}
    assert again["failed_first"]["disagree"] == ["reference-unsafe-1.json"]
    assert again["exit_code"] == 2
    assert listed(tmp_path) == ["reference-unsafe-1.json"]


def test_after_mending_it_is_said_that_they_agree_and_what_cannot_be_read(tmp_path: Path) -> None:
    save(LOST, tmp_path / "reference-unsafe-1.json")
    (tmp_path / "reference-unsafe-2.json").write_text("{")
    before = failed_before(tmp_path, "reference")
    options = Options("quick", 1, 1, None, None, tmp_path, before=before)
    adapter = ReferenceAdapter()
    gathering = gathering_for("reference", "it", options)
    course = Course(adapter, options, lambda *_: None, lambda: False, gathering.add)
    for item in Plan("reference", adapter.capabilities, options).failed_before():
        course.play_item(item, gathering.known)
    told = gathering.report.before
    assert told is not None
    assert told.agree == {"reference-unsafe-1.json": True}
    assert "1 agrees now, 0 not" in told.in_words()
    assert len(told.unreadable) == 1
    assert "reference-unsafe-2.json" in told.unreadable[0]
    assert gathering.report.phases == {FAILED_BEFORE: 1}


def test_only_those_of_the_last_run_count(tmp_path: Path) -> None:
    other = Scenario({"disk0": 512}, (Write("disk0", 0, 512),))
    gathered(tmp_path, "", None, LOST)
    gathered(tmp_path, "", None, other)
    assert listed(tmp_path) == ["reference-unsafe-2.json"]
    assert [each for _, each in failed_before(tmp_path, "reference").scenarios] == [other]
    gathered(tmp_path)
    assert failed_before(tmp_path, "reference") == FailedBefore()


def test_a_run_that_was_cut_short_keeps_what_it_did_not_play(tmp_path: Path) -> None:
    gathered(tmp_path, "", None, LOST, Scenario({"disk0": 512}, ()))
    gathered(tmp_path, "stopped early", {"reference-unsafe-1.json": True})
    assert listed(tmp_path) == ["reference-unsafe-2.json"]


def test_without_a_list_all_that_are_saved_for_the_adapter_are_taken(tmp_path: Path) -> None:
    for name in ("reference-unsafe-10", "reference-not-repeatable-2", "qemu-unsafe-1", "reference-other"):
        save(LOST, tmp_path / f"{name}.json")
    names = [name for name, _ in failed_before(tmp_path, "reference").scenarios]
    assert names == ["reference-unsafe-10.json", "reference-not-repeatable-2.json"]


def test_the_list_names_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / f"{LIST}reference").write_text("../reference-unsafe-1.json\n/etc/passwd\nreference-unsafe-1.json\n")
    assert failed_before(tmp_path, "reference").scenarios == ()
    assert len(failed_before(tmp_path, "reference").unreadable) == 1


def test_a_list_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / f"{LIST}reference").mkdir()  # in its place
    keeper = Keeper(tmp_path, "reference")
    keeper.saved("reference-unsafe-1.json")
    assert "the list for --failed-first, cannot be written: Is a directory" in keeper.not_written
    assert gathered(tmp_path, "", None, LOST).list_not_written == keeper.not_written
