"""The control states of a scope as a diagram, for Mermaid or Graphviz: drawn from what was explored, not by hand.

A control state is what is left of a state without its sets: of each bitmap whether it is absent, free or frozen, of
each job the phase in which it is. An arrow from one to another says which commands can do that, and how a job ends by
it. Commands that are refused, or leave the control state as it is, have no arrow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cbtmodel.bitmap import Bitmap
from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtproofs.explorer.breadth_first import explore
from cbtproofs.explorer.scopes import Scope

MOST = 40
"""More control states than this are no diagram that anybody could read."""

Control = tuple[str, ...]


class Unreadable(Exception):
    """There are too many control states for a diagram."""


@dataclass(frozen=True)
class Diagram:
    """Control states, the first one first, and the labels of the arrows between them."""

    states: tuple[Control, ...]
    arrows: dict[tuple[Control, Control], tuple[str, ...]]


def diagram(scope: Scope, limit: int | None = None) -> Diagram:
    """The diagram of a scope. Raises `TooLarge` beyond `limit` states, `Unreadable` beyond `MOST` control states."""
    states: dict[Control, None] = {}
    arrows: dict[tuple[Control, Control], dict[str, None]] = {}

    def arrive(number: int, state: State[Any]) -> None:
        states.setdefault(control(scope, state))
        if len(states) > MOST:
            raise Unreadable(f"more than {MOST} control states are too many for a diagram")

    def go(number: int, before: State[Any], command: Command, result: Step[Any]) -> None:
        if result.refusal is None:
            arrow = control(scope, before), control(scope, result.state)
            if arrow[0] != arrow[1]:
                arrows.setdefault(arrow, {}).setdefault(label(command, result))

    explore(scope.initial(), scope.commands, arrive, go, limit=limit)
    return Diagram(tuple(states), {arrow: tuple(sorted(labels)) for arrow, labels in arrows.items()})


def control(scope: Scope, state: State[Any]) -> Control:
    """The control state: a line for each bitmap and each job of the scope."""
    bitmaps = [f"bitmap {name} {_bitmap(state.nodes[node].bitmaps.get(name))}" for node, name in scope.places]
    jobs = [f"job {job_id} {_phase(state, job_id)}" for job_id, _, _ in scope.users]
    return (*bitmaps, *jobs)


def _bitmap(bitmap: Bitmap[Any] | None) -> str:
    if bitmap is None:
        return "absent"
    return "free" if bitmap.successor is None else "frozen"


def _phase(state: State[Any], job_id: str) -> str:
    if job_id not in state.jobs:
        return "none"
    job = state.jobs[job_id]
    return "paused" if job.paused else job.phase


def label(command: Command, result: Step[Any]) -> str:
    """The command's name as in a scenario, and how jobs end by it."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(command).__name__).lower()
    outcomes = sorted({end.outcome for end in result.ended})
    return f"{name} ({' and '.join(outcomes)})" if outcomes else name


def shortened(labels: tuple[str, ...]) -> list[str]:
    """Labels by how jobs end: `copy, write (completed)`. No colons, which Mermaid takes amiss."""
    by_outcome: dict[str, list[str]] = {}
    for each in labels:
        name, _, outcome = each.partition(" ")
        by_outcome.setdefault(outcome, []).append(name)
    return [f"{', '.join(names)} {outcome}".rstrip() for outcome, names in by_outcome.items()]


def mermaid(drawn: Diagram) -> str:
    """The diagram as Mermaid has it."""
    names = {state: f"s{number}" for number, state in enumerate(drawn.states)}
    lines = ["stateDiagram-v2", "    direction TB"]
    lines += [f'    state "{"<br/>".join(state)}" as {name}' for state, name in names.items()]
    lines.append("    [*] --> s0")
    lines += [
        f"    {names[here]} --> {names[there]}: {'<br/>'.join(shortened(labels))}"
        for (here, there), labels in drawn.arrows.items()
    ]
    return "\n".join(lines) + "\n"


def dot(drawn: Diagram) -> str:
    """The diagram as Graphviz has it."""
    names = {state: f"s{number}" for number, state in enumerate(drawn.states)}
    lines = ["digraph cbtspec {", "    node [shape=box, style=rounded];", "    start [shape=point];"]
    lines += [f'    {name} [label="{_lines(state)}"];' for state, name in names.items()]
    lines.append("    start -> s0;")
    lines += [
        f'    {names[here]} -> {names[there]} [label="{_lines(shortened(labels))}"];'
        for (here, there), labels in drawn.arrows.items()
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _lines(parts: Sequence[str]) -> str:
    return r"\n".join(parts)
