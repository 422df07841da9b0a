"""Mistakes that the proof once called *proved*: loops that leave somebody out.

A loop that goes wrong for the third of three only, an order that is turned round: each was put into the specification
by hand. What commands do wrong to what they name is in `once_proved_effects`.
"""

from __future__ import annotations

from collections.abc import Iterable

from cbtmodel import backup, bitmap, jobs, loops, node, transaction
from cbtmodel.backup import Ended, Outcome
from cbtmodel.blocks import S
from cbtmodel.commands import Action, MergeBitmaps, Source, StartBackup, Transaction
from cbtmodel.jobs import Result, conclude, ends, find_job, settles
from cbtmodel.loops import fold, some
from cbtmodel.node import Node, State, drain, find_bitmap, finish_write, jobs_of, merge_one, with_jobs_of
from cbtmodel.record import replace
from cbtmodel.refusal import require
from cbtmodel.table import Table
from cbtmodel.transaction import act, commit, drain_all, leave, prepare

from cbtproofs.mutants.mutant import Mutant, declaring

ONCE_PROVED: list[Mutant] = []
instead_of = declaring(ONCE_PROVED)

# The words themselves


@instead_of(loops.fold)
def only_the_first_round(items, start, step):  # type: ignore[no-untyped-def]
    """A loop ends after its first round."""
    for each in items:
        return step(start, each)
    return start


@instead_of(loops.fold)
def a_hundred_rounds(items, start, step):  # type: ignore[no-untyped-def]
    """A loop ends after a hundred rounds."""
    rounds = 0
    for each in items:
        if rounds < 100:
            rounds, start = rounds + 1, step(start, each)
    return start


@instead_of(loops.kept)
def keeps_the_first(table, wanted):  # type: ignore[no-untyped-def]
    """The first entry of a table is kept, wanted or not."""
    return fold(list(table)[1:], table, lambda left, name: left if wanted(table[name]) else left.drop(name))


# Bitmaps of a disk


def some_record(state: State[S], node_name: str, blocks: S, which: slice) -> State[S]:
    """A guest write ends, and is recorded by some of its disk's bitmaps."""
    before = state.nodes[node_name]
    marked = {name: bitmap.record(state.space, before.bitmaps[name], blocks, before.size)
              for name in list(before.bitmaps)[which]}  # fmt: skip
    state = replace(
        state, nodes=state.nodes.put(node_name, replace(before, bitmaps=Table({**before.bitmaps, **marked})))
    )
    return node.with_jobs_of(state, node_name, lambda job: backup.content_changes(job, blocks))


@instead_of(node.record)
def first_bitmap_records(state: State[S], node: str, blocks: S) -> State[S]:
    """A write is recorded by the first bitmap of its disk only."""
    from cbtproofs.mutants.once_proved import some_record

    return some_record(state, node, blocks, slice(1))


@instead_of(node.record)
def first_two_bitmaps_record(state: State[S], node: str, blocks: S) -> State[S]:
    """A write is recorded by the first two bitmaps of its disk only."""
    from cbtproofs.mutants.once_proved import some_record

    return some_record(state, node, blocks, slice(2))


@instead_of(node.record)
def last_bitmap_records(state: State[S], node: str, blocks: S) -> State[S]:
    """A write is recorded by the last bitmap of its disk only."""
    from cbtproofs.mutants.once_proved import some_record

    return some_record(state, node, blocks, slice(-1, None))


@instead_of(node.record)
def last_bitmap_is_deaf(state: State[S], node: str, blocks: S) -> State[S]:
    """A write is recorded by all bitmaps of its disk but the last, if it has three."""
    from cbtproofs.mutants.once_proved import some_record

    return some_record(state, node, blocks, slice(None) if len(state.nodes[node].bitmaps) < 3 else slice(-1))


@instead_of(transaction.those_that_stay)
def first_one_leaves(node: Node[S]) -> Node[S]:
    """Of several bitmaps of a disk that a transaction removes, the first is removed."""
    gone = [name for name, each in node.bitmaps.items() if each.leaving][:1]
    return replace(node, bitmaps=type(node.bitmaps)({n: each for n, each in node.bitmaps.items() if n not in gone}))


# Disks


