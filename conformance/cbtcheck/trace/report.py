"""A verdict about a whole trace, and the way from a file to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

import msgspec

from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.scenario.verdict import Finding, Verdict, worst
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.gathered import Counts
from cbtcheck.trace.lines import lines
from cbtcheck.trace.notes import GUEST_UNKNOWN, notes
from cbtcheck.trace.own import OwnReader, read_head, verifier_for
from cbtcheck.trace.qmp import read
from cbtcheck.trace.sessions import Monitor, survey
from cbtcheck.trace.wire import Wire

MOST_KEPT = 100
"""Disagreements that are kept; the others are counted."""


@dataclass(frozen=True)
class Options:
    """What the command line says. None: what the trace says, or what is usual for its format.

    `copies` and `guest` are "recorded" or "unknown". For QMP logs: `disks` are sizes in bytes, and `monitor` is
    the one that is judged. `alignment`: writes may be recorded as if they began and ended at multiples of so many
    bytes, a power of two.
    """

    format: str = "auto"
    copies: str | None = None
    guest: str | None = None
    disks: dict[str, int] = field(default_factory=dict)
    monitor: str | None = None
    alignment: int | None = None


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
        """Whether every restore point gives its disk back, whatever a guest wrote unseen; None if there is none."""
        rows = [row for table, _ in self.tables for row in table.rows if row.complete]
        wrong = any(table.unsafe or table.depends for table, _ in self.tables)
        return not wrong if rows else None

    @property
    def conformant(self) -> bool:
        """Something was judged, all of it is allowed, and nothing was undecided."""
        return self.number == 0 and self.judged > 0 and not self.counts.undecided and not self.counts.mixed


def verify(file: BinaryIO, options: Options) -> TraceReport:
    """Judges a trace. `TraceProblem` if it cannot be read, or not be judged."""
    report = TraceReport()
    listed = lines(file)
    first = next(listed, None)
    if first is None:
        raise TraceProblem(1, "the file is empty")
    report.format = options.format if options.format != "auto" else _format(first[1])
    if report.format == "trace":
        if options.monitor is not None:
            raise TraceProblem(1, "--monitor is for QMP logs; a trace in our own format has no monitors")
        head = read_head(*first)
        verifier = verifier_for(head, report.tell, options.copies, options.guest, options.alignment)
        report.counts = verifier.counts
        if not verifier.guest_seen:
            report.notes.append(GUEST_UNKNOWN)
        OwnReader(head, verifier).read(listed)
        if not report.judged:
            report.missing = ["there is no command with a definite reply in it, and nothing that was seen"]
        report.chains = [verifier.chains]
        return report
    if report.format != "qmp":
        raise ValueError(report.format)
    guest = options.guest or "unknown"
    with _twice(file, first[1]) as again:
        monitors = _chosen(survey(Wire().messages(lines(again)), options.disks), options.monitor)
        again.seek(0)
        wire = Wire()
        messages = wire.messages(lines(again))
        readers = read(messages, monitors, report.tell, guest, report.counts, options.alignment or 1)
    report.chains = [chains for reader in readers for chains in reader.chains]
    notes(report, monitors, wire, guest)
    return report


def _chosen(monitors: dict[str, Monitor], chosen: str | None) -> dict[str, Monitor]:
    if chosen is None:
        return monitors
    if chosen not in monitors:
        there = ", ".join(sorted(monitors)[:20]) or "none with a name"
        raise TraceProblem(1, f"there is no monitor {chosen} in this log (there are: {there})")
    return {chosen: monitors[chosen]}


@contextmanager
def _twice(file: BinaryIO, first: bytes) -> Iterator[BinaryIO]:
    """The file from its beginning, so that it can be gone through twice; of a pipe a copy is made."""
    if file.seekable():
        file.seek(0)
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        copy.write(first)
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


def _format(line: bytes) -> str:
    """Which of the two formats a first line is of."""
    try:
        head = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "qmp"
    return "trace" if isinstance(head, dict) and "format" in head else "qmp"
