"""Mistakes in what the specification says of images: RULE-DISK fails with each, in both provers."""

from __future__ import annotations

from collections import Counter

import pytest
from cbtproofs.inductive.images import ID, SETTINGS, images, listed
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.script import Obligation
from cbtproofs.mutants.image_mistakes import IMAGE_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied


def wrong(prover: str) -> list[Obligation]:
    """What fails first, with any event in any setting."""
    prove = provers((prover,))[prover]
    for setting, what in listed():
        found = [each for each in prove(images(setting, what)) if each.counterexample is not None]
        if found:
            return found
    return []


@pytest.mark.parametrize("prover", PROVERS)
def test_the_rule_is_proved_of_every_setting(prover: str) -> None:
    prove, seen = provers((prover,))[prover], Counter[str]()
    for setting, what in listed():
        found = prove(images(setting, what))
        assert [each.where for each in found if each.counterexample is not None] == []
        seen[setting.name] += sum(each.id == ID for each in found)
    assert all(seen[each.name] > 100 for each in SETTINGS)


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("mistake", IMAGE_MISTAKES, ids=lambda each: each.name)
def test_a_mistake_is_found(prover: str, mistake: Mutant) -> None:
    with applied(mistake):
        assert ID in {each.id for each in wrong(prover)}
