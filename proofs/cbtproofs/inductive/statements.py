"""The theorems that are proved by induction, each with what it says in one line: the words of the specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbtmodel import properties
from cbtmodel.release import OF_FUTURES

from cbtproofs.effects import composition, contract
from cbtproofs.inductive import covers, images, laws, locality, restores, theorem
from cbtproofs.inductive.script import OPAQUE

OTHERS = {
    theorem.ID: theorem.STATEMENT,
    restores.ID: restores.STATEMENT,
    covers.ID: covers.STATEMENT,
    images.ID: images.STATEMENT,
    "RELEASE": "Every job can be cancelled at once, and has a next command on its way to success, which makes that "
    "way shorter; its end freezes nothing. Not that a copy which is tried again ever succeeds.",
    locality.ID: (locality.local.__doc__ or "").splitlines()[0],
    contract.EFFECT: (contract.effects.__doc__ or "").splitlines()[0],
    contract.REFUSED: (contract.refusals.__doc__ or "").splitlines()[0],
    composition.ID: (composition.composed.__doc__ or "").splitlines()[0],
    laws.ID: "What is done to one entry of a table, or one item of a sequence, is done to each, in their order.",
    OPAQUE: "The specification comes to an end without looking inside a set.",
}

THEOREMS = (
    theorem.ID, restores.ID, covers.ID, images.ID, *properties.IDS, contract.EFFECT, contract.REFUSED, composition.ID,
    locality.ID, laws.ID, OPAQUE,
)  # fmt: skip
"""Their IDs, in the order in which they are to be read."""


def statement(property_id: str) -> str:
    """What a theorem says, in one line. Raises `KeyError` if there is none of that ID."""
    if property_id in OTHERS:
        return OTHERS[property_id]
    of_states, of_steps, of_writes = properties.OF_STATES, properties.OF_STEPS, properties.OF_WRITES
    functions: list[Callable[..., Any]] = [
        *OF_FUTURES.get(property_id, ()),
        *of_states.get(property_id, ()),
        *of_steps.get(property_id, ()),
    ]
    functions += [of_writes[property_id]] if property_id in of_writes else []
    if not functions:
        raise KeyError(property_id)
    return (functions[0].__doc__ or "").splitlines()[0]
