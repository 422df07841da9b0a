"""What came of a trace, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cbtcheck.follow import chain_words
from cbtcheck.host.version import VERSION
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.trace.chains import OfGaps
from cbtcheck.trace.report import MOST_KEPT, TraceReport

if TYPE_CHECKING:
    from rich.console import Console

MOST_LINES = 10
"""Undecided places that are printed."""

COLOURS = {Verdict.WASTEFUL: "yellow", Verdict.DIVERGES: "magenta", Verdict.UNSAFE: "red", Verdict.BROKEN: "red"}


def print_trace(report: TraceReport, console: Console, name: str) -> None:
    """Each disagreement with its line, then what was judged and what was not."""
    from rich.text import Text

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    for line, finding in report.findings:
        at_stake = f" [{finding.property}]" if finding.property else ""
        what = f"{finding.verdict.value}{at_stake} {_plain(finding.where)}"
        say(f"{name}:{line}: {what}", COLOURS.get(finding.verdict, ""))
        say(f"    expected {_plain(finding.expected)}")
        say(f"    seen     {_plain(finding.seen)}")
    if report.number > MOST_KEPT:
        say(f"and {report.number - MOST_KEPT:,} more")
    if report.findings:
        say("")
    for table, session in report.tables:
        if len({each.monitor for each in report.chains}) > 1:
            say(f"Monitor {_plain(session.monitor) or 'without a name'}:")
        for text in chain_words.lines(table, session.named, session.gaps if isinstance(session, OfGaps) else None):
            say(_plain(text))
        if session.lost_from:
            say(f"not followed: backups from line {session.lost_from} on, since it is undecided what happened there")
    if report.tables:
        say("")
    counts = report.counts
    say(
        f"{counts.writes:,} guest writes, {counts.commands:,} commands, {counts.looks:,} looks; "
        f"{counts.replies_judged:,} replies and {counts.looks_judged:,} looks judged"
    )
    for reason, number in sorted(counts.unjudged.items()):
        say(f"not judged: {number:,} {_plain(reason)}")
    for line in counts.undecided[:MOST_LINES]:
        what = "more overlaps here than can be put in order; bitmaps are followed from when they are seen again"
        say(f"{name}:{line}: undecided: {what}", "yellow")
    if len(counts.undecided) > MOST_LINES:
        say(f"and {len(counts.undecided) - MOST_LINES:,} more that are undecided", "yellow")
    for line in counts.mixed[:MOST_LINES]:
        what = "what is seen may be a part of one order and a part of another: too much overlapped before to tell"
        say(f"{name}:{line}: undecided: {what}", "yellow")
    if len(counts.mixed) > MOST_LINES:
        say(f"and {len(counts.mixed) - MOST_LINES:,} more such looks", "yellow")
    for note in report.notes:
        say(f"note: {_plain(note)}")
    if not report.judged:
        say("nothing was judged", "yellow")
        for each in report.missing:
            say(f"    {_plain(each)}", "yellow")
    elif report.number:
        many = "disagreement" if report.number == 1 else "disagreements"
        say(f"{report.worst.value}: {report.number:,} {many}", "red")
    elif counts.undecided or counts.mixed:
        say("undecided: everything that was judged is allowed, and not everything could be", "yellow")
    else:
        say("everything that was judged is allowed", "green")
    for table, _ in report.tables:
        if said := chain_words.verdict(table):
            say(_plain(said), "red")


def _plain(text: str) -> str:
    """On one line, whatever was in the trace."""
    return text if text.isprintable() else ascii(text)[1:-1]


def to_json(report: TraceReport) -> bytes:
    """The same as a JSON document."""
    counts = report.counts
    document: dict[str, Any] = {
        "format": "cbtspec-trace-report",
        "version": 1,
        "suite": VERSION,
        "trace": report.format,
        "conformant": report.conformant,
        "verdict": report.worst.value if report.judged else None,
        "disagreements": report.number,
        "writes": counts.writes,
        "commands": counts.commands,
        "looks": counts.looks,
        "replies_judged": counts.replies_judged,
        "looks_judged": counts.looks_judged,
        "not_judged": dict(sorted(counts.unjudged.items())),
        "undecided": sorted({*counts.undecided, *counts.mixed})[:MOST_KEPT],
        "notes": report.notes,
        "missing": report.missing,
        "restores": report.restores,
        "chains": [
            {
                "blocks": "lines" if isinstance(each, OfGaps) else "bytes", "lost_from": each.lost_from,
                **chain_words.as_data(table, each.listed),
            }
            for table, each in report.tables
        ],
        "findings": [_finding(line, each) for line, each in report.findings],
    }
    raw = msgspec.json.encode(_without_surrogates(document))
    return msgspec.json.format(raw, indent=1) + b"\n"


def _finding(line: int, finding: Finding) -> dict[str, Any]:
    return {
        "line": line, "verdict": finding.verdict.value, "property": finding.property, "where": finding.where,
        "expected": finding.expected, "seen": finding.seen,
    }  # fmt: skip


def _without_surrogates(value: Any) -> Any:
    """The same data; a name in a trace may have half a surrogate pair, which no JSON in UTF-8 can have."""
    match value:
        case str():
            return value if value.isascii() else value.encode(errors="replace").decode()
        case dict():
            return {name: _without_surrogates(each) for name, each in value.items()}
        case list() | tuple():
            return [_without_surrogates(each) for each in value]
        case _:
            return value
