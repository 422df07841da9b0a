"""The suite finds every seeded mistake, with its verdict and by a short scenario: the proof that it can fail."""

from pathlib import Path

import pytest
from cbtcheck.adapters import open_adapter
from cbtcheck.adapters.mistakes import MISTAKES, host_with
from cbtcheck.adapters.mistakes.registry import Mistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run.hunting import hunt_down, player_of, shortest
from cbtcheck.scenario.verdict import Verdict
from cbtproofs.mutants.catalogue import applied, mutant
from cbtproofs.mutants.kill_matrix.table import table

DOCUMENT = Path(__file__).parents[3] / "docs/understand" / "seeded-mistakes.md"

each_mistake = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())


@each_mistake
def test_the_machine_finds_the_mistake_and_the_scenario_is_short(mistake: Mistake) -> None:
    found = hunt_down(mistake, mistake.at_most)
    assert found is not None, "not found in anything that is drawn"
    findings = player_of(mistake).play_scenario(found)
    assert verdict_of(findings) is mistake.verdict
    assert len(found.commands) <= mistake.at_most <= 8


@each_mistake
def test_the_shortest_scenario_that_is_kept_shows_the_mistake(mistake: Mistake) -> None:
    kept = shortest(mistake)
    assert verdict_of(player_of(mistake).play_scenario(kept)) is mistake.verdict
    assert len(kept.commands) == mistake.at_most, "at_most is the length of the shortest scenario that is known"
    assert (kept.title, kept.story) == (mistake.name, mistake.story)


@each_mistake
def test_without_the_mistake_the_same_scenario_agrees(mistake: Mistake) -> None:
    assert Player(ReferenceAdapter()).play_scenario(shortest(mistake)) == []


@pytest.mark.parametrize("name", ["leftovers-only-where-dirty", "disabled-gets-no-leftovers"])
def test_what_is_left_over_and_was_never_written_is_missed_because_it_is_owed(name: str) -> None:
    with applied(mutant("leftovers-are-not-owed")):
        assert player_of(MISTAKES[name]).play_scenario(shortest(MISTAKES[name])) == []


def test_hosts_with_and_without_a_mistake_live_side_by_side() -> None:
    mistake = MISTAKES["hook-never-called"]
    wrong, right = player_of(mistake), Player(ReferenceAdapter())
    scenario = shortest(mistake)
    assert wrong.play_scenario(scenario)
    assert not right.play_scenario(scenario)
    assert wrong.play_scenario(scenario)


def test_losing_a_write_is_what_most_mistakes_do() -> None:
    unsafe = [each for each in MISTAKES.values() if each.verdict is Verdict.UNSAFE]
    assert len(unsafe) >= 30


def test_a_mistake_is_known_by_its_name() -> None:
    assert open_adapter("reference", mistake="clear-busy").version.endswith("'clear-busy'")
    with pytest.raises(LookupError, match=r"unknown mistake 'nonsense' \(known: abdicate-on-failure, "):
        host_with("nonsense")


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == table(), (
        "run: python -m cbtproofs.mutants.kill_matrix > docs/understand/seeded-mistakes.md"
    )
