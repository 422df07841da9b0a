"""The report of a run as a JSON document, in the form of `report_format`.

Verdicts are the words of `Verdict`; what was not run has the verdict `null`, which is never a pass.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from cbtcheck.host.printable import plain_json
from cbtcheck.host.saving import write_whole
from cbtcheck.report import report_format as form
from cbtcheck.report.junit import write_junit as write_junit
from cbtcheck.run.not_verified import NotVerified, not_verified
from cbtcheck.run.outcome import cut_short, outcome
from cbtcheck.run.report import Failure, LedgerResult, PropertyCount, Report, TourCount
from cbtcheck.run.results import (
    NOT_RUN,
    command_names,
    command_verdict,
    count_of,
    edges_by_command,
    ordered,
    property_names,
    property_verdict,
    reproduce,
    statement,
)
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import spelled, to_data
from cbtcheck.scenario.verdict import Finding, Verdict


def to_json(report: Report, more_options: str = "") -> bytes:
    """The report as a JSON document. `more_options` are added to the lines that reproduce failures."""
    document = to_document(report, more_options)
    try:
        raw = msgspec.json.encode(document)
    except UnicodeEncodeError:  # an implementation's text may hold half a character
        raw = msgspec.json.encode(_whole(msgspec.to_builtins(document)))
    return plain_json(msgspec.json.format(raw, indent=1).decode() + "\n").encode()


def _whole(value: Any) -> Any:
    """The same with a question mark for each half of a character."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_whole(name): _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list | tuple) else value


def write_json(report: Report, path: Path, more_options: str = "") -> None:
    """Writes that document. Raises `OSError` if the file cannot be written."""
    write_whole(path, to_json(report, more_options))


def to_document(report: Report, more_options: str = "") -> form.Document:
    """The report in its published form."""
    run = report.steps > 0 or bool(report.failures)
    gaps = not_verified(report)
    came = outcome(report)
    return form.Document(
        format="cbtspec-report",
        version=1,
        suite=report.suite,
        adapter=report.adapter,
        implementation=report.implementation,
        profile=report.profile,
        seed=report.seed,
        conformant=came.conformant,
        interrupted=report.interrupted,
        verdict=report.verdict.value if run else None,
        safety=report.safety.value if run else None,
        exactness=report.exactness.value if run else None,
        scenarios=dict(report.phases),
        steps=report.steps,
        compared=report.compared,
        seconds=round(report.seconds, 3),
        commands={name: _command(report, name) for name in command_names(report)},
        properties={property_id: _property(report, property_id) for property_id in property_names(report)},
        skipped=dict(report.skipped),
        not_realised={spelled(name): count for name, count in report.not_realised.items()},
        ledger=[_entry(each) for each in report.ledger],
        tour=_tour(report.tour),
        edges=form.Edges(report.edges_covered, report.edges_reachable, dict(ordered(report.unreached))),
        edges_by_command={
            name: form.CommandEdges(reached, dict(ordered(missed)))
            for name, (reached, missed) in edges_by_command(report).items()
        },
        counts=_counts(report, gaps),
        not_verified=[
            form.NotVerified(each.kind, each.name, each.reason, each.count, each.blocking)  # type: ignore[arg-type]
            for each in gaps
        ],
        failures=[_failure(each, report.adapter, more_options) for each in report.failures],
        not_repeatable=[_failure(each, report.adapter, more_options) for each in report.not_repeatable],
        agrees=came.agrees,
        closing=came.closing,
        exit_code=came.code,
        incomplete=[*cut_short(report)],
        claimed=sorted(report.claimed),
        failed_first=_failed_first(report),
        workers_died=report.workers_died,
        played_again=report.played_again,
        image_edges=form.Edges(
            report.images.covered, report.images.reachable, dict(ordered(report.images.unreached))
        ),
    )


def _failed_first(report: Report) -> form.FailedFirst | None:
    before = report.before
    if before is None:
        return None
    return form.FailedFirst(
        agree=[name for name in before.listed if before.agree.get(name) is True],
        disagree=[name for name in before.listed if before.agree.get(name) is False],
        not_played=[name for name in before.listed if name not in before.agree],
        unreadable=[*before.unreadable],
    )


def _command(report: Report, name: str) -> form.CommandResult:
    count, verdict = count_of(report, name), command_verdict(report, name)
    return form.CommandResult(count.accepted, dict(count.refused), _value(verdict))


def _property(report: Report, property_id: str) -> form.PropertyResult:
    checked = report.properties.get(property_id, PropertyCount()).checked
    return form.PropertyResult(statement(property_id), checked, _value(property_verdict(report, property_id)))


def _entry(entry: LedgerResult) -> form.LedgerEntry:
    return form.LedgerEntry(
        entry.id, entry.title, entry.outcome, entry.detail, entry.verdict.value, entry.turned_away  # type: ignore[arg-type]
    )  # fmt: skip


def _tour(count: TourCount) -> form.Tour:
    return form.Tour(
        walks=count.walks,
        sequences=count.sequences,
        writes=count.writes,
        bounded=count.bounded,
        pairs=count.pairs,
        plays=count.plays,
        in_part=dict(ordered(count.in_part)),
        seconds=round(count.seconds, 3),
        pairs_per_second=round(count.rate),
    )


def _counts(report: Report, gaps: list[NotVerified]) -> form.Counts:
    commands = Counter(_value(command_verdict(report, name)) or NOT_RUN for name in command_names(report))
    properties = Counter(
        _value(property_verdict(report, property_id)) or NOT_RUN for property_id in property_names(report)
    )
    return form.Counts(
        commands=dict(commands),
        properties=dict(properties),
        ledger=dict(Counter(each.outcome for each in report.ledger)),
        failures=len(report.failures),
        not_repeatable=len(report.not_repeatable),
        skipped=len(report.skipped),
        not_verified=dict(Counter(each.kind for each in gaps)),
        blocking=sum(each.blocking for each in gaps),
    )


def _value(verdict: Verdict | None) -> form.Verdict | None:
    return None if verdict is None else verdict.value


def _failure(failure: Failure, adapter: str, more_options: str) -> form.FailedScenario:
    return form.FailedScenario(
        origin=failure.origin,
        verdict=failure.verdict.value,
        saved=None if failure.saved is None else str(failure.saved),
        plays=failure.plays,
        failed=failure.failed,
        also=failure.also,
        others=[str(each.saved) for each in failure.others if each.saved is not None],
        output=None if failure.output is None else str(failure.output),
        reproduce=reproduce(failure, adapter, more_options) or None,
        findings=[_finding(each) for each in failure.findings],
        scenario=to_data(failure.scenario),
        not_saved=failure.not_saved or None,
    )


def _finding(finding: Finding) -> form.Finding:
    """Granules are written in hexadecimal: they may have more bits than a number in JSON."""
    return form.Finding(
        verdict=finding.verdict.value,
        property=finding.property,
        where=finding.where,
        expected=finding.expected,
        seen=finding.seen,
        rule=rule(finding),
        missing=None if finding.missing is None else hex(finding.missing),
        extra=None if finding.extra is None else hex(finding.extra),
    )
