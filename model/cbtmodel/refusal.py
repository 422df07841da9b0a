"""How a command is refused: one idiom for the whole specification.

A transition is its preconditions, then its effects. A precondition that does not hold raises `Refused`; `step` turns
that into a reply, with the state as it was. Since nothing is ever changed in place, a refused command cannot have
had half an effect. The kinds are what an implementation must agree on; the exact wording is its own affair.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "not found",  # no node, bitmap, job or write of that name
    "exists",  # the name is taken
    "busy",  # the bitmap is in use by a job, or by an uncommitted removal
    "size mismatch",  # merge between disks of different sizes
    "invalid",  # malformed, out of range, or a combination that means nothing
    "wrong phase",  # the job cannot do that now
    "aborted",  # the transaction contains an abort action
    "copy failed",  # copy-before-write failed, so the guest write must not happen
]


class Refused(Exception):
    """The command cannot be done in this state; nothing has changed."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind: Kind = kind
        self.reason = reason


def require(condition: bool, kind: Kind, reason: str) -> None:
    """Refuse with `kind` unless `condition` holds."""
    if not condition:
        raise Refused(kind, reason)
