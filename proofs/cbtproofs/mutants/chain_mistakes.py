"""Mistakes in what the specification says of chains of backups: each hides a loss, or tells of one that is none.

None of them is a mistake in tracking: bitmaps, jobs and disks do what they should. RESTORES or COVERS must fail.
"""

from __future__ import annotations

from cbtmodel import chain
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap
from cbtmodel.blocks import S, Space
from cbtmodel.chain import Chains, Link, Point, begins, changed, ends, linked
from cbtmodel.claims import counts_as_delivered, written
from cbtmodel.node import State
from cbtmodel.record import replace
from cbtmodel.step import Step
from cbtmodel.table import Table

from cbtproofs.mutants.mutant import Mutant, declaring

CHAIN_MISTAKES: list[Mutant] = []
instead_of = declaring(CHAIN_MISTAKES)


@instead_of(chain.changed)
def first_point_of_a_disk_only(chains: Chains[S], node: str, blocks: S) -> Chains[S]:
    """A write has changed the disk since the oldest of its points only."""
    for number, point in chains.points.items():
        if point.node == node:
            return replace(chains, points=chains.points.put(number, replace(point, since=point.since | blocks)))
    return chains


@instead_of(chain.changed)
def links_only(chains: Chains[S], node: str, blocks: S) -> Chains[S]:
    """What is written while a backup runs has not changed the disk since its instant."""
    points = chains.points
    for number, point in points.items():
        if point.node == node and point.link is not None:
            points = points.put(number, replace(point, since=point.since | blocks))
    return replace(chains, points=points)


@instead_of(chain.changed)
def points_of_every_disk(chains: Chains[S], node: str, blocks: S) -> Chains[S]:
    """A write to one disk has changed them all."""
    points = chains.points
    for number, point in points.items():
        points = points.put(number, replace(point, since=point.since | blocks))
    return replace(chains, points=points)


@instead_of(chain.changed)
def the_last_write_only(chains: Chains[S], node: str, blocks: S) -> Chains[S]:
    """What has changed since a point is what the last step wrote."""
    points = chains.points
    for number, point in points.items():
        if point.node == node:
            points = points.put(number, replace(point, since=blocks))
    return replace(chains, points=points)


@instead_of(chain.follow)
def backups_begin_first(chains: Chains[S], before: State[S], command: object, step: Step[S]) -> Chains[S]:
    """The instant of a backup comes before what it waits for."""
    jobs = {**step.state.jobs, **{end.job_id: end.job for end in step.ended}}
    for job_id, job in jobs.items():
        if job_id not in before.jobs:
            chains = begins(chains, before.space, job_id, job.node, job.bitmap)
    for node in before.nodes:
        chains = changed(chains, node, written(before, command, step, node))
    for end in step.ended:
        chains = ends(chains, before.space, before.nodes[end.job.node].size, end)
    return chains


@instead_of(chain.follow)
def what_begins_and_ends_at_once_is_nothing(
    chains: Chains[S], before: State[S], command: object, step: Step[S]
) -> Chains[S]:
    """A backup that has nothing to copy, and ends with the command that starts it, is no backup."""
    for node in before.nodes:
        chains = changed(chains, node, written(before, command, step, node))
    for job_id, job in step.state.jobs.items():
        if job_id not in before.jobs:
            chains = begins(chains, before.space, job_id, job.node, job.bitmap)
    for end in step.ended:
        chains = ends(chains, before.space, before.nodes[end.job.node].size, end)
    return chains


@instead_of(chain.begins)
def knows_what_has_changed(chains: Chains[S], space: Space[S], job: str, node: str, bitmap: str | None) -> Chains[S]:
    """For a new point, nothing has changed since the older ones."""
    until = Table({number: space.empty for number, point in chains.points.items() if point.node == node})
    return Chains(chains.points.put(str(chains.next), Point(job, node, bitmap, space.empty, until)), chains.next + 1)


