"""Chains of backups, explored: every history of a tiny disk up to so many backups, with contents, and what restores.

The specification's own `step` and `follow` run, on ordinary sets. Beside them every block has a content, a new one
with each write; backups copy contents; and whenever a backup has ended its target is laid over those of older ones.
What is wrong then must be what `Link.lost_on` says, block for block. Contents are compared, never computed with, so
that two histories whose contents are equal in the same places are the same one.

The number of backups is limited, since a history of backups has no end; apart from that every command is given in
every state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cbtmodel import commands as c
from cbtmodel.bitmap import recording
from cbtmodel.chain import Chains, Link, follow, uncovered
from cbtmodel.claims import begun, counts_as_delivered, switches, waives, written
from cbtmodel.node import State, initial
from cbtmodel.step import Step, step
from cbtmodel.table import Table

from cbtproofs.explorer.checked import Failed
from cbtproofs.explorer.few_blocks import BLOCK, FewBlocks

RESTORES, COVERS = "RESTORES", "COVERS"
NOT_COPIED = -1

Content = tuple[int, ...]
"""The content of each block, as a number; of a target, `NOT_COPIED` where it has none."""


@dataclass(frozen=True)
class Contents:
    """The disk now, and for each point by its number the disk of its instant, and its target."""

    now: Content
    then: Table[Content] = field(default_factory=Table)
    target: Table[Content] = field(default_factory=Table)

    def renumbered(self) -> Contents:
        """The same contents with the smallest numbers: of each block in the order in which they are met."""
        listed = [self.now, *self.then.values(), *self.target.values()]
        by_block = []
        for of_block in zip(*listed, strict=True):
            seen = {NOT_COPIED: NOT_COPIED}
            by_block.append([seen.setdefault(each, len(seen) - 1) for each in of_block])
        rows = iter([*zip(*by_block, strict=True)])
        now = next(rows)
        then = Table({number: next(rows) for number in self.then})
        return Contents(now, then, Table({number: next(rows) for number in self.target}))


Place = tuple[State[Any], Chains[Any], Contents]


@dataclass
class Restored:
    """What was explored: places, which are states with their chains and contents.

    `restored`: how often a backup was laid over older ones, each time over one more; `lossy`: how often something was
    lost by that. `covered`: how often a bitmap that covered a point was looked at again. `failed` is what does not
    hold after `commands`, the shortest that there are; None if all holds.
    """

    blocks: int
    backups: int
    places: int = 0
    restored: int = 0
    lossy: int = 0
    covered: int = 0
    seconds: float = 0.0
    failed: Failed | None = None
    commands: tuple[c.Command, ...] = ()


def alphabet(blocks: int) -> tuple[c.Command, ...]:
    """What can happen to a disk with one bitmap, when there is one job at a time."""
    add, clear = c.AddBitmap("d", "a", BLOCK), c.ClearBitmap("d", "a")
    full = c.StartBackup("j", "d", "full", cluster=BLOCK)
    listed: list[c.Command] = [
        c.BeginWrite("d", "w", 0, BLOCK), c.EndWrite("d", "w"),
        add, clear, c.RemoveBitmap("d", "a"), c.DisableBitmap("d", "a"), c.EnableBitmap("d", "a"), c.CancelJob("j"),
        full, c.StartBackup("j", "d", "incremental", "a", cluster=BLOCK),
        c.StartBackup("j", "d", "bitmap", "a", "never", cluster=BLOCK),
        c.StartBackup("j", "d", "bitmap", "a", "always", cluster=BLOCK),
        *(c.Transaction((each, full)) for each in (add, clear)),
    ]  # fmt: skip
    for block in range(blocks):
        where = block * BLOCK, BLOCK
        listed += [c.Write("d", *where), c.Copy("j", *where), c.Copy("j", *where, "write error")]
    return tuple(listed)


def explore_chains(blocks: int, backups: int) -> Restored:
    """Every history of a disk of so many blocks with at most so many backups. Stops at what does not hold."""
    began, found = time.perf_counter(), Restored(blocks, backups)
    state = initial(FewBlocks(), {"d": blocks * BLOCK})
    first: Place = state, Chains(), Contents((0,) * blocks)
    known: dict[Place, tuple[Place, c.Command] | None] = {first: None}
    listed, commands = [first], alphabet(blocks)
    for place in listed:  # grows meanwhile
        for command in commands:
            after = _after(place, command, backups, found)
            if found.failed is not None:
                found.commands = (*_path(known, place), command)
                break
            if after is not None and after not in known:
                known[after] = place, command
                listed.append(after)
        if found.failed is not None:
            break
    found.places, found.seconds = len(listed), time.perf_counter() - began
    return found


def _path(known: dict[Place, tuple[Place, c.Command] | None], place: Place) -> tuple[c.Command, ...]:
    came = known[place]
    return () if came is None else (*_path(known, came[0]), came[1])


def _after(place: Place, command: c.Command, backups: int, found: Restored) -> Place | None:
    """Where a command leads, if it is accepted and is no backup too many; what does not hold then is noted."""
    before, chains, contents = place
    done = step(before, command)
    if done.refusal is not None:
        return None
    then = follow(chains, before, command, done)
    if then.next > backups + 1:
        return None
    contents = _followed(contents, chains, then, before, command, done)
    found.failed = next(_wrong(chains, then, contents, before, command, done, found), None)
    tables = ({n: each for n, each in of.items() if n in then.points} for of in (contents.then, contents.target))
    return done.state, then, Contents(contents.now, *map(Table, tables)).renumbered()


def _followed(
    contents: Contents, chains: Chains[Any], then: Chains[Any], before: State[Any], command: object, done: Step[Any]
) -> Contents:
    """Contents after a step: copies are made first, of what is not written yet; then writes; then backups begin."""
    now, target = [*contents.now], contents.target
    jobs = {**done.state.jobs, **{end.job_id: end.job for end in done.ended}}
    numbers = {point.job: number for number, point in chains.points.items() if point.link is None}
    for job_id, job in before.jobs.items():
        copied = [*target[numbers[job_id]]]
        for block in job.todo - jobs[job_id].todo:
            copied[block] = now[block]
        target = target.put(numbers[job_id], tuple(copied))
    for block in written(before, command, done, "d") | begun(before, command, done, "d"):
        now[block] = 1 + max(now[block], *(each[block] for each in (*contents.then.values(), *target.values())), 0)
    at_once, instants = tuple(now), contents.then
    for number in range(chains.next, then.next):
        instants = instants.put(str(number), at_once)
        target = target.put(str(number), (NOT_COPIED,) * len(now))
    return Contents(at_once, instants, target)


def _wrong(
    chains: Chains[Any], then: Chains[Any], contents: Contents, before: State[Any], command: object, done: Step[Any],
    found: Restored,
) -> Iterator[Failed]:  # fmt: skip
    """What does not hold: of backups that have ended with this command, and of the bitmap."""
    ended = {number for number, point in chains.points.items() if point.link is not None}
    new = {number: point for number, point in then.points.items() if number not in ended}
    links = [number for number, point in new.items() if point.link is not None]
    if len(links) != sum(map(counts_as_delivered, done.ended)) or len(new) - len(links) != len(done.state.jobs):
        yield Failed(RESTORES, "a link for each backup that has ended and counts, and a point for each that runs")
    for number in links:
        link = then.points[number].link
        assert link is not None
        yield from _restored(number, link, contents, found)
    bitmap, heir = (each.nodes["d"].bitmaps.get("a") for each in (before, done.state))
    said = waives(command, "d", "a") or switches(command, "d", "a")
    if bitmap is None or heir is None or said or not recording(bitmap):
        return
    ends = [end.job for end in done.ended if end.job.bitmap == "a" and counts_as_delivered(end)]
    handed_on = any(job.mode != "never" for job in ends)
    for number, point in chains.points.items():
        if number in then.points and not handed_on and not uncovered(bitmap, point):
            found.covered += 1
            if uncovered(heir, then.points[number]):
                yield Failed(COVERS, f"point {number} is covered no more", uncovered(heir, then.points[number]))


def _restored(number: str, link: Link[Any], contents: Contents, found: Restored) -> Iterator[Failed]:
    """A link, laid over each of the older ones; those that are younger than that one lie between."""
    older = [*reversed([*link.lost_on])]
    blocks = range(len(contents.now))
    for many in range(len(older) + 1):
        image = [NOT_COPIED] * len(contents.now)
        for each in (*older[:many], number):
            pairs = zip(image, contents.target[each], strict=True)
            image = [below if above == NOT_COPIED else above for below, above in pairs]
        wrong = frozenset(block for block in blocks if image[block] != contents.then[number][block])
        said = link.lost_on[older[many - 1]] if many else frozenset(blocks) - link.supplied
        found.restored += 1
        found.lossy += bool(wrong)
        if wrong != said:
            yield Failed(RESTORES, f"point {number} on {older[:many] or 'nothing'}", wrong ^ said)
