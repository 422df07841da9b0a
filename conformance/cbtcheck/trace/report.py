"""A verdict about a whole trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.scenario.verdict import Finding, Verdict, worst
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.gathered import Counts

MOST_KEPT = 100
"""Disagreements that are kept; the others are counted."""


@dataclass
class TraceReport:
    """What came of a trace: disagreements with their lines, how many there were, and what was looked at.

    `missing`: where nothing was judged, what the trace would have to have for that.
    """

    format: str = ""
    counts: Counts = field(default_factory=Counts)
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    number: int = 0
    worst: Verdict = Verdict.EXACT
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    chains: list[OfGaps | OfWorlds] = field(default_factory=list)

    def tell(self, line: int, finding: Finding) -> None:
        """One more disagreement."""
        self.number += 1
        self.worst = worst([self.worst, finding.verdict])
        if len(self.findings) < MOST_KEPT:
            self.findings.append((line, finding))

    @property
    def judged(self) -> int:
        """How many replies and looks were judged."""
        return self.counts.replies_judged + self.counts.looks_judged

    @cached_property
    def tables(self) -> list[tuple[ChainTable, OfGaps | OfWorlds]]:
        """What the backups of each session give back, of those that have any; asked for when all has been read."""
        found = [(each.table(), each) for each in self.chains]
        return [(table, each) for table, each in found if table.rows or table.failed or table.waived]

    @property
    def restores(self) -> bool | None:
        """Whether every restore point gives its disk back, whatever a guest wrote unseen.

        None if there is none, or if none is known not to, and the trace does not tell of one whether it does.
        """
        rows = [row for table, _ in self.tables for row in table.rows if row.complete]
        if any(table.unsafe or table.depends for table, _ in self.tables):
            return False
        return True if rows and not self.chains_undecided else None

    @property
    def chains_undecided(self) -> bool:
        """Whether the trace does not tell of a restore point whether it gives its disk back."""
        return any(table.undecided or each.lost_from for table, each in self.tables)

    @property
    def conformant(self) -> bool:
        """Something was judged, all of it is allowed, and nothing was undecided."""
        return self.number == 0 and self.judged > 0 and not self.counts.undecided and not self.counts.mixed
