"""What the command line asks of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cbtcheck.run.failed_before import FailedBefore


@dataclass(frozen=True)
class Options:
    """What the command line asks for. `only` is the ID of a property, or the name of a command or event."""

    profile: str
    seed: int
    examples: int | None
    seconds: float | None
    only: str | None
    reports: Path
    most_seconds: float | None = None
    """For the whole run: what is over then counts as interrupted."""
    first: bool = False
    """Whether it ends with the first failure."""
    before: FailedBefore | None = None
    """What failed in the last run, if the run is to begin with that."""
    writes: int | None = None
    """How many guest writes a history of the universal disk may have; None leaves that to the profile."""
