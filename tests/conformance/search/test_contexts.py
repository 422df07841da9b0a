"""Edges in context: what each says, which there are, and that the tour takes every one of them on the reference.

Which there are is what the families of scenarios give. So that this is no empty claim, the products that they are to
have are written down here once more, in other words; and short histories of a small world must lead to no others.
"""

from __future__ import annotations

from itertools import product

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.search.tour.contexts.measure import Contexts
from cbtcheck.search.tour.contexts.plan import FAMILIES, edges_of_scope, reachable_in_context, tour, tour_in_context
from cbtcheck.search.tour.contexts.stage import A, B, D, E, backup, merge, whole, write
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.reachable import START, reachable
from cbtcheck.search.tour.sizes import AS_IN_THE_WORLD
from cbtcheck.search.tour.walks import not_claimed
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

# walks, their commands, and the edges in context; pinned like those of test_coverage.py
PINNED = {"quick": (737, 14746, 2568), "ci": (953, 17090, 2996)}

QUICK = reachable_in_context("quick")


def follow(*commands: object, disks: tuple[str, ...] = (D, E), blocks: int = 4) -> list[set[str]]:
    """The edges in context of each of these commands."""
    state, contexts, found = initial(BitSets(), dict.fromkeys(disks, blocks * 512)), Contexts(), []
    for each in commands:
        result = step(state, each)
        found.append(set(map(str, contexts.edges(state, each, result))))
        state = result.state
    return found


def last(*commands: object) -> set[str]:
    return follow(*commands)[-1]


def there(command: str, given: str | None = None, state: str | None = None, outcome: str | None = None) -> bool:
    """Whether the tour has an edge like this; None: whatever it is."""
    asked = (command, given, state, outcome)
    return any(all(a is None or a == b for a, b in zip(asked, edge, strict=True)) for edge in QUICK)


ADD, ADD_B, CLEAR = c.AddBitmap(*A, 512), c.AddBitmap(*B, 512), c.ClearBitmap(*A)


# What they say


def test_what_is_undone_has_its_place_its_state_and_its_reason() -> None:
    refused = c.Transaction((CLEAR, c.DisableBitmap(*B), merge(A, B), c.EnableBitmap(D, "nobody")))
    assert last(ADD, write(D, 0), ADD_B, write(D, 1), refused) >= {
        "clear-bitmap: undone | enabled dirty | undone, first",
        "disable-bitmap: undone | enabled dirty | undone, in the middle",
        "merge-bitmaps: undone (1 sources, here, the sources have more) | enabled clean | undone, last",
        "enable-bitmap: refuses | after merge-bitmaps | refused: not found",
        "transaction: undone (clear, then merge into) | enabled dirty | in reverse",
        "transaction: undone (disable, then merge from) | enabled dirty | in reverse",
        "clear-bitmap: undone | nothing in flight | undone",
    }


def test_a_refused_merge_says_which_source_and_what_is_to_be_taken_back() -> None:
    bad = c.MergeBitmaps(*A, (c.Source(*B), c.Source(D, "nobody")))
    before = (ADD_B, write(D, 0), ADD)
    told = "merge-bitmaps: undone (source 2 of 2, {}) | bits to take back | refused: not found"
    assert last(*before, bad) == {told.format("alone")}
    assert told.format("first of a transaction") in last(*before, c.Transaction((bad,)))
    assert told.format("after other actions") in last(*before, c.Transaction((c.DisableBitmap(*A), bad)))


def test_a_transaction_that_is_refused_as_a_whole_undoes_nothing() -> None:
    assert last(ADD, c.Transaction((CLEAR,), True)) == set()
    assert last(ADD, c.Transaction((c.ClearBitmap(D, 1), c.Abort()))) == set()  # type: ignore[arg-type]


def test_who_else_is_told_from_the_oldest_on() -> None:
    commands = (ADD, backup("j", A, "full", "always"), ADD_B, c.AddBitmap(D, "c", 512, False))
    assert last(*commands, write(D, 0)) >= {
        "write: who else (bitmaps, by age) | frozen, enabled, disabled | accepted",
        "write: who else (jobs) | copies | accepted",
    }
    assert last(*commands, c.CancelJob("j"), write(D, 0)) >= {
        "write: who else (bitmaps, by age) | enabled, enabled, disabled | accepted"
    }


def test_writes_in_flight_are_counted_by_age() -> None:
    begun = [c.BeginWrite(D, f"w{each}", each * 512, 512) for each in range(3)]
    assert last(ADD, *begun, c.EndWrite(D, "w1", "failed")) >= {
        "end-write: among (failed) | the 2nd of 3 writes in flight, 0 on other disks | recorded by a bitmap"
    }


