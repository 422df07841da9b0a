"""The workflows that users run: right on the reference, wrong with mistakes, and restored to the last byte."""

import pytest
from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.run.hunting import player_of
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.workflows import workflows
from cbtmodel import commands as c

ALL = workflows()
KILLED = {
    "1-full-while-nothing-writes": ("hook-never-called", "round-inwards"),
    "2-full-under-load": ("no-copy-before-write", "clear-at-start"),
    "3-chain": ("heir-is-empty", "first-granule-only", "zeroes-not-marked"),
    "4-failure-and-retry": ("drop-successor-on-failure", "abdicate-on-failure", "frozen-parent-records"),
    "5-differential-and-best-effort": ("never-means-on-success", "leftovers-forgotten"),
    "6-several-disks": ("group-fails-alone",),
    "7-daily-and-weekly": ("granules-are-clusters", "frozen-is-deaf"),
    "8-checkpoints": ("merge-into-empty-loses", "unknown-means-clean", "merge-replaces"),
}

each_workflow = pytest.mark.parametrize("scenario", ALL.values(), ids=ALL.keys())


def test_there_are_eight() -> None:
    assert list(ALL) == list(KILLED)


@each_workflow
def test_the_reference_does_it_right(scenario: Scenario) -> None:
    player = Player(ReferenceAdapter(), self_check=True)
    assert player.play_scenario(scenario) == []
    assert player.compared >= 3
    assert not player.state.jobs, "every job has ended"
    assert not player.not_realised


@each_workflow
def test_nothing_in_it_is_refused(scenario: Scenario) -> None:
    player = Player(ReferenceAdapter())
    player.play_scenario(scenario)
    assert {reply.refusal for frame in player.frames for _, reply in frame.trace} <= {""}


@each_workflow
def test_it_ends_by_restoring_and_has_a_story(scenario: Scenario) -> None:
    assert isinstance(scenario.commands[-1], Restore)
    assert scenario.title
    assert scenario.story


@each_workflow
def test_each_backup_that_succeeds_is_restored(scenario: Scenario) -> None:
    player = Player(ReferenceAdapter())
    player.play_scenario(scenario)
    restored = {job for each in scenario.commands if isinstance(each, Restore) for job in each.jobs}
    succeeded = {
        command.job
        for frame in player.frames
        for command, _ in frame.trace
        if isinstance(command, c.Copy) and command.job in frame.before.jobs and command.job not in frame.state.jobs
        and command.result == "ok"
    }  # fmt: skip
    assert succeeded <= restored


@pytest.mark.parametrize(("name", "mistake"), [(name, each) for name, killed in KILLED.items() for each in killed])
def test_it_shows_a_seeded_mistake(name: str, mistake: str) -> None:
    findings = player_of(MISTAKES[mistake]).play_scenario(ALL[name])
    assert findings
