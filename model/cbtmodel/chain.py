"""Chains of backups: whether laying them over each other gives the disk back.

A tracker can be right in every step and the backups worth nothing: somebody clears a bitmap at the wrong instant,
adds it after the full backup, or forgets the transaction. So the specification follows what backups give back.

Every backup has an *instant*, its start: a *point*. When it ends, and leaves something on its target that counts, the
point becomes a *link*; if the backup completed, it is a *restore point*. To restore one, its target is laid over
those of older links. What comes out is the disk of that instant, but for what is *lost*: blocks that this link did
not supply, and that were changed between the instant of the last link that did and its own. One rule for full
backups, increments, differentials, schedules beside each other, and for what a failed job of mode *always* copied.

Nothing here changes what disks, bitmaps and jobs do: `follow` looks on. That what it says is what a restore gives is
proved block by block (RESTORES, COVERS), and held against real contents along drawn histories
(tests/model/test_chain.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap
from cbtmodel.blocks import S, Space
from cbtmodel.claims import counts_as_delivered, owed_under_name, written
from cbtmodel.node import State
from cbtmodel.record import replace
from cbtmodel.step import Step
from cbtmodel.table import Table


@dataclass(frozen=True, slots=True)
class Link(Generic[S]):
    """What a backup that has ended supplies, and what is lost when it is laid over older links.

    `lost_on` has every older link by the number of its point, the youngest first. `lost` is that on the youngest of
    them, with all below: whichever is left out, no less is lost.
    """

    complete: bool
    supplied: S
    lost: S
    lost_on: Table[S]


@dataclass(frozen=True, slots=True)
class Point(Generic[S]):
    """The instant at which a backup began, and what has become of it: no link as long as its job runs.

    `since` are the blocks that guest writes have changed after it, `until` those that had changed after each older
    point, by its number, when this one came: a backup waits for what is in flight. `bitmap` is the one that the job
    has taken.
    """

    job: str
    node: str
    bitmap: str | None
    since: S
    until: Table[S]
    link: Link[S] | None = None


@dataclass(frozen=True, slots=True)
class Chains(Generic[S]):
    """All points by their number, from "1" on, in the order of their instants; `next` is that of the next one."""

    points: Table[Point[S]] = field(default_factory=Table)
    next: int = 1


def follow(chains: Chains[S], before: State[S], command: object, step: Step[S]) -> Chains[S]:
    """The chains after a step: writes have changed disks, then backups have begun, then backups have ended."""
    for node in before.nodes:
        chains = changed(chains, node, written(before, command, step, node))
    jobs = {**step.state.jobs, **{end.job_id: end.job for end in step.ended}}
    for job_id, job in jobs.items():
        if job_id not in before.jobs:
            chains = begins(chains, before.space, job_id, job.node, job.bitmap)
    for end in step.ended:
        chains = ends(chains, before.space, before.nodes[end.job.node].size, end)
    return chains


def changed(chains: Chains[S], node: str, blocks: S) -> Chains[S]:
    """These blocks of a disk have another content from now on."""
    points = chains.points
    for number, point in points.items():
        if point.node == node:
            points = points.put(number, replace(point, since=point.since | blocks))
    return replace(chains, points=points)


def begins(chains: Chains[S], space: Space[S], job: str, node: str, bitmap: str | None) -> Chains[S]:
    """A backup begins: its instant is now."""
    until = Table({number: point.since for number, point in chains.points.items() if point.node == node})
    point = Point(job, node, bitmap, space.empty, until)
    return Chains(chains.points.put(str(chains.next), point), chains.next + 1)


def ends(chains: Chains[S], space: Space[S], size: int, end: Ended[S]) -> Chains[S]:
    """A backup ends: its point is a link from now on, or is gone if nothing on its target counts."""
    for number, point in chains.points.items():
        if point.job == end.job_id and point.link is None:
            if not counts_as_delivered(end):
                return replace(chains, points=chains.points.drop(number))
            link = linked(chains, space.everything(size), point, end)
            return replace(chains, points=chains.points.put(number, replace(point, link=link)))
    return chains


def linked(chains: Chains[S], everything: S, point: Point[S], end: Ended[S]) -> Link[S]:
    """The link that a point becomes."""
    supplied = end.job.scope - end.job.todo
    lost, lost_on = everything - supplied, {}
    for number, changes in reversed([*point.until.items()]):
        older = chains.points.get(number)
        if older is not None and older.link is not None:
            lost_on[number] = (older.link.lost | changes) - supplied
    return Link(end.outcome == "completed", supplied, next(iter(lost_on.values()), lost), Table(lost_on))


# What holds


def uncovered(bitmap: Bitmap[S], point: Point[S]) -> S:
    """The blocks that an increment would need on top of a point, and that nothing under this bitmap's name owes.

    A bitmap *covers* a point if there are none: then the next increment with it stacks.
    """
    return point.since - owed_under_name(bitmap)