@instead_of(transaction.drain_all)
def first_disk_drained(state: State[S]) -> State[S]:
    """A transaction drains the first disk only."""
    return fold(list(state.nodes)[:1], state, drain)


@instead_of(transaction.drain_all)
def first_two_disks_drained(state: State[S]) -> State[S]:
    """A transaction drains the first two disks only."""
    return fold(list(state.nodes)[:2], state, drain)


# Writes in flight


@instead_of(node.drain)
def first_write_lands(state: State[S], node: str) -> State[S]:
    """A drain lands the first of several writes in flight, and forgets the others."""
    before = state.nodes[node]
    first = Table(dict(list(before.writes.items())[:1]))
    state = replace(state, nodes=state.nodes.put(node, replace(before, writes=first)))
    state = fold(first, state, lambda so_far, write_id: finish_write(so_far, node, write_id))
    return with_jobs_of(state, node, backup.copy_ends)


@instead_of(node.drain)
def first_two_writes_land(state: State[S], node: str) -> State[S]:
    """A drain lands the first two of several writes in flight, and forgets the others."""
    before = state.nodes[node]
    first = Table(dict(list(before.writes.items())[:2]))
    state = replace(state, nodes=state.nodes.put(node, replace(before, writes=first)))
    state = fold(first, state, lambda so_far, write_id: finish_write(so_far, node, write_id))
    return with_jobs_of(state, node, backup.copy_ends)


@instead_of(node.drain)
def third_write_stays_in_flight(state: State[S], node: str) -> State[S]:
    """A drain lands the first two writes in flight, and the others go on."""
    state = fold(
        list(state.nodes[node].writes)[:2], state, lambda so_far, write_id: finish_write(so_far, node, write_id)
    )
    return with_jobs_of(state, node, backup.copy_ends)


# Jobs of a disk


@instead_of(node.copy_before_write)
def first_job_saves(state: State[S], node: str, blocks: S) -> State[S]:
    """Only the first job of a disk copies before a write."""
    size = state.nodes[node].size
    first = list(jobs_of(state, node))[:1]
    saved = {job_id: backup.before_write(state.space, state.jobs[job_id], blocks, size) for job_id in first}
    return replace(state, jobs=Table({**state.jobs, **saved}))


@instead_of(node.copy_before_write)
def first_two_jobs_save(state: State[S], node: str, blocks: S) -> State[S]:
    """Only the first two jobs of a disk copy before a write."""
    size = state.nodes[node].size
    first = list(jobs_of(state, node))[:2]
    saved = {job_id: backup.before_write(state.space, state.jobs[job_id], blocks, size) for job_id in first}
    return replace(state, jobs=Table({**state.jobs, **saved}))


@instead_of(node.must_be_copied_first)
def first_job_may_refuse(state: State[S], node: str, blocks: S) -> bool:
    """Only the first job of a disk is asked whether it needs a copy before a write."""
    size = state.nodes[node].size
    return some(
        list(jobs_of(state, node).values())[:1],
        lambda job: bool(backup.hit_by_write(state.space, job, blocks, size) - job.copying),
    )


@instead_of(jobs.settle)
def two_jobs_settle(state: State[S], touched: Iterable[str]) -> Result[S]:
    """Of the jobs that have nothing left to copy, the first two notice."""
    none: tuple[Ended[S], ...] = ()
    return fold(list(touched)[:2], (state, none), settles)


# Members of a group


@instead_of(jobs.fail_group)
def two_of_three_cancelled(state: State[S], job_id: str, outcome: Outcome) -> Result[S]:
    """When a group fails, two of its three jobs end."""
    cancelled: dict[str, Outcome] = dict.fromkeys(list(state.jobs[job_id].group)[:2], "cancelled")
    return conclude(state, {**cancelled, job_id: outcome})


@instead_of(jobs.finalize)
def two_of_three_finalized(state: State[S], job_id: str) -> Result[S]:
    """When a group is finalized, two of its three jobs end."""
    job = find_job(state, job_id)
    require(job.phase == "pending", "wrong phase", "the job is not pending")
    return conclude(state, dict.fromkeys(list(job.group)[:2], "completed"))


