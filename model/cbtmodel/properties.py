"""What must hold, each property stated once, with an ID, for every interpreter.

A property is a function that yields *claims*. A claim is either an inclusion between two sets of blocks, or a plain
fact about control state. Whoever checks decides what "holds" means: for ordinary sets it is `<=`; a prover asks for
every block at once. State properties look at one state; step properties at a state, a command and what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

from cbtmodel.backup import Job, all_copied
from cbtmodel.bitmap import Bitmap, Marks, busy, recording
from cbtmodel.blocks import S
from cbtmodel.node import State
from cbtmodel.step import Step, whole_write


@dataclass(frozen=True, slots=True)
class Inclusion(Generic[S]):
    """Claims that every block of `small` is in `large`."""

    where: str
    small: S
    large: S

    def holds(self) -> bool:
        """Whether it is so, for sets that are ordinary sets."""
        return self.small <= self.large


@dataclass(frozen=True, slots=True)
class Fact:
    """Claims something about names, flags and phases."""

    where: str
    true: bool

    def holds(self) -> bool:
        """Whether it is so."""
        return self.true


Claims = Iterator[Inclusion[S] | Fact]


# Of a state


def no_lost_write(state: State[S]) -> Claims[S]:
    """Whatever is owed is dirty, in every bitmap and every successor, always."""
    for _, where, _, marks in all_marks(state):
        yield Inclusion(where, marks.owed, marks.dirty)


def exact(state: State[S]) -> Claims[S]:
    """Nothing is dirty but what shares a granule with a block that was written, merged or left over."""
    for on, where, bitmap, marks in all_marks(state):
        size = state.nodes[on].size
        yield Inclusion(where, marks.dirty, state.space.round_out(marks.causes, bitmap.granularity, size))


def point_in_time(state: State[S]) -> Claims[S]:
    """While a job lives: what it has copied is on the target as it was at its start; the rest is unchanged yet."""
    for id, job in state.jobs.items():
        yield Inclusion(f"{id}: copied, so good", job.scope - job.todo, job.good)
        yield Inclusion(f"{id}: to be copied, so intact", job.todo, job.intact)
        yield Inclusion(f"{id}: in flight, so to be copied", job.copying, job.todo)
        if job.phase != "running":
            yield Inclusion(f"{id}: not running, so all is copied", job.todo, state.space.empty)
        for write, blocks in state.nodes[job.node].writes.items():
            yield Inclusion(f"{id}: {write} in flight, so saved", blocks & job.todo, state.space.empty)
        frozen = frozen_bitmap(state, job)
        if frozen is not None:
            yield Inclusion(f"{id}: owed, so in scope", frozen.marks.owed, job.scope)


def one_heir(state: State[S]) -> Claims[S]:
    """A bitmap has a successor exactly while one job has it frozen; and a job's bitmap is there under its name."""
    holders = [(job.node, job.bitmap) for job in state.jobs.values() if job.bitmap is not None]
    for on, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            frozen = bitmap.successor is not None
            yield Fact(f"{on}/{name}: frozen by its job only", holders.count((on, name)) == int(frozen))
    for id, job in state.jobs.items():
        yield Fact(f"{id}: has its bitmap", job.bitmap is None or frozen_bitmap(state, job) is not None)


def nothing_is_half_done(state: State[S]) -> Claims[S]:
    """No removal waits for its transaction to be committed."""
    for on, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            yield Fact(f"{on}/{name}: is not about to leave", not bitmap.leaving)


def nobody_idles(state: State[S]) -> Claims[S]:
    """Every job has something to do, or waits for one of its group that has; so none can be stuck for ever."""
    for id, job in state.jobs.items():
        group = [state.jobs[member] for member in job.group if member in state.jobs]
        in_motion = any(each.phase == "running" for each in group)
        yield Fact(f"{id}: waits for somebody", job.phase != "waiting" or in_motion)
        yield Fact(f"{id}: running, so something is left to do", not all_copied(job))


def groups_hold_together(state: State[S]) -> Claims[S]:
    """The jobs of a group are all there, and none is pending before all are; and only a running job is paused."""
    for id, job in state.jobs.items():
        group = [state.jobs.get(member) for member in job.group]
        there = all(each is not None and each.group == job.group for each in group)
        yield Fact(f"{id}: it and its group are there", there and id in job.group)
        pending = all(each is not None and each.phase == "pending" for each in group)
        yield Fact(f"{id}: pending with all of its group", job.phase != "pending" or pending)
        yield Fact(f"{id}: paused, so running", not job.paused or job.phase == "running")


# Of a step


