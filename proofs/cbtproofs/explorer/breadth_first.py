"""The exhaustive explorer: every command in every state that can be reached, breadth first.

What runs is `cbtmodel.step.step` itself. States are kept and compared as they are, ghosts included: no hash that
could collide stands for a state, and no state is taken for another. There is no limit to the depth: an exploration
ends when nothing new is found, at the first violation, or at a limit of states (`TooLarge`).

Breadth first, each state keeps the command by which it was found first: so there is a shortest path to each state,
each transition and each violation.

This is the engine, for any sets and any alphabet; `exploration` checks every property with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic

from cbtmodel.blocks import S
from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step, step
from cbtmodel.table import Table

Arrive = Callable[[int, State[Any]], None]
Go = Callable[[int, State[Any], Command, Step[Any]], None]
Identity = Callable[[State[Any]], Hashable]
Progress = Callable[[str, int, int], None]

class TooLarge(Exception):
    """There are more states than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit:,} states")
        self.limit = limit


class Stop(Exception):
    """Raised by whoever looks on: enough has been seen. What was found so far is the result."""


class Tripped(Exception):
    """`step` raised something in a state, although it is total: the specification is broken."""

    def __init__(self, number: int, command: Command, problem: Exception) -> None:
        super().__init__(f"{type(problem).__name__}: {problem}")
        self.number = number
        self.command = command


@dataclass
class Explored(Generic[S]):
    """All states in the order in which they were found; a state's number is its place in that order.

    `tried` are the commands tried, all in all states; `transitions` those of them that were accepted.
    """

    alphabet: tuple[Command, ...]
    states: list[State[S]]
    found_from: array[int] = field(default_factory=lambda: array("l"))
    found_by: array[int] = field(default_factory=lambda: array("l"))
    depths: array[int] = field(default_factory=lambda: array("l"))
    tried: int = 0
    transitions: int = 0

    @property
    def depth(self) -> int:
        """How many commands the state takes that is farthest from the start."""
        return self.depths[-1]

    def path(self, number: int) -> list[Command]:
        """A shortest sequence of commands from the start to a state."""
        commands: list[Command] = []
        while self.found_from[number] >= 0:
            commands.append(self.alphabet[self.found_by[number]])
            number = self.found_from[number]
        return commands[::-1]


def explore(
    first: State[S],
    alphabet: Sequence[Command],
    arrive: Arrive | None = None,
    go: Go | None = None,
    identity: Identity | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Explored[S]:
    """Every command of the alphabet in every state that can be reached from `first`.

    `arrive` is told every state once, with its number, when it is found; `go` every transition, with the number of
    the state before, those that are refused included. Either may raise `Stop`. `identity` tells states apart (by
    default, all that they are). Raises `TooLarge` beyond `limit` states, `Tripped` if `step` is not total.
    """
    explored: Explored[S] = Explored(tuple(alphabet), [])
    Exploration(explored, arrive, go, identity, limit, progress).run(first)
    return explored


@dataclass
class Exploration(Generic[S]):
    """An exploration under way; `explored` is what has been found so far, whatever ends it. See `explore`."""

    explored: Explored[S]
    arrive: Arrive | None = None
    go: Go | None = None
    identity: Identity | None = None
    limit: int | None = None
    progress: Progress | None = None

    def run(self, first: State[S]) -> None:
        """Explores until nothing new is found, or somebody stops it."""
        self._known: set[Hashable] = set()
        self._share = _Shared()
        with suppress(Stop):
            self._reached(first, -1, -1)
            for number, state in enumerate(self.explored.states):  # grows meanwhile
                self._expand(number, state)

    def _expand(self, number: int, state: State[S]) -> None:
        explored, go = self.explored, self.go
        if self.progress is not None and number % 256 == 0:
            self.progress("states explored", number, len(explored.states))
        for index, command in enumerate(explored.alphabet):
            try:
                result = step(state, command)
            except Exception as problem:
                raise Tripped(number, command, problem) from problem
            explored.tried += 1
            explored.transitions += result.refusal is None
            if go is not None:
                go(number, state, command, result)
            if result.state is not state:
                self._reached(result.state, number, index)

    def _reached(self, state: State[S], before: int, by: int) -> None:
        explored = self.explored
        if self.identity is None:
            state = self._share(state)
        key: Hashable = state if self.identity is None else self.identity(state)
        if key in self._known:
            return
        if len(explored.states) == self.limit:
            raise TooLarge(self.limit)
        self._known.add(key)
        explored.states.append(state)
        explored.found_from.append(before)
        explored.found_by.append(by)
        explored.depths.append(explored.depths[before] + 1 if before >= 0 else 0)
        if self.arrive is not None:
            self.arrive(len(explored.states) - 1, state)


class _Shared:
    """States that share equal tables, so that they take less room and are compared sooner."""

    def __init__(self) -> None:
        self.tables: dict[Table[Any], Table[Any]] = {}

    def __call__(self, state: State[Any]) -> State[Any]:
        nodes = self.tables.setdefault(state.nodes, state.nodes)
        jobs = self.tables.setdefault(state.jobs, state.jobs)
        return State(state.space, nodes, jobs)
