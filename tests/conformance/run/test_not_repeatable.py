"""Before anything is called a failure it is played again; what does not come again is a verdict of its own."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import Adapter, AdapterBroken, Hint, Performed
from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.checking import code_of
from cbtcheck.conformance_tests import ConformanceTests, Played
from cbtcheck.report.exported import to_json
from cbtcheck.report.github import summary, workflow_commands
from cbtcheck.report.html_report import to_html
from cbtcheck.report.junit import write_junit
from cbtcheck.report.printed import print_report
from cbtcheck.run import course, plan
from cbtcheck.run.options import Options
from cbtcheck.run.outcome import outcome
from cbtcheck.run.part import TRAPS
from cbtcheck.run.plan import Given, Item
from cbtcheck.run.profiles import Profile
from cbtcheck.run.repeat import REPLAYS, repeated
from cbtcheck.run.report import Report
from cbtcheck.run.results import how_often
from cbtcheck.scenario.scenario import Scenario, load
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel import commands as c
from cbtmodel.commands import Command
from junitparser import JUnitXml, Skipped
from rich.console import Console

ADD = c.AddBitmap("disk0", "b0", 4096)
WRITE = c.Write("disk0", 0, 1)


class Flaky(ReferenceAdapter):
    """Breaks in the writes of these scenarios, which are counted from 1; or loses them, if it `loses`."""

    def __init__(self, fails: Callable[[int], bool], why: str = "hang: no answer", loses: bool = False) -> None:
        self.fails, self.why, self.loses, self.played = fails, why, loses, 0
        super().__init__()
        self.played = 0

    def reset(self, disks: dict[str, int]) -> None:
        self.played += 1
        super().reset(disks)

    def perform(self, command: Command, hint: Hint) -> Performed:
        if isinstance(command, c.Write) and self.fails(self.played):
            if not self.loses:
                raise AdapterBroken(self.why, "the first line\nthe last line")
            done = super().perform(command, hint)
            super().perform(c.ClearBitmap("disk0", "b0"), hint)
            return done
        return super().perform(command, hint)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A run that plays one scenario so many times, and nothing else."""
    monkeypatch.setattr(plan, "tour", lambda _: ())
    monkeypatch.setattr(plan, "traps", lambda _: {})
    monkeypatch.setattr(plan, "families", lambda: ())
    monkeypatch.setattr(plan, "restarts", lambda *_: {})
    monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
    monkeypatch.setattr(Profile, "lengths", lambda _: [])
    monkeypatch.setattr(plan, "workflows", dict)

    def of(adapter: Adapter, times: int = 1, scenarios: Sequence[Scenario] = (), first: bool = False) -> Report:
        class Deal:
            def __enter__(self) -> Iterator[tuple[int, Scenario]]:
                return iter(enumerate(scenarios or [Scenario({"disk0": 32768}, (ADD, WRITE))] * times))

            def __exit__(self, *_: Any) -> None: ...

        monkeypatch.setattr(course, "dealer", lambda *_: Deal())
        many = len(scenarios) or times
        options = Options("quick", 1, many, None, None, tmp_path / "r", first=first)
        return course.run(lambda: adapter, options, lambda *_: None)

    return of


@pytest.mark.parametrize("loses", [False, True])
def test_what_fails_once_is_neither_passed_nor_failed(run: Callable[..., Report], loses: bool) -> None:
    report = run(Flaky(lambda played: played == 1, loses=loses))
    assert report.failures == []
    (once,) = report.not_repeatable
    assert once.verdict is (Verdict.UNSAFE if loses else Verdict.BROKEN)
    assert (once.plays, once.failed) == (1 + REPLAYS, 1)
    assert once.saved is not None
    assert once.saved.name == "reference-not-repeatable-1.json"
    assert load(once.saved).commands == (ADD, WRITE)
    assert "failed once, and not when it was replayed" in once.scenario.title
    assert report.safety is Verdict.NOT_REPEATABLE
    assert report.commands["write"].worst is Verdict.NOT_REPEATABLE
    assert not outcome(report).conformant
    assert code_of(report) == 5


def test_every_form_of_the_report_lists_it_apart(run: Callable[..., Report], tmp_path: Path) -> None:
    report = run(Flaky(lambda played: played == 1, loses=True))
    console = Console(width=100, file=io.StringIO(), record=True)
    print_report(report, console)
    text = console.export_text()
    assert "Not repeatable 1 of 1: seen as unsafe (drawn)" in text
    assert f"seen once; not in {REPLAYS} replays" in text
    assert "NOT REPEATABLE: 1 not repeatable" in text.splitlines()[-1]
    assert "a write was lost" not in text
    data = json.loads(to_json(report))
    assert (data["failures"], data["conformant"], data["exit_code"]) == ([], False, 5)
    assert data["not_repeatable"][0]["verdict"] == "unsafe"
    assert data["not_repeatable"][0]["plays"] == 1 + REPLAYS
    assert (data["safety"], data["counts"]["failures"]) == ("not repeatable", 0)
    write_junit(report, tmp_path / "junit.xml")
    cases = {case.name: case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite}
    for name in ("not repeatable 1: drawn", "the whole run", "NO-LOST-WRITE", "write"):
        assert isinstance(cases[name].result[0], Skipped), name
    assert ' id="not-repeatable"' in to_html(report)
    assert "### Not repeatable 1 of 1: seen as unsafe" in summary(report)
    told = [each for each in workflow_commands(report) if "not repeatable%2C seen as unsafe" in each]
    assert told[0].startswith("::warning")
    assert not [each for each in workflow_commands(report) if each.startswith("::error")]


