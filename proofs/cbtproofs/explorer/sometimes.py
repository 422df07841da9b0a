"""What must be *seen* when a scope is explored: without it, that nothing is ever violated would say little.

A property that always holds may hold because nothing happens. So each scope declares interesting steps that it is
to reach, and an exploration that does not reach one of them has failed. Each is a predicate on a step (the state
before, the command, what came of it), with its meaning in one sentence. Like the specification they look at sets
with union, intersection, difference and emptiness only, so that they mean the same up to permutation of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap
from cbtmodel.claims import frozen_bitmap
from cbtmodel.node import State, jobs_of
from cbtmodel.step import Step

from cbtproofs.explorer.scopes import Scope

Predicate = Callable[[State[Any], Any, Step[Any]], bool]
WRITES = (c.Write, c.BeginWrite)
COPIES = (c.Copy, c.EndCopy)


def frozen_bitmaps(state: State[Any]) -> Iterator[Bitmap[Any]]:
    """All bitmaps that have a successor."""
    for node in state.nodes.values():
        yield from (each for each in node.bitmaps.values() if each.successor is not None)


def ended(step: Step[Any], outcome: str) -> list[Ended[Any]]:
    """The jobs that ended so in this step."""
    return [end for end in step.ended if end.outcome == outcome]


def left_by(command: Any, before: State[Any], step: Step[Any]) -> Iterator[tuple[Any, Any]]:
    """The jobs that are there before and after an accepted guest write."""
    if isinstance(command, WRITES) and step.refusal is None:
        for job_id, job in jobs_of(before, command.node).items():
            if job_id in step.state.jobs:
                yield job, step.state.jobs[job_id]


def written_twice(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A successor holds a write that its parent holds too."""
    return any(
        each.successor is not None and bool(each.marks.owed & each.successor.marks.owed)
        for each in frozen_bitmaps(step.state)
    )


