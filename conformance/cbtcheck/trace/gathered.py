"""What a verifier keeps of guest writes while it cannot say yet what they did; and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import assert_never

from cbtcheck.sets.between import Between, exactly
from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.numbers import Numbers
from cbtcheck.trace.events import (
    AllCopied,
    EndOfJobs,
    Event,
    Forgotten,
    Given,
    Landed,
    Look,
    LookAtJobs,
    OfImages,
    Resized,
    StoppedByError,
    Used,
)

MOST_ITEMS = 32
"""Commands and looks in a window, after which writes that have not ended are no longer told apart."""

MOST_OPEN = 1 << 16
"""Writes in flight at once, beyond which they are no longer told apart."""

SWEEP = 4096

MOST_SINGLE = 16
"""Writes in a window that are told apart; where there are more, those of a kind are one set."""

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
        self.blocks = Numbers()
        self.runs: list[tuple[int, int]] = []

    def add(self, first: int, past: int) -> None:
        """One more."""
        self.blocks.add_range(first, past)
        if len(self.runs) <= MOST_ALONE:
            self.runs.append((first, past))

    def with_all(self, other: Gathered) -> Gathered:
        """These and others."""
        both = Gathered()
        both.blocks, both.runs = self.blocks | other.blocks, (self.runs + other.runs)[: MOST_ALONE + 1]
        return both


class Over:
    """Guest writes of a disk that are over, and that no world has been given yet. `perhaps`: some or none of them."""

    def __init__(self) -> None:
        self.sure, self.perhaps = Numbers(), Numbers()

    def add(self, first: int, past: int, sure: bool) -> None:
        """One more; not `sure`: perhaps it did not happen."""
        (self.sure if sure else self.perhaps).add_range(first, past)

    def add_all(self, gathered: Gathered, sure: bool) -> None:
        """The same of several."""
        (self.sure if sure else self.perhaps).update(gathered.blocks)

    def __bool__(self) -> bool:
        return bool(self.sure) or bool(self.perhaps)

    def blocks(self, space: CompressedSets, lingering: Compressed) -> Between:
        """What they have written, and perhaps `lingering`, too."""
        least = space.gathered(self.sure)
        most = least | space.gathered(self.perhaps) | lingering
        return exactly(least) if most is least else Between(least, most)


@dataclass
class Counts:
    """What was in the trace, what was judged of it, and what was not, by reason.

    `undecided` are the lines where so much overlaps that nothing can be said of it, nor of what was known before;
    `mixed` those of looks that are allowed, but perhaps only by a mixture of orders that exclude each other.
    """

    writes: int = 0
    commands: int = 0
    ends: int = 0
    looks: int = 0
    replies_judged: int = 0
    looks_judged: int = 0
    windows: int = 0
    unjudged: Counter[str] = field(default_factory=Counter)
    undecided: list[int] = field(default_factory=list)
    mixed: list[int] = field(default_factory=list)

    def happened(self, event: Event, unjudged: str | None) -> None:
        """One more event; `unjudged` is why the reply of a command is not judged."""
        match event:
            case Given():
                self.commands += 1
                if unjudged is None:
                    self.replies_judged += 1
                else:
                    self.unjudged[unjudged] += 1
            case OfImages():
                self.commands += 1
                self.replies_judged += 1
            case Look() | LookAtJobs():
                self.looks += 1
            case EndOfJobs() | AllCopied() | StoppedByError():
                self.ends += 1
            case Landed() | Resized() | Used() | Forgotten():
                pass
            case _:
                assert_never(event)
