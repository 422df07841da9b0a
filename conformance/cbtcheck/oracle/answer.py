"""What the oracle answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cbtmodel.step import Step

from cbtcheck.adapter import ACCEPTED, Reply
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.compressed import Compressed
from cbtcheck.sets.granules import Granules

How = Literal["rw", "ro", ""]
Ends = tuple[tuple[str, str], ...]
"""Jobs that ended, by their ids, with their outcomes."""


class OracleError(Exception):
    """The oracle cannot do what it was asked; nothing has changed. The message is one line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the specification replies to a command, which jobs that ends, and what differs from what was seen.

    `others` are different answers, if it is not known what has happened before (see `Oracle.command`), or this
    command itself may have happened or not. `worlds` is how many histories are possible still.
    """

    reply: Reply = ACCEPTED
    ended: Ends = ()
    findings: tuple[Finding, ...] = ()
    others: tuple[tuple[Reply, Ends], ...] = ()
    worlds: int = 1

    @property
    def accepted(self) -> bool:
        """Whether the command is accepted."""
        return not self.reply.refusal


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a bitmap must have (what is owed, in whole granules) and what it may have (what is dirty), and its flags.

    If it is not known what has happened: what it must have in every possible history, and may have in any. Where
    disks lie in images: `persistent`, it is to be stored, in every history; `inconsistent`, it is not to be trusted,
    in any.
    """

    must: Granules
    may: Granules
    granularity: int
    recording: bool
    busy: bool
    persistent: bool = False
    inconsistent: bool = False


@dataclass(frozen=True, slots=True)
class EntryBounds:
    """A bitmap in the file of an image: what must be stored of it, and what may. If it is in use nothing counts."""

    granularity: int
    enabled: bool
    in_use: bool
    must: Granules
    may: Granules


@dataclass(frozen=True, slots=True)
class ImageBounds:
    """An image: how it is open ("rw", "ro", or "" if it is closed), and the bitmaps in its file, by name."""

    open: How
    entries: dict[str, EntryBounds]


def answer_of(step: Step[Compressed] | None) -> tuple[Reply, Ends]:
    """What the specification says; None: the command has not happened."""
    if step is None:
        return ACCEPTED, ()
    reply = Reply(step.refusal.kind, step.refusal.reason) if step.refusal else ACCEPTED
    return reply, tuple((end.job_id, end.outcome) for end in step.ended)
