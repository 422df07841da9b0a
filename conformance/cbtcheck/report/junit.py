"""The report of a run as JUnit XML, for whatever shows test results: what was not run is skipped, never passed."""

from __future__ import annotations

import io
import re
from pathlib import Path

from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as Failed

from cbtcheck.host.printable import plain
from cbtcheck.host.saving import write_whole
from cbtcheck.report.picture import picture_text
from cbtcheck.run.not_verified import NotVerified, not_verified
from cbtcheck.run.outcome import BAD, outcome
from cbtcheck.run.part import IMAGES
from cbtcheck.run.report import Failure, Report
from cbtcheck.run.results import (
    NOT_RUN,
    command_names,
    command_verdict,
    how_often,
    ordered,
    property_names,
    property_verdict,
    reproduce,
    rules_of,
    tour,
)
from cbtcheck.scenario.scenario import as_text, spelled
from cbtcheck.scenario.verdict import Verdict, worst

FORBIDDEN_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(report: Report, path: Path) -> None:
    """Writes the report as JUnit XML: a test case per property, command, ledger entry and failed scenario; for the
    tour one for its walks, one for its control sequences, and one for each reason why edges were not reached; and one
    for whatever else was not verified.

    What was not run is a skipped test case with the reason, never a passed one. Each suite has what the run was as
    its properties. Raises `OSError` if the file cannot be written.
    """
    document = JUnitXml(legal_in_xml(f"cbtspec on {report.adapter}"))
    for name, cases in (
        ("properties", _property_cases(report)),
        ("commands", _command_cases(report)),
        ("ledger", _ledger_cases(report)),
        ("tour", _tour_cases(report)),
        ("not verified", _other_cases(report)),
        ("scenarios", _scenario_cases(report)),
    ):
        document.add_testsuite(_suite(report, name, cases))
    content = io.BytesIO()
    document.write(content, pretty=True)
    write_whole(path, content.getvalue())


