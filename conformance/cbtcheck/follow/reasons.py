"""Why a bitmap does not have what an increment would need: in the order in which it came about.

A bitmap lacks what was waived, what was written while it was disabled, and what changed before it was there. Each of
these is somebody's command, and that is what whoever has lost a block wants to know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic

from cbtmodel.blocks import S
from cbtmodel.record import replace

MOST_REASONS = 64
"""Reasons that are kept apart for one bitmap; beyond that the oldest two are told as one."""


@dataclass(frozen=True, slots=True, order=True)
class At:
    """A place in a history: the number of a command or a line, which of the two it is, and what was said there."""

    number: int
    unit: str = field(compare=False)
    said: str = field(compare=False)

    @property
    def short(self) -> str:
        """The number only: *command 5*."""
        return f"{self.unit} {self.number}"

    def __str__(self) -> str:
        return f"{self.short} ({self.said})"


BEGINNING = At(0, "command", "the beginning")


@dataclass(frozen=True, slots=True)
class Reason(Generic[S]):
    """Blocks that a bitmap lacks although they have changed, and why.

    They changed at `first` or later, and at `last` or before; `blame` is the command without which the bitmap, or a
    backup, would have them. Before `came` the bitmap had them, or they had not changed.
    """

    why: str
    blame: At
    blocks: S
    first: At
    last: At
    came: At


@dataclass(frozen=True, slots=True)
class Reasons(Generic[S]):
    """All reasons of one bitmap, the oldest first.

    `disabled` is the command since which it does not record, `removed` the one that removed it, if it is not there.
    `added`: it was not there from the beginning. `distrusted` says why it is gone without a command, or openly not to
    be trusted, and which event did that.
    """

    known: tuple[Reason[S], ...] = ()
    disabled: At | None = None
    removed: At | None = None
    added: bool = False
    distrusted: tuple[str, At] | None = None

    def and_also(self, reason: Reason[S]) -> Reasons[S]:
        """One more; if it is the last one again, that has more blocks."""
        known = (*self.known, reason)
        if self.known and (self.known[-1].why, self.known[-1].blame) == (reason.why, reason.blame):
            last = self.known[-1]
            known = (*self.known[:-1], replace(last, blocks=last.blocks | reason.blocks, last=reason.last))
        elif len(known) > MOST_REASONS:
            older, old = known[:2]
            known = (replace(older, blocks=older.blocks | old.blocks, last=old.last), *known[2:])
        return replace(self, known=known)

    def of(self, blocks: S, until: At) -> Iterator[Reason[S]]:
        """Why these blocks were lacking then: for each the latest reason that has it. Some may have none of them."""
        for reason in reversed(self.known):
            if reason.came <= until:
                yield replace(reason, blocks=blocks & reason.blocks)
                blocks = blocks - reason.blocks
