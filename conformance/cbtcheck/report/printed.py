"""The report of a run, for people: what was run and what was not, what is known, what failed, and the result.

Nothing is shown as passed that was not run: what was checked 0 times is "not run".
"""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cbtcheck.host.printable import plain
from cbtcheck.report.brief import COLOUR as COLOUR
from cbtcheck.report.brief import brief, closing, next_step, result
from cbtcheck.report.picture import picture
from cbtcheck.run.not_verified import blocking_in_words
from cbtcheck.run.outcome import doubted_in_words
from cbtcheck.run.report import Failure, ImagesCount, PropertyCount, Report
from cbtcheck.run.results import (
    NOT_RUN,
    command_names,
    command_verdict,
    count_of,
    exactness_in_words,
    how_often,
    ordered,
    property_names,
    property_verdict,
    reproduce,
    rules_of,
    safety_in_words,
    statement,
    tour,
)
from cbtcheck.scenario.scenario import as_text, spelled
from cbtcheck.scenario.verdict import Verdict


def print_report(report: Report, console: Console, more_options: str = "", verbose: bool = False) -> None:
    """Prints a report: what failed, and then a summary; in front of that all tables, if it is to be `verbose`.

    `more_options` are added to the line that reproduces a failure.
    """
    for each in sections(report, more_options, verbose):
        console.print(each, soft_wrap=isinstance(each, Text))


def sections(report: Report, more_options: str = "", verbose: bool = False) -> Iterator[RenderableType]:
    """The report from top to bottom."""
    yield header(report)
    for number, failure in enumerate(report.failures, 1):
        yield from failed(failure, f"Failure {number} of {len(report.failures)}:", report.adapter, more_options)
    for number, failure in enumerate(report.not_repeatable, 1):
        heading = f"Not repeatable {number} of {len(report.not_repeatable)}: seen as"
        yield from failed(failure, heading, report.adapter, more_options)
    if report.failures or report.not_repeatable:
        yield Text()
    if not verbose:
        yield from brief(report, more_options)
        return
    yield command_table(report)
    yield property_table(report)
    yield course(report)
    yield from [Text(), *left_out(report)] if left_out(report) else []
    yield from [Text(), ledger(report)] if report.ledger else []
    yield Text()
    yield from results(report)
    yield Text(f"next       {next_step(report, more_options)}")
    yield closing(report)


def header(report: Report) -> Text:
    """What ran on what, and the seed that runs it again."""
    return Text(
        f"cbtspec {report.suite} on {plain(report.implementation)} ({report.adapter}), "
        f"profile {report.profile}, seed {report.seed}"
    )


def command_table(report: Report) -> Table:
    """For each command how often it was accepted and refused, and its verdict."""
    table = _table("command", "accepted", "refused", "verdict")
    for name in command_names(report):
        count = count_of(report, name)
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(count.refused.items()))
        table.add_row(name, f"{count.accepted:,}", Text(kinds or "0"), _verdict(command_verdict(report, name)))
    table.columns[1].justify = "right"
    return table


def property_table(report: Report) -> Table:
    """For each property what it says, how often it was checked, and its verdict."""
    table = _table("property", "says", "checked", "verdict")
    for property_id in property_names(report):
        checked = report.properties.get(property_id, PropertyCount()).checked
        table.add_row(
            property_id, Text(statement(property_id)), f"{checked:,}", _verdict(property_verdict(report, property_id))
        )
    table.columns[0].no_wrap = True
    table.columns[2].justify = "right"
    return table


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading)
    return table


def _verdict(verdict: Verdict | None) -> Text:
    return Text(NOT_RUN, "dim") if verdict is None else Text(verdict.value, COLOUR[verdict])


