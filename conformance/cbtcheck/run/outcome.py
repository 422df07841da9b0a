"""What a run amounts to: the one place that decides it. Every form of a report and the exit code ask here.

*Conformant* is only what was played whole, as its profile has it, and agrees in all of it. What agrees, and was not
played whole, *agrees, incomplete*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cbtcheck.run.not_verified import blocking_in_words
from cbtcheck.run.report import Report
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict, exit_code

GOOD, WARN, BAD, NONE = "good", "warn", "bad", "none"
"""The tones in which a result is shown."""

MOST_NAMES = 6
"""So many capabilities that are not claimed are named in a line."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run amounts to.

    `heading` is a headline, `closing` the whole run in one line, `tone` one of the four, `code` the exit code.
    `agrees`: nothing was found, as far as it went. `conformant` is that of the JSON report.
    """

    conformant: bool
    agrees: bool
    heading: str
    tone: str
    closing: str
    code: int


def outcome(report: Report) -> Outcome:
    """Decides it."""
    against = [*_against(report)]
    short = [*cut_short(report)]
    unexercised = blocking_in_words(report)
    if unexercised and report.steps:
        short.append(f"claimed, and never exercised: {unexercised}")
    doubts = doubted_in_words(report)
    code = _code(report, bool(short))
    if against:
        said = "; ".join([*against, *([doubts] if doubts else []), *cut_short(report)])
        return Outcome(False, False, "Not conformant", BAD, f"NOT CONFORMANT: {said}.", code)
    if not report.steps:
        said = "; ".join([*([doubts] if doubts else []), *cut_short(report), "nothing was run"])
        return Outcome(False, False, "No result", NONE, f"NO RESULT: {said}.", code)
    if doubts:
        rest = "all else agrees" + (f", incomplete: {'; '.join(short)}" if short else "")
        return Outcome(False, False, "Not repeatable", WARN, f"NOT REPEATABLE: {doubts}; {rest}.", code)
    known = _known(report)
    in_ledger = f"{known} in the ledger" if known else ""
    if short:
        said = f"AGREES, INCOMPLETE (not conformant){in_ledger}: {'; '.join(short)}."
        return Outcome(False, True, "Agrees, incomplete", WARN, said, code)
    heading = f"Conformant{known}"
    said = f"CONFORMANT{in_ledger and f'{in_ledger},'} {scope(report)}"
    said = f"{said}: {report.scenarios:,} scenarios, {report.steps:,} steps."
    return Outcome(True, True, heading, WARN if known else GOOD, said, code)


def scope(report: Report) -> str:
    """What a run is conformant for: the profile, and the capabilities."""
    drawn = report.phases["drawn"]
    less = f" (with {drawn:,} of its {report.to_draw:,} drawn scenarios)" if drawn < report.to_draw else ""
    unclaimed = [name for name in sorted(report.skipped) if name in report.not_claimed]
    if not unclaimed:
        return f"for profile {report.profile}{less} and all capabilities"
    named = ", ".join(unclaimed[:MOST_NAMES])
    more = f" and {len(unclaimed) - MOST_NAMES} more" if len(unclaimed) > MOST_NAMES else ""
    return f"for profile {report.profile}{less} and what is claimed (not {named}{more})"


def cut_short(report: Report) -> Iterator[str]:
    """Why a run did not play all that its profile has."""
    if report.interrupted:
        yield "interrupted; this is what was found until then"
    if report.only is not None:
        yield f"only what --only {report.only} names was played"
    if report.stopped:
        yield report.stopped


def doubted_in_words(report: Report) -> str:
    """What did not come again, counted; "" if there is nothing."""
    many = len(report.not_repeatable)
    if not many:
        return ""
    return f"{many} not repeatable (failed once, and not when {'it was' if many == 1 else 'they were'} replayed)"


def _against(report: Report) -> Iterator[str]:
    """What is against it."""
    if report.failures:
        many = len(report.failures)
        yield f"{many} failure{'s' if many > 1 else ''}, the worst {report.verdict.value}"
    for result in ("gone", "changed"):
        ids = [each.id for each in report.ledger if each.outcome == result]
        if ids:
            does = "does not fail any more" if result == "gone" else "fails in another way"
            yield f"the ledger is to be reviewed: {', '.join(ids)} {does}"


def _known(report: Report) -> str:
    known = sum(each.outcome == "known" for each in report.ledger)
    return f", but for {known} known failure{'s' if known > 1 else ''}" if known else ""


def _code(report: Report, short: bool) -> int:
    if report.interrupted:
        return EXIT_CODES["interrupted"]
    if report.failures:  # a failure is never a success, whatever its findings are called
        return exit_code(report.verdict) or EXIT_CODES["unsafe or diverging"]
    if report.ledger_broken:
        return EXIT_CODES["ledger"]
    if report.not_repeatable:
        return exit_code(Verdict.NOT_REPEATABLE)
    if not report.steps:
        return EXIT_CODES["usage"]
    return EXIT_CODES["incomplete" if short else "conformant"]
