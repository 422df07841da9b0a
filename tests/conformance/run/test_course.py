"""The course of a run: what it plays and counts, what it does with a failure, and that nothing is left behind.

The tour is a matter of its own (test_tour.py); here it is left out.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import Adapter, AdapterBroken, Hint, Performed
from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.checking import code_of
from cbtcheck.run import course, plan
from cbtcheck.run.course import replay
from cbtcheck.run.deal import NOTHING_YET, Dealt, dealer
from cbtcheck.run.gather import ENOUGH_FAILURES
from cbtcheck.run.options import Options
from cbtcheck.run.profiles import Profile
from cbtcheck.run.report import Report
from cbtcheck.run.wanted import SUBJECTS, names_for_only
from cbtcheck.scenario.scenario import Scenario, as_text, load
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.commands import Command

STEPS = 14
CAPABILITIES = ReferenceAdapter.capabilities
ADD = c.AddBitmap("disk0", "b0", 4096)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where temporary files go; afterwards there must be none, and no child process either."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert multiprocessing.active_children() == []
    assert list(place.iterdir()) == []


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A run on an adapter, by default the reference, with `examples` drawn scenarios; without tour and traps."""
    monkeypatch.setattr(plan, "tour", lambda _: ())
    monkeypatch.setattr(plan, "traps", lambda _: {})
    monkeypatch.setattr(plan, "families", lambda: ())
    monkeypatch.setattr(plan, "restarts", lambda *_: {})
    monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
    monkeypatch.setattr(Profile, "lengths", lambda _: [])

    def of(adapter: Adapter | None = None, progress: Any = None, **options: Any) -> Report:
        wanted: dict[str, Any] = {"examples": 40, "seconds": None, "only": None, "reports": tmp_path / "r"} | options
        made = Options("quick", wanted.pop("seed", 5), **wanted)
        return course.run(lambda: adapter or ReferenceAdapter(), made, progress or (lambda *_: None))

    return of


def with_mistake(name: str) -> Adapter:
    return ReferenceAdapter(host_with(name), name)


def these(monkeypatch: pytest.MonkeyPatch, *drawn: Scenario) -> None:
    """Instead of what is drawn, these scenarios; and no workflows."""

    class Deal:
        def __enter__(self) -> Iterator[tuple[int, Scenario]]:
            return iter(enumerate(drawn))

        def __exit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(course, "dealer", lambda *_: Deal())
    monkeypatch.setattr(plan, "workflows", dict)


def scenario(*commands: Any) -> Scenario:
    return Scenario({"disk0": 32768}, commands)


# A run


def test_a_run_on_the_reference_is_conformant_and_counts_what_it_ran(run: Callable[..., Report]) -> None:
    report = run()
    assert report.conformant
    assert report.verdict is report.safety is report.exactness is Verdict.EXACT
    assert report.phases == {"workflows": 8, "drawn": 40}
    assert report.scenarios == 48
    assert report.steps > 48
    assert report.compared >= 3 * 8
    assert report.seconds > 0
    assert report.commands["write"].accepted > 0
    assert report.commands["write"].worst is Verdict.EXACT
    assert 0 < report.edges_covered < report.edges_reachable
    assert code_of(report) == EXIT_CODES["incomplete"], "the tour is left out"


