"""The report of a run, for machines: JSON with stable keys, and JUnit for what shows test results.

JSON: `"format": "cbtspec-report"`, `"version": 1`. Keys are added, never removed or changed, within a version.
Verdicts are the words of `cbtcheck.verdict.Verdict`; what was not run has the verdict `null`, which is never a pass.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as Failed

from cbtcheck.picture import picture_text
from cbtcheck.report import Failure, PropertyCount, Report, TourCount
from cbtcheck.results import (
    NOT_RUN,
    closing,
    command_names,
    command_verdict,
    count_of,
    ordered,
    property_names,
    property_verdict,
    reproduce,
    statement,
    tour,
)
from cbtcheck.scenario import spelled, to_data
from cbtcheck.verdict import Finding, Verdict, worst

FORMAT = "cbtspec-report"
VERSION = 1

FORBIDDEN_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(report: Report, more_options: str = "") -> bytes:
    """The report as a JSON document. `more_options` are added to the lines that reproduce failures."""
    return msgspec.json.format(msgspec.json.encode(to_plain(report, more_options)), indent=1) + b"\n"


def to_plain(report: Report, more_options: str = "") -> dict[str, Any]:
    """The report as JSON data."""
    run = report.steps > 0 or bool(report.failures)
    return {
        "format": FORMAT,
        "version": VERSION,
        "suite": report.suite,
        "adapter": report.adapter,
        "implementation": report.implementation,
        "profile": report.profile,
        "seed": report.seed,
        "conformant": report.conformant and run,
        "interrupted": report.interrupted,
        "verdict": report.verdict.value if run else None,
        "safety": report.safety.value if run else None,
        "exactness": report.exactness.value if run else None,
        "scenarios": dict(report.phases),
        "steps": report.steps,
        "compared": report.compared,
        "seconds": round(report.seconds, 3),
        "commands": {name: _command(report, name) for name in command_names(report)},
        "properties": {id: _property(report, id) for id in property_names(report)},
        "skipped": dict(report.skipped),
        "not_realised": {spelled(name): count for name, count in report.not_realised.items()},
        "ledger": [
            {
                "id": each.id,
                "title": each.title,
                "outcome": each.outcome,
                "detail": each.detail,
                "verdict": each.verdict.value,
                "turned_away": each.turned_away,
            }
            for each in report.ledger
        ],
        "tour": _tour(report.tour),
        "edges": {
            "covered": report.edges_covered,
            "reachable": report.edges_reachable,
            "unreached": dict(ordered(report.unreached)),
        },
        "failures": [_failure(each, report.adapter, more_options) for each in report.failures],
    }


def _command(report: Report, name: str) -> dict[str, Any]:
    count, verdict = count_of(report, name), command_verdict(report, name)
    return {"accepted": count.accepted, "refused": dict(count.refused), "verdict": _value(verdict)}


def _property(report: Report, id: str) -> dict[str, Any]:
    checked = report.properties.get(id, PropertyCount()).checked
    return {"statement": statement(id), "checked": checked, "verdict": _value(property_verdict(report, id))}


def _tour(count: TourCount) -> dict[str, Any]:
    return {
        "walks": count.walks,
        "sequences": count.sequences,
        "writes": count.writes,
        "bounded": count.bounded,
        "pairs": count.pairs,
        "plays": count.plays,
        "in_part": dict(ordered(count.in_part)),
        "seconds": round(count.seconds, 3),
        "pairs_per_second": round(count.rate),
    }


def _value(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.value


def _failure(failure: Failure, adapter: str, more_options: str) -> dict[str, Any]:
    return {
        "origin": failure.origin,
        "verdict": failure.verdict.value,
        "saved": None if failure.saved is None else str(failure.saved),
        "reproduce": reproduce(failure, adapter, more_options) or None,
        "findings": [_finding(each) for each in failure.findings],
        "scenario": to_data(failure.scenario),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """Granules are written in hexadecimal: they may have more bits than a number in JSON."""
    return {
        "verdict": finding.verdict.value,
        "property": finding.property,
        "where": finding.where,
        "expected": finding.expected,
        "seen": finding.seen,
        "missing": None if finding.missing is None else hex(finding.missing),
        "extra": None if finding.extra is None else hex(finding.extra),
    }


def write_junit(report: Report, path: Path) -> None:
    """Writes the report as JUnit XML: a test case per property, command, ledger entry and failed scenario; for the
    tour one for its walks, one for its control sequences, and one for each reason why edges were not reached.

    What was not run is a skipped test case, never a passed one. Raises `OSError` if the file cannot be written.
    """
    document = JUnitXml(f"cbtspec on {report.adapter}")
    document.add_testsuite(_suite("properties", _property_cases(report)))
    document.add_testsuite(_suite("commands", _command_cases(report)))
    document.add_testsuite(_suite("ledger", _ledger_cases(report)))
    document.add_testsuite(_suite("tour", _tour_cases(report)))
    document.add_testsuite(_suite("scenarios", _scenario_cases(report)))
    document.write(str(path), pretty=True)


def _suite(name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(f"cbtspec.{name}")
    suite.add_testcases(cases)
    return suite


def _case(kind: str, name: str, outcome: Skipped | Failed | Error | None, seconds: float = 0.0) -> TestCase:
    case = TestCase(_legal(name), f"cbtspec.{kind}", seconds)
    if outcome is not None:
        case.result = [outcome]
    return case


def _outcome(report: Report, verdict: Verdict | None, concerned: list[Failure]) -> Skipped | Failed | Error | None:
    if verdict is None:
        return Skipped(NOT_RUN)
    if verdict in (Verdict.SKIPPED, Verdict.KNOWN):
        return Skipped(verdict.value)
    if verdict is Verdict.EXACT:
        return None
    kind = Error if verdict is Verdict.BROKEN else Failed
    found = kind(_legal(f"{verdict.value}: {_first_finding(concerned)}"), verdict.value)
    found.text = _legal("\n".join(_in_full(report, each) for each in concerned))
    return found


def _first_finding(failures: list[Failure]) -> str:
    return next((str(finding) for each in failures for finding in each.findings), "see the ledger and the scenarios")


def _property_cases(report: Report) -> list[TestCase]:
    cases = []
    for id in property_names(report):
        concerned = [each for each in report.failures if any(f.property == id for f in each.findings)]
        cases.append(_case("properties", id, _outcome(report, property_verdict(report, id), concerned)))
    return cases


def _command_cases(report: Report) -> list[TestCase]:
    cases = []
    for name in command_names(report):
        concerned = [
            each for each in report.failures if each.frames and spelled(type(each.frames[-1].asked).__name__) == name
        ]
        cases.append(_case("commands", name, _outcome(report, command_verdict(report, name), concerned)))
    return cases


def _ledger_cases(report: Report) -> list[TestCase]:
    cases = []
    for each in report.ledger:
        text = _legal(f"{each.title}: {each.outcome}: {each.detail}")
        wrong = each.outcome in ("gone", "changed")
        cases.append(_case("ledger", each.id, Failed(text, each.outcome) if wrong else Skipped(text)))
    return cases


def _tour_cases(report: Report) -> list[TestCase]:
    count = report.tour
    walks = f"{report.edges_covered} of {report.edges_reachable} edges"
    cases = [_tour_case(report, "tour", walks, count.walks)]
    cases.append(_tour_case(report, "every write history", tour(count), count.plays, count.seconds))
    left = [*((f"edges not reached: {why}", n) for why, n in ordered(report.unreached)),
            *((f"control sequences in part: {why}", n) for why, n in ordered(count.in_part))]  # fmt: skip
    return cases + [_case("tour", why, Skipped(str(n))) for why, n in left]


def _tour_case(report: Report, origin: str, said: str, played: int, seconds: float = 0.0) -> TestCase:
    """A phase of the tour, with what is said of it as output; skipped if nothing was played."""
    failures = [each for each in report.failures if each.origin == origin]
    verdict = worst([each.verdict for each in failures]) if played else None
    case = _case("tour", origin, _outcome(report, verdict, failures), seconds)
    case.system_out = _legal(said)
    return case


def _scenario_cases(report: Report) -> list[TestCase]:
    """A case for each failed scenario, and one for the run as a whole."""
    cases = [
        _case("scenarios", f"{each.origin} {number}", _outcome(report, each.verdict, [each]))
        for number, each in enumerate(report.failures, 1)
    ]
    whole: Skipped | Failed | None = None
    if not report.steps and not report.failures:
        whole = Skipped(NOT_RUN)
    elif not report.conformant:
        whole = Failed(_legal(closing(report)))
    return [*cases, _case("scenarios", "the whole run", whole, report.seconds)]


def _in_full(report: Report, failure: Failure) -> str:
    parts = [str(finding) for finding in failure.findings]
    if failure.frames:
        parts += ["", picture_text(failure.frames)]
    if failure.saved is not None:
        parts.append(f"Reproduce with: {reproduce(failure, report.adapter)}")
    return "\n".join(parts)


def _legal(text: str) -> str:
    """XML has no way to write some characters at all."""
    return FORBIDDEN_IN_XML.sub("?", text)
