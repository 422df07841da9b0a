"""COVERS: when an increment may be made on top of a backup, and who may rely on that.

A bitmap covers a point if it owes, under its name, whatever was changed after it (`cbtmodel.chain.uncovered`). Here
a point after which as much was changed as the bitmap owes, and the point of the job that has the bitmap now, are
carried through one command. Where less was changed, less can be uncovered: `less_is_covered_too`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel import chain
from cbtmodel.bitmap import recording
from cbtmodel.chain import Chains, Point
from cbtmodel.claims import Fact, Inclusion, counts_as_delivered, owed_under_name, switches, waives, written
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.table import Table

from cbtproofs.inductive.casts import Cast
from cbtproofs.inductive.script import Assume, Claim, Item, Played, Prove, ProveEach, Prover

ID = "COVERS"
STATEMENT = (
    "A bitmap that records and covers a backup covers it, or the next one that is made with it, until it is cleared, "
    "removed, disabled or made anew; what was changed since is copied by a backup that is made with it; and at the "
    "instant of a backup every bitmap that records covers it."
)
PLACE = "d", "a"
A_BITMAP = Cast("a bitmap", (PLACE,))
EARLIER, OWN = "1", "2"


def carried(before: State[Any], command: object, done: Step[Any]) -> Iterator[Item]:
    """If the bitmap d/a covers a point before a command, then after it, too, or it covers that of its own job."""
    yield ProveEach(ID, at_one_instant(before, done))
    bitmap = before.nodes["d"].bitmaps.get("a")
    if bitmap is None or bitmap.leaving or not recording(bitmap):
        return
    none, points = before.space.empty, {EARLIER: Point("o", "d", None, owed_under_name(bitmap), Table())}
    if bitmap.successor is not None:
        points[OWN] = Point("own", *PLACE, bitmap.successor.marks.owed, Table({EARLIER: none}))
    chains = chain.changed(Chains(Table(points), 3), "d", written(before, command, done, "d"))
    if not waives(command, *PLACE) and not switches(command, *PLACE):
        yield ProveEach(ID, covered(chains, before, done))


def less_is_covered_too(prover: Prover) -> Iterator[Item]:
    """Of two points, after one of which no more was changed than after the other, it leaves no more uncovered."""
    state = A_BITMAP.state(prover)
    yield Played(state, Step(state))
    less, more, new = map(prover.arbitrary, ("changed after one", "changed after the other", "written now"))
    yield Assume(Inclusion("no more", less, more))
    points = {EARLIER: Point("one", "d", None, less, Table()), OWN: Point("other", "d", None, more, Table())}
    after = chain.changed(Chains(Table(points), 3), "d", new).points
    begun = chain.begins(Chains(after, 3), prover.space, "n", "d", None).points["3"].until
    left, more_left = (chain.uncovered(state.nodes["d"].bitmaps["a"], after[each]) for each in (EARLIER, OWN))
    yield Prove(ID, Inclusion("less was changed, so less is changed still", after[EARLIER].since, after[OWN].since))
    yield Prove(ID, Inclusion("less was changed, so less is to be copied", begun[EARLIER], begun[OWN]))
    yield Prove(ID, Inclusion("less was changed, so less is uncovered", left, more_left))


def at_one_instant(before: State[Any], done: Step[Any]) -> Iterator[Claim]:
    """A backup that begins with this command is covered by the bitmap, added or cleared with it or not."""
    bitmap, space = done.state.nodes["d"].bitmaps.get("a"), done.state.space
    if bitmap is None or bitmap.leaving or not recording(bitmap):
        return
    for job_id, job in done.state.jobs.items():
        if job_id not in before.jobs and job.node == "d":
            begun = chain.begins(Chains(), space, job_id, "d", job.bitmap)
            yield Inclusion(
                f"{job_id}: begins, and is covered", chain.uncovered(bitmap, begun.points["1"]), space.empty
            )


def covered(chains: Chains[Any], before: State[Any], done: Step[Any]) -> Iterator[Claim]:
    """What the bitmap covers after a command that neither waives nor switches it."""
    bitmap, none = done.state.nodes["d"].bitmaps.get("a"), done.state.space.empty
    yield Fact("it is there", bitmap is not None)
    if bitmap is None:
        return
    jobs = {end.job_id: end.job for end in done.ended} | dict(done.state.jobs)
    mine = {job_id: job for job_id, job in jobs.items() if (job.node, job.bitmap) == PLACE}
    handed_on = False
    for job_id, job in mine.items():
        end = next((each for each in done.ended if each.job_id == job_id), None)
        own = chains.points[OWN] if job_id in before.jobs else None
        if own is None:
            begun = chain.begins(chains, done.state.space, job_id, *PLACE)
            own = begun.points[str(chains.next)]
            yield Inclusion(f"{job_id}: new, so it copies what was changed", own.until[EARLIER], job.scope)
        else:
            yield Inclusion(f"{job_id}: it is to copy what it was", before.jobs[job_id].scope, job.scope)
        if end is None:
            owed = none if bitmap.successor is None else bitmap.successor.marks.owed
            yield Inclusion(f"{job_id}: changed since, so owed by the successor", own.since, owed)
        elif counts_as_delivered(end):
            handed_on = end.job.mode != "never"
            yield Inclusion(f"{job_id}: has ended, and is covered", chain.uncovered(bitmap, own), none)
        if end is not None and end.outcome == "completed":
            link = chain.linked(chains, done.state.space.everything(before.nodes["d"].size), own, end)
            yield Inclusion(f"{job_id}: completed, so all of it is supplied", job.scope, link.supplied)
    if not handed_on:
        yield Inclusion("covered still", chain.uncovered(bitmap, chains.points[EARLIER]), none)
