"""The stateful test: the reference implementation agrees with the specification, in whatever the machine draws.

With `self_check`, every property of the specification is checked after every step as well. The deep test plays 20,000
scenarios: `CBTSPEC_DEEP=1 pytest tests/conformance/adapters/test_reference.py`, three and a half minutes on one core.
"""

import os

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.machine import Hunt, hunt_with
from cbtmodel import commands as c

SEED = 20160119
STEPS = 20


def agree(examples: int, seed: int) -> Hunt:
    """Plays that many drawn scenarios; fails with the shortest that differs."""
    hunt = Hunt(Player(ReferenceAdapter(), self_check=True))
    if hunt_with(hunt, seed, examples, STEPS):
        assert hunt.found is not None
        scenario, _, findings = hunt.found
        pytest.fail(f"{findings[0]}\n{scenario}")
    return hunt


def test_the_reference_agrees_with_the_specification() -> None:
    hunt = agree(600, SEED)
    assert hunt.scenarios >= 600
    assert hunt.steps >= 600 * 10, "the scenarios are long enough to be worth something"


def test_a_write_that_a_transaction_drains_and_then_clears_is_waived() -> None:
    """Found by the deep test: the restored chain may lack what was cleared away in the instant in which it landed."""
    steps = (
        c.AddBitmap("disk0", "b0", 4096),
        c.BeginWrite("disk0", "w0", 0, 512),
        c.Transaction((c.ClearBitmap("disk0", "b0"),)),
        c.StartBackup("j0", "disk0", "incremental", "b0", cluster=4096),
    )
    assert Player(ReferenceAdapter()).play_scenario(Scenario({"disk0": 32768}, steps)) == []


@pytest.mark.skipif(os.environ.get("CBTSPEC_DEEP") != "1", reason="takes minutes: set CBTSPEC_DEEP=1")
@pytest.mark.parametrize("part", range(2))
def test_the_reference_agrees_in_10_000_scenarios(part: int) -> None:
    assert agree(5000, SEED + 1 + part).scenarios >= 5000


@pytest.mark.skipif(os.environ.get("CBTSPEC_NIGHT") != "1", reason="takes minutes: set CBTSPEC_NIGHT=1")
@pytest.mark.parametrize("part", range(2, 20))
def test_the_reference_agrees_in_90_000_more(part: int) -> None:
    assert agree(5000, SEED + 1 + part).scenarios >= 5000
