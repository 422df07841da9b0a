"""The specification touches sets of blocks with `|`, `&`, `-`, truth and the space, and with nothing else.

It runs here on sets that can do no more than that, through drawn histories; so all that is proved of one arbitrary
block holds of the very functions that run. Inclusion is for whoever checks a property, not for a transition.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.search.draw import GUEST, JOB, OPERATOR, Hand, drawn
from cbtcheck.search.refused import nonsense
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel.commands import Command
from cbtmodel.node import State, initial
from cbtmodel.properties import OF_STATES, OF_STEPS, sets_of
from cbtmodel.step import Step, step


class Opaque:
    """A set that can be united, intersected, subtracted and asked whether it is empty. Nothing else."""

    __slots__ = ("_inside",)

    def __init__(self, inside: frozenset[int]) -> None:
        self._inside = inside

    def __or__(self, other: Opaque) -> Opaque:
        return Opaque(self._inside | other._inside)

    def __and__(self, other: Opaque) -> Opaque:
        return Opaque(self._inside & other._inside)

    def __sub__(self, other: Opaque) -> Opaque:
        return Opaque(self._inside - other._inside)

    def __bool__(self) -> bool:
        return bool(self._inside)

    __eq__ = None  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def inside(blocks: Opaque) -> frozenset[int]:
    return blocks._inside


class OpaqueSpace:
    """Makes opaque sets."""

    def __init__(self) -> None:
        self.plain = BitSets()

    @property
    def empty(self) -> Opaque:
        return Opaque(frozenset())

    def everything(self, size: int) -> Opaque:
        return opaque(self.plain.everything(size))

    def blocks(self, offset: int, length: int) -> Opaque:
        return opaque(self.plain.blocks(offset, length))

    def round_out(self, blocks: Opaque, granule: int, size: int) -> Opaque:
        word = sum(1 << number for number in inside(blocks))
        return opaque(self.plain.round_out(Bits(word), granule, size))


def opaque(blocks: Bits) -> Opaque:
    return Opaque(numbers(blocks))


def numbers(blocks: Bits) -> frozenset[int]:
    return frozenset(i for i in range(blocks.word.bit_length()) if blocks.word >> i & 1)


def history(seed: int, length: int) -> Iterator[tuple[State[Bits], Command, State[Bits]]]:
    """Random commands, drawn by looking at ordinary sets: the state before, the command, the state after."""
    random = Random(seed)
    capabilities = ReferenceAdapter.capabilities
    state = initial(BitSets(), random.choice(capabilities.disks))
    for _ in range(length):
        hand = Hand(random.randrange, state, capabilities)
        kinds = random.choice((OPERATOR, GUEST, JOB, None))
        command = nonsense(hand) if kinds is None else drawn(hand, kinds)
        after = step(state, command).state
        yield state, command, after
        state = after


def build_every_claim(before: State[Any], command: Command, outcome: Step[Any]) -> int:
    """Makes the sets of every claim, without asking whether it holds. ATOMIC compares states; see below."""
    of_the_state = [claim for each in OF_STATES.values() for claims in each for claim in claims(outcome.state)]
    of_the_step = [
        claim
        for property_id, each in OF_STEPS.items()
        if property_id != "ATOMIC"
        for claims in each
        for claim in claims(before, command, outcome)
    ]
    return len(of_the_state) + len(of_the_step)


@pytest.mark.parametrize("seed", range(40))
def test_opaque_sets_are_enough(seed: int) -> None:
    state: State[Any] | None = None
    claims = 0
    for before, command, after in history(seed, 60):
        if state is None:
            state = initial(OpaqueSpace(), {name: node.size for name, node in before.nodes.items()})
        outcome = step(state, command)
        claims += build_every_claim(state, command, outcome)
        if outcome.refusal is not None:
            assert outcome.state is state
        state = outcome.state
        assert {place: inside(blocks) for place, blocks in sets_of(state)} == {
            place: numbers(blocks) for place, blocks in sets_of(after)
        }
    assert claims > 60


def test_other_operations_are_noticed() -> None:
    some = OpaqueSpace().everything(4096)
    for forbidden in (len, iter, hash, lambda s: s == s, lambda s: s <= s, lambda s: s ^ s, lambda s: 1 in s):
        with pytest.raises(TypeError):
            forbidden(some)