def _suite(report: Report, name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(f"cbtspec.{name}")
    for each, value in (
        ("suite", report.suite),
        ("implementation", report.implementation),
        ("profile", report.profile),
        ("seed", report.seed),
        ("conformant", str(outcome(report).conformant).lower()),
    ):
        suite.add_property(each, legal_in_xml(str(value)))
    suite.add_testcases(cases)
    return suite


def _case(kind: str, name: str, outcome: Skipped | Failed | Error | None, seconds: float = 0.0) -> TestCase:
    case = TestCase(legal_in_xml(name), f"cbtspec.{kind}", seconds)
    if outcome is not None:
        case.result = [outcome]
    return case


def _outcome(
    report: Report, verdict: Verdict | None, concerned: list[Failure], gap: NotVerified | None = None
) -> Skipped | Failed | Error | None:
    """What the case of this verdict says; `gap` is why there is none, or why it is less than a pass."""
    if verdict is None:
        return Skipped(NOT_RUN if gap is None else legal_in_xml(f"{NOT_RUN}: {gap.reason}"))
    if verdict is Verdict.NOT_REPEATABLE:
        often = how_often(concerned[0]) if concerned else "listed with the scenarios"
        doubted = Skipped(legal_in_xml(f"{verdict.value}: {often}: {_first_finding(concerned)}"))
        doubted.text = legal_in_xml("\n".join(_in_full(report, each) for each in concerned))
        return doubted
    if verdict in (Verdict.SKIPPED, Verdict.KNOWN) or (gap is not None and verdict is Verdict.EXACT):
        return Skipped(verdict.value if gap is None else legal_in_xml(f"{Verdict.SKIPPED.value}: {gap.reason}"))
    if verdict is Verdict.EXACT:
        return None
    kind = Error if verdict is Verdict.BROKEN else Failed
    found = kind(legal_in_xml(f"{verdict.value}: {_first_finding(concerned)}"), verdict.value)
    found.text = legal_in_xml("\n".join(_in_full(report, each) for each in concerned))
    return found


def _first_finding(failures: list[Failure]) -> str:
    return next((str(finding) for each in failures for finding in each.findings), "see the ledger and the scenarios")


def _gap(report: Report, kind: str, name: str) -> NotVerified | None:
    return next((each for each in not_verified(report) if (each.kind, each.name) == (kind, name)), None)


def _property_cases(report: Report) -> list[TestCase]:
    cases = []
    for property_id in property_names(report):
        concerned = [each for each in report.failures if any(f.property == property_id for f in each.findings)]
        found = _outcome(
            report, property_verdict(report, property_id), concerned, _gap(report, "property", property_id)
        )
        cases.append(_case("properties", property_id, found))
    return cases


def _command_cases(report: Report) -> list[TestCase]:
    cases = []
    for name in command_names(report):
        concerned = [
            each for each in report.failures if each.frames and spelled(type(each.frames[-1].asked).__name__) == name
        ]
        found = _outcome(report, command_verdict(report, name), concerned, _gap(report, "command", name))
        cases.append(_case("commands", name, found))
    return cases


def _ledger_cases(report: Report) -> list[TestCase]:
    cases = []
    for each in report.ledger:
        text = legal_in_xml(f"{each.title}: {each.outcome}: {each.detail}")
        wrong = each.outcome in ("gone", "changed")
        cases.append(_case("ledger", each.id, Failed(text, each.outcome) if wrong else Skipped(text)))
    return cases


def _tour_cases(report: Report) -> list[TestCase]:
    count = report.tour
    walks = f"{report.edges_covered} of {report.edges_reachable} edges"
    cases = [_tour_case(report, "tour", walks, count.walks)]
    cases.append(_tour_case(report, "every write history", tour(count), count.plays, count.seconds))
    if report.images.reachable:
        taken = f"{report.images.covered} of {report.images.reachable} edges"
        cases.append(_tour_case(report, IMAGES, taken, report.phases[IMAGES]))
    left = [*((f"edges not reached: {why}", n) for why, n in ordered(report.unreached)),
            *((f"edges of images not reached: {why}", n) for why, n in ordered(report.images.unreached)),
            *((f"control sequences in part: {why}", n) for why, n in ordered(count.in_part))]  # fmt: skip
    return cases + [_case("tour", why, Skipped(str(n))) for why, n in left]


def _tour_case(report: Report, origin: str, said: str, played: int, seconds: float = 0.0) -> TestCase:
    """A phase of the tour, with what is said of it as output; skipped if nothing was played."""
    failures = [each for each in report.failures if each.origin == origin]
    verdict = worst([each.verdict for each in failures]) if played else None
    case = _case("tour", origin, _outcome(report, verdict, failures), seconds)
    case.system_out = legal_in_xml(said)
    return case


def _other_cases(report: Report) -> list[TestCase]:
    """What was not verified, and is no case elsewhere."""
    return [
        _case("not verified", f"{each.kind}: {each.name}", Skipped(legal_in_xml(f"{each.reason} ({each.count})")))
        for each in not_verified(report)
        if each.kind in ("capability", "data", "happening", "turned away")
    ]


def _scenario_cases(report: Report) -> list[TestCase]:
    """A case for each failed scenario, and one for the run as a whole."""
    cases = [
        _case("scenarios", f"{each.origin} {number}", _outcome(report, each.verdict, [each]))
        for number, each in enumerate(report.failures, 1)
    ]
    cases += [
        _case("scenarios", f"not repeatable {at}: {each.origin}", _outcome(report, Verdict.NOT_REPEATABLE, [each]))
        for at, each in enumerate(report.not_repeatable, 1)
    ]
    came = outcome(report)
    whole: Skipped | Failed | None = None
    if came.tone == BAD:
        whole = Failed(legal_in_xml(came.closing))
    elif not came.conformant:
        whole = Skipped(legal_in_xml(came.closing if report.steps else f"{NOT_RUN}: {came.closing}"))
    return [*cases, _case("scenarios", "the whole run", whole, report.seconds)]


def _in_full(report: Report, failure: Failure) -> str:
    parts = [str(finding) for finding in failure.findings]
    parts += [f"Rule: {each}" for each in rules_of(failure)]
    parts += [often] if (often := how_often(failure)) else []
    if failure.frames:
        parts += ["", picture_text(failure.frames)]
    if failure.saved is not None:
        parts.append(f"Reproduce with: {reproduce(failure, report.adapter)}")
    elif failure.not_saved:
        parts += [f"Not saved: {failure.not_saved}. The scenario:", as_text(failure.scenario)]
    return "\n".join(parts)


def legal_in_xml(text: str) -> str:
    """A text as XML may have it, which has no way to write some characters at all; what hides or orders is shown."""
    return FORBIDDEN_IN_XML.sub("?", "\n".join(map(plain, FORBIDDEN_IN_XML.sub("?", text).split("\n"))))
