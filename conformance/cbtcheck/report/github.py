"""The report of a run for GitHub: annotations of the workflow, and the summary of the job in Markdown.

What an implementation says never becomes a workflow command or markup: annotations are escaped as the runner
unescapes them, in Markdown all that could be markup has a backslash, and the printed report is `fenced` off.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from cbtcheck.host.printable import plain, plain_lines
from cbtcheck.report.picture import picture_text
from cbtcheck.run.not_verified import NotVerified, blocking_in_words, not_verified
from cbtcheck.run.outcome import BAD, GOOD, NONE, outcome
from cbtcheck.run.report import Failure, PropertyCount, Report
from cbtcheck.run.results import (
    NOT_RUN,
    command_names,
    command_verdict,
    count_of,
    exactness_in_words,
    how_often,
    property_names,
    property_verdict,
    reproduce,
    rules_of,
    safety_in_words,
)
from cbtcheck.scenario.scenario import as_text
from cbtcheck.scenario.verdict import Verdict

LONGEST_MESSAGE = 4000
"""Characters of an annotation; the runner cuts longer ones."""

LARGEST_SUMMARY = 900_000
"""Bytes; GitHub takes no summary that is larger than 1 MiB."""

LONGEST_PICTURE = 20_000

SIGNS = {"good": "✅", "warn": "⚠️", "bad": "❌", "none": "⚪"}


def workflow_commands(report: Report, more_options: str = "") -> Iterator[str]:
    """The workflow commands: errors for what fails the run, warnings for what somebody should look at, notices."""
    for failure in report.failures:
        level = "warning" if failure.verdict is Verdict.WASTEFUL else "error"
        stake = next((each.property for each in failure.findings if each.property), "")
        said = "\n".join([*map(str, failure.findings), *(f"Rule: {each}" for each in rules_of(failure))])
        shown = f"\n\n{picture_text(failure.frames)}" if failure.frames else ""
        again = reproduce(failure, report.adapter, more_options)
        said += f"\n{often}" if (often := how_often(failure)) else ""
        message = f"{said}{shown}"[: LONGEST_MESSAGE - len(again)] + (f"\n{again}" if again else "")
        yield annotation(level, f"cbtspec: {failure.verdict.value} {stake}".strip(), message)
    for failure in report.not_repeatable:
        again = reproduce(failure, report.adapter, more_options)
        said = "\n".join([how_often(failure), *map(str, failure.findings), again])
        yield annotation("warning", f"cbtspec: not repeatable, seen as {failure.verdict.value}", said)
    for each in report.ledger:
        if each.outcome in ("gone", "changed"):
            does = "does not fail any more" if each.outcome == "gone" else "fails in another way"
            yield annotation("error", f"cbtspec ledger: {each.id} {does}", f"{each.title}: {each.detail}")
    known = [f"{each.id}: {each.title}" for each in report.ledger if each.outcome == "known"]
    if known:
        yield annotation("warning", "cbtspec: known failures in the ledger", "\n".join(known))
    unexercised = [each for each in not_verified(report) if each.blocking]
    if unexercised and report.steps:
        title = f"cbtspec: claimed, and never exercised: {blocking_in_words(report)}"
        yield annotation("warning", title, "\n".join(map(_line, unexercised)))
    skipped = [each for each in not_verified(report) if not each.blocking]
    if skipped:
        yield annotation("notice", "cbtspec: not verified", "\n".join(map(_line, skipped)))
    came = outcome(report)
    level = {NONE: "error", BAD: "error", GOOD: "notice"}.get(came.tone, "notice" if came.conformant else "warning")
    yield annotation(level, f"cbtspec on {report.implementation}", came.closing)


def annotation(level: str, title: str, message: str) -> str:
    """A workflow command: error, warning or notice."""
    return f"::{level} title={_escaped(title, ':,')}::{_escaped(message[:LONGEST_MESSAGE])}"


def _escaped(text: str, also: str = "") -> str:
    """As the runner unescapes it: per cent and line ends, and in a property what separates properties."""
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + also else plain(c) for c in text)


@contextmanager
def fenced(really: bool) -> Iterator[None]:
    """While it lasts the runner takes nothing on stdout for a workflow command."""
    token = secrets.token_hex(16)
    if really:
        click.echo(f"::stop-commands::{token}")
    try:
        yield
    finally:
        if really:
            click.echo(f"::{token}::")


def _line(gap: NotVerified) -> str:
    count = f" ({gap.count:,})" if gap.count > 1 else ""
    return f"{gap.kind} {gap.name}{count}: {gap.reason}"


# The summary of the job


def summary(report: Report, more_options: str = "") -> str:
    """The summary in Markdown, not larger than GitHub takes."""
    parts: list[str] = []
    room = LARGEST_SUMMARY
    for part in _parts(report, more_options):
        room -= len(part.encode(errors="replace"))
        if room < 0:
            parts.append("The rest is left out: it is larger than GitHub takes.\n")
            break
        parts.append(part)
    return "\n".join(parts)


def _parts(report: Report, more_options: str) -> Iterator[str]:
    came = outcome(report)
    yield f"## {SIGNS[came.tone]} cbtspec: {came.heading}\n"
    yield f"{marked(came.closing)}\n"
    yield _table(("", ""), _facts(report))
    for number, failure in enumerate(report.failures, 1):
        heading = f"Failure {number} of {len(report.failures)}: {failure.verdict.value}"
        yield from _failure(report, failure, heading, more_options)
    for number, failure in enumerate(report.not_repeatable, 1):
        heading = f"Not repeatable {number} of {len(report.not_repeatable)}: seen as {failure.verdict.value}"
        yield from _failure(report, failure, heading, more_options)
    properties = [
        (
            property_id,
            f"{report.properties.get(property_id, PropertyCount()).checked:,}",
            _value(property_verdict(report, property_id)),
        )
        for property_id in property_names(report)
    ]
    yield _folded("Properties", _table(("Property", "Checked", "Verdict"), properties))
    commands = [
        (name, f"{(count := count_of(report, name)).accepted:,}", f"{count.refused.total():,}",
         _value(command_verdict(report, name)))
        for name in command_names(report)
    ]  # fmt: skip
    yield _folded("Commands", _table(("Command", "Accepted", "Refused", "Verdict"), commands))
    if report.ledger:
        entries = [(each.id, each.title, each.outcome, f"{each.turned_away:,}") for each in report.ledger]
        yield _folded("Ledger", _table(("Entry", "What", "Outcome", "Turned away"), entries))
    gaps = [(each.kind, each.name, f"{each.count:,}", each.reason) for each in not_verified(report)]
    yield _folded(f"Not verified ({len(gaps)})", _table(("Kind", "What", "How many", "Why"), gaps))


def _facts(report: Report) -> list[tuple[str, ...]]:
    run = report.steps > 0 or bool(report.failures)
    edges = f"{report.edges_covered:,} of {report.edges_reachable:,}" if report.edges_reachable else "not counted"
    of_images = f"{report.images.covered:,} of {report.images.reachable:,}"
    return [
        ("Implementation", f"{report.implementation} ({report.adapter})"),
        ("Safety", f"{report.safety.value}: {safety_in_words(report)}" if run else NOT_RUN),
        ("Exactness", f"{report.exactness.value}: {exactness_in_words(report)}" if run else NOT_RUN),
        ("Played", f"{report.scenarios:,} scenarios, {report.steps:,} steps, {report.compared:,} disks compared"),
        ("Edges reached", edges),
        *([("Edges of images reached", of_images)] if report.images.reachable else []),
        ("Profile, seed", f"{report.profile}, {report.seed}"),
        ("Suite", f"cbtspec {report.suite}"),
    ]


def _failure(report: Report, failure: Failure, heading: str, more_options: str) -> Iterator[str]:
    yield f"### {heading}\n"
    if often := how_often(failure):
        yield f"{marked(often)}\n"
    yield "".join(f"- {marked(str(each))}\n" for each in failure.findings)
    yield "".join(f"> {marked(each)}\n" for each in rules_of(failure))
    if failure.frames:
        yield block_of_code(picture_text(failure.frames)[:LONGEST_PICTURE])
    again = reproduce(failure, report.adapter, more_options)
    if again:
        yield block_of_code(again)
    elif failure.not_saved:
        yield f"{marked(f'Not saved: {failure.not_saved}. The scenario:')}\n"
        yield block_of_code(as_text(failure.scenario)[:LONGEST_PICTURE])


def marked(text: str) -> str:
    """A text as Markdown that says just this: one line, nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&@$^:/])", r"\\\1", plain(" ".join(text.split())))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(map(marked, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n</details>\n"


def block_of_code(text: str) -> str:
    """A block of code, with a fence that is longer than any in it."""
    longest = max((len(each) for each in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain_lines(text.rstrip())}\n{fence}\n"


def _value(verdict: Verdict | None) -> str:
    return NOT_RUN if verdict is None else verdict.value
