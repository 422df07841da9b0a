"""One world: a state of the specification that explains what was seen so far; and what an event makes of it.

Whatever happens in a world is done by the specification. What is added here is only what cannot be seen from outside:
how far a job is with its copies (if `Rules.copies_seen` is not set), and jobs and bitmaps whose beginning is not in
the trace (if `Rules.untracked`).

A job whose copies are not seen has *more* in its work list (see `between`), so that it never ends by itself, but when
the trace says so. One that completed has copied all; one that did not, an unknown part of what was left. When in
between the copies took place makes no difference: they commute with guest writes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from cbtmodel import jobs
from cbtmodel.backup import Ended, Outcome, copied
from cbtmodel.bitmap import Marks
from cbtmodel.commands import (
    CancelJob,
    Command,
    FinalizeJob,
    PauseJob,
    ResumeJob,
    StartBackup,
    Transaction,
)
from cbtmodel.image import Close
from cbtmodel.node import finish_write
from cbtmodel.record import replace
from cbtmodel.refusal import Refused
from cbtmodel.step import Step
from cbtmodel.table import Table

from cbtcheck.adapter import Reply
from cbtcheck.follow.refusals import is_answered_by, judge_ends, judge_reply
from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.images import Files, as_it_came, happens
from cbtcheck.scenario.scenario import spelled
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.between import EMPTY, Between, BetweenSets, at_most, outcomes, without_more
from cbtcheck.trace import images
from cbtcheck.trace.events import (
    AllCopied,
    Change,
    EndOfJobs,
    Forgotten,
    Given,
    Landed,
    OfImages,
    Resized,
    StoppedByError,
    Used,
)
from cbtcheck.trace.shape import Sets, noticed, shape
from cbtcheck.trace.untracked import forget, mentions_untracked, names_one_of

Due = frozenset[tuple[str, Outcome]]
Stepped = tuple[Step[Between], Files[Between] | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a trace tells. `copies_seen`: every copy of a job is in it, and so a job ends when the specification says.

    `untracked`: there may be jobs, and bitmaps of nodes, whose beginning it does not tell.
    """

    copies_seen: bool = True
    untracked: bool = False


@dataclass(frozen=True, slots=True)
class Guesses:
    """States of which one is right: for each block another one, or, if they are `whole`, one of them altogether.

    `narrowed`: what was seen has refuted others, which the bounds of the world still allow. `lumped`: they are about
    several writes, which are too many to be told apart.
    """

    states: tuple[Sets, ...]
    whole: bool = False
    narrowed: bool = False
    lumped: bool = False


@dataclass(frozen=True, slots=True)
class Traced:
    """A state that explains everything so far. `due` are ends of jobs that are yet to be told.

    `strange` are the nodes that may have bitmaps of which nothing is known. `guesses`: see the module of that name.
    `used` are bitmaps that may be busy for reasons outside of the specification: see `Used`. `mixed`: somewhere
    before, states that exclude each other were taken as one. `files` are the images that disks lie in, if they do.
    """

    state: Sets
    due: Due = frozenset()
    strange: frozenset[str] = frozenset()
    guesses: tuple[Guesses, ...] = ()
    used: frozenset[tuple[str | None, str]] = frozenset()
    mixed: bool = field(default=False, compare=False)
    files: Files[Between] | None = None

    def shape(self) -> Hashable:
        """All but the sets: equal for two worlds that differ in sets only."""
        return shape(self.state), self.due, self.strange, self.used, images.shape(self.files)


def possible(world: Traced, change: Change, rules: Rules) -> list[Traced]:
    """Every world after the change that agrees with how it was answered; none if the specification forbids it."""
    match change:
        case Given():
            return _given(world, change, rules)
        case OfImages():
            return _of_images(world, change, rules)
        case Landed(node, job_id):
            if job_id not in world.state.nodes[node].writes:
                return [world]
            return [replace(world, state=finish_write(world.state, node, job_id))]
        case EndOfJobs(ends):
            return _ended(world, ends, rules)
        case AllCopied(job_id):
            return [_all_copied(world, job_id)]
        case StoppedByError(job_id):
            return [_stopped(world, job_id)]
        case Forgotten(node, names):
            return [_without(world, node, names)]
        case Resized(node, size):
            return [_resized(world, node, size)]
        case Used(places):
            return [replace(world, used=world.used | places)]


