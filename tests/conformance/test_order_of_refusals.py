"""Where a command is wrong in more than one way, the reference refuses it as the specification does.

Every field of every command takes extreme values, alone and in pairs, in three states.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

import pytest
from cbtcheck.adapter import Hint
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

SIZE = 65536
LARGE = (-1, 0, 1, 511, 512, 513, SIZE - 512, SIZE, SIZE + 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64)
NAMES = ("", "d", "b", "c", "j", "w", "nobody", "1", "n" * 1023, "n" * 1024, "é" * 512)

ADD = c.AddBitmap("d", "b", 4096)
OTHER = c.AddBitmap("d", "c", 512)
BACKUP = c.StartBackup("j", "d", "bitmap", "b", "always", 4096, False)
HISTORIES: dict[str, tuple[c.Command, ...]] = {
    "nothing is there": (),
    "a bitmap": (ADD, OTHER),
    "a job with a copy in flight and a write in flight": (
        ADD, OTHER, c.Write("d", 0, 8192), BACKUP, c.BeginWrite("d", "w", 16384, 512), c.BeginCopy("j", 0, 512),
    ),
}  # fmt: skip

COMMANDS: tuple[Any, ...] = (
    ADD, c.RemoveBitmap("d", "b"), c.ClearBitmap("d", "b"), c.EnableBitmap("d", "b"), c.DisableBitmap("d", "b"),
    c.MergeBitmaps("d", "b", (c.Source("d", "c"),)), BACKUP, c.PauseJob("j"), c.ResumeJob("j"), c.CancelJob("j"),
    c.FinalizeJob("j"), c.Write("d", 0, 512), c.BeginWrite("d", "w", 0, 512), c.EndWrite("d", "w"),
    c.Copy("j", 0, 512), c.BeginCopy("j", 0, 512), c.EndCopy("j"),
)  # fmt: skip


def values(kind: Any) -> tuple[Any, ...]:
    """Extreme values of a field of this type."""
    if kind is str:
        return NAMES
    if kind is int:
        return LARGE
    if kind is bool:
        return (False, True)
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return ((), (c.Source("nobody", "c"),), (c.Source("d", "c"), c.Source("d", "nobody")), (c.Source("d", ""),))
    return tuple(dict.fromkeys(one for each in typing.get_args(kind) for one in values(each))) or (None,)


def varied(base: Any) -> Iterator[Any]:
    """The command with every value of every field, and of every two of them."""
    kinds = typing.get_type_hints(type(base))
    choices = {each.name: values(kinds[each.name]) for each in fields(base)}
    yield base
    for names in [*combinations(choices, 1), *combinations(choices, 2)]:
        yield from each_of(base, names, choices)


def each_of(base: Any, names: tuple[str, ...], choices: dict[str, tuple[Any, ...]]) -> Iterator[Any]:
    if not names:
        yield base
        return
    for value in choices[names[0]]:
        yield from each_of(replace(base, **{names[0]: value}), names[1:], choices)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("base", COMMANDS, ids=lambda base: type(base).__name__)
def test_the_reference_refuses_in_the_order_of_the_specification(base: Any, history: str) -> None:
    before = initial(BitSets(512), {"d": SIZE})
    for each in HISTORIES[history]:
        before = step(before, each).state
    differ = []
    adapter = ReferenceAdapter()
    for command in dict.fromkeys(varied(base)):
        refusal = step(before, command).refusal
        adapter.reset({"d": SIZE})
        for each in HISTORIES[history]:
            adapter.perform(each, Hint(before, 1))
        *_, (_, reply) = adapter.perform(command, Hint(before, 1)).trace or ((command, None),)
        if reply is not None and reply.refusal != ("" if refusal is None else refusal.kind):
            differ.append((command, refusal, reply))
    assert not differ, differ[:5]
