"""Mistakes in what the specification says of chains across restarts: RESTORES fails with each, in both provers."""

from __future__ import annotations

from collections import Counter
from types import FunctionType
from typing import Any

import pytest
from cbtmodel import image_chain
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.restores_images import ID, SETTINGS, listed, restores
from cbtproofs.inductive.script import Obligation
from cbtproofs.mutants.image_chain_mistakes import IMAGE_CHAIN_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied
from cbtproofs.mutants.systematic import mutants_of

TOLD: tuple[Any, ...] = (image_chain.follow_event, image_chain.may_have_changed, image_chain.without_an_end)


def wrong(prover: str) -> list[Obligation]:
    """What fails first, with any event in any setting."""
    prove = provers((prover,))[prover]
    for setting, event in listed():
        found = [each for each in prove(restores(setting, event)) if each.counterexample is not None]
        if found:
            return found
    return []


@pytest.mark.parametrize("prover", PROVERS)
def test_what_is_right_is_proved_of_every_setting(prover: str) -> None:
    prove, seen = provers((prover,))[prover], Counter[str]()
    for setting, event in listed():
        found = prove(restores(setting, event))
        assert [each.where for each in found if each.counterexample is not None] == []
        seen[setting.name] += sum(each.id == ID for each in found)
    assert all(seen[each.name] > 30 for each in SETTINGS)


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("mistake", IMAGE_CHAIN_MISTAKES, ids=lambda each: each.name)
def test_a_mistake_is_found(prover: str, mistake: Mutant) -> None:
    with applied(mistake):
        assert ID in {each.id for each in wrong(prover)}


@pytest.mark.parametrize("function", TOLD, ids=lambda each: each.__name__)
def test_so_is_each_that_is_made_by_rule(function: FunctionType) -> None:
    made = [*mutants_of(function)]
    assert made
    for each in made:
        with applied(each):
            assert wrong("universal disk"), each.name
