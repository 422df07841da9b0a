"""RESTORES, of what happens to images: what a close, a crash or somebody else leaves of chains of backups.

As in `restores`, what a chain gives back is told by contents; here they also change when nobody is there. What a
crash has made of a write in flight, and what others have written, is any part of it: no less than that must be kept
as changed, and no more than could be. A backup that a close has cancelled is one that has ended; one that a crash has
taken along leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel.chain import Chains
from cbtmodel.claims import Fact, Inclusion, counts_as_delivered
from cbtmodel.image import Crash, Event, Happened, Image, Opened, Stored, WrittenByOthers, happen
from cbtmodel.image_chain import follow_event
from cbtmodel.record import replace
from cbtmodel.table import Table

from cbtproofs.inductive import images
from cbtproofs.inductive.casts import SIZE, Cast
from cbtproofs.inductive.images import EVENTS, A, Setting
from cbtproofs.inductive.restores import (
    ELSEWHERE,
    ID,
    OLDER,
    Told,
    arbitrarily_told,
    as_told,
    copied_so_far,
    laid_over,
    same,
)
from cbtproofs.inductive.script import Claim, Item, Opening, Play, Played, ProveEach, Prover, Script

Known = tuple[Stored[Any], Told]

A_GROUP = Cast("a group on two disks", (A, ("e", "b")), (("j", *A), ("k", "e", "b")), together=True)
TWO_WRITES = Cast("two jobs and two writes", (A,), (("j", *A), ("k", "d", None)), writes=("v", "w"))
SETTINGS = (
    Setting("closed", None, ("a",)),
    Setting("two jobs and two writes", TWO_WRITES, ("a",), ("a",)),
    Setting("a group on two disks", A_GROUP, ("a",), ("a",)),
)


def restores(setting: Setting, event: Event) -> Script:
    """One event, while backups may be under way on top of an older link."""

    def rest(prover: Prover, known: Known) -> Iterator[Item]:
        stored, told = known
        done = happen(stored, event)
        yield Played(stored.state)
        chains = as_told(told, stored.state)
        then = follow_event(chains, stored, event, done)
        if done.refusal is not None:
            yield ProveEach(ID, iter([Fact("refused, so nothing has changed", then is chains)]))
        else:
            yield ProveEach(ID, followed(told, chains, then, stored, done, *contents(prover, stored, event, done)))

    return Play(Opening(setting, arbitrary, legal), rest)


def arbitrary(setting: Setting, prover: Prover) -> Known:
    """Anything that this setting may be, and that may have become of contents; the disk e lies in an image, too."""
    stored = images.arbitrary(setting, prover)
    stored = replace(stored, images=Table({"e": Image(SIZE), **stored.images}))
    if "e" in stored.state.nodes:
        stored = replace(stored, opened=stored.opened.put("e", Opened(writable=True)))
    return stored, arbitrarily_told(prover, stored.state)


def legal(setting: Setting, known: Known) -> Iterator[Claim]:
    """What jobs have copied is on their targets, as it was."""
    if setting.cast is not None:
        yield from copied_so_far(setting.cast, (known[0].state, known[1]))


def contents(prover: Prover, before: Stored[Any], event: Event, done: Happened[Any]) -> tuple[Any, Any]:
    """What has changed on the disk d, and all that could have."""
    then, now = before.state.nodes.get("d"), done.stored.state.nodes.get("d")
    ended = prover.space.empty
    for write_id, blocks in {} if then is None else then.writes.items():
        ended = ended if now is not None and write_id in now.writes else ended | blocks
    if isinstance(event, WrittenByOthers):
        ended = prover.space.everything(SIZE)
    if isinstance(event, WrittenByOthers | Crash):
        return prover.arbitrary("what was made of it") & ended, ended
    return ended, ended


def followed(
    told: Told, chains: Chains[Any], then: Chains[Any], before: Stored[Any], done: Happened[Any], new: Any, most: Any
) -> Iterator[Claim]:
    """What is kept after an event is what is to be told then, when at least `new` has changed, and at most `most`."""
    older, none = then.points.get(OLDER), before.state.space.empty
    yield Fact("the older link: is as it was", older is not None and older.link is chains.points[OLDER].link)
    if older is not None:
        yield Inclusion("the older link: changed since, no less", told.since | new, older.since)
        yield Inclusion("the older link: changed since, no more", older.since, told.since | most)
    yield from same("another disk's", none, then.points[ELSEWHERE].since)
    places = {point.job: number for number, point in chains.points.items() if number not in (OLDER, ELSEWHERE)}
    yield Fact("no points are new", set(then.points) <= {OLDER, ELSEWHERE, *places.values()})
    ended = {end.job_id: end for end in done.ended}
    for job_id, job in before.state.jobs.items():
        end, point = ended.get(job_id), then.points.get(places[job_id])
        counts = job_id in done.stored.state.jobs if end is None else counts_as_delivered(end)
        yield Fact(f"{job_id}: a point, unless it is gone for nothing", (point is not None) == counts)
        if point is None:
            continue
        yield Fact(f"{job_id}: is of its disk and bitmap", (point.node, point.bitmap) == (job.node, job.bitmap))
        yield Fact(f"{job_id}: is a link once it has ended", (point.link is not None) == (end is not None))
        if job_id in told.after:
            yield Inclusion(f"{job_id}: changed since it began, no less", told.after[job_id] | new, point.since)
            yield Inclusion(f"{job_id}: changed since it began, no more", point.since, told.after[job_id] | most)
            yield from same(f"{job_id}: changed before it began", told.between[job_id], point.until[OLDER])
            below = told.wrong | told.between[job_id]
            yield from laid_over(job_id, point, below, job if end is None else end.job, end)


def listed() -> Iterator[tuple[Setting, Event]]:
    """Each setting, with each event."""
    for setting in SETTINGS:
        yield from ((setting, each) for each in EVENTS)
