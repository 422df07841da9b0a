"""Mutants of the specification after real bugs, and after the seeded mistakes of the reference implementation.

Each is a small function that takes the place of one of the specification's. Names are those of the seeded mistakes in
`cbtcheck.adapters.mistakes` where the mistake is the same. IDs are those of field-bugs.md.

A function here runs with the global names of the module that it is put into; those that it uses mean the same here
and there, which is checked. Not here: bugs that are no change of this specification (`not_applicable`).
"""

from __future__ import annotations

from cbtmodel import backup, bitmap, jobs, node, transaction
from cbtmodel.backup import Job, Side, content_changes, copied
from cbtmodel.bitmap import Bitmap, Marks, marked, recording
from cbtmodel.blocks import S, Space
from cbtmodel.commands import Write
from cbtmodel.jobs import Result, find_job, settle, with_job
from cbtmodel.node import State, with_jobs_of
from cbtmodel.record import replace
from cbtmodel.refusal import require
from cbtmodel.step import may_begin, whole_write, written
from cbtmodel.step import write as guest_write

from cbtproofs.mutants.mutant import Mutant, declaring

FIELD_BUGS: list[Mutant] = []
instead_of = declaring(FIELD_BUGS)
"""Declares a function to be a mutant of another, after a field bug if there was one."""


def field_bug_mutants() -> tuple[Mutant, ...]:
    """All of them, in the order below."""
    return tuple(FIELD_BUGS)


# Recording


@instead_of(bitmap.record, "B1")
def hook_never_called(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """The hook sits at a layer that requests no longer pass: no write is ever recorded."""
    return bitmap


@instead_of(bitmap.marked, "C4")
def rounding_forgotten(space: Space[S], blocks: S, granularity: int, size: int) -> Marks[S]:
    """A write marks the blocks that it touched and not the granules."""
    return Marks(blocks, blocks, blocks)


@instead_of(bitmap.record)
def frozen_parent_records(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """While a bitmap is frozen, writes go on being recorded in it instead of in its successor."""
    if not bitmap.enabled:
        return bitmap
    return replace(bitmap, marks=bitmap.marks | marked(space, blocks, bitmap.granularity, size))


@instead_of(bitmap.record, "Q16")
def both_record(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """While a bitmap is frozen, both it and its successor record."""
    if not recording(bitmap):
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size)
    if bitmap.successor is not None:
        bitmap = replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))
    return replace(bitmap, marks=bitmap.marks | new)


@instead_of(bitmap.recording, "Z1")
def frozen_is_deaf(bitmap: Bitmap[S]) -> bool:
    """Whether to record is decided by looking at the frozen bitmap only, and that does not record."""
    return bitmap.enabled and bitmap.successor is None