def specified(world: Traced, change: Change, rules: Rules) -> tuple[Traced, list[Finding]]:
    """What the specification makes of a change that is not possible: the world after it, and what is wrong."""
    match change:
        case Given(command):
            done, files = next(_steps(world, command, rules))
            wrong = judge_reply(command, Reply(change.refusal, change.text), done)
            wrong = [replace(each, where=spelled(each.where)) for each in wrong]
            name = spelled(type(command).__name__)
            wrong = wrong or judge_ends(_ends(done.ended), change.ended) or [_at_odds(name)]
            return replace(world, state=done.state, files=files), wrong
        case OfImages(event):
            done, files = next(_happens(world, change))
            wrong = judge_reply(event, Reply(change.refusal, change.text), done)
            wrong = [replace(each, where=spelled(each.where)) for each in wrong]
            wrong = wrong or judge_ends(_ends(done.ended), change.ended) or [_at_odds(spelled(type(event).__name__))]
            return replace(world, state=done.state, files=files, guesses=()), wrong
        case EndOfJobs(ends):
            told = {job_id for job_id, _ in ends}
            due = {end for end in world.due if end[0] in told}
            return replace(world, due=world.due - due), judge_ends(due, ends) or [_at_odds("jobs ended")]
    return world, [_at_odds(type(change).__name__)]


def _at_odds(where: str) -> Finding:
    """What is as specified in itself, but not together with what was seen before."""
    return Finding(Verdict.DIVERGES, "", where, "what agrees with all that was seen before", "what does not")


def _ends(ended: Iterable[Ended[Between]]) -> Due:
    return frozenset((end.job_id, end.outcome) for end in ended)


# Commands


def _given(world: Traced, act: Given, rules: Rules) -> list[Traced]:
    if act.refusal == "?":
        return [world]  # QEMU says why it did not, in words that we do not know; at least it did not
    if act.refusal == "busy" and world.used and names_one_of(world.used, act.command):
        return [world]
    if rules.untracked and mentions_untracked(world.state, world.strange, act):
        if act.refusal:
            return [world]
        return [_without(world, None, _named(act.command))]
    found = _answered(world, act, rules)
    if not found and not rules.copies_seen:
        found = _after_silent_copies(world, act, rules)
    return found if act.definite else [world, *found]


def _without(world: Traced, node: str | None, names: tuple[str, ...] | None) -> Traced:
    state, strange = forget(world.state, node, names)
    return replace(world, state=state, strange=world.strange | strange)


def _resized(world: Traced, node_name: str, size: int) -> Traced:
    """Bits of what is left stay; what is new is clean, and may as well be dirty: the specification does not say."""
    state = world.state
    node = state.nodes.get(node_name)
    if node is None or node.size == size or any(job.node == node_name for job in state.jobs.values()):
        return world if node is None or node.size == size else _without(world, node_name, None)
    whole = state.space.everything(size)
    new = at_most(whole.most - state.space.everything(node.size).most)

    def kept(marks: Marks[Between], granularity: int) -> Marks[Between]:
        dirty, owed = marks.dirty, marks.owed
        if size < node.size:
            dirty, owed = dirty & whole, owed & whole
        return replace(marks, dirty=state.space.round_out(dirty, granularity, size) | new, owed=owed)

    bitmaps = {}
    for name, each in node.bitmaps.items():
        successor = each.successor
        if successor is not None:
            successor = replace(successor, marks=kept(successor.marks, each.granularity))
        bitmaps[name] = replace(each, marks=kept(each.marks, each.granularity), successor=successor)
    changed = replace(node, size=size, bitmaps=Table(bitmaps))
    return replace(world, state=replace(state, nodes=state.nodes.put(node_name, changed)), guesses=())


def _named(command: Command) -> tuple[str, ...]:
    """The bitmaps that are to be forgotten because a command with something unknown in it may have changed them."""
    actions = actions_of(command)
    names = {getattr(each, field, None) for each in actions for field in ("name", "target", "bitmap")}
    return tuple(sorted(name for name in names if isinstance(name, str)))


def _answered(world: Traced, act: Given, rules: Rules) -> list[Traced]:
    found = []
    for done, files in _steps(world, act.command, rules):
        after = replace(world, state=done.state, files=files)
        alike = is_answered_by(done, act.command, act.refusal)
        if not act.definite:
            found.append(after)
        elif alike and not rules.copies_seen:
            found += _ended(after, act.ended, rules)
        elif alike and _ends(done.ended) == frozenset(act.ended):
            found.append(after)
    return found


def _steps(world: Traced, command: Command, rules: Rules) -> Iterator[Stepped]:
    """What the specification makes of a command, for every answer to what is undecided."""
    state, files = world.state, world.files
    if rules.copies_seen:
        for done, then in outcomes(lambda: happens(files, state, command)):
            yield _without_content(done), then
    elif isinstance(command, StartBackup | Transaction):
        assert isinstance(state.space, BetweenSets)
        patient = replace(state, space=state.space.unnoticed())
        for done, then in outcomes(lambda: happens(files, patient, command)):
            after = state if done.refusal else noticed(replace(done.state, space=state.space))
            yield _without_content(replace(done, state=after)), then
    elif isinstance(command, CancelJob | FinalizeJob):
        for done, then in outcomes(lambda: happens(files, state, command)):
            yield replace(done, state=state, ended=()), then
    else:
        yield from outcomes(lambda: happens(files, state, command))


