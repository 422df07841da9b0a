"""The workflows that users run, as scenarios: they come with the suite, and every adapter has to play them."""

from __future__ import annotations

from pathlib import Path

from cbtcheck.scenario.scenario import Scenario, load


def workflows() -> dict[str, Scenario]:
    """All of them by name, in order."""
    return {path.stem: load(path) for path in sorted(Path(__file__).parent.glob("*.json"))}
