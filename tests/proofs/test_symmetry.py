"""Exploration up to permutation of blocks agrees with the exploration of each state."""

from __future__ import annotations

from math import comb

import pytest
from cbtmodel.node import State
from cbtmodel.step import step
from cbtproofs.explorer.breadth_first import Explored, explore
from cbtproofs.explorer.dissection import assembled, conditions, dissected, unsized
from cbtproofs.explorer.scopes import Scope, of_block, of_disks
from cbtproofs.explorer.symmetry import Quotient, explore_symmetric

COUNTS = {
    Scope(1, alphabet="small"): (31, 124),
    Scope(2, alphabet="small"): (111, 502),
    Scope(3, alphabet="small"): (289, 1442),
    Scope(4, alphabet="small"): (621, 3328),
    Scope(1): (149, 1310),
    Scope(2, bitmaps=0): (23, 217),
    Scope(1, bitmaps=2, jobs=2, alphabet="small"): (1029, 7163),
    Scope(2, bitmaps=2, jobs=0, nodes=2, alphabet="small"): (53, 704),
}


def explored(scope: Scope) -> Explored[frozenset[int]]:
    """State by state, with no properties checked."""
    return explore(scope.initial(), scope.commands)


@pytest.mark.parametrize("scope", COUNTS, ids=str)
def test_the_quotient_stands_for_every_state_and_every_transition(scope: Scope) -> None:
    quotient = Quotient(scope)
    assert quotient.explore() is None
    assert quotient.sightings.missing == ()
    whole = explored(scope)
    assert quotient.weighted() == (len(whole.states), whole.transitions)
    assert (quotient.states, quotient.transitions) == COUNTS[scope]
    assert len(quotient.levels) - 1 == whole.depth


def test_32_blocks_are_explored_by_counting() -> None:
    outcome = explore_symmetric(Scope(32, alphabet="small"))
    assert outcome.good
    assert (outcome.states, outcome.transitions, outcome.depth) == (677381, 5019892, 68)


def test_idle_states_are_as_many_as_combinations() -> None:
    """Counted by hand: without jobs a block is clean or dirty; a bitmap is absent, or enabled or not."""
    quotient = Quotient(Scope(9, jobs=0, alphabet="small"))
    quotient.explore()
    assert quotient.states == 1 + 2 * comb(10, 1)
    assert quotient.weighted()[0] == 1 + 2 * 2**9


def test_all_claims_hold_of_every_condition_that_the_whole_graph_has() -> None:
    scope = Scope(3, alphabet="small")
    quotient = Quotient(scope)
    quotient.explore()
    met = {each for state in explored(scope).states for each in conditions(dissected(state)[1], 3)}
    assert met == set(quotient.conditions)


def test_blocks_of_one_granule_are_not_interchangeable() -> None:
    with pytest.raises(ValueError, match="interchangeable"):
        Quotient(Scope(2, granularity=2))


def test_a_state_is_assembled_from_what_it_was_dissected_into() -> None:
    scope = Scope(2)
    for state in explored(Scope(2, alphabet="small")).states:
        control, sets = dissected(state)
        assert assembled(unsized(control), conditions(sets, scope.blocks), scope.size) == state


def test_exchanging_blocks_exchanges_what_commands_do() -> None:
    """What the argument for the quotient rests on, tried on every transition of a scope."""
    scope = Scope(2, alphabet="small")
    for state in explored(scope).states:
        mirrored = exchanged(state, scope)
        for command in of_disks(scope):
            assert step(mirrored, command).state == exchanged(step(state, command).state, scope)
        for one, other in zip(of_block(scope, 0), of_block(scope, 1), strict=True):
            assert step(mirrored, other).state == exchanged(step(state, one).state, scope)


def exchanged(state: State[frozenset[int]], scope: Scope) -> State[frozenset[int]]:
    """The same state with its blocks in the opposite order."""
    control, sets = dissected(state)
    return assembled(unsized(control), conditions(sets, scope.blocks)[::-1], scope.size)


def test_a_condition_that_leaves_something_out_would_be_noticed() -> None:
    """A quotient that takes an intact block for one that is not comes to other numbers, or to a violation."""

    class Forgetful(Quotient):
        def _slot(self, condition: frozenset[str]) -> int:
            return super()._slot(frozenset(each for each in condition if not each.endswith(".good")))

    scope = Scope(2, alphabet="small")
    whole = explored(scope)
    forgetful = Forgetful(scope)
    assert forgetful.explore() is not None or forgetful.weighted() != (len(whole.states), whole.transitions)
