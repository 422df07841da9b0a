"""A state taken apart: its control part, and for each block its *condition*, the places whose sets hold it.

A state's sets are found by looking everywhere in it, so whatever the model adds to a state is found, too: a set is
what is a `frozenset`. The control part is the state with every set empty, and its tables in alphabetical order. The
places are in the order in which the control part has them, so a control part and a condition for each block are all
that there is to a state, and `assembled` gives it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from cbtmodel.node import State
from cbtmodel.table import Table

Blocks = frozenset[int]
Condition = frozenset[str]
"""The places that hold a block, such as `nodes.d.bitmaps.a.marks.dirty`."""


def dissected(state: State[Blocks]) -> tuple[State[Blocks], dict[str, Blocks]]:
    """The control part of a state, and its sets by their places."""
    sets: dict[str, Blocks] = {}

    def take(place: str, blocks: Blocks) -> Blocks:
        sets[place] = blocks
        return frozenset()

    return _mapped(state, "", take), sets


def conditions(sets: dict[str, Blocks], blocks: int) -> list[Condition]:
    """The condition of each block, the sets of a state being given by their places."""
    return [frozenset(place for place, held in sets.items() if block in held) for block in range(blocks)]


def assembled(control: State[Blocks], blocks: Sequence[Condition], size: int) -> State[Blocks]:
    """The state with this control part and these conditions of its blocks, from the first; nodes of `size` bytes."""

    def put(place: str, nothing: Blocks) -> Blocks:
        return frozenset(block for block, condition in enumerate(blocks) if place in condition)

    state: State[Blocks] = _mapped(control, "", put)
    return _sized(state, size)


def unsized(control: State[Blocks]) -> State[Blocks]:
    """The control part without the sizes of its disks: there may be any number of blocks."""
    return _sized(control, 0)


def _sized(state: State[Blocks], size: int) -> State[Blocks]:
    nodes = {name: replace(node, size=size) for name, node in state.nodes.items()}
    return replace(state, nodes=Table(nodes))


def _mapped(value: Any, place: str, change: Callable[[str, Blocks], Blocks]) -> Any:
    """The value with every set in it changed; places are visited in alphabetical order."""
    if isinstance(value, frozenset):
        return change(place, value)
    if isinstance(value, Table):
        return Table({name: _mapped(value[name], f"{place}.{name}", change) for name in sorted(value)})
    names = _fields(type(value))
    if not names:
        return value
    held = {name: getattr(value, name) for name in names}
    held |= {name: _mapped(each, f"{place}.{name}", change) for name, each in held.items() if name != "space"}
    return type(value)(**held)


def _fields(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields; none for anything else. The space is not looked into: it makes sets."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
    return _FIELDS[kind]


_FIELDS: dict[type, tuple[str, ...]] = {}
