"""A verdict about a whole trace, and the way from a file to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from cbtcheck.scenario.verdict import Finding, Verdict, worst
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.lines import lines
from cbtcheck.trace.own import OwnReader, read_head, verifier_for
from cbtcheck.trace.qmp import LARGEST, QmpReader, Session, survey
from cbtcheck.trace.verifier import Counts
from cbtcheck.trace.wire import Wire

MOST_KEPT = 100
"""Disagreements that are kept; the others are counted."""

GUEST_UNKNOWN = "guest writes are not recorded: of bitmaps that record, nothing is too much"


@dataclass(frozen=True)
class Options:
    """What the command line says. None: what the trace says, or what is usual for its format.

    `copies` and `guest` are "recorded" or "unknown". `disks` are sizes in bytes, for QMP logs.
    """

    format: str = "auto"
    copies: str | None = None
    guest: str | None = None
    disks: dict[str, int] = field(default_factory=dict)


@dataclass
class TraceReport:
    """What came of a trace: disagreements with their lines, how many there were, and what was looked at."""

    format: str = ""
    counts: Counts = field(default_factory=Counts)
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    number: int = 0
    worst: Verdict = Verdict.EXACT
    notes: list[str] = field(default_factory=list)

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

    @property
    def conformant(self) -> bool:
        """Something was judged, and all of it is allowed."""
        return self.number == 0 and self.judged > 0


def verify(file: BinaryIO, options: Options) -> TraceReport:
    """Judges a trace. `TraceProblem` if it cannot be read, or not be judged."""
    report = TraceReport()
    listed = lines(file)
    first = next(listed, None)
    if first is None:
        raise TraceProblem(1, "the file is empty")
    report.format = options.format if options.format != "auto" else _format(first[1])
    if report.format == "trace":
        head = read_head(*first)
        verifier = verifier_for(head, report.tell, options.copies, options.guest)
        report.counts = verifier.counts
        if not verifier.guest_seen:
            report.notes.append(GUEST_UNKNOWN)
        OwnReader(head, verifier).read(listed)
        return report
    if report.format != "qmp":
        raise ValueError(report.format)
    with _twice(file, first[1]) as again:
        sessions = survey(Wire().messages(lines(again)), options.disks)
        again.seek(0)
        reader = QmpReader(report.tell, sessions, options.guest or "unknown")
        report.counts = reader.counts
        wire = Wire()
        reader.read(wire.messages(lines(again)))
    _note(report, sessions, wire, options.guest or "unknown")
    return report


def _note(report: TraceReport, sessions: list[Session], wire: Wire, guest: str) -> None:
    if guest == "unknown":
        report.notes.append(GUEST_UNKNOWN)
    if wire.passed_over:
        report.notes.append(f"{wire.passed_over:,} lines without a QMP message were passed over")
    changing = {node for each in sessions for node in each.left_out() & each.places.changing}
    large = {node for each in sessions for node in each.left_out() & each.places.sizes.keys()} - changing
    for node in sorted({node for each in sessions for node in each.left_out()} - changing - large):
        report.notes.append(f"the size of '{node}' is not in the log, so it was not followed: give it with --disk")
    for node in sorted(large):
        report.notes.append(f"'{node}' is larger than {LARGEST >> 40} TiB, so it was not followed")
    for node in sorted(changing):
        report.notes.append(f"the size of '{node}' changes, so it was not followed")


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
