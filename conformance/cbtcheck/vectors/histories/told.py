"""All histories, by the groups that they are told in."""

from __future__ import annotations

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.vectors.histories.beginnings import BEGINNINGS
from cbtcheck.vectors.histories.bitmaps import BITMAPS, CHECKPOINTS, DISKS, SCHEDULES
from cbtcheck.vectors.histories.increments import DIFFERENTIALS, INCREMENTS, LEFTOVERS
from cbtcheck.vectors.histories.telling import History

HISTORIES: tuple[History, ...] = (
    *BEGINNINGS, *INCREMENTS, *DIFFERENTIALS, *LEFTOVERS, *BITMAPS, *DISKS, *SCHEDULES, *CHECKPOINTS,
)  # fmt: skip


def scenario_of(history: History) -> Scenario:
    """A history as a scenario."""
    return Scenario(dict(history.disks), history.commands, title=history.title)
