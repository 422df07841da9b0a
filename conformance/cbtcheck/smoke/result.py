"""What came of it, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cbtcheck.scenario.verdict import EXIT_CODES

Outcome = Literal["right", "wrong", "skipped"]
Who = Literal["adapter", "implementation"]


@dataclass(frozen=True)
class Tried:
    """A stage: its title, what came of it, and the reason if it was skipped."""

    title: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Failure:
    """The first thing that went wrong.

    `who`: the *adapter* does not keep to the protocol, or the *implementation* behind it does not do what is
    specified. `sent` and `received` are lines, the latter "" if nothing came. `requests` show it by hand;
    `again` is whether they did when that was tried.
    """

    who: Who
    title: str
    sent: str
    received: str
    expected: str
    seen: str
    mistake: str
    log: list[str]
    requests: list[str]
    again: bool


@dataclass
class Smoke:
    """All stages until the first that was wrong. `implementation` is what it calls itself, "" if it said nothing.

    `bounded`: what `check` will not ask it for, with the reason.
    """

    implementation: str = ""
    tried: list[Tried] = field(default_factory=list)
    failure: Failure | None = None
    bounded: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code."""
        if self.failure is None:
            return EXIT_CODES["conformant"]
        return EXIT_CODES["broken" if self.failure.who == "adapter" else "unsafe or diverging"]
