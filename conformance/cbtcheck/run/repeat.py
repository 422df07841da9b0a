"""Does it come again? Whatever looks like a failure is played once more before it is called one.

What does not come again is *not repeatable*: a verdict of its own, neither passed nor failed. A crash is different: a
process that has died has died, even if it does not die again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbtcheck.follow.play import Frame, verdict_of
from cbtcheck.scenario.verdict import Finding, Verdict

REPLAYS = 5
"""How often a scenario that failed is played again at most, until it fails again."""

Outcome = tuple[list[Finding], list[Frame]]
"""What differed when a scenario was played, and its steps. No findings: it agreed."""


@dataclass(frozen=True)
class Repeated:
    """What came of it: the findings to report with their steps, and that `again` of `replays` failed.

    `comes_again`: it is a failure that can be relied on.
    """

    findings: list[Finding]
    frames: list[Frame]
    replays: int
    again: int
    comes_again: bool

    @property
    def counts(self) -> bool:
        """Whether it is a failure: it comes again, or something has died."""
        return self.comes_again or any(each.died for each in self.findings)

    @property
    def in_words(self) -> str:
        """How often it failed."""
        many = f"{self.replays} replay{'' if self.replays == 1 else 's'}"
        if self.comes_again:
            return f"failed in {self.again + 1} of {self.replays + 1} plays"
        return f"seen once; not in {many}"


def repeated(first: Outcome, play: Callable[[], Outcome], stop: Callable[[], bool] = lambda: False) -> Repeated:
    """Plays a scenario that failed again, until it fails in the same way, or `REPLAYS` times.

    `play` plays it once, as it was played the first time. If it fails again and again, each time in another way, the
    mildest of these is what it can be relied on. It is played again at least once; then `stop` may end it.
    """
    others: list[Outcome] = []
    replays = 0
    while replays < REPLAYS and not (replays and stop()):
        replays += 1
        found = play()
        if not found[0]:
            continue
        others.append(found)
        if kind(found) == kind(first):
            return Repeated(*found, replays, len(others), True)
    if len(others) > 1:
        return Repeated(*min(others, key=lambda each: verdict_of(each[0]).severity), replays, len(others), True)
    return Repeated(*first, replays, len(others), False)


def kind(outcome: Outcome) -> tuple[Verdict, str]:
    """What makes two failures of one scenario the same: the verdict, and the property that is at stake."""
    findings, _ = outcome
    return verdict_of(findings), findings[0].property if findings else ""
