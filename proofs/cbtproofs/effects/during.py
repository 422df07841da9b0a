"""What happens during a step, as the claims about its effects see it: what is done, what lands, what ends.

A step is a whole command, or a *part* of a transaction: its drain, the preparation of one action, its commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from cbtmodel import commands as c
from cbtmodel.backup import Ended, Job
from cbtmodel.bitmap import Bitmap, Marks, recording
from cbtmodel.claims import Fact, Inclusion, written
from cbtmodel.node import State
from cbtmodel.step import Step

Part: TypeAlias = Literal["step", "drain", "prepare", "commit"]
Claim: TypeAlias = Inclusion[Any] | Fact
Claims: TypeAlias = Iterator[Claim]
Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class During:
    """A step that was accepted. `foggy` are the names of those of whom nothing is claimed."""

    before: State[Any]
    command: Any
    done: Step[Any]
    part: Part = "step"
    foggy: frozenset[str] = frozenset()

    @property
    def after(self) -> State[Any]:
        """The state after it."""
        return self.done.state

    @cached_property
    def actions(self) -> tuple[Any, ...]:
        """What is done, one after the other: a command, or the actions of a transaction."""
        return self.command.actions if isinstance(self.command, c.Transaction) else (self.command,)

    @cached_property
    def ended(self) -> dict[str, Ended[Any]]:
        """The jobs that it ended."""
        return {end.job_id: end for end in self.done.ended}

    @cached_property
    def jobs(self) -> dict[str, Job[Any]]:
        """All jobs after it: as they are, or as they were at their ends."""
        return {**self.after.jobs, **{job_id: end.job for job_id, end in self.ended.items()}}

    def drains(self, node: str) -> bool:
        """Whether everything in flight on this disk lands."""
        if isinstance(self.command, c.Transaction):
            return self.part in ("step", "drain")
        return isinstance(self.command, c.StartBackup) and self.command.node == node

    def written(self, node: str) -> Any:
        """What a guest has written to this disk."""
        return written(self.before, self.command, self.done, node)

    def user(self, node: str, name: str) -> str | None:
        """The job that has this bitmap after the step, or had it at its end; None if there is none."""
        return next((job_id for job_id, job in self.jobs.items() if (job.node, job.bitmap) == (node, name)), None)

    def gained(self, node: str, bitmap: Bitmap[Any]) -> Marks[Any]:
        """The marks that what a guest has written leaves under this name: none unless it records."""
        empty, new = self.before.space.empty, self.written(node)
        if new is empty or not recording(bitmap):
            return Marks(empty, empty, empty)
        size = self.before.nodes[node].size
        return Marks(self.before.space.round_out(new, bitmap.granularity, size), new, new)


def same_sets(where: str, now: Any, expected: Any) -> Claims:
    """Two sets have the same blocks."""
    if now is not expected:
        yield Inclusion(f"{where}: no more than it should be", now, expected)
        yield Inclusion(f"{where}: no less than it should be", expected, now)


def same_marks(where: str, now: Marks[Any], expected: Marks[Any]) -> Claims:
    """The same is dirty, owed, and caused, as is expected."""
    yield from same_sets(f"{where} dirty", now.dirty, expected.dirty)
    yield from same_sets(f"{where} owed", now.owed, expected.owed)
    yield from same_sets(f"{where} causes", now.causes, expected.causes)


def no_marks(state: State[Any]) -> Marks[Any]:
    """No marks."""
    return Marks(state.space.empty, state.space.empty, state.space.empty)
