"""Chains of backups, explored with contents: what restores is what is said to, and mistakes are found."""

from __future__ import annotations

import os

import pytest
from cbtcheck.cli.explored import good, of_chains, to_plain
from cbtmodel.table import Table
from cbtproofs.explorer.chains import Contents, explore_chains
from cbtproofs.explorer.exploration import explore_scope
from cbtproofs.explorer.scopes import Scope
from cbtproofs.mutants.chain_mistakes import CHAIN_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied

OF_OTHER_DISKS = {"points-of-every-disk", "lies-on-other-disks"}
"""There is one disk here. The proof finds them."""
OF_TWO_BLOCKS = {"changed-during-it-is-lost"}
"""What is written meanwhile is copied before, or is on a block that is not to be copied."""


def test_contents_are_told_apart_by_where_they_are_equal() -> None:
    one = Contents((7, 3), Table({"1": (7, 2)}), Table({"1": (-1, 3)})).renumbered()
    assert one == Contents((0, 0), Table({"1": (0, 1)}), Table({"1": (-1, 0)}))
    assert one == Contents((1, 9), Table({"1": (1, 8)}), Table({"1": (-1, 9)})).renumbered()


def test_what_is_lost_is_what_is_said() -> None:
    found = explore_chains(1, 2)
    assert found.failed is None
    assert (found.places, found.restored, found.lossy, found.covered) == (924, 772, 206, 984)
    assert "772 times backups were laid over each other" in of_chains(found)


@pytest.mark.skipif(os.environ.get("CBTSPEC_NIGHT") != "1", reason="takes a minute: set CBTSPEC_NIGHT=1")
@pytest.mark.parametrize(("blocks", "backups"), [(2, 2), (1, 4)])
def test_of_two_blocks_and_of_four_backups_too(blocks: int, backups: int) -> None:
    assert explore_chains(blocks, backups).failed is None


@pytest.mark.parametrize("mistake", CHAIN_MISTAKES, ids=lambda each: each.name)
def test_a_mistake_is_found_with_a_shortest_history(mistake: Mutant) -> None:
    sizes = ((2, 2),) if mistake.name in OF_TWO_BLOCKS else ((1, 2), (1, 3))
    with applied(mistake):
        found = next((each for size in sizes if (each := explore_chains(*size)).failed is not None), None)
    assert (found is None) == (mistake.name in OF_OTHER_DISKS)
    if found is not None:
        assert 2 <= len(found.commands) <= 6
        outcomes = [explore_scope(Scope(1, alphabet="small"))]
        assert good(outcomes)
        assert not good(outcomes, found)
        violation = to_plain(outcomes, found)["chains"]["violation"]
        assert len(violation["commands"]) == len(found.commands)
        assert f"after {len(found.commands)} commands" in of_chains(found)
