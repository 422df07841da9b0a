"""What a verifier keeps of guest writes while it cannot say yet what they did; and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pyroaring import BitMap64

MOST_ALONE = 64
"""Writes of one kind in a window, beyond which they are not told apart where a job's end may depend on them."""


@dataclass(slots=True)
class OpenWrite:
    """A guest write that may not have ended yet. `before`: the items of the window that are known to be before it."""

    node: str
    first: int
    past: int
    end: float
    sure: bool
    before: int


class Gathered:
    """Guest writes as one set, and each for itself, if they are few."""

    def __init__(self) -> None:
        self.blocks = BitMap64()
        self.runs: list[tuple[int, int]] = []

    def add(self, first: int, past: int) -> None:
        """One more."""
        self.blocks.add_range(first, past)
        if len(self.runs) <= MOST_ALONE:
            self.runs.append((first, past))


@dataclass
class Counts:
    """What was in the trace, what was judged of it, and what was not, by reason."""

    writes: int = 0
    commands: int = 0
    ends: int = 0
    looks: int = 0
    replies_judged: int = 0
    looks_judged: int = 0
    windows: int = 0
    unjudged: Counter[str] = field(default_factory=Counter)
