"""More mistakes that the proof once called *proved*: commands that do too little, too much, or something else.

What a command does to what it names was nobody's claim, and a ghost excused whatever it did.
"""

from __future__ import annotations

from cbtmodel import backup, bitmap, jobs, node
from cbtmodel import commands as c
from cbtmodel.backup import Job, Outcome, Side, Sync
from cbtmodel.bitmap import (
    Bitmap,
    Marks,
    Successor,
    abdicate,
    marked,
    marks_without_debt,
    reclaim,
    recording,
    unmarked,
)
from cbtmodel.blocks import S, Space
from cbtmodel.jobs import Result, conclude, find_job, settle
from cbtmodel.node import LONGEST_NAME, State, find_free_bitmap, find_node, usable_granularity, with_bitmap
from cbtmodel.record import replace
from cbtmodel.refusal import require
from cbtmodel.step import begin_write, end_write, may_begin, whole_write, written
from cbtmodel.step import write as guest_write

from cbtproofs.mutants.mutant import Mutant
from cbtproofs.mutants.once_proved import ONCE_PROVED, instead_of


def once_proved() -> tuple[Mutant, ...]:
    """All mistakes that the proof once called proved."""
    return tuple(ONCE_PROVED)


# Bitmaps


@instead_of(node.enable)
def enable_disables(state: State[S], node: str, name: str) -> State[S]:
    """Enabling a bitmap disables it."""
    return with_bitmap(state, node, name, replace(find_free_bitmap(state, node, name), enabled=False))


@instead_of(node.enable)
def enable_does_nothing(state: State[S], node: str, name: str) -> State[S]:
    """Enabling a bitmap does nothing."""
    find_free_bitmap(state, node, name)
    return state


@instead_of(node.disable)
def disable_does_nothing(state: State[S], node: str, name: str) -> State[S]:
    """Disabling a bitmap does nothing."""
    find_free_bitmap(state, node, name)
    return state


@instead_of(node.clear)
def clear_does_nothing(state: State[S], node: str, name: str) -> State[S]:
    """Clearing a bitmap does nothing."""
    find_free_bitmap(state, node, name)
    return state


@instead_of(node.clear)
def clear_disables(state: State[S], node: str, name: str) -> State[S]:
    """Clearing a bitmap disables it as well."""
    free = find_free_bitmap(state, node, name)
    return with_bitmap(state, node, name, replace(bitmap.clear(state.space, free), enabled=False))


@instead_of(bitmap.create)
def disabled_from_the_start(space: Space[S], granularity: int, enabled: bool) -> Bitmap[S]:
    """A new bitmap is disabled, whatever was asked for."""
    return Bitmap(granularity, False, unmarked(space))


@instead_of(bitmap.create)
def enabled_from_the_start(space: Space[S], granularity: int, enabled: bool) -> Bitmap[S]:
    """A new bitmap is enabled, whatever was asked for."""
    return Bitmap(granularity, True, unmarked(space))


@instead_of(bitmap.create)
def granularity_ignored(space: Space[S], granularity: int, enabled: bool) -> Bitmap[S]:
    """A new bitmap has granules of 64 KiB, whatever was asked for."""
    return Bitmap(65536, enabled, unmarked(space))


@instead_of(bitmap.marked)
def write_marks_the_disk(space: Space[S], blocks: S, granularity: int, size: int) -> Marks[S]:
    """A write marks the whole disk, and says that it was written."""
    return Marks(space.everything(size), blocks, space.everything(size))


@instead_of(bitmap.marked)
def rounding_is_owed(space: Space[S], blocks: S, granularity: int, size: int) -> Marks[S]:
    """All of a granule is owed of which a block was written."""
    rounded = space.round_out(blocks, granularity, size)
    return Marks(rounded, rounded, rounded)


