"""What whoever reads a verdict about a QMP log has to know; and where nothing was judged, what is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cbtcheck.trace.sessions import LARGEST, Monitor
from cbtcheck.trace.wire import Wire

if TYPE_CHECKING:
    from cbtcheck.trace.report import TraceReport

GUEST_UNKNOWN = "guest writes are not recorded: of bitmaps that record, nothing is too much"
HOW_TO_RECORD = "how to record a log that can be judged: docs/use/recording.md, or 'cbtspec tap SOCKET LOG'"

def notes(report: TraceReport, monitors: dict[str, Monitor], wire: Wire, guest: str) -> None:
    """Adds them to the report of a QMP log."""
    sessions = [session for each in monitors.values() for session in each.sessions]
    if guest == "unknown":
        report.notes.append(GUEST_UNKNOWN)
    if len(monitors) > 1:
        listed = ", ".join(f"{name or 'without a name'} ({each.messages:,})" for name, each in monitors.items())
        report.notes.append(f"{len(monitors)} monitors, each judged by itself (messages): {listed[:300]}; "
                            "choose one with --monitor")  # fmt: skip
    if wire.passed_over:
        report.notes.append(f"{wire.passed_over:,} lines without a QMP message were passed over")
    for line, reason in wire.unreadable:
        report.notes.append(f"line {line}: a message that cannot be read ({reason}): "
                            "what was known of bitmaps does not count from there on")  # fmt: skip
    left_out = {node for each in sessions for node in each.left_out()}
    large = {node for each in sessions for node in each.left_out() & each.places.sizes.keys()}
    unsized = {node for each in sessions for node in each.without_size()}
    for node in sorted(left_out - large - unsized):
        report.notes.append(f"'{node}': no reply of query-named-block-nodes or query-block shows it, and no command "
                            "about it was accepted, so it was not followed")  # fmt: skip
    for node in sorted(unsized):
        why = f"the size of '{node}' is not in the log, so no bits of it are judged: give it with --disk"
        report.notes.append(why)
    for node in sorted(large):
        report.notes.append(f"'{node}' is larger than {LARGEST >> 40} TiB, so it was not followed")
    if not report.judged:
        report.missing = [*_missing(report, monitors), HOW_TO_RECORD]


def _missing(report: TraceReport, monitors: dict[str, Monitor]) -> list[str]:
    """What is not in a log of which nothing was judged."""
    kinds: Counter[str] = sum((each.kinds for each in monitors.values()), Counter())
    if not sum(kinds.values()):
        return ["there is no QMP message in it: is this the log?"]
    if not kinds["reply"]:
        return ["there are commands in it, and no replies: those are the half that is judged"]
    if not kinds["command"]:
        return ["there are replies in it, and no commands: a recorder of both directions is needed "
                "(the 'logfile' of a chardev has what QEMU sends only)"]  # fmt: skip
    if report.counts.commands or report.counts.looks:
        return ["its commands about bitmaps have no replies that can be judged, and no reply of "
                "query-named-block-nodes shows bitmaps that are followed"]  # fmt: skip
    return ["there is no command about bitmaps or backups in it, and no reply that shows bitmaps"]
