"""Every property of the specification, checked on ordinary sets, and how many claims that were.

The explorers check with this: what is of one state once in each state, what is of a step once for each transition.
The properties themselves are the model's (`cbtmodel.properties`, `cbtmodel.release`); none is stated here, and none
is left out: a property ID that nobody checks shows up with no claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cbtmodel.node import State
from cbtmodel.properties import IDS, OF_STATES, OF_STEPS, OF_WRITES, Fact, Inclusion
from cbtmodel.release import OF_FUTURES
from cbtmodel.step import Step

Blocks = frozenset[int]
OF_ONE_STATE = [
    (property_id, each)
    for table in (OF_STATES, OF_FUTURES)
    for property_id, several in table.items()
    for each in several
]
OF_ONE_STEP = [(property_id, each) for property_id, several in OF_STEPS.items() for each in several]


@dataclass(frozen=True, slots=True)
class Failed:
    """A claim that does not hold: the property's ID, the place, and the blocks at fault, if it is about blocks."""

    id: str
    where: str
    blocks: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.id}: {self.where}"


@dataclass
class Checks:
    """Checks states and steps. `claims`: how many claims were looked at, by property."""

    claims: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(IDS, 0)))

    def state(self, state: State[Any]) -> list[Failed]:
        """What does not hold in a state."""
        return [failed for property_id, each in OF_ONE_STATE for failed in self.failing(property_id, each(state))]

    def step(self, before: State[Any], command: object, step: Step[Any]) -> list[Failed]:
        """What does not hold of a step."""
        return [
            failed
            for property_id, each in OF_ONE_STEP
            for failed in self.failing(property_id, each(before, command, step))
        ]

    def writes(self, state: State[Blocks]) -> list[Failed]:
        """What does not hold of two writes in a state: any two blocks of the same node, one after the other."""
        return [
            failed
            for property_id, each in OF_WRITES.items()
            for node_name, node in state.nodes.items()
            for first in state.space.everything(node.size)
            for second in range(first + 1)
            for failed in self.failing(
                property_id, each(state, node_name, frozenset((first,)), frozenset((second,)))
            )
        ]

    def failing(self, property_id: str, claims: Iterator[Any]) -> list[Failed]:
        """The claims that do not hold; all are counted. A property that trips over a broken state does not hold."""
        try:
            found = list(claims)
        except Exception as problem:
            return [Failed(property_id, f"cannot even be looked at: {type(problem).__name__}: {problem}")]
        self.claims[property_id] += len(found)
        return [Failed(property_id, claim.where, offending(claim)) for claim in found if not claim.holds()]


def offending(claim: Inclusion[Any] | Fact) -> Any:
    """The blocks for which a claim does not hold; None if it is about control."""
    return claim.small - claim.large if isinstance(claim, Inclusion) else None