@instead_of(bitmap.merge)
def merge_marks_the_disk(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """A merge marks the whole disk, and says that it was merged."""
    everything = space.everything(size)
    return replace(target, marks=target.marks | Marks(everything, source.marks.owed, everything))


@instead_of(bitmap.merge)
def merge_owes_what_is_dirty(space: Space[S], target: Bitmap[S], source: Bitmap[S], size: int) -> Bitmap[S]:
    """After a merge, all that was dirty in the source is owed."""
    taken = marks_without_debt(space, source.marks.dirty, target.granularity, size)
    return replace(target, marks=target.marks | replace(taken, owed=source.marks.dirty))


@instead_of(bitmap.freeze)
def start_enables(space: Space[S], bitmap: Bitmap[S]) -> Bitmap[S]:
    """A job that takes a disabled bitmap enables it."""
    return replace(bitmap, enabled=True, successor=Successor(True, unmarked(space)))


# Writes


@instead_of(end_write)
def failed_end_not_recorded(state: State[S], command: c.EndWrite) -> State[S]:
    """A write in flight that fails is not recorded, although it may have changed the disk."""
    taken = command.write in node.find_node(state, command.node).writes
    require(taken, "not found", f"no write '{command.write}' is in flight")
    if command.result == "ok":
        return node.finish_write(state, command.node, command.write)
    disk = state.nodes[command.node]
    rest = type(disk)(disk.size, disk.bitmaps, disk.writes.drop(command.write))
    return type(state)(state.space, state.nodes.put(command.node, rest), state.jobs)


@instead_of(guest_write)
def failed_discard_not_recorded(state: State[S], command: c.Write) -> Result[S]:
    """A discard that failed is not recorded, although it may have changed the disk."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    failed = command.kind == "discard" and command.result == "failed"
    return whole_write(state, command.node, blocks - blocks if failed else blocks)


@instead_of(guest_write)
def ignored_discard_is_recorded(state: State[S], command: c.Write) -> Result[S]:
    """A discard without effect is recorded."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
    may_begin(state, command, blocks)
    return whole_write(state, command.node, blocks)


@instead_of(begin_write)
def begun_zeroes_are_lost(state: State[S], command: c.BeginWrite) -> Result[S]:
    """Zeroes that are in flight will touch nothing."""
    blocks = written(state, command)
    taken = command.write in state.nodes[command.node].writes
    require(not taken, "exists", f"a write '{command.write}' is in flight already")
    may_begin(state, command, blocks)
    state = node.copy_before_write(state, command.node, blocks)
    touched = tuple(node.jobs_of(state, command.node))
    blocks = blocks - blocks if command.kind == "zeroes" else blocks
    return settle(node.in_flight(state, command.node, command.write, blocks), touched)


# Jobs


@instead_of(backup.work_list)
def increment_copies_everything(space: Space[S], sync: Sync, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """An increment copies the whole disk."""
    return space.everything(size)


@instead_of(backup.work_list)
def granules_for_clusters(space: Space[S], sync: Sync, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """An increment goes by clusters of 64 KiB, whatever was asked for."""
    if sync == "full" or bitmap is None:
        return space.everything(size)
    return space.round_out(bitmap.marks.dirty, 65536, size)


@instead_of(backup.released)
def leftovers_are_everything(
    space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int
) -> Bitmap[S]:
    """After a failure, a best-effort job leaves all that it set out to copy."""
    if job.mode == "always" and outcome != "completed":
        left = marked(space, job.scope, bitmap.granularity, size)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    return reclaim(bitmap) if job.mode == "never" or outcome != "completed" else abdicate(bitmap)


@instead_of(backup.released)
def success_keeps_the_marks(
    space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int
) -> Bitmap[S]:
    """A bitmap is never reset: whatever was written once is copied each time."""
    return reclaim(bitmap)


@instead_of(backup.copy_fails)
def ignored_errors_pause(job: Job[S], side: Side) -> Job[S] | None:
    """An error that is to be ignored pauses the job."""
    policy = job.on_source_error if side == "read error" else job.on_target_error
    return None if policy == "report" else replace(job, copying=job.copying - job.copying, paused=True)


@instead_of(backup.copy_fails)
def policies_are_swapped(job: Job[S], side: Side) -> Job[S] | None:
    """An error of the source is treated as one of the target, and the other way round."""
    policy = job.on_source_error if side == "write error" else job.on_target_error
    if policy == "report":
        return None
    return replace(job, copying=job.copying - job.copying, paused=job.paused or policy == "stop")


@instead_of(backup.copied)
def more_is_copied(job: Job[S], clusters: S) -> Job[S]:
    """With its first copy a job copies all that it has to."""
    done = job.todo if clusters else clusters
    return replace(job, todo=job.todo - done, good=(job.good - done) | (done & job.intact))


@instead_of(jobs.pause)
def pause_does_nothing(state: State[S], job_id: str) -> State[S]:
    """A job that is told to pause goes on."""
    job = find_job(state, job_id)
    require(job.phase == "running" and not job.paused, "wrong phase", "the job is not running")
    return state


@instead_of(jobs.resume)
def resume_does_nothing(state: State[S], job_id: str) -> Result[S]:
    """A job that is told to go on stays paused."""
    job = find_job(state, job_id)
    require(job.phase == "running" and job.paused, "wrong phase", "the job is not paused")
    return state, ()


@instead_of(jobs.cancel)
def cancel_is_a_failure(state: State[S], job_id: str) -> Result[S]:
    """A job that was cancelled is said to have failed."""
    return conclude(state, dict.fromkeys(find_job(state, job_id).group, "failed"))


@instead_of(jobs.fail_group)
def the_others_have_failed(state: State[S], job_id: str, outcome: Outcome) -> Result[S]:
    """When one job of a group fails, the others are said to have failed, too."""
    return conclude(state, dict.fromkeys(state.jobs[job_id].group, outcome))


@instead_of(jobs.with_job)
def policies_are_forgotten(state: State[S], job_id: str, job: Job[S]) -> State[S]:
    """A new job reports all errors, and finalizes by itself."""
    if job_id not in state.jobs:
        job = replace(job, on_source_error="report", on_target_error="report", auto_finalize=True)
    return replace(state, jobs=state.jobs.put(job_id, job))


# Of the disk's size, and of names: found since rounding knows the one, and the stage has the others


@instead_of(bitmap.record)
def half_of_the_disk_is_rounded(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """Granules are those of a disk of half the size: what lies beyond has none."""
    if not recording(bitmap):
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size // 2)
    if bitmap.successor is None:
        return replace(bitmap, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


@instead_of(node.add)
def names_are_letters(state: State[S], node: str, name: str, granularity: int, enabled: bool) -> State[S]:
    """A name is counted in letters, so that one of more than 1023 bytes can be too long unnoticed."""
    require(name != "", "invalid", "a bitmap's name cannot be empty")
    bitmaps = find_node(state, node).bitmaps
    require(usable_granularity(granularity), "invalid", "granularity must be a power of two, at least 512")
    require(name not in bitmaps, "exists", f"node '{node}' has a bitmap '{name}' already")
    require(len(name) <= LONGEST_NAME, "invalid", "the name is too long")
    return with_bitmap(state, node, name, bitmap.create(state.space, granularity, enabled))
