"""Commands that are not even well formed: each member, of each command, once for everything that is wrong with it.

What is wrong follows from the types of the fields in `cbtmodel.commands`, so no field can be forgotten.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from cbtmodel import commands as c
from cbtmodel.alphabet import SAMPLES


@dataclass(frozen=True)
class FormatDisk:
    """A command that the specification does not have."""

    node: str


def malformed_commands() -> Iterator[tuple[tuple[c.Command, ...], Any]]:
    """All of them, with what comes before; each is refused as invalid, and only for its form."""
    yield (), FormatDisk("d")
    for before, sample in SAMPLES:
        yield from ((before, each) for each in misfits(sample))
        if isinstance(sample, c.Action):
            yield from ((before, c.Transaction((each,))) for each in misfits(sample))


def misfits(record: Any) -> Iterator[Any]:
    """The record with one of its fields wrong, in every way."""
    hints = typing.get_type_hints(type(record), include_extras=True)
    for field in fields(record):
        for wrong in _wrong(hints[field.name], getattr(record, field.name)):
            yield replace(record, **{field.name: wrong})


def _wrong(hint: Any, value: Any) -> Iterator[Any]:
    """Values that do not fit; there is always one."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        yield 7
    elif origin is Literal:
        yield "sideways"
    elif origin is Annotated:
        low, high = hint.__metadata__[0]
        yield from (low - 1, high + 1, "many")
    elif origin is tuple:
        yield "nothing"
        if all(isinstance(each, c.Source) for each in value):
            yield from ((each,) for each in misfits(value[0]))
    elif hint is bool:
        yield "yes"
    else:
        yield 7
