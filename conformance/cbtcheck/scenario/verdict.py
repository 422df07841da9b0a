"""Verdicts: what the suite says of an implementation, of a property, of one scenario.

Safety (is any write lost?) and exactness (is anything reported that need not be?) are separate results.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from cbtcheck.host.printable import plain


class Verdict(enum.Enum):
    """From best to worst."""

    EXACT = "exact"  # everything is as the specification says
    SKIPPED = "skipped"  # the implementation does not claim the capability; never counted as passed
    KNOWN = "known"  # listed in the ledger of expected failures
    NOT_REPEATABLE = "not repeatable"  # it failed once, and not when it was played again: neither passed nor failed
    WASTEFUL = "wasteful"  # safe, but reports more than there is
    DIVERGES = "diverges"  # a wrong reply, name, flag, phase or refusal
    UNSAFE = "unsafe"  # a write is lost: reported less than is owed, or restored data differ
    BROKEN = "broken"  # crash, hang or garbage

    @property
    def severity(self) -> int:
        """0 for the best."""
        return list(Verdict).index(self)

    @property
    def safe(self) -> bool:
        """No write was lost."""
        return self not in (Verdict.UNSAFE, Verdict.BROKEN)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of them; exact if there are none."""
    return max(verdicts, key=lambda each: each.severity, default=Verdict.EXACT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: the property that is at stake (an ID, or empty), the place, what was expected and seen.

    `died`: it is a process that has died. `output` is all that is left of what the implementation has printed.
    `missing` and `extra` are granules as bit vectors, where the disagreement is about bits.
    """

    verdict: Verdict
    property: str
    where: str
    expected: str
    seen: str
    missing: int | None = None
    extra: int | None = None
    died: bool = field(default=False, compare=False, kw_only=True)
    output: str = field(default="", compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        """One line, with nothing in it that is an order to a terminal."""
        at_stake = f" [{self.property}]" if self.property else ""
        return plain(f"{self.verdict.value}{at_stake} {self.where}: expected {self.expected}; seen {self.seen}")


EXIT_CODES = {
    "conformant": 0,
    "wasteful": 1,
    "unsafe or diverging": 2,
    "broken": 3,
    "ledger": 4,
    "not repeatable": 5,
    "incomplete": 6,
    "commands": 7,
    "stuck": 8,
    "usage": 64,
    "internal": 70,
    "output": 74,
    "interrupted": 130,
}
"""What `cbtspec check` and `cbtspec replay` exit with; from 64 on those of every subcommand."""


def exit_code(verdict: Verdict) -> int:
    """The documented exit code of a verdict."""
    if verdict is Verdict.BROKEN:
        return EXIT_CODES["broken"]
    if verdict in (Verdict.UNSAFE, Verdict.DIVERGES):
        return EXIT_CODES["unsafe or diverging"]
    if verdict is Verdict.WASTEFUL:
        return EXIT_CODES["wasteful"]
    if verdict is Verdict.NOT_REPEATABLE:
        return EXIT_CODES["not repeatable"]
    return EXIT_CODES["conformant"]