def test_what_was_not_run_is_counted_as_not_run(
    run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    these(monkeypatch, scenario(ADD))
    report = run()
    assert report.commands["add-bitmap"].accepted == 1
    others = [count for name, count in report.commands.items() if name != "add-bitmap"]
    assert all(count.accepted == count.refused.total() == 0 for count in others)
    checked = {property_id for property_id, count in report.properties.items() if count.checked}
    assert checked == {"EXACT", "ONE-HEIR"}
    assert "BATCH" in report.skipped


def test_refusals_are_counted_by_their_kind(run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    these(monkeypatch, scenario(ADD, ADD, c.ClearBitmap("disk0", "x")))
    report = run()
    assert report.commands["add-bitmap"].refused == {"exists": 1}
    assert report.commands["clear-bitmap"].refused == {"not found": 1}
    assert report.properties["ATOMIC"].checked == 2


def test_what_an_implementation_does_not_claim_is_skipped(run: Callable[..., Report]) -> None:
    class Modest(ReferenceAdapter):
        capabilities = replace(CAPABILITIES, commands=CAPABILITIES.commands - {"merge-bitmaps"})

    report = run(Modest(), examples=20)
    assert report.skipped["merge-bitmaps"] == "the implementation does not claim it"


def test_nothing_is_left_to_do_is_no_success(run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    these(monkeypatch)
    report = run()
    assert not report.conformant
    assert code_of(report) == EXIT_CODES["usage"]


# A failure


def test_a_seeded_mistake_is_found_and_shortened_and_its_file_replays_it(
    run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "workflows", dict)  # they would find it first
    report = run(with_mistake("frozen-parent-records"), examples=200)
    assert report.safety is Verdict.UNSAFE
    assert code_of(report) == EXIT_CODES["unsafe or diverging"]
    drawn = [each for each in report.failures if each.origin == "drawn" and each.verdict is Verdict.UNSAFE]
    lengths = [len(each.scenario.commands) for each in drawn]
    assert min(lengths) <= 3
    assert max(lengths) <= 8, "where no smaller change leads to a shorter one"
    for failure in drawn:
        assert failure.saved is not None
        assert failure.saved.parent == tmp_path / "r"
        saved = load(failure.saved)
        _, findings = replay(with_mistake("frozen-parent-records"), saved)
        assert findings == failure.findings
        assert replay(ReferenceAdapter(), saved)[1] == []


def test_a_workflow_that_fails_is_made_short_and_keeps_its_sizes(run: Callable[..., Report]) -> None:
    report = run(with_mistake("hook-never-called"), examples=1)
    failure = report.failures[0]
    workflow = workflows()["1-full-while-nothing-writes"]
    assert failure.origin == "1-full-while-nothing-writes"
    assert failure.scenario.disks == workflow.disks
    assert len(failure.scenario.commands) <= 3 < len(workflow.commands)


def test_the_same_failure_is_reported_once(run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = (ADD, c.Write("disk0", 0, 1))
    these(monkeypatch, scenario(*lost), scenario(*lost, ADD), scenario(c.AddBitmap("disk0", "b1", 4096), *lost))
    report = run(with_mistake("hook-never-called"))
    assert len(report.failures) == 1
    assert report.phases["drawn"] == 3


def test_what_is_replayed_to_make_a_failure_short_is_not_counted(
    run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    not_realised = c.Write("disk0", 0, 1, result="ignored")
    these(monkeypatch, scenario(ADD, c.ClearBitmap("disk0", "b0"), not_realised, c.Write("disk0", 0, 1)))
    report = run(with_mistake("hook-never-called"))
    assert len(report.failures) == 1
    assert report.commands["add-bitmap"].accepted == report.commands["write"].accepted == 1
    assert report.not_realised == {"Write": 1}
    assert report.phases.total() == 1


def test_reports_that_cannot_be_saved_are_still_reported(run: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = run(with_mistake("hook-never-called"), examples=1, reports=tmp_path / "file")
    assert report.failures
    assert {each.saved for each in report.failures} == {None}


def test_after_enough_different_failures_no_more_is_drawn(
    run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these breaks in words of its own, so each is a failure of its own."""

    class Moody(ReferenceAdapter):
        def perform(self, command: Command, hint: Hint) -> Performed:
            assert isinstance(command, c.AddBitmap)
            raise AdapterBroken(f"no bitmap {command.name} today")

    these(monkeypatch, *(scenario(c.AddBitmap("disk0", f"b{number}", 4096)) for number in range(20)))
    report = run(Moody())
    assert len(report.failures) == ENOUGH_FAILURES == report.phases["drawn"]


# A crash


def test_a_crash_is_a_verdict_and_the_run_goes_on(run: Callable[..., Report]) -> None:
    class Crashing(ReferenceAdapter):
        """Dies of every cancel, with its last words."""

        resets = 0

        def reset(self, disks: dict[str, int]) -> None:
            self.resets += 1
            super().reset(disks)

        def perform(self, command: Command, hint: Hint) -> Performed:
            if isinstance(command, c.CancelJob):
                raise AdapterBroken("crash: signal 11", "one\nSegmentation fault")
            return super().perform(command, hint)

    adapter = Crashing()
    report = run(adapter)
    assert report.verdict is report.safety is Verdict.BROKEN
    assert code_of(report) == EXIT_CODES["broken"]
    assert report.phases == {"workflows": 8, "drawn": 40}
    assert adapter.resets >= 48
    assert "Segmentation fault" in report.failures[0].findings[0].seen
    assert report.commands["cancel-job"].worst is Verdict.BROKEN
    assert report.commands["add-bitmap"].worst is Verdict.EXACT
    assert {len(each.scenario.commands) for each in report.failures if each.origin == "drawn"} <= {1}


@pytest.mark.parametrize("method", ["reset", "observe", "finish"])
def test_wherever_it_breaks_it_is_a_verdict(run: Callable[..., Report], method: str) -> None:
    adapter = ReferenceAdapter()

    def dies(*_: Any) -> Any:
        raise AdapterBroken("gone")

    setattr(adapter, method, dies)
    report = run(adapter, examples=3)
    assert report.verdict is Verdict.BROKEN
    assert report.phases.total() == 11


# What is asked for


@pytest.mark.parametrize("only", ["merge-bitmaps", "NO-LOST-WRITE"])
def test_only_what_is_named_is_played(
    run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    played: list[Scenario] = []
    play = course.Course.play
    monkeypatch.setattr(course.Course, "play", lambda self, *a: (played.append(a[-1]), play(self, *a)))
    report = run(only=only, examples=15)
    assert report.phases["drawn"] == 15
    assert (report.phases["workflows"] < 8) is (only == "merge-bitmaps")
    assert played
    named = {"merge-bitmaps"} if only == "merge-bitmaps" else SUBJECTS[only].commands
    held = [f'"{each}"' for each in named]
    assert all(any(each in as_text(one) for each in held) for one in played)


def test_whatever_can_be_named_is_a_property_a_command_or_an_event() -> None:
    names = names_for_only()
    assert {"NO-LOST-WRITE", "ATOMIC", "RULE-DISK", "add-bitmap", "end-copy", "crash"} <= set(names)
    assert not {"abort", "restore", "BATCH"} & set(names)


def test_a_run_ends_when_its_time_is_over(run: Callable[..., Report]) -> None:
    report = run(examples=None, seconds=2)
    assert report.phases["drawn"] > 0
    assert 2 < report.seconds < 20


def test_the_progress_counts_each_phase(run: Callable[..., Report]) -> None:
    seen: list[tuple[str, int, int]] = []
    run(progress=lambda *each: seen.append(each), examples=5)
    assert [each for each in seen if each[0] == "drawn"] == [("drawn", number, 5) for number in range(5)]
    assert [each for each in seen if each[0] == "workflows"] == [("workflows", number, 8) for number in range(8)]


def test_ctrl_c_ends_a_run_early_with_what_was_found_until_then(run: Callable[..., Report]) -> None:
    def progress(phase: str, number: int, of: int) -> None:
        if phase == "drawn" and number == 3:
            raise KeyboardInterrupt

    report = run(progress=progress)
    assert report.interrupted
    assert not report.conformant
    assert report.phases == {"workflows": 8, "drawn": 3}
    assert code_of(report) == EXIT_CODES["interrupted"]


def test_an_adapter_is_closed_however_a_run_ends(run: Callable[..., Report]) -> None:
    class Closing(ReferenceAdapter):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    def fails(*_: Any) -> None:
        raise RuntimeError("no progress")

    good, bad = Closing(), Closing()
    run(good, examples=1)
    with pytest.raises(RuntimeError, match="no progress"):
        run(bad, progress=fails)
    assert (good.closed, bad.closed) == (1, 1)


# The dealer


def dealt(seed: int, count: int) -> list[Dealt]:
    """Of the first so many; on a busy machine it says now and then that there is nothing yet."""
    with dealer(CAPABILITIES, seed, STEPS) as scenarios:
        return list(islice((each for each in scenarios if each[0] != NOTHING_YET), count))


def test_the_same_seed_gives_the_same_scenarios_and_another_seed_others(home: Path) -> None:
    assert dealt(7, 12) == dealt(7, 12)
    assert dealt(7, 12) != dealt(8, 12)


def test_scenarios_keep_coming_when_a_batch_is_through(home: Path) -> None:
    assert len(dealt(1, 450)) == 450


def test_the_dealer_is_gone_when_the_consumer_stops_early_or_raises(home: Path) -> None:
    with dealer(CAPABILITIES, 1, STEPS) as scenarios:
        next(scenarios)
        (child,) = multiprocessing.active_children()
        pid = child.pid
        assert pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

    def raising() -> None:
        with dealer(CAPABILITIES, 1, STEPS) as scenarios:
            next(scenarios)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        raising()
    with dealer(CAPABILITIES, 1, STEPS):
        pass  # not even one was taken; the fixture looks for what is left


def test_a_dealer_that_dies_is_an_error_and_no_endless_wait(home: Path) -> None:
    with dealer(CAPABILITIES, 1, STEPS) as scenarios:
        next(scenarios)
        (child,) = multiprocessing.active_children()
        child.kill()
        with pytest.raises(RuntimeError, match="has died"):
            for _ in scenarios:
                pass