@instead_of(chain.begins)
def lies_on_other_disks(chains: Chains[S], space: Space[S], job: str, node: str, bitmap: str | None) -> Chains[S]:
    """A backup is laid over those of other disks, too."""
    until = Table({number: point.since for number, point in chains.points.items()})
    return Chains(chains.points.put(str(chains.next), Point(job, node, bitmap, space.empty, until)), chains.next + 1)


@instead_of(chain.begins)
def begins_with_what_changed_before(
    chains: Chains[S], space: Space[S], job: str, node: str, bitmap: str | None
) -> Chains[S]:
    """What changed before a backup began counts as changed after it."""
    until = Table({number: point.since for number, point in chains.points.items() if point.node == node})
    since = space.empty
    for each in until.values():
        since = since | each
    return Chains(chains.points.put(str(chains.next), Point(job, node, bitmap, since, until)), chains.next + 1)


@instead_of(chain.ends)
def every_end_is_a_link(chains: Chains[S], space: Space[S], size: int, end: Ended[S]) -> Chains[S]:
    """A cancelled increment is laid over what is older."""
    for number, point in chains.points.items():
        if point.job == end.job_id and point.link is None:
            link = linked(chains, space.everything(size), point, end)
            return replace(chains, points=chains.points.put(number, replace(point, link=link)))
    return chains


@instead_of(chain.ends)
def only_success_is_a_link(chains: Chains[S], space: Space[S], size: int, end: Ended[S]) -> Chains[S]:
    """What a job of mode *always* has copied counts for nothing if it fails."""
    for number, point in chains.points.items():
        if point.job == end.job_id and point.link is None:
            if end.outcome != "completed":
                return replace(chains, points=chains.points.drop(number))
            link = linked(chains, space.everything(size), point, end)
            return replace(chains, points=chains.points.put(number, replace(point, link=link)))
    return chains


@instead_of(chain.linked)
def all_of_its_scope_is_supplied(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """What a failed job of mode *always* had still to copy is taken for copied."""
    supplied = end.job.scope
    lost, lost_on = everything - supplied, {}
    for number, changes in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = (older.link.lost | changes) - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.linked)
def below_is_taken_for_whole(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """What is lost in the link below is forgotten."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = everything - supplied, {}
    for number, changes in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = changes - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.linked)
def changes_between_are_forgotten(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """An increment misses nothing that changed before it began."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = everything - supplied, {}
    for number, _ in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = older.link.lost - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.linked)
def changed_during_it_is_lost(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """What a guest writes while a backup runs is lost in it."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = (everything - supplied) | point.since, {}
    for number, changes in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = (older.link.lost | changes | point.since) - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.linked)
def nothing_is_lost_alone(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """An increment on top of nothing is whole."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = supplied - supplied, {}
    for number, changes in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = (older.link.lost | changes) - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.linked)
def the_oldest_is_the_one_below(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """What is lost is what is lost on the oldest link, not on the youngest."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = everything - supplied, {}
    for number, changes in point.until.items():
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = (older.link.lost | changes) - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


@instead_of(chain.uncovered)
def only_its_successor_owes(bitmap: Bitmap[S], point: Point[S]) -> S:
    """What the bitmap itself owes is not counted while a job has it."""
    return point.since - (bitmap.marks.owed if bitmap.successor is None else bitmap.successor.marks.owed)


@instead_of(chain.ends)
def the_first_point_of_the_name(chains: Chains[S], space: Space[S], size: int, end: Ended[S]) -> Chains[S]:
    """A backup with the name of an earlier one makes that a link again, and never becomes one."""
    for number, point in chains.points.items():
        if point.job == end.job_id:
            if not counts_as_delivered(end):
                return replace(chains, points=chains.points.drop(number))
            link = linked(chains, space.everything(size), point, end)
            return replace(chains, points=chains.points.put(number, replace(point, link=link)))
    return chains
