"""Transactions: several actions at one drained instant, all or nothing.

Each action sees the effects of those before it. Jobs begin to work only when all actions have been accepted. A
removed bitmap keeps its name, busy, until then. A refusal anywhere leaves everything as it was: by construction,
since the state that the actions worked on is simply dropped.

Source: QEMU, blockdev.c (qmp_transaction), docs/interop/bitmaps.rst.
"""

from __future__ import annotations

from typing import assert_never

from cbtmodel import node
from cbtmodel.blocks import S
from cbtmodel.commands import (
    Abort,
    Action,
    AddBitmap,
    ClearBitmap,
    DisableBitmap,
    EnableBitmap,
    MergeBitmaps,
    RemoveBitmap,
    StartBackup,
    Transaction,
)
from cbtmodel.jobs import Result, settle, start
from cbtmodel.loops import every, fold, kept, mapped
from cbtmodel.node import Node, State, drain, find_free_bitmap, with_bitmap
from cbtmodel.record import replace
from cbtmodel.refusal import Refused, require


def act(state: State[S], action: Action, group: tuple[str, ...]) -> State[S]:
    """One action that is not part of a transaction, or the preparation of one that is."""
    match action:
        case AddBitmap(node_name, name, granularity, enabled):
            return node.add(state, node_name, name, granularity, enabled)
        case RemoveBitmap(node_name, name):
            return node.remove(state, node_name, name)
        case ClearBitmap(node_name, name):
            return node.clear(state, node_name, name)
        case EnableBitmap(node_name, name):
            return node.enable(state, node_name, name)
        case DisableBitmap(node_name, name):
            return node.disable(state, node_name, name)
        case MergeBitmaps(node_name, target, sources):
            return node.merge(state, node_name, target, sources)
        case StartBackup():
            return start(state, action, group)
        case Abort():
            raise Refused("aborted", "the transaction is told to fail")
        case _:
            assert_never(action)


def leave(state: State[S], node_name: str, name: str) -> State[S]:
    """The bitmap will be removed if the transaction is committed."""
    free = find_free_bitmap(state, node_name, name)
    return with_bitmap(state, node_name, name, replace(free, leaving=True))


def without_leaving(state: State[S]) -> State[S]:
    """The removals are committed."""
    return replace(state, nodes=mapped(state.nodes, those_that_stay))


def those_that_stay(node: Node[S]) -> Node[S]:
    """The node with the bitmaps that are not leaving."""
    return replace(node, bitmaps=kept(node.bitmaps, lambda bitmap: not bitmap.leaving))


def transact(state: State[S], command: Transaction) -> Result[S]:
    """Drain, prepare every action in order, commit."""
    if command.grouped:
        only_backups = every(command.actions, lambda action: isinstance(action, StartBackup))
        require(only_backups, "invalid", "only backups can complete as a group")
    backups = started_by(command.actions)
    together = backups if command.grouped else ()
    prepared = fold(command.actions, drain_all(state), lambda so_far, action: prepare(so_far, action, together))
    return commit(prepared, (*state.jobs, *backups))


def started_by(actions: tuple[Action, ...]) -> tuple[str, ...]:
    """The ids of the jobs that these actions start, in their order."""
    none: tuple[str, ...] = ()
    return fold(actions, none, lambda ids, each: (*ids, each.job) if isinstance(each, StartBackup) else ids)


def drain_all(state: State[S]) -> State[S]:
    """Nothing is in flight any more, on any disk."""
    return fold(state.nodes, state, drain)


def prepare(state: State[S], action: Action, together: tuple[str, ...]) -> State[S]:
    """One action. `together` are the jobs that end together, none if each ends for itself."""
    if isinstance(action, RemoveBitmap):
        return leave(state, action.node, action.name)
    if isinstance(action, StartBackup):
        return act(state, action, together or (action.job,))
    return act(state, action, ())


def commit(state: State[S], touched: tuple[str, ...]) -> Result[S]:
    """Every action has been accepted: removals take place, and jobs go on; those in `touched` may have changed."""
    return settle(without_leaving(state), touched)