# Images


def _happens(world: Traced, change: OfImages) -> Iterator[Stepped]:
    asked = as_it_came(change.event, change.refusal)
    for done, files in outcomes(lambda: happens(world.files, world.state, asked)):
        yield _without_content(done), files


def _of_images(world: Traced, change: OfImages, rules: Rules) -> list[Traced]:
    found = []
    if not rules.copies_seen and not change.refusal and isinstance(change.event, Close):
        on = [job_id for job_id, job in world.state.jobs.items() if job.node == change.event.node]
        world = replace(world, state=_copy_some(world.state, tuple(on)))
    for done, files in _happens(world, change):
        if is_answered_by(done, change.event, change.refusal):
            after, ends = replace(world, state=done.state, files=files, guesses=()), _ends(done.ended)
            if not rules.copies_seen:
                found += _ended(replace(after, due=after.due | ends), change.ended, rules)
            elif ends == frozenset(change.ended):
                found.append(after)
    return found


def _without_content(done: Step[Between]) -> Step[Between]:
    """What a job's target has of the disk's content is nothing that a trace shows: it is not followed."""
    found = done.state.jobs
    for job_id, job in found.items():
        if job.intact is not EMPTY or job.good is not EMPTY:
            found = found.put(job_id, replace(job, intact=EMPTY, good=EMPTY))
    return done if found is done.state.jobs else replace(done, state=replace(done.state, jobs=found))


def _after_silent_copies(world: Traced, act: Given, rules: Rules) -> list[Traced]:
    """A job may have copied the last that it had to, and nobody has said so yet."""
    if not isinstance(act.command, PauseJob | ResumeJob | FinalizeJob) or act.command.job not in world.state.jobs:
        return []
    after, ended = _copy_all(world.state, (act.command.job,))
    if ended:
        return [world] if act.refusal == "wrong phase" else []
    return _answered(replace(world, state=after), act, rules)


# What jobs do where it cannot be seen


def _copy_all(state: Sets, ids: tuple[str, ...]) -> jobs.Result[Between]:
    """These jobs have nothing left to copy, and have noticed."""
    for job_id in ids:
        if job_id in state.jobs:
            done = copied(state.jobs[job_id], state.jobs[job_id].todo)
            state = jobs.with_job(state, job_id, replace(done, todo=state.space.empty))
    return jobs.settle(state, [job_id for job_id in ids if job_id in state.jobs])


def _copy_some(state: Sets, ids: tuple[str, ...]) -> Sets:
    """Each of these jobs has copied an unknown part of what it had to."""
    for job_id in ids:
        job = state.jobs[job_id]
        done = copied(job, at_most(job.todo.most))
        state = jobs.with_job(state, job_id, replace(done, todo=without_more(done.todo)))
    return state


def _all_copied(world: Traced, job_id: str) -> Traced:
    """That by which the job would end at once is left for its end to tell."""
    after, ended = _copy_all(world.state, (job_id,))
    return world if ended else replace(world, state=after)


def _stopped(world: Traced, job_id: str) -> Traced:
    try:
        return replace(world, state=jobs.pause(world.state, job_id))
    except Refused:
        return world


def _ended(world: Traced, ends: tuple[tuple[str, Outcome], ...], rules: Rules) -> list[Traced]:
    found = [world]
    for job_id, outcome in ends:
        found = [after for each in found for after in _one_ended(each, job_id, outcome, rules)]
    return found


def _one_ended(world: Traced, job_id: str, outcome: Outcome, rules: Rules) -> list[Traced]:
    if (job_id, outcome) in world.due:
        return [replace(world, due=world.due - {(job_id, outcome)})]
    if job_id not in world.state.jobs:
        told = any(end[0] == job_id for end in world.due)
        return [world] if rules.untracked and not told else []
    if rules.copies_seen:
        return []
    found = []
    for state, ended in _ways_to_end(world.state, job_id, outcome):
        ends = _ends(ended)
        if (job_id, outcome) in ends:
            found.append(replace(world, state=state, due=world.due | (ends - {(job_id, outcome)})))
    return found


def _ways_to_end(state: Sets, job_id: str, outcome: Outcome) -> Iterator[jobs.Result[Between]]:
    """How the job can have come to this end: by itself, or with its group."""
    group = state.jobs[job_id].group
    if outcome == "completed":
        after, ended = _copy_all(state, group)
        if not ended and all(after.jobs[each].phase == "pending" for each in group):
            after, ended = jobs.finalize(after, job_id)
        yield after, ended
        return
    partly = _copy_some(state, group)
    if outcome == "failed":
        yield jobs.fail_group(partly, job_id, "failed")
        return
    yield jobs.cancel(partly, job_id)
    for other in group:
        if other != job_id:
            yield jobs.fail_group(partly, other, "failed")
