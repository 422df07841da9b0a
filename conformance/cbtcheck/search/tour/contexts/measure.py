"""All edges in context of a run, step by step."""

from __future__ import annotations

from collections.abc import Callable

from cbtmodel import commands as c
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtcheck.search.tour.contexts.among import among
from cbtcheck.search.tour.contexts.repeated import Memory
from cbtcheck.search.tour.contexts.undone import undone
from cbtcheck.search.tour.coverage import Edge, edges
from cbtcheck.sets.bitsets import Bits


class Contexts:
    """Follows scenarios, one after the other."""

    def __init__(self) -> None:
        self._memory = Memory()

    def edges(self, before: State[Bits], command: object, result: Step[Bits]) -> set[Edge]:
        """The edges in context of one step: `result` is what `step(before, command)` gave."""
        if result.refusal is not None and c.malformed(command) is not None:
            return set()
        return {
            *undone(before, command, result), *among(before, command, result),
            *self._memory.repeated(before, command, result),
        }  # fmt: skip


class AllEdges:
    """Follows scenarios, and gives all edges of each step, those in context and the others, to `take`."""

    def __init__(self, take: Callable[[set[Edge]], object]) -> None:
        self._take, self._contexts = take, Contexts()

    def listen(self, before: State[Bits], command: object, result: Step[Bits]) -> None:
        """One step of the specification; for `Player.listen`."""
        self._take({*edges(before, command, result), *self._contexts.edges(before, command, result)})
