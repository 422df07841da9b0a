"""Twenty mistakes that were written when the proof was finished, to see whether it finds what nobody had in mind.

Unlike those of `once_proved`, none was there while the proof was made. What came of it is in
docs/understand/why-one-block-is-enough.md.
"""

from __future__ import annotations

from cbtmodel import backup, bitmap, jobs, node, transaction
from cbtmodel import commands as c
from cbtmodel.backup import Job, Outcome, Side, Sync, content_changes, copied, hit_by_write
from cbtmodel.bitmap import Bitmap, Successor, abdicate, marked, marks_without_debt, reclaim, unmarked
from cbtmodel.blocks import S, Space
from cbtmodel.commands import StartBackup
from cbtmodel.jobs import Result, conclude, find_job, settle, with_job
from cbtmodel.loops import fold
from cbtmodel.node import (
    State,
    find_free_bitmap,
    finish_write,
    with_bitmap,
    with_jobs_of,
)
from cbtmodel.record import replace
from cbtmodel.refusal import require
from cbtmodel.step import may_begin, whole_write, written
from cbtmodel.step import write as guest_write
from cbtmodel.transaction import act, leave, without_leaving

from cbtproofs.mutants.mutant import Mutant, declaring

AFTERWARDS: list[Mutant] = []
instead_of = declaring(AFTERWARDS)


