"""Drops much at once from a long scenario: all that is about a disk, a bitmap, a job, a write, or is of one kind.

Whoever drops commands one by one plays a history of 1,000 commands 1,000 times. Most of it is about objects that have
nothing to do with the failure, and what is about one of them can go together: its commands, its actions in
transactions, and its place among the sources of merges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

from cbtcheck.scenario.scenario import Restore, Scenario, Step
from cbtcheck.sets.bitsets import BitSets

LONG = 40
"""Commands: what has fewer is dropped one by one soon enough."""

MOST_OF_A_SORT = 24
"""So many objects of a sort are tried one by one; of more, only all that are named alike."""

Object = Hashable
Named = tuple[str, str, str]
"""What sort of object it is, on which disk ("" for a job), and its name."""
About = Callable[[Any], Iterator[Object]]
"""What a command or action is about, in one respect."""


def fewer(scenario: Scenario, same: Callable[[Scenario], bool]) -> Scenario:
    """The scenario without all the objects that it also fails without; `same` says whether it still does."""
    if scenario.images or any(isinstance(each, Restore) for each in scenario.commands):
        return scenario
    scenario = _accepted(scenario, same)
    for about in (_disk, _named_alike, _kind, _kind_of_those_alike, named):
        listed = list(dict.fromkeys(each for command in scenario.commands for each in _all(command, about)))
        if about is not named or len(listed) <= MOST_OF_A_SORT:
            for each in listed:
                scenario = _unless_needed(scenario, same, about, each)
    return _accepted(scenario, same)


def _unless_needed(scenario: Scenario, same: Callable[[Scenario], bool], about: About, removed: Object) -> Scenario:
    kept = without(scenario.commands, about, removed)
    if len(kept) == len(scenario.commands) and kept == scenario.commands:
        return scenario
    candidate = replace(scenario, commands=kept)
    return candidate if same(candidate) else scenario


def without(commands: Sequence[Step], about: About, removed: Object) -> tuple[Step, ...]:
    """The commands without those that are about an object. What is left of a transaction stays, and of a merge."""
    return tuple(left for each in commands if (left := _left(each, about, removed)) is not None)


def _left(command: Any, about: About, removed: Object) -> Any:
    if isinstance(command, c.Transaction):
        actions = tuple(left for each in command.actions if (left := _left(each, about, removed)) is not None)
        gone = removed in about(command) or (command.actions and not actions)
        return None if gone else replace(command, actions=actions)
    if removed in about(command):
        return None
    if isinstance(command, c.MergeBitmaps) and about in (_disk, named):
        sources = tuple(each for each in command.sources if removed not in about(each))
        return replace(command, sources=sources) if sources or not command.sources else None
    return command


def _all(command: Any, about: About) -> Iterator[Object]:
    yield from about(command)
    for action in getattr(command, "actions", ()):
        yield from about(action)


# What a command is about


def _disk(command: Any) -> Iterator[Object]:
    if hasattr(command, "node"):
        yield "disk", command.node


def named(command: Any) -> Iterator[Named]:
    """A job, a write in flight, a bitmap; not the bitmap that a job has."""
    for field in ("job", "write"):
        if hasattr(command, field):
            yield field, getattr(command, "node", "") if field == "write" else "", getattr(command, field)
    name = getattr(command, "name", None) or getattr(command, "target", None)
    if name is not None:
        yield "bitmap", command.node, name
    elif isinstance(command, c.StartBackup) and command.bitmap is not None:
        yield "bitmap", command.node, command.bitmap


def _named_alike(command: Any) -> Iterator[Object]:
    """The same for all names that differ in their digits only."""
    for sort, _, name in named(command):
        yield sort, re.sub("[0-9]+", "", name)


def _kind(command: Any) -> Iterator[Object]:
    yield type(command), "", getattr(command, "result", "ok")


def _kind_of_those_alike(command: Any) -> Iterator[Object]:
    for alike in _named_alike(command):
        yield type(command), alike


# What changes nothing


def _accepted(scenario: Scenario, same: Callable[[Scenario], bool]) -> Scenario:
    """Without the commands that the specification refuses, but for the last, which may be the one that shows it."""
    try:
        state = initial(BitSets(scenario.block), scenario.disks)
        kept: list[Step] = []
        for number, command in enumerate(scenario.commands):
            result = step(state, command)
            state = result.state
            if result.refusal is None or number == len(scenario.commands) - 1:
                kept.append(command)
    except (ValueError, LookupError):  # no scenario of the specification: whoever plays it says so
        return scenario
    candidate = replace(scenario, commands=tuple(kept))
    return candidate if len(kept) < len(scenario.commands) and same(candidate) else scenario
