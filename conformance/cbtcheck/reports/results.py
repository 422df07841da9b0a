"""What a report says of each command, property and phase, in words that every form of it shares.

What was checked 0 times has no verdict: nothing is passed that was not run.
"""

from __future__ import annotations

import shlex
from collections import Counter

from cbtmodel import commands, properties

from cbtcheck.reports.report import CommandCount, Failure, PropertyCount, Report, TourCount
from cbtcheck.scenario import spelled
from cbtcheck.verdict import Verdict

NOT_RUN = "not run"

GOOD, WARN, BAD, NONE = "good", "warn", "bad", "none"
"""The tones in which a result is shown."""

SAFETY = {
    Verdict.EXACT: "no write was seen lost",
    Verdict.UNSAFE: "a write was lost",
    Verdict.BROKEN: "cannot be told: the implementation broke",
}

EXACTNESS = {
    Verdict.EXACT: "nothing was reported that need not be",
    Verdict.WASTEFUL: "more was reported than there need be",
}


def command_names(report: Report) -> list[str]:
    """Every command that there is, as in scenario files, and what else the report has counted."""
    known = [spelled(each.__name__) for each in commands.Command.__args__]
    return known + sorted({spelled(name) for name in report.commands} - set(known))


def count_of(report: Report, command: str) -> CommandCount:
    """The count of a command by its name in scenario files."""
    for name, count in report.commands.items():
        if spelled(name) == command:
            return count
    return CommandCount()


def command_verdict(report: Report, command: str) -> Verdict | None:
    """The verdict of a command: None if it was not run, skipped if it was not claimed either."""
    count = count_of(report, command)
    if count.accepted or count.refused or count.worst is not Verdict.EXACT:
        return count.worst
    return Verdict.SKIPPED if command in {spelled(each) for each in report.skipped} else None


def property_names(report: Report) -> list[str]:
    """The IDs of all properties, in the specification's order, and what else the report has counted."""
    return [*properties.IDS, *sorted(report.properties.keys() - set(properties.IDS))]


def property_verdict(report: Report, id: str) -> Verdict | None:
    """The verdict of a property; None if it was not checked."""
    count = report.properties.get(id, PropertyCount())
    if count.checked or count.worst is not Verdict.EXACT:
        return count.worst
    return Verdict.SKIPPED if id in report.skipped else None


def statement(id: str) -> str:
    """What a property says, in one line: that of the specification."""
    of_states, of_steps, of_writes = properties.OF_STATES, properties.OF_STEPS, properties.OF_WRITES
    functions = [*of_states.get(id, ()), *of_steps.get(id, ()), *([of_writes[id]] if id in of_writes else [])]
    return (functions[0].__doc__ or "").splitlines()[0] if functions else ""


def tour(count: TourCount) -> str:
    """What was played on the universal disk, and how fast."""
    if not count.plays:
        return NOT_RUN
    return (
        f"{count.sequences:,} control sequences × every write history of up to {count.writes} writes: "  # noqa: RUF001
        f"{count.pairs:,} pairs, {count.rate:,.0f}/s"
    )


def ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """Counts, the largest first; equal ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def edges_by_command(report: Report) -> dict[str, tuple[int, Counter[str]]]:
    """For each command that has edges: how many were reached, and the others by what came between."""
    missed: dict[str, Counter[str]] = {}
    for each in report.missed:
        missed.setdefault(each.command, Counter())[each.why] += 1
    named = [name for name in command_names(report) if name in missed or name in report.reached]
    others = sorted((missed.keys() | report.reached.keys()) - set(named))
    return {name: (report.reached[name], missed.get(name, Counter())) for name in (*named, *others)}


def reproduce(failure: Failure, adapter: str, more_options: str = "") -> str:
    """The line that plays a saved failure again; empty if it was not saved."""
    if failure.saved is None:
        return ""
    return (
        f"cbtspec replay {shlex.quote(str(failure.saved))} --adapter {shlex.quote(adapter)} {more_options}".rstrip()
    )


def safety_in_words(report: Report) -> str:
    """What the result on safety means; a known failure is not a new one, but it is one."""
    known = [each.id for each in report.ledger if each.outcome == "known" and not each.verdict.safe]
    return _in_words(report.safety, SAFETY, known)


def exactness_in_words(report: Report) -> str:
    """What the result on exactness means."""
    known = [each.id for each in report.ledger if each.outcome == "known" and each.verdict is Verdict.WASTEFUL]
    return _in_words(report.exactness, EXACTNESS, known)


def _in_words(verdict: Verdict, words: dict[Verdict, str], known: list[str]) -> str:
    joined = ", but for what is known" if verdict is Verdict.EXACT else "; known besides"
    return words.get(verdict, "") + (f"{joined}: {', '.join(known)}" if known else "")


def verdict_in_words(report: Report, strictly: bool) -> tuple[str, str]:
    """The headline, and its tone: good, warn, bad or none. `strictly`: nothing blocks (see `not_verified`)."""
    if not report.steps and not report.failures:
        return "No result", NONE
    if not report.conformant:
        return "Not conformant", BAD
    if not strictly:
        return "Incomplete: agrees in what was run", WARN
    known = sum(each.outcome == "known" for each in report.ledger)
    if known:
        return f"Conformant, but for {known} known failure{'s' if known > 1 else ''}", WARN
    return "Conformant", GOOD


def closing(report: Report) -> str:
    """The whole run in one line."""
    known = sum(each.outcome == "known" for each in report.ledger)
    reasons = []
    if report.interrupted:
        reasons.append("interrupted; this is what was found until then")
    if report.failures:
        many = len(report.failures)
        reasons.append(f"{many} failure{'s' if many > 1 else ''}, the worst {report.verdict.value}")
    for outcome in ("gone", "changed"):
        ids = [each.id for each in report.ledger if each.outcome == outcome]
        if ids:
            does = "does not fail any more" if outcome == "gone" else "fails in another way"
            reasons.append(f"the ledger is to be reviewed: {', '.join(ids)} {does}")
    if not report.steps and not report.failures:
        reasons.append("nothing was run")
    if reasons:
        judged = report.steps > 0 or bool(report.failures)
        return f"{'NOT CONFORMANT' if judged else 'NO RESULT'}: {'; '.join(reasons)}."
    expected = f", but for {known} known failure{'s' if known > 1 else ''} in the ledger" if known else ""
    return f"CONFORMANT{expected}: {report.scenarios:,} scenarios, {report.steps:,} steps."