def test_what_fails_each_time_is_a_failure(run: Callable[..., Report]) -> None:
    report = run(Flaky(lambda _: True))
    (failure,) = report.failures
    assert report.not_repeatable == []
    assert failure.plays == failure.failed == 2
    assert code_of(report) == 3


def test_what_fails_now_and_then_is_a_failure_that_says_how_often(run: Callable[..., Report]) -> None:
    report = run(Flaky(lambda played: played % 3 == 1))
    (failure,) = report.failures
    assert (failure.failed, failure.plays) == (2, 4)
    assert report.not_repeatable == []


def test_once_does_not_hide_what_comes_again(run: Callable[..., Report]) -> None:
    """The first is not repeatable; the same later is."""
    report = run(Flaky(lambda played: played == 1 or played > 3 + REPLAYS), times=5)
    assert len(report.not_repeatable) == 1
    (failure,) = report.failures
    assert failure.verdict is Verdict.BROKEN
    assert failure.also == 5 - 3 - 1
    assert code_of(report) == 3


def test_a_crash_stays_what_it_is(run: Callable[..., Report]) -> None:
    report = run(Flaky(lambda played: played == 1, "crash: the daemon died with signal 6"))
    (failure,) = report.failures
    assert report.not_repeatable == []
    assert failure.verdict is report.safety is Verdict.BROKEN
    assert (failure.failed, failure.plays) == (1, 1 + REPLAYS)
    assert code_of(report) == 3
    assert f"seen once; not in {REPLAYS} replays" in summary(report).replace("\\", "")
    assert failure.output is not None
    assert failure.output.read_text() == "the first line\nthe last line"
    assert failure.saved is not None
    assert failure.output.name == f"{failure.saved.stem}.output-1.txt"


def test_what_fails_in_another_way_each_time_is_still_a_failure() -> None:
    def found(verdict: Verdict) -> tuple[list[Finding], list[Any]]:
        return [Finding(verdict, "", "here", "this", "that")], []

    others = iter([Verdict.DIVERGES, Verdict.UNSAFE, Verdict.WASTEFUL, Verdict.DIVERGES, Verdict.UNSAFE])
    came = repeated(found(Verdict.BROKEN), lambda: found(next(others)))
    assert came.comes_again
    assert came.findings[0].verdict is Verdict.WASTEFUL, "no more than that can be relied on"


def test_waste_that_was_seen_once_is_no_waste(run: Callable[..., Report]) -> None:
    class WastesOnce(ReferenceAdapter):
        played = 0

        def reset(self, disks: dict[str, int]) -> None:
            self.played += 1
            super().reset(disks)

        def perform(self, command: Command, hint: Hint) -> Performed:
            done = super().perform(command, hint)
            if isinstance(command, c.Write) and self.played == 1:
                super().perform(c.Write("disk0", 8192, 1), hint)
            return done

    adapter = WastesOnce()
    adapter.played = 0
    report = run(adapter)
    assert report.failures == []
    assert [each.verdict for each in report.not_repeatable] == [Verdict.WASTEFUL]
    assert report.exactness is Verdict.NOT_REPEATABLE
    assert code_of(report) == 5


def test_a_mistake_is_repeatable_everywhere(run: Callable[..., Report]) -> None:
    report = run(ReferenceAdapter(host_with("hook-never-called"), "hook-never-called"), times=3)
    (failure,) = report.failures
    assert report.not_repeatable == []
    assert failure.also == 2


FLYING = (ADD, c.BeginWrite("disk0", "w", 0, 1), c.EndWrite("disk0", "w"))


def test_failures_of_one_cause_are_one_and_the_others_are_kept_with_it(run: Callable[..., Report]) -> None:
    """What is lost is seen at a write, and at the end of a write."""
    scenarios = [Scenario({"disk0": 32768}, each) for each in ((ADD, WRITE), FLYING, (ADD, WRITE), FLYING)]
    report = run(ReferenceAdapter(host_with("hook-never-called"), "hook-never-called"), scenarios=scenarios)
    (failure,) = report.failures
    (other,) = failure.others
    assert failure.also == 3
    assert other.saved is not None
    assert f"also seen in 3 other scenarios, among them {other.saved}" in how_often(failure)
    assert outcome(report).closing == "NOT CONFORMANT: 1 failure, the worst unsafe."


def test_the_first_failure_ends_a_run_that_asks_for_that_and_what_is_not_repeatable_does_not(
    run: Callable[..., Report]
) -> None:
    report = run(Flaky(lambda played: played == 1 or played > 3 + REPLAYS), times=50, first=True)
    assert len(report.not_repeatable) == len(report.failures) == 1
    assert report.phases["drawn"] == 4
    assert "stopped after the first failure; the rest was not played" in outcome(report).closing


def test_somebodys_own_tests_neither_pass_nor_fail_with_it() -> None:
    def test(adapter: Adapter) -> None:
        given = Given("once", Scenario({"disk0": 32768}, (ADD, WRITE)))
        played = Played(adapter, Options("quick", 1, 1, None, None, Path()))
        ConformanceTests().play(played, [Item(TRAPS, 0, 1, given)])

    with pytest.raises(pytest.skip.Exception, match=rf"not repeatable, .*seen once; not in {REPLAYS} replays"):
        test(Flaky(lambda played: played == 1))
    with pytest.raises(pytest.fail.Exception, match="hang: no answer"):
        test(Flaky(lambda _: True))
    with pytest.raises(pytest.fail.Exception, match="signal 6"):
        test(Flaky(lambda played: played == 1, "crash: signal 6"))
