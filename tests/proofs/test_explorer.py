"""The explorer: how many states there are, what it finds, and how short the way there is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any

import cbtmodel.backup
import cbtmodel.bitmap
import pytest
from cbtcheck.cli.counterexample import frames_of
from cbtcheck.report.picture import picture_text
from cbtmodel.commands import AddBitmap, CancelJob, StartBackup, Write
from cbtmodel.node import State
from cbtmodel.step import step
from cbtmodel.table import Table
from cbtproofs.explorer.breadth_first import TooLarge, explore
from cbtproofs.explorer.checked import Checks
from cbtproofs.explorer.dissection import dissected
from cbtproofs.explorer.exploration import Outcome, explore_scope, graph_of
from cbtproofs.explorer.scopes import Scope
from cbtproofs.explorer.symmetry import explore_symmetric

Explorer = Callable[[Scope], Outcome]
TINY = Scope(1, alphabet="small")
SMALL = Scope(2, alphabet="small")

COUNTS = {
    TINY: (31, 465, 124, 6),
    SMALL: (191, 3438, 923, 8),
    Scope(1): (149, 5662, 1310, 7),
    Scope(2, granularity=2, alphabet="small"): (275, 4950, 1355, 8),
    Scope(2, granularity=2, cluster=2, alphabet="small"): (131, 2358, 635, 8),
    Scope(2, cluster=2, alphabet="small"): (131, 2358, 635, 8),
    Scope(2, bitmaps=2, jobs=0, granularity=2, alphabet="small"): (161, 2576, 2076, 9),
    Scope(1, bitmaps=2, jobs=1, alphabet="small"): (155, 3720, 1211, 8),
    Scope(1, bitmaps=2, jobs=2, alphabet="small"): (1029, 34986, 7163, 10),
    Scope(1, bitmaps=0, jobs=3, alphabet="small"): (141, 3384, 1096, 7),
    Scope(1, bitmaps=0, jobs=3, nodes=3, alphabet="small"): (265, 6890, 2515, 9),
    Scope(1, alphabet="values"): (536, 42344, 11454, 7),
}


@pytest.mark.parametrize("scope", COUNTS, ids=str)
def test_the_numbers_of_states_and_transitions_are_known(scope: Scope) -> None:
    outcome = explore_scope(scope)
    assert outcome.violation is None
    assert outcome.sightings.missing == ()
    assert (outcome.states, outcome.tried, outcome.transitions, outcome.depth) == COUNTS[scope]
    assert outcome.tried == outcome.states * len(scope.commands)


def test_every_property_is_checked() -> None:
    outcome = explore_scope(SMALL)
    assert min(outcome.claims.values()) > 100, outcome.claims


def test_every_path_leads_to_its_state_and_none_is_shorter() -> None:
    _, explored = graph_of(TINY)
    lengths = {explored.states[0]: 0}
    for length in range(1, explored.depth + 1):  # another way to look for shortest paths
        for state in [each for each, far in lengths.items() if far == length - 1]:
            for command in TINY.commands:
                lengths.setdefault(step(state, command).state, length)
    assert len(lengths) == len(explored.states)
    for number, state in enumerate(explored.states):
        path, reached = explored.path(number), explored.states[0]
        for command in path:
            reached = step(reached, command).state
        assert reached == state
        assert len(path) == explored.depths[number] == lengths[state]


GHOSTS = (".owed", ".causes", ".scope", ".intact", ".good")


def test_states_are_told_apart_by_ghosts_too() -> None:
    def without_ghosts(state: State[Any]) -> Hashable:
        control, sets = dissected(state)
        return control, frozenset((place, held) for place, held in sets.items() if not place.endswith(GHOSTS))

    assert len(explore(SMALL.initial(), SMALL.commands).states) == 191
    assert 100 < len(explore(SMALL.initial(), SMALL.commands, identity=without_ghosts).states) < 191


def test_a_scope_that_is_too_large_is_given_up() -> None:
    with pytest.raises(TooLarge, match="more than 100 states"):
        explore_scope(SMALL, limit=100)
    assert explore_scope(SMALL, limit=191).states == 191
    with pytest.raises(TooLarge):
        explore_symmetric(Scope(8, alphabet="small"), limit=1000)


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"blocks": 1, "jobs": 9}, {"blocks": 1, "granularity": 3}], ids=str)
def test_a_scope_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        Scope(**wrong)


# A broken specification


@contextmanager
def broken(right: Any, wrong: Any) -> Iterator[None]:
    """The specification with another function in the place of one, whoever has imported it."""
    assert isinstance(right, FunctionType)
    code = right.__code__
    right.__code__ = wrong.__code__
    try:
        yield
    finally:
        right.__code__ = code


def no_copy(space: Any, job: Any, blocks: Any, size: int) -> Any:
    return content_changes(job, blocks)  # type: ignore[name-defined]  # noqa: F821


def dropped(bitmap: Any) -> Any:
    return replace(bitmap, successor=None)


def trips(job: Any) -> Any:
    raise KeyError("copying")


EXPLORERS = pytest.mark.parametrize(
    "explorer", [explore_scope, explore_symmetric], ids=["state by state", "up to permutation"]
)


@EXPLORERS
def test_a_write_without_a_copy_before_it_is_found_on_the_shortest_path(explorer: Explorer) -> None:
    with broken(cbtmodel.backup.before_write, no_copy):
        outcome = explorer(SMALL)
        assert outcome.violation is not None
        assert {each.id for each in outcome.violation.failed} == {"POINT-IN-TIME"}
        shape = [type(each) for each in outcome.violation.commands]
        # One write to have something to copy, and one over it.
        assert shape == [AddBitmap, Write, StartBackup, Write]
        text = picture_text(frames_of(SMALL, outcome.violation))
    assert "unsafe: the copied data are wrong (POINT-IN-TIME): j: to be copied, so intact" in text
    assert "not so of 0+512" in text
    assert not outcome.good
    assert explorer(SMALL).good, "the specification is whole again"


@EXPLORERS
def test_a_reclaim_that_drops_the_successor_is_found(explorer: Explorer) -> None:
    with broken(cbtmodel.bitmap.reclaim, dropped):
        outcome = explorer(SMALL)
    assert outcome.violation is not None
    assert "FAILURE-KEEPS" in {each.id for each in outcome.violation.failed}
    assert [type(each) for each in outcome.violation.commands] == [AddBitmap, StartBackup, Write, CancelJob]


@EXPLORERS
def test_a_specification_that_trips_is_a_violation_too(explorer: Explorer) -> None:
    with broken(cbtmodel.backup.copy_ends, trips):
        outcome = explorer(SMALL)
        assert outcome.violation is not None
        text = picture_text(frames_of(SMALL, outcome.violation))
    assert [each.id for each in outcome.violation.failed] == ["TOTAL"]
    assert "KeyError" in str(outcome.violation)
    assert "TOTAL" in text


def test_a_property_that_trips_over_a_broken_state_does_not_hold() -> None:
    state = SMALL.initial()
    for command in (AddBitmap("d", "a", 512), Write("d", 0, 512), StartBackup("j", "d", "incremental", "a")):
        state = step(state, command).state
    failed = Checks().state(replace(state, nodes=Table()))
    assert {each.id for each in failed if "cannot even be looked at: KeyError" in each.where} >= {"RELEASE"}


@EXPLORERS
def test_both_explorers_find_equally_short_ways(explorer: Explorer) -> None:
    with broken(cbtmodel.bitmap.reclaim, dropped):
        found = explorer(Scope(3, alphabet="small")).violation
        other = explore_scope(Scope(1, alphabet="small")).violation
    assert found is not None
    assert other is not None
    assert len(found.commands) == len(other.commands)


def test_what_is_never_seen_makes_an_exploration_fail() -> None:
    def never_fails(job: Any, side: Any) -> Any:
        return replace(job, copying=job.copying - job.copying)

    with broken(cbtmodel.backup.copy_fails, never_fails):
        outcome = explore_scope(SMALL)
    assert outcome.violation is None
    assert "failure_after_saving" in outcome.sightings.missing
    assert not outcome.good
