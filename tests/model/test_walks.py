"""Along random walks every property holds, and it does not matter which sets the specification runs on."""

import random
from typing import Any

from cbtcheck.sets.bitsets import BitSets
from cbtmodel import Frozensets
from cbtmodel.properties import IDS, OF_STATES, OF_STEPS, OF_WRITES, batch, sets_of, violations
from cbtmodel.release import OF_FUTURES, future_claims


def test_every_property_holds_at_every_step(walks: Any) -> None:
    steps = refused = ended = 0
    for before, command, result in walks():
        assert violations(before, command, result) == [], command
        steps, refused, ended = steps + 1, refused + (result.refusal is not None), ended + len(result.ended)
    assert steps > 2000
    assert refused > 300, "refusals are exercised"
    assert ended > 100, "ends of jobs are exercised"


def test_it_does_not_matter_what_the_sets_are_made_of(walks: Any) -> None:
    for plain, bits in zip(walks(Frozensets(512)), walks(BitSets(512)), strict=True):
        (_, command, one), (_, _, other) = plain, bits
        assert (one.refusal and one.refusal.kind) == (other.refusal and other.refusal.kind), command
        assert [(end.job_id, end.outcome) for end in one.ended] == [(end.job_id, end.outcome) for end in other.ended]
        for (where, blocks), (_, word) in zip(sets_of(one.state), sets_of(other.state), strict=True):
            assert sum(1 << block for block in blocks) == word.word, f"{where} after {command}"


def test_two_writes_are_the_same_as_one_write_of_both(walks: Any) -> None:
    chance = random.Random(1)
    for before, command, _ in walks():
        for node_name, node in before.nodes.items():
            first, second = (
                before.space.blocks(chance.randrange(node.size), chance.choice((1, 512, 5000)))
                & before.space.everything(node.size)
                for _ in range(2)
            )
            assert all(claim.holds() for claim in batch(before, node_name, first, second)), command


def test_every_job_can_end(walks: Any) -> None:
    claims = 0
    for _, command, result in walks():
        for claim in future_claims(result.state):
            assert claim.holds(), f"{claim} after {command}"
            claims += 1
    assert claims > 1000


def test_a_refused_command_leaves_the_very_same_state(walks: Any) -> None:
    for before, command, result in walks():
        if result.refusal is not None:
            assert result.state is before, command


def test_what_a_command_does_not_touch_is_the_same_object(walks: Any) -> None:
    """A prover may then look at what is touched only."""
    for before, command, result in walks():
        if type(command).__name__ in ("ClearBitmap", "EnableBitmap", "DisableBitmap") and result.refusal is None:
            for node_name, node in result.state.nodes.items():
                for name, bitmap in node.bitmaps.items():
                    if (node_name, name) != (command.node, command.name):
                        assert bitmap is before.nodes[node_name].bitmaps[name]
            assert result.state.jobs is before.jobs


def test_every_property_has_its_id() -> None:
    assert {*OF_STATES, *OF_STEPS, *OF_WRITES, *OF_FUTURES} == set(IDS)
