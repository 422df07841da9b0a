"""What a step does to jobs, and to writes in flight: all of it.

A job copies what the step has it copy, and nothing else; it ends for a reason, with its whole group. That it goes on
to *waiting* and *pending* when it must, and only then, follows from what holds of every state (RELEASE).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel import commands as c
from cbtmodel.backup import Job
from cbtmodel.claims import Fact, Inclusion

from cbtproofs.effects.bitmaps import named_by_several
from cbtproofs.effects.during import Claims, During, same_sets

AS_STARTED = ("node", "bitmap", "mode", "cluster", "group", "auto_finalize", "on_source_error", "on_target_error")
"""What never changes of a job."""


def of_jobs(step: During) -> Claims:
    """Every job after a step is what the step makes of it, and there is no other."""
    for job_id, then in step.before.jobs.items():
        here = (job_id in step.after.jobs) + (job_id in step.ended)
        yield Fact(f"{job_id}: is there, or has ended", here == 1)
        if here == 1 and job_id not in step.foggy:
            now = step.jobs[job_id]
            for field in AS_STARTED:
                yield Fact(f"{job_id}: its {field} is as at its start", getattr(now, field) == getattr(then, field))
            yield from same_sets(f"{job_id}: scope", now.scope, then.scope)
            yield from copies(step, job_id, then, now)
            if job_id not in step.ended:
                yield from stage(step, job_id, then, now)
    started = {each.job: each for each in step.actions if isinstance(each, c.StartBackup)}
    for job_id in step.jobs.keys() - step.before.jobs.keys():
        yield Fact(f"{job_id}: is there because it was started", job_id in started)
    if step.part in ("step", "prepare"):
        for job_id, action in started.items():
            yield Fact(f"{job_id}: was started, so it is there, or has ended", job_id in step.jobs)
            if job_id in step.jobs:
                yield from as_asked_for(step, action, step.jobs[job_id])


# A job that was there


def copies(step: During, job_id: str, then: Job[Any], now: Job[Any]) -> Claims:
    """What a job has left, has in flight, and has brought to its target."""
    space, size = step.before.space, step.before.nodes[then.node].size
    lands, flying = space.empty, then.copying
    touched = touched_by_guest(step, then)
    if touched is not None:
        lands = then.todo & space.round_out(touched, then.cluster, size)
        if flying & lands:
            lands, flying = lands | flying, space.empty
    command = step.command
    if isinstance(command, c.Copy | c.BeginCopy) and command.job == job_id:
        clusters = then.todo & space.round_out(space.blocks(command.offset, command.length), then.cluster, size)
        if isinstance(command, c.BeginCopy):
            flying = clusters
        elif command.result == "ok":
            lands = clusters
    if isinstance(command, c.EndCopy) and command.job == job_id:
        lands, flying = flying if command.result == "ok" else space.empty, space.empty
    if step.drains(then.node) or (job_id in step.ended and flying is then.copying):
        lands, flying = lands | flying, space.empty
    intact = then.intact - step.written(then.node)
    yield from same_sets(f"{job_id}: left to copy", now.todo, then.todo - lands)
    yield from same_sets(f"{job_id}: in flight", now.copying, flying)
    yield from same_sets(f"{job_id}: on its target", now.good, (then.good - lands) | (lands & then.intact))
    yield from same_sets(f"{job_id}: intact", now.intact, intact if touched is None else intact - touched)


def touched_by_guest(step: During, job: Job[Any]) -> Any | None:
    """The blocks that a guest begins to write to the job's disk; None if it begins no write there."""
    command = step.command
    if not isinstance(command, c.Write | c.BeginWrite) or command.node != job.node or command.result == "ignored":
        return None
    return step.before.space.blocks(command.offset, command.length)


def stage(step: During, job_id: str, then: Job[Any], now: Job[Any]) -> Claims:
    """A job never goes back; it is paused by its operator, or by an error with that policy, and resumed by him."""
    if now.phase is not then.phase:
        yield Fact(f"{job_id}: does not go back", now.phase != "running" and then.phase != "pending")
        yield Fact(f"{job_id}: goes on in a step that settles", step.part in ("step", "commit"))
    paused, command = then.paused, step.command
    if isinstance(command, c.PauseJob | c.ResumeJob) and command.job == job_id:
        paused = isinstance(command, c.PauseJob)
    if isinstance(command, c.Copy | c.EndCopy) and command.job == job_id and command.result != "ok":
        policy = then.on_source_error if command.result == "read error" else then.on_target_error
        paused = True if policy == "stop" else paused
        yield Fact(f"{job_id}: an error that is to be reported ends it", policy != "report")
    yield Fact(f"{job_id}: is paused, or not", now.paused == paused)


# A new job


