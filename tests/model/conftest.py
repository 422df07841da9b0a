"""Scenarios that the suite's machine draws, to walk the specification along; and a small disk to say things on."""

from collections.abc import Iterator
from typing import Any

import cbtmodel
import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.workflows import workflows
from cbtmodel import Frozensets, Space, State, Step, initial

G = 4096
"""Bytes of a granule, and of a cluster, on the small disk; it has eight."""


@pytest.fixture(scope="session")
def drawn() -> list[Scenario]:
    """The workflows that users run, and random walks, the same ones each time."""
    scenarios: list[Scenario] = list(workflows().values())
    draw_scenarios(ReferenceAdapter.capabilities, scenarios.append, seed=20160107, examples=250, steps=20)
    return scenarios


class Walks:
    """Walks through scenarios: before, command, and what came of it, for each command."""

    def __init__(self, scenarios: list[Scenario]) -> None:
        self.scenarios = scenarios

    def __call__(self, space: Space[Any] | None = None) -> Iterator[tuple[State[Any], object, Step[Any]]]:
        for scenario in self.scenarios:
            state = initial(space or Frozensets(), scenario.disks)
            for command in scenario.commands:
                result = cbtmodel.step(state, command)
                yield state, command, result
                state = result.state


@pytest.fixture
def walks(drawn: list[Scenario]) -> Walks:
    return Walks(drawn)


class Story:
    """Disks `d` and `e` of eight granules and `small` of four; commands are given one after the other."""

    def __init__(self) -> None:
        self.state = initial(Frozensets(512), {"d": 8 * G, "e": 8 * G, "small": 4 * G})
        self.ended: list[tuple[str, str]] = []

    def do(self, *commands: Any) -> "Story":
        """All of them are accepted."""
        for command in commands:
            result = cbtmodel.step(self.state, command)
            assert result.refusal is None, f"{command}: {result.refusal}"
            self.state = result.state
            self.ended += [(end.job_id, end.outcome) for end in result.ended]
        return self

    def refused(self, command: Any) -> str:
        """The kind of refusal; the state stays as it was."""
        result = cbtmodel.step(self.state, command)
        assert result.refusal is not None, f"{command} was accepted"
        assert result.state is self.state
        assert result.ended == ()
        return result.refusal.kind

    def dirty(self, name: str = "b", node: str = "d") -> set[int]:
        """The dirty granules of a bitmap."""
        return {block * 512 // G for block in self.state.nodes[node].bitmaps[name].marks.dirty}


@pytest.fixture
def story() -> Story:
    return Story()
