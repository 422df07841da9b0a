"""The edges of the specification: how they are told apart, which can be reached, and which drawn scenarios cover.

The counts are pinned: after a change of the specification or of an alphabet that is meant to change them, review the
difference of `reachable(scope)` before and after, and write the new ones down here. The deep scope takes half a
minute: `CBTSPEC_DEEP=1 pytest tests/conformance/search/test_coverage.py`.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.search.machine import Hunt, hunt_with
from cbtcheck.search.tour.coverage import Coverage, Edge, edges
from cbtcheck.search.tour.reachable import (
    A,
    D,
    World,
    explore,
    identity,
    missing,
    one_of_each,
    reachable,
    start,
    worlds,
)
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

# states and edges of each world
PINNED_WORLDS = {
    "a bitmap and a job": (830, 323),
    "every guest write": (150, 445),
    "mistakes and transactions": (40, 324),
    "every start": (1895, 307),
    "short transactions": (25, 292),
    "two bitmaps": (74, 225),
    "two jobs": (976, 707),
    "three disks": (70, 99),
    "every start and policy": (5832, 454),
    "two jobs of every mode": (1724, 799),
    "two bitmaps with jobs": (910, 472),
}
PINNED_EDGES = {"quick": 842, "ci": 1472, "deep": 1630}


def last_edges(*played: object) -> set[str]:
    """The edges of the last of these commands, on a disk of two blocks."""
    state = initial(BitSets(), {D: 1024})
    for each in played[:-1]:
        after = step(state, each)
        assert after.refusal is None, after.refusal
        state = after.state
    return {str(each) for each in edges(state, played[-1], step(state, played[-1]))}


ADD, WRITE = c.AddBitmap(*A, 512), c.Write(D, 0, 512)
START = start("j", A, "bitmap", "always", policy="stop")


def test_an_edge_has_the_state_of_what_its_command_touches() -> None:
    assert last_edges(ADD) == {"add-bitmap (enabled) | absent | accepted"}
    assert last_edges(ADD, WRITE, c.ClearBitmap(*A)) == {"clear-bitmap | enabled dirty | accepted"}
    assert last_edges(ADD, WRITE, START) == {
        "start-backup (bitmap, always) | enabled dirty, the only job | accepted, now running"
    }
    assert last_edges(ADD, WRITE, START, c.Copy("j", 0, 1, "write error")) == {
        "copy (write error, stop) | running, to do, always | accepted, now paused"
    }
    assert last_edges(ADD, WRITE, START, c.BeginCopy("j", 0, 1), WRITE) == {
        "write (write, ok) | one job, on the copy in flight, recorded by a successor | accepted, a job completed"
    }


def test_a_refusal_has_only_what_may_be_refused() -> None:
    for dirty in ((), (WRITE,)):
        assert last_edges(ADD, *dirty, ADD) == {"add-bitmap | free | refused: exists"}
    assert last_edges(ADD, WRITE, START, c.ClearBitmap(*A)) == {"clear-bitmap | frozen | refused: busy"}
    assert last_edges(ADD, replace(START, job="k", sync="full", bitmap_mode="never")) == {
        "start-backup (full, never) | a bitmap | refused: invalid"
    }


def test_a_transaction_has_an_edge_for_itself_and_one_for_each_action() -> None:
    clear = c.ClearBitmap(*A)
    assert last_edges(ADD, WRITE, c.Transaction((clear, START))) == {
        "transaction (backups and changes of bitmaps) | no writes in flight | accepted, a job completed",
        "transaction: clear-bitmap | enabled dirty | accepted, a job completed",
        "transaction: start-backup (bitmap, always) | after clear-bitmap | accepted, a job completed",
    }
    assert last_edges(ADD, c.Transaction((clear, c.Abort()))) == {
        "transaction (an abort and changes of bitmaps) | no writes in flight | refused: aborted"
    }


@pytest.mark.parametrize(
    "command",
    [None, "clear", c.Write(D, -1, 1), c.ClearBitmap(D, None), c.Transaction((None,))],  # type: ignore[arg-type]
)
def test_whatever_is_not_well_formed_is_one_edge(command: object) -> None:
    (edge,) = last_edges(command)
    assert edge.endswith("(malformed) | any | refused: invalid")


DEEP = pytest.mark.skipif(os.environ.get("CBTSPEC_DEEP") != "1", reason="takes half a minute: set CBTSPEC_DEEP=1")


@pytest.mark.parametrize("scope", ["quick", "ci", pytest.param("deep", marks=DEEP)])
def test_the_counts_are_those_that_were_reviewed(scope: str) -> None:
    found = {each.name: (explore(each).states, len(explore(each).edges)) for each in worlds(scope)}
    assert found == {name: PINNED_WORLDS[name] for name in found}
    assert len(reachable(scope)) == PINNED_EDGES[scope]


def test_scopes_are_nested() -> None:
    assert reachable("quick") < reachable("ci")
    assert {each.name for each in worlds("ci")} < {each.name for each in worlds("deep")}


def test_there_is_no_other_scope() -> None:
    with pytest.raises(ValueError, match="one of quick, ci, deep"):
        reachable("everything")


def test_ghosts_lead_to_no_other_edges() -> None:
    world = worlds("quick")[0]
    fewer = World("without writes in flight", world.disks, tuple(
        each for each in world.alphabet if not isinstance(each, c.BeginWrite | c.EndWrite | c.DisableBitmap)
        and each not in one_of_each("j", A)[2:]
    ))  # fmt: skip
    exact, without = explore(fewer, lambda state: state), explore(fewer, identity)
    assert exact.states > without.states
    assert exact.edges == without.edges


def test_a_process_does_not_matter() -> None:
    """Neither the order of sets nor the seed of hashes shows."""
    told = "from cbtcheck.search.tour.reachable import missing; print(*missing('quick', ()), sep='\\n')"
    runs = {
        subprocess.run(
            [sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode()
        for seed in ("1", "2")
    }
    assert runs == {"".join(f"{each}\n" for each in missing("quick", ()))}


@pytest.fixture(scope="module")
def drawn() -> Coverage:
    """What 300 drawn scenarios cover on the reference implementation."""
    coverage = Coverage()
    hunt = Hunt(Player(ReferenceAdapter(), listen=coverage.listen))
    assert not hunt_with(hunt, seed=20160119, examples=300, steps=20)
    return coverage


def test_drawn_scenarios_cover_a_share_and_go_beyond(drawn: Coverage) -> None:
    scope = reachable("ci")
    assert drawn.within(scope) + drawn.beyond(scope) == drawn.covered
    assert drawn.within(reachable("quick")) >= len(reachable("quick")) // 5
    assert drawn.within(scope) >= len(scope) // 8
    assert drawn.within(scope) > 5 * drawn.beyond(scope), "what is drawn is nearly all in the scope"


def test_what_is_missing_can_be_listed(drawn: Coverage) -> None:
    left = missing("quick", drawn.edges)
    assert left == sorted(left)
    assert len(left) == len(reachable("quick")) - drawn.within(reachable("quick"))
    assert missing("quick", reachable("ci")) == []
    assert Edge("write", "of nothing", "no job", "accepted") in reachable("quick")


def test_coverage_is_told_by_command(drawn: Coverage) -> None:
    by_command = drawn.by_command()
    assert sum(by_command.values()) == drawn.covered
    assert len(by_command) >= 16, "of the 18 commands there are"
    assert by_command["transaction"] > 20, "with its actions"
