"""What a property is made of: claims, and what they look at.

A *claim* is either an inclusion between two sets of blocks, or a plain fact about control state. Whoever checks
decides what "holds" means: for ordinary sets it is `<=`; a prover asks for every block at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic

from cbtmodel.backup import Ended, Job
from cbtmodel.bitmap import Bitmap, Marks, busy, recording
from cbtmodel.blocks import S
from cbtmodel.commands import BeginWrite, StartBackup, Transaction, Write
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.traits import changed_bitmap, traits_of


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


# Looking at a state


def all_bitmaps(state: State[S]) -> Iterator[tuple[str, str, Bitmap[S]]]:
    """Every bitmap, with its node and its name."""
    for node_name, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            yield node_name, name, bitmap


def all_marks(state: State[S]) -> Iterator[tuple[str, str, Bitmap[S], Marks[S]]]:
    """The marks of every bitmap and every successor: the node, the place, the bitmap, and the marks."""
    for node, name, bitmap in all_bitmaps(state):
        yield node, f"{node}/{name}", bitmap, bitmap.marks
        if bitmap.successor is not None:
            yield node, f"{node}/{name}'s successor", bitmap, bitmap.successor.marks


def sets_of(state: State[S]) -> Iterator[tuple[str, S]]:
    """Every set of blocks in a state, with its place."""
    for _, where, _, marks in all_marks(state):
        yield f"{where} dirty", marks.dirty
        yield f"{where} owed", marks.owed
        yield f"{where} causes", marks.causes
    for job_id, job in state.jobs.items():
        for what in ("todo", "copying", "scope", "intact", "good"):
            yield f"{job_id} {what}", getattr(job, what)


def without_sets(state: State[S]) -> tuple[object, ...]:
    """All of a state but its sets: names, flags, phases, and who is frozen."""
    bitmaps = [
        (node_name, name, each.granularity, each.enabled, recording(each), busy(each), each.leaving)
        for node_name, node in state.nodes.items()
        for name, each in node.bitmaps.items()
    ]
    jobs = [
        (job_id, job.node, job.bitmap, job.mode, job.cluster, job.group, job.auto_finalize, job.phase, job.paused)
        for job_id, job in state.jobs.items()
    ]
    return bitmaps, jobs


def frozen_bitmap(state: State[S], job: Job[S]) -> Bitmap[S] | None:
    """The bitmap that the job has frozen, if it is there and is frozen."""
    found = None if job.bitmap is None else state.nodes[job.node].bitmaps.get(job.bitmap)
    return found if found is not None and found.successor is not None else None


# Looking at a step


def written(before: State[S], command: object, step: Step[S], node: str) -> S:
    """What a guest has written to the disk in this step: whole writes, and writes in flight that have ended."""
    blocks = before.space.empty
    if step.refusal is not None:
        return blocks
    if (
        isinstance(command, Write)
        and command.node == node
        and (command.kind, command.result) != ("discard", "ignored")
    ):
        blocks = blocks | before.space.blocks(command.offset, command.length)
    for write_id, each in before.nodes[node].writes.items():
        if write_id not in step.state.nodes[node].writes:
            blocks = blocks | each
    return blocks


def begun(before: State[S], command: object, step: Step[S], node: str) -> S:
    """What a guest has begun to write, and not ended, in this step."""
    if isinstance(command, BeginWrite) and command.node == node and step.refusal is None:
        return before.space.blocks(command.offset, command.length)
    return before.space.empty


def waives(command: object, node: str, name: str) -> bool:
    """Whether an operator says with this command that a bitmap need not have what it has: clear, or remove."""
    if isinstance(command, Transaction):
        return any(waives(action, node, name) for action in command.actions)
    return traits_of(command).waives and changed_bitmap(command) == (node, name)


def switches(command: object, node: str, name: str) -> bool:
    """Whether an operator says with this command whether a bitmap records: enable, disable, or make it anew."""
    if isinstance(command, Transaction):
        return any(switches(action, node, name) for action in command.actions)
    return traits_of(command).switches and changed_bitmap(command) == (node, name)


def is_full(command: object, job: str) -> bool:
    """Whether a command, or an action of it, asks for a full backup with this id."""
    if isinstance(command, Transaction):
        return any(is_full(action, job) for action in command.actions)
    return isinstance(command, StartBackup) and command.job == job and command.sync == "full"


def counts_as_delivered(end: Ended[S]) -> bool:
    """Whether its bitmap may rely on what a job has copied: if it completed, or by bitmap mode *always*."""
    return end.outcome == "completed" or end.job.mode == "always"


def owed_under_name(bitmap: Bitmap[S]) -> S:
    """What is owed by a bitmap and its successor."""
    return bitmap.marks.owed if bitmap.successor is None else bitmap.marks.owed | bitmap.successor.marks.owed
