"""What `--only` names, and whether a scenario exercises it."""

from __future__ import annotations

from cbtcheck.scenario import KINDS, Scenario, spelled
from cbtcheck.tally import PROPERTIES


def names_for_only() -> list[str]:
    """What `--only` understands: the IDs of properties, and the names of commands."""
    commands = [name for name in KINDS if name not in ("abort", "restore")]
    return [*PROPERTIES, *commands]


def exercises(scenario: Scenario, only: str | None) -> bool:
    """Whether a scenario exercises this property or command; every scenario does if nothing is named."""
    if only is None:
        return True
    wanted = PROPERTIES.get(only)
    kinds = {spelled(type(each).__name__) for each in scenario.commands}
    return bool(kinds & wanted) if wanted is not None else only in kinds
