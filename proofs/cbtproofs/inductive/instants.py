"""What is proved of a state by itself: the first one, and what holds in every legal state without a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cbtmodel import properties as must
from cbtmodel.node import State, initial
from cbtmodel.release import future_claims
from cbtmodel.step import Step

from cbtproofs.inductive import theorem
from cbtproofs.inductive.casts import SIZE, Cast
from cbtproofs.inductive.obligations import LIVE, SAFE, arranged, claims_of
from cbtproofs.inductive.script import Claim, Item, Opening, Play, Played, ProveEach, Prover, Script


def at_first(prover: Prover) -> Iterator[Item]:
    """Everything holds of fresh disks, and nothing is lost yet."""
    state = initial(prover.space, {"d": SIZE, "e": SIZE})
    yield Played(state, Step(state))
    for property_id, claims in claims_of(state, "at rest", SAFE | LIVE):
        yield ProveEach(property_id, claims)
    yield from theorem.at_first(state)


def always(cast: Cast, property_id: str, claims: Callable[[Prover, State[Any]], Iterator[Claim]]) -> Script:
    """Something holds in every state of the cast."""

    def rest(prover: Prover, state: State[Any]) -> Iterator[Item]:
        yield Played(state, Step(state))
        yield ProveEach(property_id, claims(prover, state))

    return Play(Opening(cast, Cast.state, arranged), rest)


def unites(cast: Cast) -> Script:
    """BATCH, of two arbitrary writes."""
    return always(cast, "BATCH", lambda prover, state: must.batch(state, "d", *map(prover.arbitrary, ("v", "w"))))


def releases(cast: Cast) -> Script:
    """RELEASE: every job can be given up, and has a next command that makes less of what is left."""
    return always(cast.only_what_is_left(), "RELEASE", lambda _, state: future_claims(state))
