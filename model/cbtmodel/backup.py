"""One backup job: what it sets out to copy, what it has copied, and what its end does to its bitmap.

The target must end up with the disk *as it was when the job started*, although the guest goes on writing. So a guest
write that hits a cluster which is yet to be copied has that cluster copied first (*copy-before-write*). A cluster is
a granule of the job's own cluster size, which need not be that of the bitmap.

Source: QEMU, block/backup.c, block/block-copy.c and block/copy-before-write.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal

from cbtmodel.bitmap import Bitmap, abdicate, marked, reclaim
from cbtmodel.blocks import S, Space
from cbtmodel.record import replace

Sync = Literal["full", "incremental", "bitmap"]
BitmapMode = Literal["on-success", "never", "always"]
OnError = Literal["report", "ignore", "stop"]
Phase = Literal["running", "waiting", "pending"]
Outcome = Literal["completed", "failed", "cancelled"]
Side = Literal["read error", "write error"]


@dataclass(frozen=True, slots=True)
class Job(Generic[S]):
    """A job that has not ended. `cluster` is in bytes; `group` are the ids of all jobs that end together with it.

    Phases: *running* (it copies, or is `paused`), *waiting* (all is copied; for the rest of its group), *pending*
    (the whole group has copied everything; for a `finalize`, unless all finalize by themselves).

    `copying` is the copy in flight, at most one per job: clusters are independent of each other, so that several
    workers add nothing. `scope`, `intact` and `good` are ghosts: what the job set out to copy, the blocks whose
    content on the disk is still that of the job's start, and those whose content on the target is.
    """

    node: str
    bitmap: str | None
    mode: BitmapMode | None
    cluster: int
    group: tuple[str, ...]
    auto_finalize: bool
    on_source_error: OnError
    on_target_error: OnError
    todo: S
    copying: S
    scope: S
    intact: S
    good: S
    phase: Phase = "running"
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Ended(Generic[S]):
    """A job has ended: the job and its frozen bitmap as they were at the very end, and how it went."""

    job_id: str
    outcome: Outcome
    job: Job[S]
    bitmap: Bitmap[S] | None


def work_list(space: Space[S], sync: Sync, bitmap: Bitmap[S] | None, cluster: int, size: int) -> S:
    """What a job sets out to copy: every cluster that has a dirty block, or everything."""
    if sync == "full" or bitmap is None:
        return space.everything(size)
    return space.round_out(bitmap.marks.dirty, cluster, size)


def may_copy(job: Job[S]) -> bool:
    """Whether the job may begin a copy now."""
    return job.phase == "running" and not job.paused and not job.copying


def copied(job: Job[S], clusters: S) -> Job[S]:
    """These clusters are on the target now, over whatever was there, with the content that the disk has now."""
    return replace(job, todo=job.todo - clusters, good=(job.good - clusters) | (clusters & job.intact))


def copy_ends(job: Job[S]) -> Job[S]:
    """The copy in flight, if there is one, ends well."""
    return replace(copied(job, job.copying), copying=job.copying - job.copying)


def copy_fails(job: Job[S], side: Side) -> Job[S] | None:
    """The copy in flight fails: its clusters are still to be copied. None: the job fails, by its error policy."""
    policy = job.on_source_error if side == "read error" else job.on_target_error
    if policy == "report":
        return None
    return replace(job, copying=job.copying - job.copying, paused=job.paused or policy == "stop")


def hit_by_write(space: Space[S], job: Job[S], blocks: S, size: int) -> S:
    """The clusters that must be on the target before a guest may write `blocks`."""
    return job.todo & space.round_out(blocks, job.cluster, size)


def before_write(space: Space[S], job: Job[S], blocks: S, size: int) -> Job[S]:
    """Copy-before-write, and then the disk's content changes at `blocks`.

    A write that hits the copy in flight waits for that to end.
    """
    if job.copying & hit_by_write(space, job, blocks, size):
        job = copy_ends(job)
    job = copied(job, hit_by_write(space, job, blocks, size))
    return content_changes(job, blocks)


def content_changes(job: Job[S], blocks: S) -> Job[S]:
    """The disk's content at `blocks` is no longer that of the job's start."""
    return replace(job, intact=job.intact - blocks)


def all_copied(job: Job[S]) -> bool:
    """Whether nothing is left to do: a paused job finds out when it is resumed."""
    return job.phase == "running" and not job.paused and not job.copying and not job.todo


def released(space: Space[S], job: Job[S], bitmap: Bitmap[S], outcome: Outcome, size: int) -> Bitmap[S]:
    """The bitmap when its job has ended. With P its marks, W its successor's, U what is left of the work list:

    | mode       | completed | failed or cancelled |
    |------------|-----------|---------------------|
    | on-success | W         | P and W             |
    | never      | P and W   | P and W             |
    | always     | W         | W and U             |

    U is owed, written or not: the target lacks it, and the next increment is laid over that target. What P owed is in
    U, or has been copied.
    """
    if job.mode == "always" and outcome != "completed":
        left = marked(space, job.todo, bitmap.granularity, size)
        heir = abdicate(bitmap)
        return replace(heir, marks=heir.marks | left)
    if job.mode == "never" or outcome != "completed":
        return reclaim(bitmap)
    return abdicate(bitmap)
