"""What must be varied: values of fields, how many there are of each, and where what is in focus stands among them.

A claim that holds of *write* may fail of *discard*, and one of two may fail of three. So each value of each field of
a command that is a choice must be seen on a path on which the command is accepted; and of everything that a loop goes
over there must be none, one, two and three, with what is in focus first, in the middle and last.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, Literal

from cbtmodel import commands as c
from cbtmodel.node import State

PLACES = ("first", "in the middle", "last")
COUNTED = (
    "bitmaps of a disk", "jobs of a disk", "writes in flight", "members of a group", "sources", "actions",
    "backups that are to end together",
)  # fmt: skip
NEVER_NONE = ("members of a group", "backups that are to end together")


def values_of(hint: Any) -> Iterator[Any]:
    """The values of a type, if it is a choice."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        yield from typing.get_args(hint)
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(hint):
            yield from (None,) if each is types.NoneType else values_of(each)
    elif hint is bool:
        yield from (True, False)


def choices() -> Iterator[str]:
    """Each value of each field of commands and actions that is a choice."""
    kinds: dict[Any, None] = dict.fromkeys((*c.COMMANDS, *c.ACTIONS))
    for kind in kinds:
        hints = typing.get_type_hints(kind)
        for field in fields(kind):
            yield from (f"{kind.__name__}.{field.name}={value}" for value in values_of(hints[field.name]))


def chosen(command: Any) -> Iterator[str]:
    """The values in a command's fields, and in those of its actions."""
    name = type(command).__name__
    if not isinstance(command, str):
        yield from (f"{name}.{field.name}={getattr(command, field.name)}" for field in fields(command))
    for each in command.actions if isinstance(command, c.Transaction) else ():
        yield from chosen(each)


def numbers(before: State[Any], command: Any) -> Iterator[str]:
    """How many there are of each, and where what is in focus (disk d, bitmap a, job j) stands among three."""
    for node_name, node in before.nodes.items():
        yield from counted("bitmaps of a disk", node.bitmaps, "a")
        yield from counted(
            "jobs of a disk", [job_id for job_id, job in before.jobs.items() if job.node == node_name], "j"
        )
        yield from counted("writes in flight", node.writes)
    for job in before.jobs.values():
        yield from counted("members of a group", job.group, "j")
    if isinstance(command, c.MergeBitmaps):
        yield from counted("sources", command.sources)
    if isinstance(command, c.Transaction):
        yield from counted("backups that are to end together" if command.grouped else "actions", command.actions)
        yield from (thing for each in command.actions for thing in numbers(before, each) if "sources" in thing)
    yield from counted("disks", before.nodes, "d")


def counted(what: str, items: Iterable[Any], focus: str | None = None) -> Iterator[str]:
    """How many, and where the focus is among three."""
    listed = list(items)
    yield f"{len(listed)} {what}"
    if len(listed) == len(PLACES) and focus in listed:
        yield f"{PLACES[listed.index(focus)]} of three {what}"


VARIETY: frozenset[str] = frozenset(
    [
        *choices(),
        *(f"{count} {what}" for what in COUNTED for count in range(what in NEVER_NONE, 4)),
        *(f"{place} of three {what}" for place in PLACES for what in (*COUNTED[:2], COUNTED[3], "disks")),
    ]
)
"""What must be seen of these."""