@instead_of(jobs.conclude)
def two_of_three_end(state: State[S], outcomes: dict[str, Outcome]) -> Result[S]:
    """Of the jobs that end together, two of three do."""
    none: tuple[Ended[S], ...] = ()
    return fold(list(outcomes)[:2], (state, none), lambda so_far, job_id: ends(so_far, job_id, outcomes[job_id]))


@instead_of(transaction.started_by)
def groups_of_two(actions: tuple[Action, ...]) -> tuple[str, ...]:
    """A group has the first two of the backups that are to end together."""
    none: tuple[str, ...] = ()
    return fold(actions, none, lambda ids, each: (*ids, each.job) if isinstance(each, StartBackup) else ids)[:2]


# Sources of a merge


@instead_of(node.merge)
def first_source_merged(state: State[S], node: str, target: str, sources: tuple[Source, ...]) -> State[S]:
    """Only the first of several sources is merged."""
    find_bitmap(state, node, target)
    return fold(sources[:1], state, lambda so_far, source: merge_one(so_far, node, target, source))


@instead_of(node.merge)
def first_two_sources_merged(state: State[S], node: str, target: str, sources: tuple[Source, ...]) -> State[S]:
    """Only the first two of several sources are merged."""
    find_bitmap(state, node, target)
    return fold(sources[:2], state, lambda so_far, source: merge_one(so_far, node, target, source))


@instead_of(node.merge)
def last_source_merged(state: State[S], node: str, target: str, sources: tuple[Source, ...]) -> State[S]:
    """Only the last of several sources is merged."""
    find_bitmap(state, node, target)
    return fold(sources[-1:], state, lambda so_far, source: merge_one(so_far, node, target, source))


# Actions of a transaction


@instead_of(transaction.prepare)
def merge_in_transaction_is_nothing(state: State[S], action: Action, together: tuple[str, ...]) -> State[S]:
    """A merge that is an action of a transaction does nothing."""
    if isinstance(action, MergeBitmaps):
        return state
    if action.__class__.__name__ == "RemoveBitmap":
        return leave(state, action.node, action.name)  # type: ignore[union-attr]
    if isinstance(action, StartBackup):
        return act(state, action, together or (action.job,))
    return act(state, action, ())


@instead_of(transaction.prepare)
def merge_in_transaction_takes_one(state: State[S], action: Action, together: tuple[str, ...]) -> State[S]:
    """A merge that is an action of a transaction takes its first source only."""
    if isinstance(action, MergeBitmaps):
        action = MergeBitmaps(action.node, action.target, action.sources[:1])
    if action.__class__.__name__ == "RemoveBitmap":
        return leave(state, action.node, action.name)  # type: ignore[union-attr]
    if isinstance(action, StartBackup):
        return act(state, action, together or (action.job,))
    return act(state, action, ())


def some_actions(state: State[S], command: Transaction, actions: tuple[Action, ...]) -> Result[S]:
    """Some actions of a transaction are done, or all in another order."""
    backups = transaction.started_by(command.actions)
    together = backups if command.grouped else ()
    prepared = fold(actions, drain_all(state), lambda so_far, action: prepare(so_far, action, together))
    return commit(prepared, (*state.jobs, *backups))


@instead_of(transaction.transact)
def actions_in_reverse(state: State[S], command: Transaction) -> Result[S]:
    """The actions of a transaction run in reverse order."""
    from cbtproofs.mutants.once_proved import some_actions

    return some_actions(state, command, command.actions[::-1])


@instead_of(transaction.transact)
def first_action_only(state: State[S], command: Transaction) -> Result[S]:
    """Only the first action of a transaction is done."""
    from cbtproofs.mutants.once_proved import some_actions

    return some_actions(state, command, command.actions[:1])


@instead_of(transaction.transact)
def first_two_actions_only(state: State[S], command: Transaction) -> Result[S]:
    """Only the first two actions of a transaction are done."""
    from cbtproofs.mutants.once_proved import some_actions

    return some_actions(state, command, command.actions[:2])


@instead_of(transaction.transact)
def last_action_dropped(state: State[S], command: Transaction) -> Result[S]:
    """The last of three actions of a transaction is not done."""
    from cbtproofs.mutants.once_proved import some_actions

    return some_actions(state, command, command.actions[:-1] if len(command.actions) > 2 else command.actions)
