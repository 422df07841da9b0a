"""A scope explored with every property checked: counts, what was seen, and a shortest path to what does not hold.

`explore_scope` is without symmetry. With it, see `symmetry`; the outcome has the same shape.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtproofs.explorer.breadth_first import Exploration, Explored, Progress, Stop, Tripped
from cbtproofs.explorer.checked import Checks, Failed
from cbtproofs.explorer.scopes import Scope
from cbtproofs.explorer.sometimes import Sightings

LIMIT = 50_000
"""How many states are explored without symmetry, if nobody says otherwise: some two minutes."""


@dataclass(frozen=True)
class Violation:
    """What does not hold, and a shortest sequence of commands that shows it; it fails at, or after, the last one."""

    failed: tuple[Failed, ...]
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        return f"after {len(self.commands)} commands: {'; '.join(map(str, self.failed))}"


@dataclass(frozen=True)
class Outcome:
    """A scope explored. `states` and `transitions` (accepted commands, in all states) are up to permutation of blocks
    if `symmetry`. `tried` are all commands in all states. `claims`: how many claims of each property were checked.
    """

    scope: Scope
    symmetry: bool
    states: int
    tried: int
    transitions: int
    depth: int
    seconds: float
    claims: dict[str, int]
    sightings: Sightings
    violation: Violation | None = None

    @property
    def good(self) -> bool:
        """Whether every property holds, and all was seen that the scope ought to show."""
        return self.violation is None and not self.sightings.missing


def explore_scope(scope: Scope, limit: int | None = LIMIT, progress: Progress | None = None) -> Outcome:
    """Explores a scope state by state; stops at the first violation. Raises `TooLarge` beyond `limit` states."""
    return graph_of(scope, limit, progress)[0]


def graph_of(
    scope: Scope, limit: int | None = LIMIT, progress: Progress | None = None
) -> tuple[Outcome, Explored[frozenset[int]]]:
    """The same, with the graph that was explored."""
    began = time.perf_counter()
    onlooker = _Onlooker(scope)
    explored: Explored[frozenset[int]] = Explored(scope.commands, [])
    exploration = Exploration(explored, onlooker.arrive, onlooker.go, None, limit, progress)
    violation = None
    try:
        exploration.run(scope.initial())
    except Tripped as trip:
        commands = (*explored.path(trip.number), trip.command)
        violation = Violation((Failed("TOTAL", f"the specification trips: {trip}"),), commands)
    if onlooker.failed:
        commands = (*explored.path(onlooker.number), *onlooker.last)
        violation = Violation(tuple(onlooker.failed), commands)
    outcome = Outcome(
        scope, False, len(explored.states), explored.tried, explored.transitions, explored.depth,
        time.perf_counter() - began, dict(onlooker.checks.claims), onlooker.sightings, violation,
    )  # fmt: skip
    return outcome, explored


class _Onlooker:
    """Checks what passes by; stops at the first thing that does not hold."""

    def __init__(self, scope: Scope) -> None:
        self.checks = Checks()
        self.sightings = Sightings(scope)
        self.failed: list[Failed] = []
        self.number = 0
        self.last: tuple[Command, ...] = ()

    def arrive(self, number: int, state: State[Any]) -> None:
        """A new state."""
        found = self.checks.state(state) + self.checks.writes(state)
        if found:
            self.failed, self.number = found, number
            raise Stop

    def go(self, number: int, before: State[Any], command: Command, result: Step[Any]) -> None:
        """A transition."""
        if self.sightings.awaited:
            self.sightings.look(before, command, result)
        found = self.checks.step(before, command, result)
        if found:
            self.failed, self.number, self.last = found, number, (command,)
            raise Stop