def as_asked_for(step: During, action: c.StartBackup, now: Job[Any]) -> Claims:
    """A new job is what was asked for, has copied nothing, and has all of its work list to do."""
    job_id, space, size = action.job, step.before.space, step.before.nodes[action.node].size
    mode = "on-success" if action.sync == "incremental" else action.bitmap_mode
    grouped = isinstance(step.command, c.Transaction) and step.command.grouped and step.part == "step"
    backups = tuple(each.job for each in step.actions if isinstance(each, c.StartBackup))
    group = backups if grouped else (job_id,)
    asked = (action.node, action.bitmap, mode, action.cluster, group, action.auto_finalize,
             action.on_source_error, action.on_target_error)  # fmt: skip
    for field, value in zip(AS_STARTED, asked, strict=True):
        yield Fact(f"{job_id}: its {field} is as asked for", getattr(now, field) == value)
    yield Fact(f"{job_id}: is not paused", not now.paused)
    yield from same_sets(f"{job_id}: in flight", now.copying, space.empty)
    yield from same_sets(f"{job_id}: on its target", now.good, space.empty)
    yield from same_sets(f"{job_id}: intact", now.intact, space.everything(size))
    yield from same_sets(f"{job_id}: left to copy", now.todo, now.scope)
    if action.sync == "full":
        yield from same_sets(f"{job_id}: scope", now.scope, space.everything(size))
    elif action.bitmap is not None and not named_by_several(step, (action.node, action.bitmap)):
        frozen = step.before.nodes[action.node].bitmaps[action.bitmap]
        dirty = (frozen.marks | step.gained(action.node, frozen)).dirty
        yield from same_sets(f"{job_id}: scope", now.scope, space.round_out(dirty, action.cluster, size))


# Ends


def of_ends(step: During) -> Claims:
    """A job ends for a reason, with all of its group, and is told of once."""
    yield Fact("who has ended is told of once", len(step.done.ended) == len(step.ended))
    failing = dict(must_end(step))
    groups = {end.job.group for end in step.ended.values()}
    for job_id, outcome in failing.items():
        yield Fact(f"{job_id}: has {outcome}", job_id in step.ended and step.ended[job_id].outcome == outcome)
    for job_id, end in step.ended.items():
        for member in end.job.group:
            yield Fact(f"{job_id}: {member} ends with it", member in step.ended)
        if failing:
            member_of = job_id in failing or any(other in end.job.group for other in failing)
            yield Fact(f"{job_id}: ends because one of its group does", member_of)
            expected = failing.get(job_id, "completed" if "completed" in failing.values() else "cancelled")
            yield Fact(f"{job_id}: {expected} with its group", end.outcome == expected)
        else:
            yield Fact(f"{job_id}: has completed", end.outcome == "completed")
            yield Fact(f"{job_id}: ends in a step that settles", step.part in ("step", "commit"))
    for group in groups:
        ends = [step.ended[each] for each in group if each in step.ended]
        if not failing:
            yield Fact(f"{group[0]}: completes by itself", all(end.job.auto_finalize for end in ends))
        for end in ends:
            if end.outcome == "completed":
                yield Inclusion(f"{end.job_id}: completed, so nothing is left", end.job.todo, step.before.space.empty)


def must_end(step: During) -> Iterator[tuple[str, str]]:
    """The job that this command ends, and how; none if it ends none by what it says."""
    command = step.command
    if isinstance(command, c.CancelJob | c.FinalizeJob):
        yield command.job, "cancelled" if isinstance(command, c.CancelJob) else "completed"
    if isinstance(command, c.Copy | c.EndCopy) and command.result != "ok":
        job = step.before.jobs[command.job]
        if (job.on_source_error if command.result == "read error" else job.on_target_error) == "report":
            yield command.job, "failed"


# Disks


def of_disks(step: During) -> Claims:
    """The disks are those that there were; what is in flight on them is what has begun and not ended."""
    yield Fact("the disks are those that there were", set(step.after.nodes) == set(step.before.nodes))
    for node, then in step.before.nodes.items():
        now = step.after.nodes[node]
        yield Fact(f"{node}: has the size that it had", now.size == then.size)
        expected: dict[str, Any] = {} if step.drains(node) else dict(then.writes)
        command = step.command
        if isinstance(command, c.BeginWrite) and command.node == node:
            expected[command.write] = step.before.space.blocks(command.offset, command.length)
        if isinstance(command, c.EndWrite) and command.node == node:
            expected.pop(command.write, None)
        yield Fact(f"{node}: in flight is what has begun and not ended", set(now.writes) == set(expected))
        for job_id, blocks in expected.items():
            if job_id in now.writes:
                yield from same_sets(f"{node}: {job_id} in flight", now.writes[job_id], blocks)