def saved_before_a_write(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A guest write has a cluster copied first."""
    return any(bool(job.todo - after.todo) for job, after in left_by(command, before, step))


def success_after_saving(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job completes although what it copied was overwritten meanwhile: the target has the old content."""
    return any(bool(end.job.good - end.job.intact) for end in ended(step, "completed"))


def failure_after_saving(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job fails after a copy-before-write."""
    return any(bool(end.job.good - end.job.intact) for end in ended(step, "failed"))


def cancelled_half_way(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job is cancelled when it has copied something and not everything."""
    return any(bool(end.job.todo) and bool(end.job.good) for end in ended(step, "cancelled"))


def always_after_a_part(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job with bitmap mode *always* fails with a part copied: only the rest, and what was written, stays dirty."""
    return any(
        end.job.mode == "always" and bool(end.job.todo) and bool(end.job.good) for end in ended(step, "failed")
    )


def left_over_and_never_owed(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job with bitmap mode *always* ends without success, and leaves to be copied what its bitmap did not owe."""
    return any(
        end.job.mode == "always" and end.bitmap is not None and bool(end.job.todo - end.bitmap.marks.owed)
        for end in (*ended(step, "failed"), *ended(step, "cancelled"))
    )


def nothing_to_copy(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job starts with a clean bitmap, and has completed at once."""
    return isinstance(command, c.StartBackup) and bool(ended(step, "completed"))


def completed_by_a_write(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A guest write has the last cluster of a job copied, so that the job completes."""
    return isinstance(command, WRITES) and bool(ended(step, "completed"))


def paused_with_nothing_left(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """The last cluster of a paused job is copied by a guest write; the job stays, with nothing to do."""
    return any(job.paused and bool(job.todo) and not after.todo for job, after in left_by(command, before, step))


def completed_by_resuming(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A paused job finds out that nothing is left when it is resumed."""
    return isinstance(command, c.ResumeJob) and bool(ended(step, "completed"))


def frozen_while_disabled(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A disabled bitmap that holds a write is frozen."""
    return any(not each.enabled and bool(each.marks.owed) for each in frozen_bitmaps(step.state))


def busy_is_refused(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """An operator may not touch a frozen bitmap."""
    return isinstance(command, c.ClearBitmap) and step.refusal is not None and step.refusal.kind == "busy"


def drained_into_the_parent(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job starts while a write is in flight: the write ends in the bitmap that is then frozen, not in its heir."""
    if not isinstance(command, c.StartBackup) or step.refusal is not None or command.job not in step.state.jobs:
        return False
    frozen = frozen_bitmap(step.state, step.state.jobs[command.job])
    flying = before.nodes[command.node].writes.values()
    return frozen is not None and any(bool(blocks & frozen.marks.owed) for blocks in flying)


def in_flight_when_cleared(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A write lands in a bitmap that was clear, after it had been cleared or added with the write in flight."""
    if not isinstance(command, c.EndWrite) or step.refusal is not None:
        return False
    return any(each.enabled and not each.marks.dirty for each in before.nodes[command.node].bitmaps.values())


def write_waits_for_a_copy(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A guest write hits the copy in flight, and waits until that has ended."""
    return any(bool(job.copying) and not after.copying for job, after in left_by(command, before, step))


def copy_before_write_fails(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A guest write is refused because what it would overwrite cannot be saved."""
    return step.refusal is not None and step.refusal.kind == "copy failed"


def stopped_by_an_error(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A copy fails, and the job's policy pauses it."""
    if not isinstance(command, COPIES) or command.job not in step.state.jobs:
        return False
    return step.state.jobs[command.job].paused and not before.jobs[command.job].paused


def pending_is_cancelled(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A pending job, which has copied everything, is cancelled all the same."""
    return any(end.job.phase == "pending" for end in ended(step, "cancelled"))


def finalized(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A pending job is finalized, after a write that came when it had copied everything."""
    return isinstance(command, c.FinalizeJob) and any(
        end.bitmap is not None and end.bitmap.successor is not None and bool(end.bitmap.successor.marks.owed)
        for end in ended(step, "completed")
    )


def undone(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A transaction whose first action would have waived something is undone."""
    if not isinstance(command, c.Transaction) or step.refusal is None or step.refusal.kind != "aborted":
        return False
    return any(bool(each.marks.owed) for node in before.nodes.values() for each in node.bitmaps.values())


def recreated(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A transaction tries to add a bitmap under a name that it has just removed, and is refused."""
    if not isinstance(command, c.Transaction) or step.refusal is None or step.refusal.kind != "exists":
        return False
    return isinstance(command.actions[0], c.RemoveBitmap)


def removed_together(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A transaction removes a bitmap, when a write is in flight."""
    if not isinstance(command, c.Transaction) or step.refusal is not None:
        return False
    return any(
        bool(node.writes) and len(step.state.nodes[node_name].bitmaps) < len(node.bitmaps)
        for node_name, node in before.nodes.items()
    )


def completed_by_draining(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A transaction waits for the last copy of a job, which is in flight; the job completes by it."""
    return isinstance(command, c.Transaction) and any(
        end.job_id in before.jobs and bool(before.jobs[end.job_id].copying) for end in ended(step, "completed")
    )


def merged_and_rounded(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A merge rounds: the target is dirty where its source is not, and was not before."""
    if not isinstance(command, c.MergeBitmaps) or step.refusal is not None or len(command.sources) != 1:
        return False
    target, source = (command.node, command.target), (command.sources[0].node, command.sources[0].name)
    dirty, was, taken = (
        state.nodes[node].bitmaps[name].marks.dirty
        for state, (node, name) in ((step.state, target), (before, target), (before, source))
    )
    return bool(dirty - was - taken)


def one_waits(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job of a group has copied everything and waits for another, which has not."""
    return any(job.phase == "waiting" and bool(job.good) for job in step.state.jobs.values())


def waiting_is_cancelled(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A job that has copied everything is cancelled because another of its group failed."""
    failed = bool(ended(step, "failed"))
    return failed and any(end.job.phase == "waiting" and bool(end.job.good) for end in ended(step, "cancelled"))


def group_completes(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """Two jobs complete at the same step."""
    return len(ended(step, "completed")) > 1


def merged_from_several(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A merge of several sources adds something."""
    return isinstance(command, c.MergeBitmaps) and len(command.sources) > 1 and step.state != before


def copied_for_two(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """One guest write has a cluster saved by two jobs."""
    return sum(bool(job.todo - after.todo) for job, after in left_by(command, before, step)) > 1


def dirty_but_not_owed(before: State[Any], command: Any, step: Step[Any]) -> bool:
    """A bitmap is dirty where it owes nothing: the rest of a granule, its own or that of a bitmap merged into it."""
    return any(
        bool(each.marks.dirty - each.marks.owed) and bool(each.marks.owed)
        for node in step.state.nodes.values()
        for each in node.bitmaps.values()
    )


def a_bitmap_and_a_job(scope: Scope) -> bool:
    """Whether a scope has what any backup with a bitmap needs."""
    return scope.bitmaps > 0 and scope.jobs > 0


def two_clusters(scope: Scope) -> bool:
    """Whether a job can have copied a part."""
    return a_bitmap_and_a_job(scope) and scope.blocks > scope.cluster


def large(scope: Scope) -> bool:
    """Whether a scope has all commands."""
    return a_bitmap_and_a_job(scope) and scope.alphabet == "large"


def two_of_each(scope: Scope) -> bool:
    """Whether a scope has groups."""
    return scope.bitmaps > 1 and scope.jobs > 1


EXPECTED: tuple[tuple[Predicate, Callable[[Scope], bool]], ...] = (
    (written_twice, a_bitmap_and_a_job),
    (saved_before_a_write, two_clusters),
    (success_after_saving, a_bitmap_and_a_job),
    (failure_after_saving, two_clusters),
    (cancelled_half_way, two_clusters),
    (always_after_a_part, two_clusters),
    (left_over_and_never_owed, large),
    (nothing_to_copy, a_bitmap_and_a_job),
    (completed_by_a_write, a_bitmap_and_a_job),
    (paused_with_nothing_left, a_bitmap_and_a_job),
    (completed_by_resuming, a_bitmap_and_a_job),
    (frozen_while_disabled, a_bitmap_and_a_job),
    (busy_is_refused, a_bitmap_and_a_job),
    (drained_into_the_parent, large),
    (in_flight_when_cleared, large),
    (write_waits_for_a_copy, large),
    (copy_before_write_fails, large),
    (stopped_by_an_error, large),
    (pending_is_cancelled, a_bitmap_and_a_job),
    (finalized, a_bitmap_and_a_job),
    (undone, large),
    (recreated, large),
    (removed_together, large),
    (completed_by_draining, large),
    (one_waits, two_of_each),
    (waiting_is_cancelled, two_of_each),
    (group_completes, two_of_each),
    (merged_from_several, lambda scope: scope.bitmaps > 1),
    (merged_and_rounded, lambda scope: scope.bitmaps > 1 and scope.granularity > 1 and scope.blocks > 1),
    (copied_for_two, lambda scope: two_of_each(scope) and scope.nodes == 1),
    (dirty_but_not_owed, lambda scope: scope.bitmaps > 0 and scope.granularity > 1 and scope.blocks > 1),
)
"""What is to be seen, and in which scopes."""


def meaning(predicate: Predicate) -> str:
    """What a predicate says, in one sentence."""
    return " ".join((predicate.__doc__ or "").split())


@dataclass
class Sightings:
    """What a scope is to show and has not shown yet, and what has been seen."""

    scope: Scope
    awaited: list[Predicate] = field(init=False)
    seen: list[Predicate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.awaited = [predicate for predicate, where in EXPECTED if where(self.scope)]

    def look(self, before: State[Any], command: c.Command, step: Step[Any]) -> None:
        """Looks at one step."""
        for each in tuple(self.awaited):
            with suppress(KeyError):  # a broken specification; its properties say so
                if each(before, command, step):
                    self.awaited.remove(each)
                    self.seen.append(each)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what was not seen."""
        return tuple(each.__name__ for each in self.awaited)
