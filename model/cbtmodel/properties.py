"""What must hold, each property stated once, with an ID, for every interpreter.

A property is a function that yields *claims* (`claims`). State properties look at one state; step properties at a
state, a command and what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cbtmodel.backup import all_copied
from cbtmodel.bitmap import recording
from cbtmodel.blocks import S
from cbtmodel.claims import (
    Claims,
    Fact,
    Inclusion,
    all_bitmaps,
    all_marks,
    begun,
    counts_as_delivered,
    frozen_bitmap,
    is_full,
    owed_under_name,
    sets_of,
    switches,
    waives,
    without_sets,
    written,
)
from cbtmodel.commands import Copy, EndCopy, MergeBitmaps
from cbtmodel.node import State
from cbtmodel.step import Step, whole_write
from cbtmodel.traits import traits_of

__all__ = ["IDS", "OF_STATES", "OF_STEPS", "OF_WRITES", "Claims", "Fact", "Inclusion", "sets_of", "violations"]

# Of a state


def no_lost_write(state: State[S]) -> Claims[S]:
    """Whatever is owed is dirty, in every bitmap and every successor, always."""
    for _, where, _, marks in all_marks(state):
        yield Inclusion(where, marks.owed, marks.dirty)


def exact(state: State[S]) -> Claims[S]:
    """Nothing is dirty but what shares a granule with a block that was written, merged or left over."""
    for node, where, bitmap, marks in all_marks(state):
        size = state.nodes[node].size
        yield Inclusion(where, marks.dirty, state.space.round_out(marks.causes, bitmap.granularity, size))


def granular(state: State[S]) -> Claims[S]:
    """Whole granules are dirty, or clean."""
    for node, where, bitmap, marks in all_marks(state):
        size = state.nodes[node].size
        yield Inclusion(where, state.space.round_out(marks.dirty, bitmap.granularity, size), marks.dirty)


def point_in_time(state: State[S]) -> Claims[S]:
    """While a job lives: what it has copied is on the target as it was at its start; the rest is unchanged yet."""
    for job_id, job in state.jobs.items():
        yield Inclusion(f"{job_id}: copied, so good", job.scope - job.todo, job.good)
        yield Inclusion(f"{job_id}: to be copied, so intact", job.todo, job.intact)
        yield Inclusion(f"{job_id}: in flight, so to be copied", job.copying, job.todo)
        if job.phase != "running":
            yield Inclusion(f"{job_id}: not running, so all is copied", job.todo, state.space.empty)
        for write, blocks in state.nodes[job.node].writes.items():
            yield Inclusion(f"{job_id}: {write} in flight, so saved", blocks & job.todo, state.space.empty)
        frozen = frozen_bitmap(state, job)
        if frozen is not None:
            yield Inclusion(f"{job_id}: owed, so in scope", frozen.marks.owed, job.scope)


def one_heir(state: State[S]) -> Claims[S]:
    """A bitmap has a successor exactly while one job has it frozen; and a job's bitmap is there under its name."""
    holders = [(job.node, job.bitmap) for job in state.jobs.values() if job.bitmap is not None]
    for node_name, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            frozen = bitmap.successor is not None
            yield Fact(f"{node_name}/{name}: frozen by its job only", holders.count((node_name, name)) == int(frozen))
    for job_id, job in state.jobs.items():
        yield Fact(f"{job_id}: has its bitmap", job.bitmap is None or frozen_bitmap(state, job) is not None)


def nothing_is_half_done(state: State[S]) -> Claims[S]:
    """No removal waits for its transaction to be committed."""
    for node_name, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            yield Fact(f"{node_name}/{name}: is not about to leave", not bitmap.leaving)


def nobody_idles(state: State[S]) -> Claims[S]:
    """A job that is to copy has something left to copy; so none can be stuck for ever."""
    for job_id, job in state.jobs.items():
        yield Fact(f"{job_id}: running, so something is left to do", not all_copied(job))


def pending_together(state: State[S]) -> Claims[S]:
    """No job is pending before all of its group are."""
    for job_id, job in state.jobs.items():
        group = [state.jobs.get(member) for member in job.group]
        pending = all(each is not None and each.phase == "pending" for each in group)
        yield Fact(f"{job_id}: pending with all of its group", job.phase != "pending" or pending)


def pending_for_somebody(state: State[S]) -> Claims[S]:
    """A job is pending only as long as somebody has to finalize one of its group."""
    for job_id, job in state.jobs.items():
        group = [state.jobs.get(member) for member in job.group]
        if job.phase == "pending":
            by_hand = any(each is not None and not each.auto_finalize for each in group)
            yield Fact(f"{job_id}: pending, so somebody is to finalize it", by_hand)


