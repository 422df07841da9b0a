"""One step of chains in a trace, in which not everything is seen that happens to jobs."""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.backup import Ended, Job, Outcome, copy_ends
from cbtmodel.image import Happened
from cbtmodel.record import replace
from cbtmodel.step import Step

from cbtcheck.follow.chain_events import follow_event
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.reasons import At
from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.describe import describe
from cbtcheck.sets.between import Between
from cbtcheck.trace.events import Change, EndOfJobs, Forgotten, Given, OfImages, Resized, Used
from cbtcheck.trace.shape import Sets
from cbtcheck.trace.world import Traced


def at_line(line: int, change: Change | None) -> At:
    """Where an event is, and what it was."""
    if isinstance(change, Given):
        return At(line, "line", describe(change.command))
    if isinstance(change, OfImages):
        return At(line, "line", describe(change.event))
    if isinstance(change, EndOfJobs):
        return At(line, "line", ", ".join(f"{job_id} {outcome}" for job_id, outcome in change.jobs))
    return At(line, "line", "what was written" if change is None else type(change).__name__)


def stepped(followed: ChainsFollowed[Between], at: At, change: Change, before: Traced, after: Traced,
            apart: frozenset[str] = frozenset()) -> ChainsFollowed[Between]:  # fmt: skip
    """What was followed, after a change that was accepted. `apart` are jobs that back nothing up for a restore."""
    if isinstance(change, OfImages):
        return followed if change.refusal else _followed_event(followed, at, change, before, after)
    command: c.Command | None = None
    told: dict[str, Outcome] = dict(after.due)
    if isinstance(change, Given):
        if change.refusal and change.definite:
            return followed.refused(at, change.command)
        if not change.definite:
            return followed
        command, told = change.command, {**told, **dict(change.ended)}
    elif isinstance(change, EndOfJobs):
        told |= dict(change.jobs)
    gone = {job_id: job for job_id, job in before.state.jobs.items() if job_id not in after.state.jobs}
    followed = followed.without(
        job_id for job_id in gone if job_id not in told
    )  # they are forgotten: nobody knows how they end
    if isinstance(change, Forgotten | Resized | Used):
        return followed
    jobs = {**gone, **dict(_at_once(before.state, command, told))}
    ends = (
        _ended(before.state, job_id, job, told[job_id])
        for job_id, job in jobs.items()
        if job_id in told and job_id not in apart
    )
    step = Step(_without(after.state, apart), None, tuple(ends))
    return followed.step(at, _without(before.state, apart), command, step)


def _followed_event(
    followed: ChainsFollowed[Between], at: At, change: OfImages, before: Traced, after: Traced
) -> ChainsFollowed[Between]:
    """Jobs that are gone have ended as it is said, or is due; others are gone without an end."""
    assert before.files is not None
    assert after.files is not None
    told: dict[str, Outcome] = {**dict(after.due), **dict(change.ended)}
    ends = tuple(
        _ended(before.state, job_id, job, told[job_id])
        for job_id, job in before.state.jobs.items()
        if job_id not in after.state.jobs and job_id in told
    )
    happened = Happened(after.files.beside(after.state), None, ends)
    return follow_event(followed, at, before.files.beside(before.state), change.event, happened)


def _at_once(
    state: Sets, command: c.Command | None, told: dict[str, Outcome]
) -> Iterator[tuple[str, Job[Between]]]:
    """Jobs that ended with the command that started them: nothing was dirty, so there was nothing to copy."""
    for each in actions_of(command):
        if isinstance(each, c.StartBackup) and each.job in told and each.job not in state.jobs:
            nothing = state.space.empty
            yield each.job, Job(
                each.node, each.bitmap, each.bitmap_mode, each.cluster, (each.job,), each.auto_finalize,
                each.on_source_error, each.on_target_error, nothing, nothing, nothing, nothing, nothing,
            )  # fmt: skip


def _without(state: Sets, apart: frozenset[str]) -> Sets:
    jobs = state.jobs
    for job_id in apart & jobs.keys():
        jobs = jobs.drop(job_id)
    return state if jobs is state.jobs else replace(state, jobs=jobs)


def _ended(state: Sets, job_id: str, job: Job[Between], outcome: str) -> Ended[Between]:
    """How a job ended that is gone. One that did not complete has copied what it is known to have copied."""
    bitmap = None if job.bitmap is None else state.nodes[job.node].bitmaps.get(job.bitmap)
    if outcome == "completed":
        return Ended(job_id, "completed", replace(job, todo=state.space.empty, copying=state.space.empty), bitmap)
    return Ended(job_id, "failed" if outcome == "failed" else "cancelled", copy_ends(job), bitmap)