def test_jobs_are_counted_by_age_and_by_group() -> None:
    group = c.Transaction((whole("j", D), whole("k", E), whole("l", D)), True)
    assert last(group, c.CancelJob("l")) >= {
        "cancel-job: among | the 2nd of 2 jobs of the disk, 1 on other disks | accepted, jobs cancelled",
        "cancel-job: among | the 3rd of 3 members, of 2 disks | accepted, jobs cancelled",
    }


def test_repetitions_are_counted_for_each_bitmap_by_itself() -> None:
    played = follow(ADD, ADD_B, CLEAR, c.ClearBitmap(*B), CLEAR, c.RemoveBitmap(*A), ADD, CLEAR)
    times = [next((each for each in some if "clear-bitmap: again" in each), None) for some in played]
    told = "clear-bitmap: again (clear) | any | {} time"
    assert [each for each in times if each] == [told.format(each) for each in ("1st", "1st", "2nd", "3rd")]


def test_what_ended_before_is_remembered() -> None:
    once = (write(D, 0), backup("j", A), c.CancelJob("j"))
    assert last(ADD, *once, *once) >= {
        "start-backup: again (cancelled, on-success) | after one that was cancelled, on-success | ended",
        "start-backup: again (cancelled, on-success) | frozen enabled dirty with a clean successor | 2nd time",
    }


def test_another_scenario_is_counted_anew() -> None:
    contexts, first = Contexts(), initial(BitSets(), {D: 512})
    for _ in range(2):
        state = first
        for each in (ADD, CLEAR):
            result = step(state, each)
            found = contexts.edges(state, each, result)
            state = result.state
        assert Edge("clear-bitmap: again", "clear", "any", "1st time") in found


# Which there are


@pytest.mark.parametrize("scope", ["quick", "ci"])
def test_the_counts_are_those_that_were_reviewed(scope: str) -> None:
    walks = tour_in_context(scope)
    assert (len(walks), sum(len(each.commands) for each in walks), len(reachable_in_context(scope))) == PINNED[scope]
    assert len(tour(scope)) == len(walks) + sum(not each.in_context for each in tour(scope))


def test_explored_edges_and_those_in_context_are_different_ones() -> None:
    assert not QUICK & reachable("quick")
    assert edges_of_scope("quick") == QUICK | reachable("quick")
    assert reachable_in_context("ci") > QUICK
    assert {each.world.name for each in tour_in_context("quick")} == {*FAMILIES}


POSITIONS = ("alone", "first", "in the middle", "last")
STATES = [f"{one} {other}" for one, other in product(("enabled", "disabled"), ("clean", "dirty"))]


def test_every_action_is_undone_everywhere_in_every_state() -> None:
    for position in POSITIONS:
        for kind, state in product(("remove", "clear", "enable", "disable"), STATES):
            assert there(f"{kind}-bitmap: undone", "", state, f"undone, {position}")
        for given in ("enabled", "disabled"):
            assert there("add-bitmap: undone", given, "absent", f"undone, {position}")
        for (sync, mode), state in product(START, STATES):
            assert there("start-backup: undone", f"{sync}, {mode or 'no mode'}", state, f"undone, {position}")
        assert there("start-backup: undone", "full, no mode", "no bitmap", f"undone, {position}")
    differs = ("the sources have more and the target has more", "the sources have more", "the target has more",
               "no bit differs")  # fmt: skip
    for count, where, how in product((1, 2, 3), ("here", "elsewhere too"), differs):
        for position, node in product(POSITIONS, ("enabled", "disabled")):
            state = f"{node} {'clean' if how == differs[1] else 'dirty'}"
            assert there("merge-bitmaps: undone", f"{count} sources, {where}, {how}", state, f"undone, {position}")
    for position, each in product(POSITIONS, (1, 2, 3)):
        assert there("merge-bitmaps: undone", "3 sources", f"bits that only source {each} has", f"undone, {position}")


def test_every_action_is_undone_by_every_refusal() -> None:
    kinds = ("remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap", "merge-bitmaps", "start-backup")
    every = (*kinds, "add-bitmap (enabled)", "add-bitmap (disabled)")
    for kind in every:
        assert there("transaction: refuses", "", f"after {kind}", "refused: aborted")
        for refusing, why in product(kinds, ("busy", "not found")):
            assert there(f"{refusing}: refuses", "", f"after {kind}", f"refused: {why}")
        others = [(each, why) for each in ("start-backup", "add-bitmap") for why in ("exists", "invalid")]
        for refusing, why in (("merge-bitmaps", "size mismatch"), *others):
            assert there(f"{refusing}: refuses", "", f"after {kind}", f"refused: {why}")