@instead_of(bitmap.record, "M2")
def marked_is_skipped(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """What is dirty already is not recorded, and in a frozen bitmap it is the old marks that are looked at."""
    if not recording(bitmap):
        return bitmap
    new = marked(space, blocks - bitmap.marks.dirty, bitmap.granularity, size)
    new = replace(new, owed=blocks)
    if bitmap.successor is None:
        return replace(bitmap, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


@instead_of(bitmap.record, "D3")
def overflow_disables(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """A tracker that is full stops recording, silently. Here it is full when something is marked."""
    if not recording(bitmap):
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size)
    if bitmap.successor is None:
        return replace(bitmap, enabled=not bitmap.marks.dirty, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


@instead_of(guest_write, "Z2")
def zeroes_not_marked(state: State[S], command: Write) -> Result[S]:
    """Writing zeroes and discarding are not taken for changes."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    if command.kind == "write":
        return whole_write(state, command.node, blocks)
    touched = tuple(node.jobs_of(state, command.node))
    return settle(node.copy_before_write(state, command.node, blocks), touched)


@instead_of(guest_write, "Q9")
def discard_cleans(state: State[S], command: Write) -> Result[S]:
    """A discard clears dirty bits, as if what was discarded need not be saved."""
    from dataclasses import replace  # the module of the right one has no such name

    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    after, ended = whole_write(state, command.node, blocks)
    if command.kind == "discard":
        for name, each in after.nodes[command.node].bitmaps.items():
            marks = replace(each.marks, dirty=each.marks.dirty - blocks)
            after = node.with_bitmap(after, command.node, name, replace(each, marks=marks))
    return after, ended


@instead_of(guest_write)
def failed_write_not_marked(state: State[S], command: Write) -> Result[S]:
    """A write that failed is not recorded, although it may have changed the disk."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    if command.result != "failed":
        return whole_write(state, command.node, blocks)
    touched = tuple(node.jobs_of(state, command.node))
    return settle(node.copy_before_write(state, command.node, blocks), touched)


@instead_of(node.finish_write, "V2")
def in_flight_not_recorded(state: State[S], node: str, write_id: str) -> State[S]:
    """A write that was in flight lands, and nobody takes note of it."""
    after = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(after, writes=after.writes.drop(write_id))))


# Copying


@instead_of(backup.before_write, "Q6")
def copies_again(space: Space[S], job: Job[S], blocks: S, size: int) -> Job[S]:
    """Copy-before-write copies all that a write touches, also what was copied before it changed."""
    return content_changes(copied(job, space.round_out(blocks, job.cluster, size) & job.scope), blocks)


@instead_of(backup.before_write)
def no_copy_before_write(space: Space[S], job: Job[S], blocks: S, size: int) -> Job[S]:
    """A guest write does not wait for the old content to be saved."""
    return content_changes(job, blocks)


@instead_of(backup.hit_by_write)
def saves_the_blocks_only(space: Space[S], job: Job[S], blocks: S, size: int) -> S:
    """Copy-before-write takes the blocks that a write touches and not their clusters."""
    return job.todo & blocks


@instead_of(guest_write)
def write_passes_failed_copy(state: State[S], command: Write) -> Result[S]:
    """When copy-before-write fails, the guest write goes on, and the old content is nowhere."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    if command.result == "copy failed":
        return node.record(state, command.node, blocks), ()
    return whole_write(state, command.node, blocks)


@instead_of(jobs.begin_copy, "Q23")
def reads_too_late(state: State[S], job_id: str, offset: int, length: int) -> State[S]:
    """A cluster is taken off the work list before it is read, and guest writes in between are not held back."""
    job = find_job(state, job_id)
    size = state.nodes[job.node].size
    require(offset + length <= size, "invalid", "beyond the end of the disk")
    require(backup.may_copy(job), "wrong phase", "the job is not copying now, or has a copy in flight")
    clusters = backup.hit_by_write(state.space, job, state.space.blocks(offset, length), size)
    require(bool(clusters), "invalid", "nothing is left to copy there")
    return with_job(state, job_id, replace(job, copying=clusters, todo=job.todo - clusters))


@instead_of(backup.work_list, "C1")
def scope_not_rounded(space: Space[S], sync: str, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """Only the blocks that are dirty are selected, not their clusters."""
    return space.everything(size) if sync == "full" or bitmap is None else bitmap.marks.dirty


@instead_of(backup.work_list, "Q8")
def tail_not_copied(space: Space[S], sync: str, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """The disk has size / cluster clusters, rounded down: a partial last one is never copied."""
    whole = space.everything(size // cluster * cluster)
    return whole if sync == "full" or bitmap is None else whole & space.round_out(bitmap.marks.dirty, cluster, size)


@instead_of(backup.work_list, "K1")
def unknown_means_clean(space: Space[S], sync: str, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """A bitmap that does not record has no answer to what changed; that is taken for: nothing."""
    if sync == "full" or bitmap is None:
        return space.everything(size)
    return space.round_out(bitmap.marks.dirty, cluster, size) if bitmap.enabled else space.empty


@instead_of(backup.copy_fails)
def target_error_is_success(job: Job[S], side: Side) -> Job[S] | None:
    """An error of the target is logged, and the cluster counts as copied."""
    if side == "write error":
        return replace(job, todo=job.todo - job.copying, copying=job.copying - job.copying)
    if job.on_source_error == "report":
        return None
    return replace(job, copying=job.copying - job.copying, paused=job.paused or job.on_source_error == "stop")


@instead_of(backup.copy_fails, "K1")
def failed_cluster_forgotten(job: Job[S], side: Side) -> Job[S] | None:
    """What could not be copied is not put back on the work list, so that a retry copies nothing."""
    policy = job.on_source_error if side == "read error" else job.on_target_error
    if policy == "report":
        return None
    rest = replace(job, todo=job.todo - job.copying, copying=job.copying - job.copying)
    return replace(rest, paused=job.paused or policy == "stop")


@instead_of(backup.all_copied, "Q24")
def ends_before_its_last_copy(job: Job[S]) -> bool:
    """A job is done when its last copy has begun."""
    return job.phase == "running" and not job.paused and not job.todo - job.copying


@instead_of(node.drain, "M3")
def start_without_drain(state: State[S], node: str) -> State[S]:
    """A job starts while writes are in flight: they are neither in its bitmap nor held back by it."""
    return state


@instead_of(node.drain, "M3")
def writes_not_drained(state: State[S], node: str) -> State[S]:
    """A drain waits for the copies of jobs and not for guest writes."""
    return with_jobs_of(state, node, backup.copy_ends)


@instead_of(transaction.drain_all, "R2")
def transaction_without_drain(state: State[S]) -> State[S]:
    """A transaction does not wait for writes in flight."""
    return state