def course(report: Report) -> Text:
    """What was played, how fast, and how much of the specification that reached."""
    played = ", ".join(f"{phase} {count:,}" for phase, count in report.phases.items()) or "none"
    rate = f", {report.scenarios / report.seconds:,.0f} scenarios/s" if report.seconds > 0 else ""
    covered = "not counted"
    before = ""
    if report.before is not None:
        told = [report.before.in_words(), *(f"not played: {each}" for each in report.before.unreadable)]
        before = "".join(f"failed before  {plain(each)}\n" for each in told)
    if report.workers_died:
        before += f"processes  {report.lost_in_words}\n"
    copied = ", from copies that the suite has made" if report.by_suite else ""
    if report.edges_reachable:
        share = 100 * report.edges_covered / report.edges_reachable
        covered = f"{report.edges_covered:,} of {report.edges_reachable:,} reachable ({share:.0f} %)"
    return Text(
        f"scenarios  {report.scenarios:,} ({played})\n"
        f"{before}"
        f"steps      {report.steps:,} in {report.seconds:.1f} s{rate}\n"
        f"data       {report.compared:,} restored disks compared{copied}\n"
        f"tour       {tour(report.tour)}\n"
        f"edges      {covered}"
        f"{images(report.images)}"
    )


def images(count: ImagesCount) -> str:
    """How many edges of images were taken; nothing where images are not claimed."""
    if not count.reachable:
        return ""
    share = 100 * count.covered / count.reachable
    return f"\nimages     {count.covered:,} of {count.reachable:,} edges of images ({share:.0f} %)"


def left_out(report: Report) -> list[Text]:
    """What was skipped, and what could not be made to happen, with the reasons."""
    lines = [Text(f"skipped    {name}: {reason}") for name, reason in sorted(report.skipped.items())]
    lines += [Text(f"not reached  {count:,} edges: {why}") for why, count in ordered(report.unreached)]
    of_images = ordered(report.images.unreached)
    lines += [Text(f"not reached  {count:,} edges of images: {why}") for why, count in of_images]
    if report.tour.bounded:
        lines.append(Text(f"bounded    {report.tour.bounded:,} longer control sequences: writes that are near only"))
    lines += [Text(f"bounded    {what}: {why}") for what, why in report.bounded.items()]
    lines += [Text(f"in part    {count:,} control sequences: {why}") for why, count in ordered(report.tour.in_part)]
    lines += [
        Text(f"not made to happen  {spelled(name)}: {count:,} times; counted, not judged")
        for name, count in sorted(report.not_realised.items())
    ]
    return lines


OUTCOMES = {"known": "yellow", "gone": "bold red", "changed": "bold red", "skipped": "dim"}


def ledger(report: Report) -> RenderableType:
    """Every expected failure, and what came of it."""
    table = _table("expected failure", "", "outcome", "turned away")
    for each in report.ledger:
        what = Text(plain(each.title + (f": {each.detail}" if each.detail else "")))
        table.add_row(
            Text(each.id), what, Text(each.outcome, OUTCOMES.get(each.outcome, "")), f"{each.turned_away:,} times"
        )
    return table


def failed(failure: Failure, heading: str, adapter: str, more_options: str = "") -> Iterator[RenderableType]:
    """A failure: what disagrees, the picture, and how to see it again."""
    yield Text()
    yield Text(f"{heading} {failure.verdict.value} ({failure.origin})", COLOUR[failure.verdict])
    yield from (Text(f"  {each}") for each in failure.findings)
    yield from (Text(f"  Rule: {each}") for each in rules_of(failure))
    if often := how_often(failure):
        yield Text(f"  {often}")
    yield Text()
    if failure.frames:
        yield Group(picture(failure.frames, failure.scenario.block))
    if failure.saved is not None:
        yield Text(f"\nSaved as {failure.saved}")
        yield Text(f"Reproduce with: {reproduce(failure, adapter, more_options)}")
    elif failure.not_saved:
        yield Text(f"\nNot saved: {failure.not_saved}. The scenario, for a file of your own:", "bold red")
        yield Text(as_text(failure.scenario))


def results(report: Report) -> Iterator[Text]:
    """Safety and exactness, which are separate results."""
    if report.steps == 0:
        yield Text(f"safety     {NOT_RUN}\nexactness  {NOT_RUN}")
        return
    yield result("safety", 11, report.safety, safety_in_words(report))
    yield result("exactness", 11, report.exactness, exactness_in_words(report))
    if report.not_repeatable:
        yield Text(f"apart      {doubted_in_words(report)}", "yellow")
    unexercised = blocking_in_words(report)
    if unexercised:
        yield Text(f"complete   no: claimed, and never exercised: {unexercised}", "yellow")