def test_every_source_of_a_merge_is_the_reason_to_refuse_it() -> None:
    for count, where in product((1, 2, 3), ("alone", "first of a transaction", "after other actions")):
        for number, why in product(range(1, count + 1), ("not found", "busy", "size mismatch")):
            back = "bits to take back" if number > 1 else "nothing to take back"
            given = f"source {number} of {count}, {where}"
            assert there("merge-bitmaps: undone", given, back, f"refused: {why}")


def test_every_two_and_three_actions_on_a_bitmap_are_undone() -> None:
    uses = ("clear", "enable", "disable", "merge into", "merge from")
    for one, two in product((*uses, "add", "add disabled"), (*uses, "remove", "backup")):
        states = STATES if one in uses else ["absent"]
        assert all(there("transaction: undone", f"{one}, then {two}", each) for each in states)
        for three in (*uses, "remove", "backup") if two in uses else ():
            assert there("transaction: undone", f"{one}, then {two}, then {three}")


def test_every_three_bitmaps_are_written_to() -> None:
    conditions = ("enabled", "disabled", "frozen", "frozen and disabled")
    for count in (1, 2, 3):
        for each, how in product(product(conditions, repeat=count), ("write", "end-write")):
            assert there(f"{how}: who else", "bitmaps, by age", ", ".join(each))


def test_each_of_three_ends_first() -> None:
    ranks = [(1, "the only one of the")]
    ranks += [(n, f"the {rank} of {n}") for n in (2, 3) for rank in ("1st", "2nd", "3rd")[:n]]
    for (count, rank), result in product(ranks, ("ok", "failed")):
        for who in ("a bitmap", "a successor", "a bitmap and a successor"):
            state = f"{rank} writes in flight, 0 on other disks"
            assert there("end-write: among", result, state, f"recorded by {who}")
        for command in ("pause-job", "resume-job", "cancel-job", "finalize-job", "copy", "begin-copy", "end-copy"):
            for others in ("0", "1", "2+")[: 4 - count]:
                assert there(f"{command}: among", "", f"{rank} jobs of the disk, {others} on other disks")
        if count > 1:
            for command, disks in product(("cancel-job", "copy", "finalize-job", "pause-job"), range(1, count + 1)):
                assert there(f"{command}: among", "", f"{rank} members, of {disks} disks")


def test_everything_happens_five_times() -> None:
    times = ("1st time", "2nd time", "3rd time", "4th time", "5th time or later")
    for each, how, mode in product(times, ("completed", "cancelled", "failed"), ("on-success", "always", "never")):
        assert there("start-backup: again", f"{how}, {mode}", None, each)
    for each in times:
        assert there("add-bitmap: again", "add", None, each)
        assert there("merge-bitmaps: again", "merge from", None, each)
        assert there("transaction: again", "undone", None, each)


def test_short_histories_of_a_small_world_lead_to_no_others() -> None:
    """Whatever up to four commands do on one disk with two bitmaps; five times that they do it cannot be."""
    actions = (CLEAR, c.DisableBitmap(*A), merge(A, B), merge(B, A), backup("j", A))
    alphabet = (
        ADD, c.AddBitmap(*B, 512, False), write(D, 0), backup("j", A, "full", "always"), c.CancelJob("j"),
        c.BeginWrite(D, "w", 0, 512), c.EndWrite(D, "w"),
        *(c.Transaction((*each, c.Abort())) for count in (1, 2) for each in product(actions, repeat=count)),
    )  # fmt: skip
    found: set[Edge] = set()
    for commands in product(alphabet, repeat=3):
        state, contexts = initial(BitSets(), {D: 512}), Contexts()
        for each in (ADD, *commands):
            result = step(state, each)
            found |= contexts.edges(state, each, result)
            state = result.state
    assert len(found) > 100
    assert sorted(map(str, found - QUICK)) == []


# They are taken


def test_the_reference_takes_every_one() -> None:
    contexts, found = Contexts(), set[Edge]()
    player = Player(ReferenceAdapter(), listen=lambda *each: found.update(contexts.edges(*each)))
    for walk in tour_in_context("quick"):
        assert not_claimed(walk.commands, ReferenceAdapter.capabilities) == ""
        assert player.play_scenario(walk.scenario(AS_IN_THE_WORLD)) == []
        assert not player.state.jobs
    assert QUICK - found == set()
