"""The theorem, in the words of those who use it: no dirty write is ever lost.

    For every write that ended while a bitmap recorded, at every later moment: the bitmap or its successor has it; or
    a backup that started after it has copied the block, as it was at that start, and has completed, or is of bitmap
    mode *always*; or an operator waived it, explicitly, by clearing or removing the bitmap.

Mode *always* means that copies count however the job ends, failed or cancelled: its target is part of the chain. A
write that is in flight when its bitmap is disabled ends when nothing records, and the theorem is not about it. A
transaction waits for it first.

A *history* follows one bitmap's name from its creation on. It is told by the commands alone; it does not look at what
the specification says is owed. For every block it keeps what became of the last recorded write: an earlier write of
the same block is served by whatever serves the last one, since both are the same block in the same bitmap or backup.
So four sets of blocks are enough, and the theorem is an inclusion (`promised`), which the proof carries from each
state to the next by a stronger one (`kept`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cbtmodel.bitmap import recording
from cbtmodel.claims import Inclusion, counts_as_delivered, waives, written
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtproofs.inductive.script import Assume, Item, ProveEach, Prover

ID = "NO DIRTY WRITE IS EVER LOST"
STATEMENT = (
    "Every write that ended while a bitmap recorded is in it or its successor; or copied by a backup that started "
    "after it and that completed or is of mode always; or waived by a clear or remove."
)
SETS = ("recorded", "meanwhile", "delivered", "waived")


@dataclass(frozen=True)
class History:
    """What has become of the last recorded write of each block, of one bitmap.

    `recorded`: it came before the job that has the bitmap now, if one has. `meanwhile`: it came since. `delivered`:
    a backup that started after it holds it, and counts. `waived`: the operator has cleared or removed the bitmap
    since.
    """

    recorded: Any
    meanwhile: Any
    delivered: Any
    waived: Any


def goes_on(told: History, node: str, name: str, before: State[Any], command: object, done: Step[Any]) -> History:
    """The history after one more step. Within a step, writes end first, then operators act, then jobs end."""
    if done.refusal is not None:
        return told
    bitmap = before.nodes[node].bitmaps.get(name)
    if bitmap is not None and recording(bitmap):
        new = written(before, command, done, node)
        recorded, meanwhile = told.recorded | new, told.meanwhile
        if bitmap.successor is not None:
            recorded, meanwhile = told.recorded - new, told.meanwhile | new
        told = History(recorded, meanwhile, told.delivered - new, told.waived - new)
    if waives(command, node, name):
        told = History(told.recorded, told.meanwhile, told.delivered, told.waived | told.recorded | told.meanwhile)
    for end in done.ended:
        if (end.job.node, end.job.bitmap) == (node, name):
            held = told.recorded & end.job.good if counts_as_delivered(end) else done.state.space.empty
            both = told.recorded | told.meanwhile
            told = History(both, done.state.space.empty, told.delivered | held, told.waived)
    return told


def promised(told: History, node: str, name: str, state: State[Any]) -> Iterator[Inclusion[Any]]:
    """The theorem, at this moment."""
    bitmap = state.nodes[node].bitmaps.get(name)
    had, since = (state.space.empty,) * 2
    if bitmap is not None:
        had = bitmap.marks.dirty
        since = had if bitmap.successor is None else bitmap.successor.marks.dirty
    at_rest = told.delivered | told.waived
    yield Inclusion(f"{node}/{name}: recorded, so kept, delivered or waived", told.recorded, had | at_rest)
    yield Inclusion(f"{node}/{name}: recorded since the job began, so kept", told.meanwhile, since)


def kept(told: History, node: str, name: str, state: State[Any]) -> Iterator[Inclusion[Any]]:
    """What carries the theorem from state to state: what is neither delivered nor waived is owed."""
    bitmap, empty = state.nodes[node].bitmaps.get(name), state.space.empty
    had = since = empty
    if bitmap is not None and not bitmap.leaving:
        had = bitmap.marks.owed
        since = empty if bitmap.successor is None else bitmap.successor.marks.owed
    yield Inclusion(f"{node}/{name}: recorded", told.recorded, had | told.delivered | told.waived)
    yield Inclusion(f"{node}/{name}: recorded since the job began", told.meanwhile, since)


# What is to be proved of it, of the bitmap d/a


def at_first(state: State[Any]) -> Iterator[Item]:
    """Nothing has been recorded yet."""
    nothing = History(*(state.space.empty,) * len(SETS))
    yield ProveEach(ID, all_claims(nothing, state))


def carried(prover: Prover, before: State[Any], command: object, done: Step[Any]) -> Iterator[Item]:
    """If it held before a command, then it holds after."""
    told = History(*(prover.arbitrary(what) for what in SETS))
    yield from map(Assume, kept(told, "d", "a", before))
    yield ProveEach(ID, all_claims(goes_on(told, "d", "a", before, command, done), done.state))


def all_claims(told: History, state: State[Any]) -> tuple[Inclusion[Any], ...]:
    """The theorem, and what carries it."""
    return *promised(told, "d", "a", state), *kept(told, "d", "a", state)
