"""Mistakes in what the specification says of chains: RESTORES or COVERS fails with each, in both provers."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest
from cbtmodel import chain
from cbtmodel import commands as c
from cbtproofs.inductive import covers, restores
from cbtproofs.inductive.obligations import keeps
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.script import Obligation, Script
from cbtproofs.inductive.stage import A_BITMAP, A_GROUP, A_JOB, PLAIN, TWO_DISK_GROUP, WITHOUT
from cbtproofs.mutants.chain_mistakes import CHAIN_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied
from cbtproofs.mutants.systematic import mutants_of

IDS = {restores.ID, covers.ID}
TOLD: tuple[Any, ...] = (
    chain.follow, chain.changed, chain.begins, chain.ends, chain.linked, chain.uncovered,
)  # fmt: skip
ENDS = (c.CancelJob("j"), c.Transaction(()), c.Copy("j", 0, 512), c.Write("d", 0, 512))
SCRIPTS: tuple[Script, ...] = (
    restores.three_links,
    *(restores.restores(A_BITMAP, each) for each in (c.Transaction((PLAIN,)), c.Write("d", 0, 512))),
    *(restores.restores(A_JOB, each) for each in ENDS),
    *(restores.restores(WITHOUT, each) for each in (c.Copy("j", 0, 512), c.StartBackup("n", "d", "full"), PLAIN)),
    restores.restores(A_GROUP, c.CancelJob("j")),
    *(restores.restores(TWO_DISK_GROUP, each) for each in (c.Write("e", 0, 512), c.CancelJob("k"), ENDS[2])),
    *(keeps(A_JOB, each) for each in ENDS), keeps(A_BITMAP, c.Transaction((PLAIN,))),
)  # fmt: skip
"""Some of the scenes, in which all of it shows."""


def wrong(prover: str) -> list[Obligation]:
    """What fails in the first of the scenes in which something does."""
    prove = provers((prover,))[prover]
    for script in SCRIPTS:
        found = [each for each in prove(script) if each.counterexample is not None]
        if found:
            return found
    return []


@pytest.mark.parametrize("prover", PROVERS)
def test_what_is_right_is_proved(prover: str) -> None:
    prove = provers((prover,))[prover]
    found = [each for script in SCRIPTS for each in prove(script)]
    assert [each for each in found if each.counterexample is not None] == []
    assert len([each for each in found if each.id == restores.ID]) > 1000
    assert len([each for each in found if each.id == covers.ID]) > 100


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("mistake", CHAIN_MISTAKES, ids=lambda each: each.name)
def test_a_mistake_is_found(prover: str, mistake: Mutant) -> None:
    with applied(mistake):
        found = wrong(prover)
    assert {each.id for each in found} & IDS


@pytest.mark.parametrize("function", TOLD, ids=lambda each: each.__name__)
def test_so_is_each_that_is_made_by_rule(function: FunctionType) -> None:
    made = [*mutants_of(function)]
    assert made
    for each in made:
        with applied(each):
            assert wrong("universal disk"), each.name
