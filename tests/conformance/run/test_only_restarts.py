"""`--only` with the rule of images, or an event of theirs: restarts and the tour of images, if they are about it.

Nothing else is played: the other tour, which is not about them at all, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import FEATURES_OF_VERSION_1, Adapter
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.checking import code_of
from cbtcheck.run import course, plan
from cbtcheck.run.options import Options
from cbtcheck.run.outcome import outcome
from cbtcheck.run.plan import Given, Plan
from cbtcheck.run.report import Report
from cbtcheck.run.results import statement
from cbtcheck.run.wanted import exercises
from cbtcheck.scenario.scenario import Scenario, word_for
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict
from cbtcheck.search.tour.images.walks import tour_of_images
from cbtmodel.image_properties import rule_disk

CLAIMS = ReferenceAdapter.capabilities
NAMES = ("RULE-DISK", "open", "close", "reopen", "crash", "written-by-others")


def options(only: str | None, examples: int | None = None, seconds: float | None = None) -> Options:
    return Options("quick", 5, examples, seconds, only, Path("none"))


@cache
def planned(only: str | None, examples: int | None = None) -> dict[str, Scenario]:
    """The restarts of such a run, by name."""
    items = Plan("reference", CLAIMS, options(only, examples)).restarts()
    return {each.what.name: each.what.scenario for each in items if isinstance(each.what, Given)}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    monkeypatch.setattr(plan, "tour", lambda _: ())
    monkeypatch.setattr(plan, "tour_of_images", lambda *claimed: tour_of_images(*claimed)[:2])

    def of(only: str, adapter: Adapter | None = None, examples: int | None = None) -> Report:
        asked = replace(options(only, examples), reports=tmp_path / "r")
        return course.run(lambda: adapter or ReferenceAdapter(), asked, lambda *_: None)

    return of


def of_workflows(listed: dict[str, Scenario]) -> dict[str, Scenario]:
    return {name: each for name, each in listed.items() if not name.startswith("drawn ")}


@pytest.mark.parametrize("only", NAMES)
def test_exactly_those_of_the_profile_that_have_what_is_named_are_played(only: str) -> None:
    every, some = of_workflows(planned(None)), of_workflows(planned(only))
    having = {
        name: each for name, each in every.items()
        if only == "RULE-DISK" or only in {word_for(step) for step in each.commands}
    }  # fmt: skip
    assert some == having
    assert some


@pytest.mark.parametrize(("only", "examples"), [("RULE-DISK", None), ("crash", None), ("written-by-others", 55)])
def test_as_many_are_drawn_as_the_profile_has_or_was_said(only: str, examples: int | None) -> None:
    drawn = {name: each for name, each in planned(only, examples).items() if name.startswith("drawn ")}
    assert len(drawn) == (examples or 40)
    assert all(exercises(each, only) for each in drawn.values())


def test_with_another_name_none_are_drawn() -> None:
    listed = planned("clear-bitmap", 55)
    assert listed == of_workflows(listed)
    assert listed


@pytest.mark.parametrize("only", ["crash"])
def test_only_restarts_are_played(run: Callable[..., Report], only: str) -> None:
    report = run(only, examples=9)
    assert report.phases == {"restarts": len(planned(only, 9)), "tour of images": 2}
    assert (report.verdict, code_of(report)) == (Verdict.EXACT, EXIT_CODES["incomplete"])
    assert report.properties["RULE-DISK"].checked
    assert report.commands["crash"].accepted


def test_nothing_is_drawn_for_a_time() -> None:
    assert not [*Plan("reference", CLAIMS, options("crash", seconds=60)).drawn()]
    assert not [*Plan("reference", CLAIMS, options("crash", examples=60)).drawn()]


@pytest.mark.parametrize(
    ("only", "name"),
    [
        ("RULE-DISK", "bits-lost-at-close"), ("close", "flag-not-stored"), ("crash", "no-in-use-mark"),
        ("open", "read-only-is-stored"), ("reopen", "not-stored-when-reopened"),
        ("written-by-others", "stale-entries-are-believed"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_is_named_is_found(run: Callable[..., Report], only: str, name: str) -> None:
    mistake = NARROW[name]
    report = run(only, ReferenceAdapter(mistake.host, name))
    assert report.verdict is mistake.verdict
    assert report.failures
    assert all(each.scenario.images for each in report.failures)


@pytest.mark.parametrize("only", ["RULE-DISK", "reopen"])
def test_who_does_not_claim_images_has_no_result(run: Callable[..., Report], only: str) -> None:
    adapter: Any = ReferenceAdapter()
    adapter.capabilities = replace(CLAIMS, features=FEATURES_OF_VERSION_1)
    report = run(only, adapter)
    assert not report.phases
    assert outcome(report).closing == f"NO RESULT: only what --only {only} names was played; nothing was run."
    assert code_of(report) == EXIT_CODES["usage"]


def test_the_report_says_the_rule_as_the_specification_does() -> None:
    assert rule_disk.__doc__ == statement("RULE-DISK")
