"""RELEASE: from every state every job can still end, and then nothing is frozen; there is always a way on.

There are two ways out. An operator can give any job up, at any time. And there is always a next command on a job's
way to success (`way_on`). It is accepted, and the way is shorter then (`distance`): at most three commands for each
job of its group, and a finalize. If one copy does not cover the rest of a work list, there is one for each cluster in
place of the last of the three; each makes less of what is left, and a work list is finite.

It is not claimed that somebody takes that way. A copy that fails is no step on it. With the error policy *ignore* it
is tried again, so that a job retries for ever on a disk that fails for ever: only a cancel ends it then. With *stop*
the job waits for a resume each time. A paused job waits for a resume, a pending one for a finalize.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel.backup import Job
from cbtmodel.blocks import S
from cbtmodel.commands import CancelJob, Command, Copy, EndCopy, FinalizeJob, ResumeJob
from cbtmodel.node import State
from cbtmodel.properties import Claims, Fact, Inclusion
from cbtmodel.step import Step, step


def can_be_given_up(state: State[S]) -> Claims[S]:
    """Every job can be cancelled; it ends at once, with its group, and none of their bitmaps is frozen then."""
    for job_id, job in state.jobs.items():
        done = step(state, CancelJob(job_id))
        yield Fact(f"{job_id}: can be cancelled", done.refusal is None)
        for member in job.group:
            yield Fact(f"{job_id}: {member} ends with it", member not in done.state.jobs)
            yield Fact(f"{job_id}: {member} freezes nothing", not freezes(state, member, done))


def comes_to_an_end(state: State[S]) -> Claims[S]:
    """Every job has a next command on its way to success; it is accepted, and the way is shorter then."""
    for job_id in state.jobs:
        member, command = next_step_to_completion(state, job_id)
        done = step(state, command)
        yield Fact(f"{job_id}: can go on", done.refusal is None)
        yield Fact(f"{job_id}: nearer to its end", distance(done.state, job_id) < distance(state, job_id))
        yield from less_is_left(state, member, done)
        for end in done.ended:
            yield Fact(f"{job_id}: {end.job_id} freezes nothing", not freezes(state, end.job_id, done))


def next_step_to_completion(state: State[S], job_id: str) -> tuple[str, Command]:
    """What a job needs next in order to complete, and whose move that is: its own, or its group's."""
    job = state.jobs[job_id]
    if job.phase == "waiting":
        member = next(each for each in job.group if state.jobs[each].phase == "running")
        return next_step_to_completion(state, member)
    if job.phase == "pending":
        return job_id, FinalizeJob(job_id)
    if job.paused:
        return job_id, ResumeJob(job_id)
    if job.copying:
        return job_id, EndCopy(job_id)
    return job_id, Copy(job_id, 0, state.nodes[job.node].size)


def distance(state: State[S], job_id: str) -> int:
    """How many commands a job is away from success, if each copy covers all that is left; 0 when it has ended."""
    if job_id not in state.jobs:
        return 0
    group = [state.jobs[member] for member in state.jobs[job_id].group]
    by_hand = any(job.phase == "pending" or not job.auto_finalize for job in group)
    return int(by_hand) + sum(steps_left(job) for job in group if job.phase == "running")


def steps_left(job: Job[S]) -> int:
    """Resuming it, the end of its copy in flight, and a copy of the rest: those of the three that it needs."""
    return int(bool(job.paused)) + int(bool(job.copying)) + int(bool(job.todo - job.copying))


def less_is_left(state: State[S], job_id: str, done: Step[S]) -> Claims[S]:
    """The job has ended, or is in a later phase, or has less to copy, or is no longer paused with as much."""
    then, now = state.jobs[job_id], done.state.jobs.get(job_id)
    if now is None or (then.phase == "running" and now.phase != "running"):
        return
    yield Fact(f"{job_id}: in the phase that it was in", now.phase == then.phase)
    yield Inclusion(f"{job_id}: no more to copy than before", now.todo, then.todo)
    resumed = then.paused and not now.paused
    yield Fact(f"{job_id}: less to copy, or no longer paused", resumed or bool(then.todo - now.todo))


def freezes(state: State[S], job_id: str, done: Step[S]) -> bool:
    """Whether the bitmap that this job had is still frozen."""
    job = state.jobs[job_id]
    return job.bitmap is not None and done.state.nodes[job.node].bitmaps[job.bitmap].successor is not None


OF_FUTURES: dict[str, tuple[Any, ...]] = {"RELEASE": (can_be_given_up, comes_to_an_end)}


def future_claims(state: State[S]) -> Iterator[Any]:
    """Every claim of this module about a state."""
    for each in OF_FUTURES["RELEASE"]:
        yield from each(state)