@instead_of(bitmap.merge)
def only_enabled_targets_merge(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge into a bitmap that does not record does nothing."""
    if not target.enabled:
        return target
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, marks=target.marks | replace(taken, owed=source.marks.owed))


@instead_of(bitmap.merge)
def merge_enables(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """After a merge, the target is enabled as its source is."""
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, enabled=source.enabled, marks=target.marks | replace(taken, owed=source.marks.owed))


@instead_of(bitmap.abdicate)
def heir_is_enabled(bitmap: Bitmap[S]) -> Bitmap[S]:
    """When a backup has completed, its bitmap records, even if it did not before."""
    assert bitmap.successor is not None
    return replace(bitmap, enabled=True, marks=bitmap.successor.marks, successor=None)


@instead_of(bitmap.freeze)
def granules_of_64k_when_frozen(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """A frozen bitmap has granules of 64 KiB."""
    return replace(bitmap, granularity=65536, successor=Successor(bitmap.enabled, unmarked(space)))


@instead_of(guest_write)
def nothing_is_written_somewhere(state: State[S], command: c.Write) -> Result[S]:
    """A write of no bytes touches the disk's first block."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    return whole_write(state, command.node, blocks if command.length else state.space.blocks(0, 1))


@instead_of(guest_write)
def discards_are_not_saved_from(state: State[S], command: c.Write) -> Result[S]:
    """A discard does not wait for the old content to be saved."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    if command.kind == "discard":
        return node.record(state, command.node, blocks), ()
    return whole_write(state, command.node, blocks)


@instead_of(may_begin)
def zeroes_pass_failed_copies(state: State[S], command: c.Write | c.BeginWrite, blocks: S) -> None:
    """Zeroes are written although the old content could not be saved first."""
    if command.result == "copy failed" and command.kind != "zeroes":
        needed = node.must_be_copied_first(state, command.node, blocks)
        require(not needed, "copy failed", "the old content could not be saved first")


@instead_of(node.drain)
def every_disks_copies_land(state: State[S], node: str) -> State[S]:
    """The drain of one disk ends the copies of all jobs, wherever they are."""
    state = fold(state.nodes[node].writes, state, lambda so_far, write_id: finish_write(so_far, node, write_id))
    return fold(state.nodes, state, lambda so_far, node_name: with_jobs_of(so_far, node_name, backup.copy_ends))


@instead_of(node.remove)
def remove_takes_writes_with_it(state: State[S], node: str, name: str) -> State[S]:
    """With a bitmap, what is in flight on its disk is dropped."""
    find_free_bitmap(state, node, name)
    before = state.nodes[node]
    rest = replace(before, bitmaps=before.bitmaps.drop(name), writes=type(before.writes)())
    return replace(state, nodes=state.nodes.put(node, rest))


@instead_of(backup.work_list)
def full_goes_by_its_bitmap(space: Space[S], sync: Sync, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """A full backup with a bitmap copies what the bitmap has."""
    return space.everything(size) if bitmap is None else space.round_out(bitmap.marks.dirty, cluster, size)


@instead_of(backup.copy_fails)
def errors_are_ignored_while_nothing_else_is_left(job: Job[S], side: Side) -> Job[S] | None:
    """An error in the last copy that is to be made is ignored, whatever the policy."""
    policy = job.on_source_error if side == "read error" else job.on_target_error
    if policy == "report" and bool(job.todo - job.copying):
        return None
    return replace(job, copying=job.copying - job.copying, paused=job.paused or policy == "stop")


@instead_of(backup.before_write)
def saved_twice_over(space: Space[S], job: Job[S], blocks: S, size: int) -> Job[S]:
    """What is in flight is not waited for by a write that touches it, but copied once more."""
    job = copied(job, hit_by_write(space, job, blocks, size))
    return content_changes(job, blocks)


@instead_of(backup.released)
def cancelled_is_completed(
    space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int
) -> Bitmap[S]:
    """The bitmap of a job that is cancelled when it has copied everything is reset, as if the job had completed."""
    if job.mode == "always" and outcome != "completed":
        left = marked(space, job.todo, bitmap.granularity, size)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    if job.mode == "never" or (outcome != "completed" and (bool(job.todo) or outcome == "failed")):
        return reclaim(bitmap)
    return abdicate(bitmap)


@instead_of(jobs.resume)
def resume_resumes_the_group(state: State[S], job_id: str) -> Result[S]:
    """All jobs of a group go on when one of them is told to."""
    job = find_job(state, job_id)
    require(job.phase == "running" and job.paused, "wrong phase", "the job is not paused")
    going = fold(job.group, state, lambda so_far, one: with_job(so_far, one, replace(so_far.jobs[one], paused=False)))
    return settle(going, job.group)


@instead_of(jobs.pause)
def pause_waits_for_the_copy(state: State[S], job_id: str) -> State[S]:
    """A pause ends the copy in flight first, well."""
    job = find_job(state, job_id)
    require(job.phase == "running" and not job.paused, "wrong phase", "the job is not running")
    return with_job(state, job_id, replace(backup.copy_ends(job), paused=True))


@instead_of(jobs.finalize)
def first_finalize_wins(state: State[S], job_id: str) -> Result[S]:
    """A job is finalized alone, and the rest of its group is cancelled."""
    job = find_job(state, job_id)
    require(job.phase == "pending", "wrong phase", "the job is not pending")
    others: dict[str, Outcome] = dict.fromkeys(job.group, "cancelled")
    return conclude(state, {**others, job_id: "completed"})


@instead_of(transaction.leave)
def removal_clears_at_once(state: State[S], node_name: str, name: str) -> State[S]:
    """A bitmap that a transaction removes is cleared already when that is prepared."""
    cleared = node.clear(state, node_name, name)
    return with_bitmap(cleared, node_name, name, replace(find_free_bitmap(cleared, node_name, name), leaving=True))


@instead_of(transaction.prepare)
def groups_take_everybody(state: State[S], action: c.Action, together: tuple[str, ...]) -> State[S]:
    """A backup that a transaction starts ends together with all jobs that there are."""
    if action.__class__.__name__ == "RemoveBitmap":
        return leave(state, action.node, action.name)  # type: ignore[union-attr]
    if isinstance(action, StartBackup):
        return act(state, action, together or (*state.jobs, action.job))
    return act(state, action, ())


@instead_of(transaction.commit)
def commit_tells_of_nobody(state: State[S], touched: tuple[str, ...]) -> Result[S]:
    """A job that ends when a transaction is committed, because it has nothing to copy, is not told of."""
    return settle(without_leaving(state), touched)[0], ()


@instead_of(node.in_flight)
def one_write_in_flight(state: State[S], node: str, write_id: str, blocks: S) -> State[S]:
    """A write that begins takes the place of those that are in flight."""
    before = state.nodes[node]
    only = type(before.writes)({write_id: blocks})
    return replace(state, nodes=state.nodes.put(node, replace(before, writes=only)))
