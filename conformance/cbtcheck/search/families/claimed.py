"""Which values of a parameter an implementation can be asked for at all.

Pairs are covered over these only: a row that had one of the others would be dropped, and its pairs with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from cbtmodel.commands import Command

from cbtcheck.scenario.capabilities import not_claimed
from cbtcheck.search.families.ground import Ground

V = TypeVar("V")


def claimed(ground: Ground, values: Sequence[V], commands: Callable[[V], Iterable[Command]]) -> list[V]:
    """The values whose commands take nothing that is not claimed, in their order. Sizes do not matter here."""
    return [
        each for each in values if not any(not_claimed(command, ground.capabilities) for command in commands(each))
    ]
