"""Scopes explored as `cbtspec explore` does it, but for the checks whose result is known.

A state, or a step, that was looked at with the right specification, and in which the mutated function is not called,
is as it was then: nothing is wrong with it. Only what is checked is left out; what can be reached is found anew.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtproofs.explorer.breadth_first import Exploration, Explored, Stop, Tripped
from cbtproofs.explorer.checked import Checks, Failed
from cbtproofs.explorer.scopes import Scope
from cbtproofs.explorer.sometimes import Sightings
from cbtproofs.mutants.kill_matrix.calls import CALLS


class Again:
    """One scope. After `run`: `failed` is what does not hold, `commands` the shortest way to show it, `states` how

    many states were found, `missing` what was to be seen and was not.
    """

    def __init__(self, scope: Scope, code: CodeType | None) -> None:
        self.scope, self.code = scope, code
        self.checks, self.sightings = Checks(), Sightings(scope)
        self.failed: list[Failed] = []
        self.explored: Explored[Any] = Explored(scope.commands, [])
        self._found_at: tuple[int, tuple[Command, ...]] = 0, ()

    def run(self, limit: int) -> None:
        """Explores, up to the first violation. Raises `TooLarge`."""
        try:
            Exploration(self.explored, self._arrive, self._go, None, limit).run(self.scope.initial())
        except Tripped as trip:
            self.failed = [Failed("TOTAL", f"the specification trips: {trip}")]
            self._found_at = trip.number, (trip.command,)

    @property
    def states(self) -> int:
        """How many were found."""
        return len(self.explored.states)

    @property
    def commands(self) -> tuple[Command, ...]:
        """The shortest way to what failed."""
        number, last = self._found_at
        return (*self.explored.path(number), *last)

    @property
    def missing(self) -> list[str]:
        """What was to be seen and was not."""
        return list(self.sightings.missing)

    def _arrive(self, number: int, state: State[Any]) -> None:
        place = (self.scope, state)
        if CALLS.same_as_ever(place, self.code):
            return
        self._wrong(self.checks.state(state) + self.checks.writes(state), number, ())
        CALLS.at(place)

    def _go(self, number: int, before: State[Any], command: Command, result: Step[Any]) -> None:
        if self.sightings.awaited:
            self.sightings.look(before, command, result)
        place = (self.scope, before, id(command))
        if CALLS.same_as_ever(place, self.code):
            return
        self._wrong(self.checks.step(before, command, result), number, (command,))
        CALLS.at(place)

    def _wrong(self, failed: list[Failed], number: int, last: tuple[Command, ...]) -> None:
        if failed:
            self.failed, self._found_at = failed, (number, last)
            raise Stop
