"""Scenarios with images: the reference agrees in all of them, and quick finds each seeded mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cbtcheck.adapter import FEATURES_OF_VERSION_1
from cbtcheck.adapters.mistakes import NARROW, NarrowMistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.pytest_plugin import PINNED_SEED
from cbtcheck.run.options import Options
from cbtcheck.run.part import RESTARTS
from cbtcheck.run.plan import Given, Plan
from cbtcheck.run.profiles import PROFILES
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.images import fresh, step_with
from cbtcheck.scenario.scenario import Restore, Scenario, as_bytes, from_bytes, word_for
from cbtcheck.search.restarts import restarts, subject, subjects
from cbtcheck.search.restarts.absent import absent
from cbtcheck.search.restarts.ground import Ground
from cbtcheck.search.restarts.told_first import told_first
from cbtcheck.search.restarts.words import answered, asked, standing
from cbtcheck.search.restarts.workflows import interrupted, interruptions, workflows
from cbtcheck.search.shorten import fails_on, shorten
from cbtcheck.sets.bitsets import BitSets
from cbtmodel.node import initial

OPTIONS = Options("quick", PINNED_SEED, None, None, None, Path("reports"))
CLAIMS = ReferenceAdapter.capabilities
OF_RESTARTS = {name: each for name, each in NARROW.items() if each.found_by == RESTARTS}


def quick() -> dict[str, Scenario]:
    """What quick plays of them."""
    items = Plan("reference", CLAIMS, OPTIONS).restarts()
    return {each.what.name: each.what.scenario for each in items if isinstance(each.what, Given)}


QUICK = quick()


def test_the_reference_and_the_specification_agree_in_all_of_them() -> None:
    player = Player(ReferenceAdapter(), self_check=True)
    played = restarts(CLAIMS, 1, 60)
    wrong = {name: str(found[0]) for name, each in played.items() if (found := player.play_scenario(each))}
    assert wrong == {}
    assert len(played) > 1000
    assert not player.not_realised


@pytest.mark.parametrize("mistake", OF_RESTARTS.values(), ids=OF_RESTARTS.keys())
def test_quick_finds_the_mistake(mistake: NarrowMistake) -> None:
    player = Player(ReferenceAdapter(mistake.host, mistake.name))
    found = (verdict_of(findings) for each in QUICK.values() if (findings := player.play_scenario(each)))
    assert any(verdict is mistake.verdict for verdict in found)


def test_each_kind_of_mistake_is_seeded() -> None:
    assert len(OF_RESTARTS) >= 15
    assert all(each.story.endswith(".") and each.line == RESTARTS for each in OF_RESTARTS.values())


def test_every_event_and_every_command_on_a_bitmap_is_played() -> None:
    words = {word_for(step) for each in QUICK.values() for step in each.commands}
    assert words >= {"open", "close", "reopen", "crash", "written-by-others", "add-bitmap", "remove-bitmap",
                     "clear-bitmap", "enable-bitmap", "disable-bitmap", "merge-bitmaps", "start-backup",
                     "transaction", "begin-write", "end-write", "pause-job", "resume-job", "cancel-job"}  # fmt: skip


def test_every_interruption_comes_between_any_two_steps() -> None:
    ground = Ground(CLAIMS)
    names = {name for name, _ in interrupted(CLAIMS)}
    told = {
        f"{what}: {how} after step {place}"
        for what, steps in workflows(ground).items() for how in interruptions() for place in range(1, len(steps) + 1)
    }  # fmt: skip
    assert told <= names, "none is left out: not even what is refused, as a reopening under a backup is"
    assert len(names) > 800


def test_each_command_meets_each_standing_of_a_bitmap() -> None:
    ground = Ground(CLAIMS)
    assert len(dict(answered(CLAIMS))) >= len(asked(ground)) * len(standing(ground))


def test_they_can_be_saved_and_read() -> None:
    for each in QUICK.values():
        assert from_bytes(as_bytes(each)) == each


def test_a_seed_draws_the_same_ones_and_another_one_others() -> None:
    assert restarts(CLAIMS, 7, 5, 40) == restarts(CLAIMS, 7, 5, 40)
    assert restarts(CLAIMS, 7, 5, 40) != restarts(CLAIMS, 8, 5, 40)


def test_who_does_not_claim_images_is_not_asked() -> None:
    claims = replace(CLAIMS, features=FEATURES_OF_VERSION_1)
    assert restarts(claims, 1, 10) == {}
    assert all(missing_for(each, claims) == "persistence" for each in QUICK.values())


def test_a_failing_one_is_made_short_and_plain() -> None:
    mistake = OF_RESTARTS["successor-not-stored"]
    player = Player(ReferenceAdapter(mistake.host, mistake.name))
    long = next(each for each in QUICK.values() if player.play_scenario(each))
    short = shorten(long, fails_on(player), CLAIMS)
    assert len(short.commands) <= 5
    assert short.images
    assert player.play_scenario(short)
    assert {word_for(step) for step in short.commands} <= {"add-bitmap", "start-backup", "write", "close"}
    assert "b0" in as_bytes(short).decode()


def test_each_restart_has_a_subject_and_each_subject_has_some() -> None:
    found = {subject(name) for name in restarts(CLAIMS, 1, 3)}
    assert found == set(subjects())
    assert len(subjects()) == len(set(subjects()))
    assert subject("transaction: remove, withdrawn: opened read-only, and closed") == "opened read-only"
    assert subject("increments: crash, and closed after step 3") == "increments"


@pytest.mark.parametrize("adapter", ["reference", "qemu"])
def test_quick_has_some_of_each_subject_whatever_the_seed(adapter: str) -> None:
    one_in, drawn = PROFILES["quick"].of_restarts(adapter)
    for seed in range(3):
        assert {subject(name) for name in restarts(CLAIMS, seed, drawn, one_in)} == set(subjects())


def refusals(scenario: Scenario) -> list[str]:
    """What the specification refuses of it, in order."""
    state, files = initial(BitSets(scenario.block), scenario.disks), fresh(scenario.disks)
    found: list[str] = []
    for each in scenario.commands:
        assert not isinstance(each, Restore)
        result, files = step_with(files, state, each)
        state = result.state
        found += [] if result.refusal is None else [result.refusal.kind]
    return found


def test_what_is_not_there_is_refused() -> None:
    found = {name.partition(": ")[2]: refusals(each) for name, each in absent(CLAIMS)}
    assert found["an image"] == ["not found"] * 5
    assert set(found["room, since it is open already"]) == {"exists"}
    assert all(len(each) >= 4 for each in found.values())


def test_what_is_told_first_is_what_is_come_to_first() -> None:
    found = {name.partition(": ")[2]: refusals(each) for name, each in told_first(CLAIMS)}
    assert found["a source that is not there, read-only"] == ["not found"]
    assert found["a second source that is not there, read-only"] == ["read only"]
    assert found["as a source, before one that is not there, inconsistent"] == ["inconsistent"]
    assert found["removed and cleared, inconsistent"] == ["busy"]
    assert found["a merge from one that a job has, one inconsistent, one sound"] == ["inconsistent"]
    assert found["an abort before it, read-only"] == ["aborted"]
    assert all(found.values())
