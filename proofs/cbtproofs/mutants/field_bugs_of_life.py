"""More mutants after real bugs: the life of a bitmap with its job, commands on busy bitmaps, transactions and groups.

The same kind of functions as in `field_bugs`, which explains them.
"""

from __future__ import annotations

from cbtmodel import backup, bitmap, jobs, node, step, transaction
from cbtmodel import commands as c
from cbtmodel.backup import Job, Outcome
from cbtmodel.bitmap import Bitmap, Marks, Successor, abdicate, marked, marks_without_debt, reclaim, unmarked
from cbtmodel.blocks import S, Space
from cbtmodel.commands import malformed
from cbtmodel.jobs import Result, conclude, fail_group, find_job, settle
from cbtmodel.node import State, find_bitmap, find_free_bitmap, with_bitmap
from cbtmodel.record import replace
from cbtmodel.refusal import Refused, require
from cbtmodel.step import Step, transition

from cbtproofs.mutants.field_bugs import instead_of

# A bitmap and its successor


@instead_of(bitmap.freeze, "F1")
def clear_at_start(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """The start of a backup reads the bitmap destructively: a failure cannot give it back."""
    return replace(bitmap, marks=unmarked(space), successor=Successor(bitmap.enabled, unmarked(space)))


@instead_of(bitmap.freeze, "R2")
def no_successor_window(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """The bitmap is frozen, and its successor does not record yet."""
    return replace(bitmap, successor=Successor(False, unmarked(space)))


@instead_of(bitmap.freeze)
def successor_always_on(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """The successor of a disabled bitmap records."""
    return replace(bitmap, successor=Successor(True, unmarked(space)))


@instead_of(bitmap.freeze)
def successor_inherits(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """The successor begins as a copy of the bitmap: whatever is copied is copied again next time."""
    return replace(bitmap, successor=Successor(bitmap.enabled, bitmap.marks))


@instead_of(bitmap.reclaim)
def drop_successor_on_failure(bitmap: Bitmap[S]) -> Bitmap[S]:
    """When a job fails, its bitmap is thawed and the successor deleted, with all writes of meanwhile."""
    return replace(bitmap, successor=None)


@instead_of(bitmap.abdicate)
def heir_is_empty(bitmap: Bitmap[S]) -> Bitmap[S]:
    """After success the bitmap is simply cleared, with the writes since the job's start."""
    assert bitmap.successor is not None
    marks = bitmap.marks
    nothing = Marks(marks.dirty - marks.dirty, marks.owed - marks.owed, marks.causes - marks.causes)
    return replace(bitmap, marks=nothing, successor=None)


@instead_of(bitmap.abdicate)
def successor_leaks(bitmap: Bitmap[S]) -> Bitmap[S]:
    """The successor hands over its marks and stays: nobody will ever delete it."""
    assert bitmap.successor is not None
    return replace(bitmap, marks=bitmap.successor.marks)


@instead_of(backup.released)
def abdicate_on_failure(space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int) -> Bitmap[S]:
    """The successor takes over when the job ends, however it ends: what was to be copied is forgotten."""
    return reclaim(bitmap) if job.mode == "never" else abdicate(bitmap)


@instead_of(backup.released)
def never_means_on_success(space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int) -> Bitmap[S]:
    """A differential backup resets its bitmap: the next one lacks what this one had."""
    if job.mode == "always" and outcome != "completed":
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | marked(space, job.todo, bitmap.granularity, size))
    return abdicate(bitmap) if outcome == "completed" else reclaim(bitmap)


@instead_of(backup.released)
def leftovers_forgotten(space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int) -> Bitmap[S]:
    """A best-effort job that fails leaves nothing of what it did not copy in the bitmap."""
    if job.mode == "never" or (outcome != "completed" and job.mode != "always"):
        return reclaim(bitmap)
    return abdicate(bitmap)


@instead_of(backup.released, "Q5")
def reset_rounds_out(space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int) -> Bitmap[S]:
    """What was copied is cleared in whole granules, also where a granule was copied only in part."""
    if job.mode == "always" and outcome != "completed":
        reset = space.round_out(job.scope - job.todo, bitmap.granularity, size)
        left = marked(space, job.todo, bitmap.granularity, size)
        left = replace(left, dirty=left.dirty - reset)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    return reclaim(bitmap) if job.mode == "never" or outcome != "completed" else abdicate(bitmap)


@instead_of(backup.released)
def leftovers_only_where_dirty(
    space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int
) -> Bitmap[S]:
    """A best-effort job that fails leaves what it did not copy, but only where its bitmap was dirty before."""
    if job.mode == "always" and outcome != "completed":
        left = marked(space, job.todo & bitmap.marks.dirty, bitmap.granularity, size)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    return reclaim(bitmap) if job.mode == "never" or outcome != "completed" else abdicate(bitmap)


@instead_of(backup.released)
def leftovers_are_not_owed(
    space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int
) -> Bitmap[S]:
    """What a best-effort job did not copy may be dirty afterwards, and need not be where nobody wrote."""
    if job.mode == "always" and outcome != "completed":
        left = replace(marked(space, job.todo, bitmap.granularity, size), owed=bitmap.marks.owed - job.good)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    return reclaim(bitmap) if job.mode == "never" or outcome != "completed" else abdicate(bitmap)


# Merging


@instead_of(bitmap.merge, "Q32")
def merge_empty_loses(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge with an empty bitmap returns early, and the result lacks what the other one had."""
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    marks = replace(target.marks | taken, owed=target.marks.owed | source.marks.owed)
    return replace(target, marks=marks if source.marks.dirty else replace(marks, dirty=space.empty))


@instead_of(bitmap.merge, "Q32")
def merge_into_empty_loses(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge into an empty bitmap returns early, and the result stays empty."""
    if not target.marks.dirty:
        return target
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, marks=replace(target.marks | taken, owed=target.marks.owed | source.marks.owed))


@instead_of(bitmap.merge)
def merge_replaces(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge replaces what the target had."""
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, marks=replace(taken, owed=source.marks.owed))


@instead_of(bitmap.merge, "C2")
def merge_does_not_round(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge takes what is dirty as it is, also between different granularities."""
    dirty = source.marks.dirty
    return replace(target, marks=target.marks | Marks(dirty, source.marks.owed, dirty))


# Commands on busy bitmaps: one check dropped at a time


@instead_of(node.clear, "Q16")
def clear_busy(state: State[S], node: str, name: str) -> State[S]:
    """A bitmap that a job has frozen can be cleared."""
    free = find_bitmap(state, node, name)
    return with_bitmap(state, node, name, bitmap.clear(state.space, free))


@instead_of(node.remove, "Q16")
def remove_busy(state: State[S], node: str, name: str) -> State[S]:
    """A bitmap that a job has frozen can be removed."""
    find_bitmap(state, node, name)
    before = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(before, bitmaps=before.bitmaps.drop(name))))


@instead_of(node.enable, "Q16")
def enable_busy(state: State[S], node: str, name: str) -> State[S]:
    """A bitmap that a job has frozen can be enabled."""
    return with_bitmap(state, node, name, replace(find_bitmap(state, node, name), enabled=True))


@instead_of(node.disable, "Q16")
def disable_busy(state: State[S], node: str, name: str) -> State[S]:
    """A bitmap that a job has frozen can be disabled."""
    return with_bitmap(state, node, name, replace(find_bitmap(state, node, name), enabled=False))


@instead_of(node.merge_one, "Q16")
def merge_into_busy(state: State[S], node: str, target: str, source: c.Source) -> State[S]:
    """A bitmap that a job has frozen can be merged into."""
    taken = find_free_bitmap(state, source.node, source.name)
    into = find_bitmap(state, node, target)
    size = state.nodes[node].size
    require(state.nodes[source.node].size == size, "size mismatch", "the disks differ in size")
    return with_bitmap(state, node, target, bitmap.merge(state.space, into, taken, size))


@instead_of(node.merge_one, "Q16")
def merge_from_busy(state: State[S], node: str, target: str, source: c.Source) -> State[S]:
    """A bitmap that a job has frozen can be merged from, although it is not all that was written."""
    taken = find_bitmap(state, source.node, source.name)
    into = find_free_bitmap(state, node, target)
    size = state.nodes[node].size
    require(state.nodes[source.node].size == size, "size mismatch", "the disks differ in size")
    return with_bitmap(state, node, target, bitmap.merge(state.space, into, taken, size))


@instead_of(node.merge_one, "Q33")
def merge_error_is_success(state: State[S], node: str, target: str, source: c.Source) -> State[S]:
    """A merge whose last step fails reports success: the transaction that it is in is committed."""
    taken = find_bitmap(state, source.node, source.name)
    into = find_bitmap(state, node, target)
    size = state.nodes[node].size
    if bitmap.busy(into) or bitmap.busy(taken) or state.nodes[source.node].size != size:
        return state
    return with_bitmap(state, node, target, bitmap.merge(state.space, into, taken, size))


@instead_of(transaction.leave, "Q16")
def remove_busy_in_transaction(state: State[S], node_name: str, name: str) -> State[S]:
    """A bitmap that a job has frozen can be removed by a transaction."""
    return with_bitmap(state, node_name, name, replace(node.find_bitmap(state, node_name, name), leaving=True))


@instead_of(bitmap.busy, "Q16")
def nothing_is_busy(bitmap: Bitmap[S]) -> bool:
    """A bitmap that a job has frozen can be used by whoever likes, also by a second job."""
    return bitmap.leaving


@instead_of(jobs.resume)
def resumed_stays_paused(state: State[S], job_id: str) -> Result[S]:
    """A job that is resumed says so, and stays paused."""
    job = find_job(state, job_id)
    require(job.phase == "running" and job.paused, "wrong phase", "the job is not paused")
    return settle(state, [job_id])


# Transactions and groups


@instead_of(step)
def first_action_stays(state: State[S], command: object) -> Step[S]:
    """A refused transaction undoes all actions that took effect but the first."""
    try:
        problem = malformed(command)
        require(problem is None, "invalid", str(problem))
        after, ended = transition(state, command)  # type: ignore[arg-type]
    except Refused as refusal:
        if isinstance(command, c.Transaction) and command.actions:
            state = step(state, command.actions[0]).state
        return Step(state, refusal)
    return Step(after, None, ended)


@instead_of(step)
def refusal_drains(state: State[S], command: object) -> Step[S]:
    """A transaction that is refused has drained its disks: what was in flight has landed, and is not told."""
    try:
        problem = malformed(command)
        require(problem is None, "invalid", str(problem))
        after, ended = transition(state, command)  # type: ignore[arg-type]
    except Refused as refusal:
        if isinstance(command, c.Transaction):
            for node_name in state.nodes:
                state = node.drain(state, node_name)
        return Step(state, refusal)
    return Step(after, None, ended)


@instead_of(jobs.fail_group)
def group_fails_alone(state: State[S], job_id: str, outcome: Outcome) -> Result[S]:
    """When one job of a group fails or is cancelled, the others go on."""
    return conclude(state, {job_id: outcome})


@instead_of(jobs.fail_group)
def group_completes_anyway(state: State[S], job_id: str, outcome: Outcome) -> Result[S]:
    """When one job of a group fails, the others end as if they had succeeded."""
    return conclude(
        state, {member: outcome if member == job_id else "completed" for member in state.jobs[job_id].group}
    )


@instead_of(jobs.cancel)
def cancel_after_the_last_copy_is_success(state: State[S], job_id: str) -> Result[S]:
    """A cancel of a job that has copied everything already completes it, and its group with it."""
    job = find_job(state, job_id)
    if job.todo:
        return fail_group(state, job_id, "cancelled")
    return conclude(state, dict.fromkeys(job.group, "completed"))