def groups_hold_together(state: State[S]) -> Claims[S]:
    """The jobs of a group are all there; one waits only for another that runs; and only a running job is paused."""
    for job_id, job in state.jobs.items():
        group = [state.jobs.get(member) for member in job.group]
        there = all(each is not None and each.group == job.group for each in group)
        yield Fact(f"{job_id}: it and its group are there", there and job_id in job.group)
        in_motion = any(each is not None and each.phase == "running" for each in group)
        yield Fact(f"{job_id}: waits for somebody", job.phase != "waiting" or in_motion)
        yield Fact(f"{job_id}: paused, so running", not job.paused or job.phase == "running")


# Of a step


def nothing_is_forgotten(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """What a bitmap owed, and what is written while it records, it owes still; unless delivered now, or waived.

    A backup delivers what was owed when it began: what was written since is owed whatever becomes of it.
    """
    ends = {(end.job.node, end.job.bitmap): end for end in step.ended if counts_as_delivered(end)}
    for node, name, bitmap in all_bitmaps(before):
        if step.refusal is not None or bitmap.leaving or waives(command, node, name):
            continue
        heir = step.state.nodes[node].bitmaps.get(name)
        if heir is None:
            yield Fact(f"{node}/{name}: is there still", False)
            continue
        now = owed_under_name(heir)
        new = written(before, command, step, node) if recording(bitmap) else before.space.empty
        earlier, later = bitmap.marks.owed, new
        if bitmap.successor is None:
            earlier, later = earlier | new, before.space.empty
        else:
            later = bitmap.successor.marks.owed | new
        done = ends.get((node, name))
        delivered = before.space.empty if done is None else done.job.good
        yield Inclusion(f"{node}/{name}: owed before, so owed or delivered", earlier, now | delivered)
        yield Inclusion(f"{node}/{name}: written since, so owed", later, now)


def merged(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """What the sources of a merge had, the target has, and owes."""
    if isinstance(command, MergeBitmaps) and step.refusal is None:
        target = step.state.nodes[command.node].bitmaps[command.target].marks
        for each in command.sources:
            source = before.nodes[each.node].bitmaps[each.name]
            yield Inclusion(f"{each.node}/{each.name} is merged: dirty", source.marks.dirty, target.dirty)
            yield Inclusion(f"{each.node}/{each.name} is merged: owed", owed_under_name(source), target.owed)


def content_changes(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """For a job that lives, what a guest has begun to write is intact no more; a new job has copied nothing yet."""
    jobs = {end.job_id: end.job for end in step.ended} | dict(step.state.jobs)
    for job_id, job in jobs.items():
        if job_id in before.jobs:
            changed = written(before, command, step, job.node) | begun(before, command, step, job.node)
            yield Inclusion(f"{job_id}: written, so not intact", changed & job.intact, before.space.empty)
        else:
            yield Inclusion(f"{job_id}: new, so nothing is on its target", job.good, before.space.empty)
            if is_full(command, job_id):
                everything = before.space.everything(before.nodes[job.node].size)
                yield Inclusion(f"{job_id}: a full backup, so in scope", everything, job.scope)


def errors_count(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A copy that fails brings nothing to the target, and leaves all that was to be copied."""
    if isinstance(command, Copy | EndCopy) and command.result != "ok" and step.refusal is None:
        then, jobs = before.jobs[command.job], {end.job_id: end.job for end in step.ended} | dict(step.state.jobs)
        now = jobs[command.job]
        yield Inclusion(f"{command.job}: failed, so nothing is copied", now.good, then.good)
        yield Inclusion(f"{command.job}: failed, so all is to be copied still", then.todo, now.todo)


def goes_on_recording(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """Whether writes are recorded under a name changes only when an operator says so."""
    for node, name, bitmap in all_bitmaps(before):
        heir = step.state.nodes[node].bitmaps.get(name)
        if heir is not None and not switches(command, node, name):
            yield Fact(f"{node}/{name}: records as before", recording(heir) == recording(bitmap))


def heirs_keep_names(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A job's start, its life and its end leave the set of names alone."""
    for node_name, node in before.nodes.items():
        same = set(node.bitmaps) == set(step.state.nodes[node_name].bitmaps)
        yield Fact(f"{node_name}: the same names", same or traits_of(command).names)


def delivered(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """When a job succeeds with a bitmap, all that the bitmap owed is on the target, as it was at the job's start."""
    for end in step.ended:
        if end.outcome == "completed" and end.bitmap is not None:
            yield Inclusion(f"{end.job_id}: owed, so delivered", end.bitmap.marks.owed, end.job.good)


def failure_keeps(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """After failure or cancel, what was owed and not delivered is owed, and dirty; so is what mode *always* leaves.

    Only bitmap mode *always* counts the copies of a job that did not succeed as delivered. So its target is part of
    the chain, and what is left of its work list is owed, too: that is not on the target.
    """
    for end in step.ended:
        if end.outcome == "completed" or end.bitmap is None or end.bitmap.successor is None:
            continue
        heir = step.state.nodes[end.job.node].bitmaps[str(end.job.bitmap)]
        always = end.job.mode == "always"
        delivered, left = (end.job.good, end.job.todo) if always else (step.state.space.empty,) * 2
        owed = (end.bitmap.marks.owed - delivered) | end.bitmap.successor.marks.owed
        yield Inclusion(f"{end.job_id}: owed before, so owed still", owed, heir.marks.owed)
        yield Inclusion(f"{end.job_id}: owed before, so dirty still", owed, heir.marks.dirty)
        yield Inclusion(f"{end.job_id}: left to copy, so owed", left, heir.marks.owed)
        yield Inclusion(f"{end.job_id}: left to copy, so dirty", left, heir.marks.dirty)


def success_keeps(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """After success, what was written during the job is owed still; with mode *never*, what was before is too."""
    for end in step.ended:
        if end.outcome != "completed" or end.bitmap is None or end.bitmap.successor is None:
            continue
        heir = step.state.nodes[end.job.node].bitmaps[str(end.job.bitmap)]
        owed = end.bitmap.successor.marks.owed
        if end.job.mode == "never":
            owed = owed | end.bitmap.marks.owed
        yield Inclusion(f"{end.job_id}: written meanwhile, so owed still", owed, heir.marks.owed)


def frozen_is_still(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A frozen bitmap's own marks change only when its job ends."""
    ended = {end.job_id: end for end in step.ended}
    for job_id, job in before.jobs.items():
        then = frozen_bitmap(before, job)
        if then is None:
            continue
        now = ended[job_id].bitmap if job_id in ended else frozen_bitmap(step.state, step.state.jobs[job_id])
        yield Fact(f"{job_id}: its bitmap is there", now is not None)
        if now is not None:
            yield Inclusion(f"{job_id}: nothing is lost from it", then.marks.dirty, now.marks.dirty)
            yield Inclusion(f"{job_id}: nothing is added to it", now.marks.dirty, then.marks.dirty)
            yield Inclusion(f"{job_id}: it owes what it owed", then.marks.owed, now.marks.owed)
            yield Fact(f"{job_id}: its bitmap is enabled as before", now.enabled == then.enabled)


def atomic(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A refused command or transaction leaves the state equal, and ends nothing."""
    if step.refusal is not None:
        yield Fact("refused, so nothing has changed", step.state == before and not step.ended)


# Of two writes


def batch(state: State[S], node: str, first: S, second: S) -> Claims[S]:
    """Two writes, one after the other, are the same as one write of both (and so may be united and reordered)."""
    after_first, ended_first = whole_write(state, node, first)
    one_by_one, ended_second = whole_write(after_first, node, second)
    at_once, ended = whole_write(state, node, first | second)
    ends = sorted((end.job_id, end.outcome) for end in ended)
    yield Fact("the same jobs end", sorted((end.job_id, end.outcome) for end in ended_first + ended_second) == ends)
    yield Fact("the same but for sets", without_sets(one_by_one) == without_sets(at_once))
    for (where, one), (_, other) in zip(sets_of(one_by_one), sets_of(at_once), strict=True):
        yield Inclusion(f"{where}: nothing more", one, other)
        yield Inclusion(f"{where}: nothing less", other, one)


StateProperty = Callable[[State[Any]], Iterator[Any]]
StepProperty = Callable[[State[Any], object, Step[Any]], Iterator[Any]]

OF_STATES: dict[str, tuple[StateProperty, ...]] = {
    "NO-LOST-WRITE": (no_lost_write,),
    "POINT-IN-TIME": (point_in_time,),
    "ONE-HEIR": (one_heir, nothing_is_half_done),
    "EXACT": (exact, granular),
    "RELEASE": (nobody_idles, groups_hold_together, pending_together, pending_for_somebody),
}

OF_STEPS: dict[str, tuple[StepProperty, ...]] = {
    "NO-LOST-WRITE": (nothing_is_forgotten, merged, goes_on_recording),
    "POINT-IN-TIME": (content_changes, errors_count),
    "DELIVERED": (delivered, success_keeps),
    "FAILURE-KEEPS": (failure_keeps,),
    "FROZEN-IS-STILL": (frozen_is_still,),
    "ONE-HEIR": (heirs_keep_names,),
    "ATOMIC": (atomic,),
}

OF_WRITES = {"BATCH": batch}

IDS = ("NO-LOST-WRITE", "POINT-IN-TIME", "DELIVERED", "FAILURE-KEEPS", "FROZEN-IS-STILL", "ONE-HEIR", "ATOMIC",
       "EXACT", "BATCH", "RELEASE")  # fmt: skip


def violations(before: State[S], command: object, step: Step[S]) -> list[tuple[str, str]]:
    """The (property ID, place) of every claim that fails after a step, for ordinary sets; normally none."""
    found = [
        (property_id, claim.where)
        for property_id, properties in OF_STATES.items()
        for each in properties
        for claim in each(step.state)
        if not claim.holds()
    ]
    found += [
        (property_id, claim.where)
        for property_id, properties in OF_STEPS.items()
        for each_step in properties
        for claim in each_step(before, command, step)
        if not claim.holds()
    ]
    return found
