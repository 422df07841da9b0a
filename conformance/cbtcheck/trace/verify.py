"""From a file to the verdict about the trace in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.lines import lines
from cbtcheck.trace.notes import GUEST_UNKNOWN, notes
from cbtcheck.trace.one_qemu import OneQemu
from cbtcheck.trace.own import OwnReader, read_head, verifier_for
from cbtcheck.trace.qmp import read
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.sessions import Monitor, survey
from cbtcheck.trace.wire import Wire


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
        same, monitors = _surveyed(again, options.disks)
        monitors = _chosen(monitors, options.monitor)
        unplaced = {name for each in monitors.values() for session in each.sessions for name in session.unplaced()}
        if guest == "recorded" and unplaced:
            guest = "unknown"
            said = ", ".join(sorted(unplaced)[:8])
            report.notes.append(f"guest writes to {said} are recorded, and not which node that is: so they count as "
                                "not recorded; have QEMU answer query-block once")  # fmt: skip
        again.seek(0)
        wire = Wire()
        messages = same.joined(wire.messages(lines(again)))
        readers = read(messages, monitors, report.tell, guest, report.counts, options.alignment or 1)
    report.chains = [chains for reader in readers for chains in reader.chains]
    report.notes += [said for reader in readers for said in reader.restarts.openly]
    notes(report, monitors, wire, guest)
    return report


def _surveyed(file: BinaryIO, disks: dict[str, int]) -> tuple[OneQemu, dict[str, Monitor]]:
    """The monitors of a log. Where one has several connections, it takes more than one way through."""
    same = OneQemu()
    monitors = survey(same.watched(Wire().messages(lines(file))), disks, {})
    for again in (bool(same.others), True):
        several = any(len(each.last) > 1 for each in monitors.values())
        if again and (several or same.others):
            file.seek(0)
            last = {name: each.last for name, each in monitors.items()} if several else {}
            monitors = survey(same.joined(Wire().messages(lines(file))), disks, last)
    return same, monitors


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
