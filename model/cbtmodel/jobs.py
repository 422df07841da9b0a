"""The life of backup jobs among each other: start, copies, pause, completion together, and every kind of end."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cbtmodel import backup, bitmap
from cbtmodel.backup import Ended, Job, Outcome, Side
from cbtmodel.blocks import S
from cbtmodel.commands import StartBackup
from cbtmodel.loops import every, fold, some
from cbtmodel.node import State, find_bitmap, find_node, with_bitmap
from cbtmodel.record import replace
from cbtmodel.refusal import require

Result = tuple[State[S], tuple[Ended[S], ...]]


def find_job(state: State[S], job_id: str) -> Job[S]:
    """The job, or a refusal."""
    require(job_id in state.jobs, "not found", f"there is no job '{job_id}'")
    return state.jobs[job_id]


def with_job(state: State[S], job_id: str, job: Job[S]) -> State[S]:
    """The state with this job changed, and nothing else."""
    return replace(state, jobs=state.jobs.put(job_id, job))


# Start


def start(state: State[S], command: StartBackup, group: tuple[str, ...]) -> State[S]:
    """The job exists, its bitmap is frozen. The node has been drained: this instant is the backup's point in time."""
    node = find_node(state, command.node)
    mode = "on-success" if command.sync == "incremental" else command.bitmap_mode
    require(command.sync == "full" or command.bitmap is not None, "invalid", "this sync mode needs a bitmap")
    require(command.bitmap_mode in (None, mode), "invalid", "incremental means bitmap mode on-success")
    frozen = None if command.bitmap is None else find_bitmap(state, command.node, command.bitmap)
    require(frozen is None or mode is not None, "invalid", "a bitmap needs a bitmap mode")
    require(frozen is None or not bitmap.busy(frozen), "busy", "the bitmap is in use by another operation")
    require(mode != "never" or command.sync == "bitmap", "invalid", "bitmap mode never is for sync mode bitmap")
    require(frozen is not None or mode is None, "invalid", "a bitmap mode needs a bitmap")
    require(usable_id(command.job), "invalid", "not a job id")
    require(command.job not in state.jobs, "exists", f"there is a job '{command.job}' already")
    require(command.cluster >= 512 and command.cluster.bit_count() == 1, "invalid", "cluster: a power of two")

    space = state.space
    scope = backup.work_list(space, command.sync, frozen, command.cluster, node.size)
    job = Job(
        command.node, command.bitmap, mode, command.cluster, group, command.auto_finalize,
        command.on_source_error, command.on_target_error,
        todo=scope, copying=space.empty, scope=scope, intact=space.everything(node.size), good=space.empty,
    )  # fmt: skip
    if frozen is not None and command.bitmap is not None:
        state = with_bitmap(state, command.node, command.bitmap, bitmap.freeze(space, frozen))
    return with_job(state, command.job, job)


def usable_id(job_id: str) -> bool:
    """A letter, then letters, digits, '-', '.' and '_' (QEMU, util/id.c)."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", job_id) is not None


# Copies


def begin_copy(state: State[S], job_id: str, offset: int, length: int) -> State[S]:
    """All clusters of the range that are yet to be copied are in flight."""
    job = find_job(state, job_id)
    size = state.nodes[job.node].size
    require(offset + length <= size, "invalid", "beyond the end of the disk")
    require(backup.may_copy(job), "wrong phase", "the job is not copying now, or has a copy in flight")
    touched = state.space.blocks(offset, length)
    clusters = backup.hit_by_write(state.space, job, touched, size)
    require(bool(clusters), "invalid", "nothing is left to copy there")
    return with_job(state, job_id, replace(job, copying=clusters))


def end_copy(state: State[S], job_id: str, failure: Side | None) -> Result[S]:
    """The copy in flight ends well, or fails and the job's error policy says what that means."""
    job = find_job(state, job_id)
    require(bool(job.copying), "invalid", "no copy is in flight")
    after = backup.copy_ends(job) if failure is None else backup.copy_fails(job, failure)
    if after is not None:
        return settle(with_job(state, job_id, after), [job_id])
    undone = replace(job, copying=state.space.empty)
    return fail_group(with_job(state, job_id, undone), job_id, "failed")


