"""What one item of a run adds to its report: an entry of the ledger, a walk, a control sequence, a workflow, a drawn
scenario.

A run is the sum of its parts, in their order, wherever they were played.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.run.report import CommandCount, Failure, LedgerResult, PropertyCount, TourCount
from cbtcheck.run.turned_away import Sample
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.images.words import ImageEdge

LEDGER, FAILED_BEFORE, TOUR, HISTORIES, WORKFLOWS, TRAPS, FAMILIES, RESTARTS, IMAGES, LONG, DRAWN, BEHIND = (
    "ledger", "failed before", "tour", "every write history", "workflows", "traps", "families", "restarts",
    "tour of images", "long histories", "drawn", "turned away",
)  # fmt: skip

PHASES = (
    LEDGER, FAILED_BEFORE, TOUR, HISTORIES, WORKFLOWS, TRAPS, FAMILIES, RESTARTS, IMAGES, LONG, DRAWN, BEHIND,
)  # fmt: skip
"""In the order of a run."""

LEFT_OUT_AFTER_ENOUGH = (TOUR, HISTORIES, TRAPS, FAMILIES, RESTARTS, IMAGES, LONG, DRAWN, BEHIND)
"""The phases that end when enough has failed."""

OTHERWISE = "all as asked, but in another state"

NOT_IN_THE_PART = "of walks that this profile leaves out"
"""It plays a part of the tour of images, that another seed chooses otherwise; a larger profile plays more."""

NOT_ASKED_FOR, NOT_PLAYED = "not asked for", "not played"
"""What the run has left out by itself: because of `--only`, or because it ended early."""

Signature = tuple[Any, ...]
"""What makes two failures the same failure."""


@dataclass
class Part:
    """An item: the `number` of `of` items of its `phase` (0 if nobody knows how many there are), and what came of it.

    `scenarios` were played for it. `known_again` are races of the ledger (id and what happens) that occurred in it,
    `missed_because` says why edges may not have been reached that it was there for, and `image_edges_missed` the same
    of a walk of the tour of images, which has taken `image_edges`. `not_claimed` is what was not played at all, and
    what of it the implementation does not claim. `failures` are those of new kinds, `alike` counts the others by
    their kind, and `not_repeatable` is what failed once, and not again. `agree_now` says of scenarios that failed in
    the last run, by their file, whether they agree. `samples` are of what was turned away. `exhausted`: the adapter
    was late, or broke, so often that it is not worth waiting for any more.
    """

    phase: str
    number: int
    of: int
    scenarios: int = 0
    steps: int = 0
    compared: int = 0
    commands: dict[str, CommandCount] = field(default_factory=dict)
    properties: dict[str, PropertyCount] = field(default_factory=dict)
    edges: set[Edge] = field(default_factory=set)
    not_realised: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    known_again: dict[str, str] = field(default_factory=dict)
    confirmed: LedgerResult | None = None
    tour: TourCount = field(default_factory=TourCount)
    missed_because: dict[Edge, str] = field(default_factory=dict)
    image_edges: set[ImageEdge] = field(default_factory=set)
    image_edges_missed: dict[ImageEdge, str] = field(default_factory=dict)
    not_claimed: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[Signature, Failure]] = field(default_factory=list)
    not_repeatable: list[tuple[Signature, Failure]] = field(default_factory=list)
    alike: Counter[Signature] = field(default_factory=Counter)
    agree_now: dict[str, bool] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    exhausted: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the order of a run."""
        return PHASES.index(self.phase), self.number
