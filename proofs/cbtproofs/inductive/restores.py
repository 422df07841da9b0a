"""RESTORES: what backups laid over each other give back is the disk, but for what is said to be lost.

*What a chain gives back* is told by contents, not by what `cbtmodel.chain` keeps. Of each block only this matters of
a content: since when it is there. So for two instants there is a set of blocks that were changed in between, and for
a link one of blocks that are wrong when it is restored. Where the target of a backup was written, it holds the disk
of its instant as far as that is *good* (which is what POINT-IN-TIME is about). Elsewhere one sees what lies below:
wrong if it is wrong there already, or was changed between the two instants.

An older link, and the points of the jobs of a cast, are followed through one command by the specification's own
`follow`. What it then keeps must be what was told: no less (or a loss is not said), and no more (or a backup is
called worthless that is not). What is laid over a link depends on that link and on what changed since, so a chain of
any length is the same step again; `three_links` shows the next one, and what leaving out a link costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cbtmodel import chain
from cbtmodel.backup import Ended, Job
from cbtmodel.chain import Chains, Link, Point
from cbtmodel.claims import Fact, Inclusion, counts_as_delivered, written
from cbtmodel.node import State
from cbtmodel.step import Step, step
from cbtmodel.table import Table

from cbtproofs.inductive.casts import SIZE, Cast
from cbtproofs.inductive.obligations import SAFE, claims_of
from cbtproofs.inductive.script import Claim, Item, Opening, Play, Played, Prove, ProveEach, Prover, Script

ID = "RESTORES"
STATEMENT = (
    "What a backup laid over older ones gives back is the disk of its instant, except for the blocks that are said "
    "to be lost, and all of those are."
)
GONE, OLDER, ELSEWHERE = "1", "2", "3"
"""The points of a backup that was cancelled, of a link on the disk that it is about, and of one on another disk."""


@dataclass(frozen=True)
class Told:
    """What has become of contents. `since`: changed after the older link's instant; `wrong`: when that is restored.

    `between` are the blocks that were changed after the older link's instant and before a job's, `after` those that
    were changed after that, for each job of the disk.
    """

    since: Any
    wrong: Any
    between: dict[str, Any]
    after: dict[str, Any]


def restores(cast: Cast, command: Any) -> Script:
    """One command, given while a backup may be under way on top of an older link."""

    def rest(prover: Prover, known: tuple[State[Any], Told]) -> Iterator[Item]:
        before, told = known
        chains = as_told(told, before)
        done = step(before, command)
        yield Played(before, done)
        if done.refusal is None:
            then = chain.follow(chains, before, command, done)
            yield ProveEach(ID, followed(told, chains, then, before, command, done))

    return Play(Opening(cast, arbitrary, copied_so_far), rest)


def arbitrary(cast: Cast, prover: Prover) -> tuple[State[Any], Told]:
    """Any state of the cast, and anything that may have become of contents."""
    before = cast.state(prover)
    return before, arbitrarily_told(prover, before, cast.foggy)


def arbitrarily_told(prover: Prover, state: State[Any], foggy: frozenset[str] = frozenset()) -> Told:
    """Anything that may have become of contents by now."""
    told = Told(prover.arbitrary("changed since"), prover.arbitrary("wrong"), {}, {})
    for job_id, job in state.jobs.items():
        if job.node == "d" and job_id not in foggy:
            told.between[job_id] = prover.arbitrary(f"changed before {job_id} began")
            told.after[job_id] = prover.arbitrary(f"changed since {job_id} began")
    return told


def copied_so_far(cast: Cast, known: tuple[State[Any], Told]) -> Iterator[Claim]:
    """What jobs have copied is on their targets, as it was."""
    for property_id, claims in claims_of(known[0], cast.moment, SAFE):
        yield from claims if property_id == "POINT-IN-TIME" else ()


def as_told(told: Told, state: State[Any]) -> Chains[Any]:
    """What the specification keeps, if it is what was told. The older link's job had the name of one that runs."""
    none, name = state.space.empty, next(iter(state.jobs), "older")
    points = {
        OLDER: Point(name, "d", None, told.since, Table(), Link(True, none, told.wrong, Table())),
        ELSEWHERE: Point("elsewhere", "e", None, none, Table(), Link(True, none, none, Table())),
    }
    for job_id, job in state.jobs.items():
        until = {GONE: none, OLDER: told.between.get(job_id, none)} if job.node == "d" else {ELSEWHERE: none}
        points[str(len(points) + 2)] = Point(job_id, job.node, job.bitmap, told.after.get(job_id, none), Table(until))
    return Chains(Table(points), len(points) + 2)


