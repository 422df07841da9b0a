"""LOCAL: what a command does not name, and does not reach, is the very same object afterwards.

So a proof about those whom a command reaches is a proof about all. A command reaches the bitmap or the job that it
names; a guest write, and the drain before a backup, reach all of their disk; and whatever may end a job reaches that
job's group, with the bitmaps that these jobs have frozen. A transaction drains every disk, and is looked at action
by action, when that is done. A refused command reaches nothing at all: ATOMIC is all that is to be proved of it,
since of the same state everything holds that was assumed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel import properties
from cbtmodel.claims import Fact
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.traits import changed_bitmap, traits_of

from cbtproofs.inductive.opaque import LooksInside
from cbtproofs.inductive.paths import Path, Undecidable

ID = "LOCAL"

Places = set[tuple[str, str | None]]


def local(before: State[Any], command: object, done: Step[Any]) -> Iterator[Fact]:
    """Whatever a command does not name and does not reach is the very same object afterwards."""
    if done.refusal is not None or isinstance(command, c.Transaction):
        return
    jobs, bitmaps = reached(before, command)
    for job_id, job in before.jobs.items():
        if job_id not in jobs:
            yield Fact(f"{job_id}: not reached, so the very same", done.state.jobs.get(job_id) is job)
    for node_name, node in before.nodes.items():
        after = done.state.nodes[node_name].bitmaps
        for name, bitmap in node.bitmaps.items():
            if (node_name, name) not in bitmaps:
                yield Fact(f"{node_name}/{name}: not reached, so the very same", after.get(name) is bitmap)
        if traits_of(command).reach != "a disk" or command.node != node_name:  # type: ignore[attr-defined]
            same = done.state.nodes[node_name].writes is node.writes
            yield Fact(f"{node_name}: not reached, so the very same writes are in flight", same)


def atomic(before: State[Any], command: object, done: Step[Any]) -> list[Fact]:
    """ATOMIC. A set that is not the very same one has changed, for all that can be known."""
    try:
        return [claim for claim in properties.atomic(before, command, done) if isinstance(claim, Fact)]
    except LooksInside:
        return [Fact("refused, so nothing has changed", False)]


def refused_at_sight(path: Path, act: Callable[[], Step[Any]]) -> bool:
    """Whether a command is refused for its names alone: in every state of the cast, legal or not."""
    with path.undecided():
        try:
            return act().refusal is not None
        except Undecidable:
            return False


def reached(before: State[Any], command: object) -> tuple[set[str], Places]:
    """The ids of the jobs and the places of the bitmaps that a command may change."""
    # Said by a trait, and not asked of the transitions: a mistake in those would be excused by itself.
    match traits_of(command).reach:
        case "a bitmap":
            return set(), {place for place in (changed_bitmap(command),) if place is not None}
        case "a job":
            return {command.job}, set()  # type: ignore[attr-defined]
        case "a group":
            return with_groups(before, [command.job])  # type: ignore[attr-defined]
        case "a disk":
            node: str = command.node  # type: ignore[attr-defined]
            jobs, frozen = with_groups(before, [job_id for job_id, job in before.jobs.items() if job.node == node])
            return jobs, frozen | {(node, name) for name in before.nodes[node].bitmaps}
        case "everything" | "nothing":
            return set(), set()
        case other:
            assert_never(other)


def with_groups(before: State[Any], ids: Iterable[str]) -> tuple[set[str], Places]:
    """These jobs and all that end with them, and the bitmaps that they have frozen."""
    jobs = {member for job_id in ids for member in before.jobs[job_id].group}
    return jobs, {(before.jobs[job_id].node, before.jobs[job_id].bitmap) for job_id in jobs}