def heirs_keep_names(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A job's start, its life and its end leave the set of names alone."""
    touches_names = type(command).__name__ in ("AddBitmap", "RemoveBitmap", "Transaction")
    for on, node in before.nodes.items():
        same = set(node.bitmaps) == set(step.state.nodes[on].bitmaps)
        yield Fact(f"{on}: the same names", same or touches_names)


def delivered(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """When a job succeeds with a bitmap, all that the bitmap owed is on the target, as it was at the job's start."""
    for end in step.ended:
        if end.outcome == "completed" and end.bitmap is not None:
            yield Inclusion(f"{end.id}: owed, so delivered", end.bitmap.marks.owed, end.job.good)


def failure_keeps(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """After failure or cancel, all that was owed and not delivered is still owed, and dirty.

    Only bitmap mode *always* counts the copies of a job that did not succeed as delivered.
    """
    for end in step.ended:
        if end.outcome == "completed" or end.bitmap is None or end.bitmap.successor is None:
            continue
        heir = step.state.nodes[end.job.node].bitmaps[str(end.job.bitmap)]
        waived = end.job.good if end.job.mode == "always" else step.state.space.empty
        owed = (end.bitmap.marks.owed - waived) | end.bitmap.successor.marks.owed
        yield Inclusion(f"{end.id}: owed before, so owed still", owed, heir.marks.owed)
        yield Inclusion(f"{end.id}: owed before, so dirty still", owed, heir.marks.dirty)


def success_keeps(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """After success, what was written during the job is owed still; with mode *never*, what was before is too."""
    for end in step.ended:
        if end.outcome != "completed" or end.bitmap is None or end.bitmap.successor is None:
            continue
        heir = step.state.nodes[end.job.node].bitmaps[str(end.job.bitmap)]
        owed = end.bitmap.successor.marks.owed
        if end.job.mode == "never":
            owed = owed | end.bitmap.marks.owed
        yield Inclusion(f"{end.id}: written meanwhile, so owed still", owed, heir.marks.owed)


def frozen_is_still(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A frozen bitmap's own marks change only when its job ends."""
    ended = {end.id: end for end in step.ended}
    for id, job in before.jobs.items():
        then = frozen_bitmap(before, job)
        if then is None:
            continue
        now = ended[id].bitmap if id in ended else frozen_bitmap(step.state, step.state.jobs[id])
        yield Fact(f"{id}: its bitmap is there", now is not None)
        if now is not None:
            yield Inclusion(f"{id}: nothing is lost from it", then.marks.dirty, now.marks.dirty)
            yield Inclusion(f"{id}: nothing is added to it", now.marks.dirty, then.marks.dirty)
            yield Inclusion(f"{id}: it owes what it owed", then.marks.owed, now.marks.owed)


def atomic(before: State[S], command: object, step: Step[S]) -> Claims[S]:
    """A refused command or transaction leaves the state equal, and ends nothing."""
    if step.refusal is not None:
        yield Fact("refused, so nothing has changed", step.state == before and not step.ended)


# Of two writes


def batch(state: State[S], on: str, first: S, second: S) -> Claims[S]:
    """Two writes, one after the other, are the same as one write of both (and so may be united and reordered)."""
    after_first, ended_first = whole_write(state, on, first)
    one_by_one, ended_second = whole_write(after_first, on, second)
    at_once, ended = whole_write(state, on, first | second)
    ends = sorted((end.id, end.outcome) for end in ended)
    yield Fact("the same jobs end", sorted((end.id, end.outcome) for end in ended_first + ended_second) == ends)
    yield Fact("the same but for sets", without_sets(one_by_one) == without_sets(at_once))
    for (where, one), (_, other) in zip(sets_of(one_by_one), sets_of(at_once), strict=True):
        yield Inclusion(f"{where}: nothing more", one, other)
        yield Inclusion(f"{where}: nothing less", other, one)


# Looking around


def all_marks(state: State[S]) -> Iterator[tuple[str, str, Bitmap[S], Marks[S]]]:
    """The marks of every bitmap and every successor: the node, the place, the bitmap, and the marks."""
    for on, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            yield on, f"{on}/{name}", bitmap, bitmap.marks
            if bitmap.successor is not None:
                yield on, f"{on}/{name}'s successor", bitmap, bitmap.successor.marks


def sets_of(state: State[S]) -> Iterator[tuple[str, S]]:
    """Every set of blocks in a state, with its place."""
    for _, where, _, marks in all_marks(state):
        yield f"{where} dirty", marks.dirty
        yield f"{where} owed", marks.owed
        yield f"{where} causes", marks.causes
    for id, job in state.jobs.items():
        for what in ("todo", "copying", "scope", "intact", "good"):
            yield f"{id} {what}", getattr(job, what)


def without_sets(state: State[S]) -> tuple[object, ...]:
    """All of a state but its sets: names, flags, phases, and who is frozen."""
    bitmaps = [
        (on, name, each.granularity, each.enabled, recording(each), busy(each), each.leaving)
        for on, node in state.nodes.items()
        for name, each in node.bitmaps.items()
    ]
    jobs = [
        (id, job.node, job.bitmap, job.mode, job.cluster, job.group, job.auto_finalize, job.phase, job.paused)
        for id, job in state.jobs.items()
    ]
    return bitmaps, jobs


def frozen_bitmap(state: State[S], job: Job[S]) -> Bitmap[S] | None:
    """The bitmap that the job has frozen, if it is there and is frozen."""
    found = None if job.bitmap is None else state.nodes[job.node].bitmaps.get(job.bitmap)
    return found if found is not None and found.successor is not None else None


StateProperty = Callable[[State[Any]], Iterator[Any]]
StepProperty = Callable[[State[Any], object, Step[Any]], Iterator[Any]]

OF_STATES: dict[str, tuple[StateProperty, ...]] = {
    "NO-LOST-WRITE": (no_lost_write,),
    "POINT-IN-TIME": (point_in_time,),
    "ONE-HEIR": (one_heir, nothing_is_half_done),
    "EXACT": (exact,),
    "RELEASE": (nobody_idles, groups_hold_together),
}

OF_STEPS: dict[str, tuple[StepProperty, ...]] = {
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
        (id, claim.where)
        for id, properties in OF_STATES.items()
        for each in properties
        for claim in each(step.state)
        if not claim.holds()
    ]
    found += [
        (id, claim.where)
        for id, properties in OF_STEPS.items()
        for each_step in properties
        for claim in each_step(before, command, step)
        if not claim.holds()
    ]
    return found