def followed(
    told: Told, chains: Chains[Any], then: Chains[Any], before: State[Any], command: object, done: Step[Any]
) -> Iterator[Claim]:
    """What is kept after a command is what is to be told then."""
    new, older = written(before, command, done, "d"), then.points.get(OLDER)
    yield Fact("the older link: is as it was", older is not None and older.link is chains.points[OLDER].link)
    if older is not None:
        yield from same("the older link: changed since", told.since | new, older.since)
    yield from same("another disk's", written(before, command, done, "e"), then.points[ELSEWHERE].since)
    places = {point.job: number for number, point in then.points.items() if number not in (OLDER, ELSEWHERE)}
    ended = {end.job_id: end for end in done.ended}
    for job_id, job in {**done.state.jobs, **{end.job_id: end.job for end in done.ended}}.items():
        end, point = ended.get(job_id), then.points.get(places.get(job_id, ""))
        counts = end is None or counts_as_delivered(end)
        yield Fact(f"{job_id}: a point, unless it ended for nothing", (point is not None) == counts)
        if point is None:
            continue
        yield Fact(f"{job_id}: is of its disk and bitmap", (point.node, point.bitmap) == (job.node, job.bitmap))
        yield Fact(f"{job_id}: is a link once it has ended", (point.link is not None) == (end is not None))
        on_its_disk = {GONE, *(each for each, of in chains.points.items() if of.node == job.node)}
        yield Fact(f"{job_id}: lies on what is on its disk", set(point.until) <= on_its_disk)
        if job.node == "d" and job_id not in before.jobs:
            yield from same(f"{job_id}: new, so nothing has changed since", done.state.space.empty, point.since)
            yield from same(f"{job_id}: changed before it began", told.since | new, point.until[OLDER])
            yield from laid_over(job_id, point, told.wrong | told.since | new, job, end)
        elif job_id in told.after:
            yield from same(f"{job_id}: changed since it began", told.after[job_id] | new, point.since)
            yield from same(f"{job_id}: changed before it began", told.between[job_id], point.until[OLDER])
            yield from laid_over(job_id, point, told.wrong | told.between[job_id], job, end)


def laid_over(job_id: str, point: Point[Any], below: Any, job: Job[Any], end: Ended[Any] | None) -> Iterator[Claim]:
    """A link on top of the older one, where `below` is wrong for its instant."""
    if point.link is None or end is None:
        return
    copied = job.scope - job.todo
    yield Fact(f"{job_id}: a restore point if it completed", point.link.complete == (end.outcome == "completed"))
    yield from same(f"{job_id}: supplied, as copied", copied, point.link.supplied)
    yield Inclusion(f"{job_id}: supplied, so as it was", point.link.supplied, job.good)
    yield from same(f"{job_id}: wrong on top of the older link", below - copied, point.link.lost_on[OLDER])


BACKUPS = Cast("a chain", jobs=(("x", "d", None), ("y", "d", None), ("z", "d", None)))
"""Whose jobs have supplied any blocks, when they end."""


def three_links(prover: Prover) -> Iterator[Item]:
    """Three backups, one after the other, with writes between them and meanwhile: what each gives back, on each."""
    state = BACKUPS.state(prover)
    yield Played(state, Step(state))
    x, y, z = (job.scope - job.todo for job in state.jobs.values())
    before_y, during_y, before_z = (prover.arbitrary(each) for each in ("before y", "meanwhile", "before z"))
    chains: Chains[Any] = Chains()
    for job_id, blocks, meanwhile in (("x", None, None), ("y", before_y, during_y), ("z", before_z, None)):
        chains = chains if blocks is None else chain.changed(chains, "d", blocks)
        chains = chain.begins(chains, prover.space, job_id, "d", None)
        chains = chains if meanwhile is None else chain.changed(chains, "d", meanwhile)
        chains = chain.ends(chains, prover.space, SIZE, Ended(job_id, "completed", state.jobs[job_id], None))
    on_nothing = prover.space.everything(SIZE) - x
    y_on_x = (on_nothing | before_y) - y
    changed = before_y | during_y | before_z
    told = (
        ("1", "x, alone", None, on_nothing), ("2", "y on x", "1", y_on_x),
        ("3", "z on y", "2", (y_on_x | during_y | before_z) - z), ("3", "z on x", "1", (on_nothing | changed) - z),
    )  # fmt: skip
    links = {number: point.link for number, point in chains.points.items() if point.link is not None}
    yield Prove(ID, Fact("three links", set(links) == {"1", "2", "3"}))
    for number, where, node, lost in told:
        kept = links[number].lost if node is None else links[number].lost_on[node]
        yield ProveEach(ID, same(where, lost, kept))
    yield ProveEach(ID, same("z on all", links["3"].lost_on["2"], links["3"].lost))
    yield Prove(ID, Inclusion("z: without y, no less is lost", links["3"].lost, links["3"].lost_on["1"]))


def same(where: str, one: Any, other: Any) -> Iterator[Claim]:
    """Two sets have the same blocks."""
    yield Inclusion(f"{where}, no less", one, other)
    yield Inclusion(f"{where}, no more", other, one)
