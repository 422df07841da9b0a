"""What whoever plays a part of a run asks of the run as a whole: `Course` is all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cbtcheck.adapter import Adapter
from cbtcheck.follow.play import Player
from cbtcheck.run.part import Part
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding

Known = Callable[[list[Finding]], bool]
"""Whether what was found is a known defect, and nothing else."""

Smaller = Callable[[Callable[[Scenario], object]], Scenario]
"""Makes a failing scenario smaller: it is given what plays one and gives back what was found."""


class Playing(Protocol):
    """A run as its parts see it: `turned_away_now` are the defects that the scenario at hand was kept from."""

    adapter: Adapter
    player: Player
    part: Part
    interrupted: Callable[[], bool]
    turned_away_now: list[str]
    sampling: bool

    @property
    def most_writes(self) -> int:
        """How many guest writes a history of the universal disk may have."""

    def is_known(self, findings: list[Finding]) -> bool:
        """Whether that is a race of the ledger, which can occur anywhere."""

    def play(self, phase: str, origin: str, scenario: Scenario, smaller: Smaller | None = None) -> bool:
        """Plays, counts and judges a scenario; whether it agrees."""