# Pause


def pause(state: State[S], job_id: str) -> State[S]:
    """No new copies begin."""
    job = find_job(state, job_id)
    require(job.phase == "running" and not job.paused, "wrong phase", "the job is not running")
    return with_job(state, job_id, replace(job, paused=True))


def resume(state: State[S], job_id: str) -> Result[S]:
    """Copies may begin again."""
    job = find_job(state, job_id)
    require(job.phase == "running" and job.paused, "wrong phase", "the job is not paused")
    return settle(with_job(state, job_id, replace(job, paused=False)), [job_id])


# Ends


def finalize(state: State[S], job_id: str) -> Result[S]:
    """The operator lets a pending job, and with it its group, complete."""
    job = find_job(state, job_id)
    require(job.phase == "pending", "wrong phase", "the job is not pending")
    return conclude(state, dict.fromkeys(job.group, "completed"))


def cancel(state: State[S], job_id: str) -> Result[S]:
    """The operator gives the job up, and with it its group. It may have copied everything already."""
    find_job(state, job_id)
    return fail_group(state, job_id, "cancelled")


def fail_group(state: State[S], job_id: str, outcome: Outcome) -> Result[S]:
    """One job's failure is everybody's failure."""
    group = state.jobs[job_id].group
    cancelled: dict[str, Outcome] = dict.fromkeys(group, "cancelled")
    return conclude(state, {**cancelled, job_id: outcome})


def conclude(state: State[S], outcomes: dict[str, Outcome]) -> Result[S]:
    """The jobs end, each with its outcome, in their order."""
    none: tuple[Ended[S], ...] = ()
    return fold(outcomes, (state, none), lambda so_far, job_id: ends(so_far, job_id, outcomes[job_id]))


def ends(so_far: Result[S], job_id: str, outcome: Outcome) -> Result[S]:
    """One more job ends: a copy in flight ends first, the bitmap abdicates or reclaims, the job is gone."""
    state, ended = so_far
    job = backup.copy_ends(state.jobs[job_id])
    node = state.nodes[job.node]
    frozen = None if job.bitmap is None else node.bitmaps[job.bitmap]
    if job.bitmap is not None and frozen is not None:
        heir = backup.released(state.space, job, frozen, outcome, node.size)
        state = with_bitmap(state, job.node, job.bitmap, heir)
    return replace(state, jobs=state.jobs.drop(job_id)), (*ended, Ended(job_id, outcome, job, frozen))


def settle(state: State[S], touched: Iterable[str]) -> Result[S]:
    """Jobs that have nothing left to copy go on by themselves: to waiting, with their group to pending, to the end.

    `touched` are the ids of all jobs that may have changed; the others had settled before.
    """
    none: tuple[Ended[S], ...] = ()
    return fold(touched, (state, none), settles)


def settles(so_far: Result[S], job_id: str) -> Result[S]:
    """One more job goes on by itself, if it is there and has nothing left to copy."""
    state, ended = so_far
    if job_id not in state.jobs or not backup.all_copied(state.jobs[job_id]):
        return so_far
    waiting = with_job(state, job_id, replace(state.jobs[job_id], phase="waiting"))
    group = waiting.jobs[job_id].group
    if some(group, lambda member: waiting.jobs[member].phase != "waiting"):
        return waiting, ended
    pending = fold(group, waiting, pends)
    if not every(group, lambda member: pending.jobs[member].auto_finalize):
        return pending, ended
    completed, more = conclude(pending, dict.fromkeys(group, "completed"))
    return completed, (*ended, *more)


def pends(state: State[S], job_id: str) -> State[S]:
    """The job, which waited for the rest of its group, is pending."""
    return with_job(state, job_id, replace(state.jobs[job_id], phase="pending"))
