"""What a report says of each command, property and phase, in words that every form of it shares.

What was checked 0 times has no verdict: nothing is passed that was not run.
"""

from __future__ import annotations

import shlex
from collections import Counter

from cbtmodel import commands, properties
from cbtmodel.image_properties import rule_disk

from cbtcheck.follow.judge_images import RULE_DISK
from cbtcheck.run.report import CommandCount, Failure, PropertyCount, Report, TourCount
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import spelled
from cbtcheck.scenario.verdict import Verdict

NOT_RUN = "not run"

SAFETY = {
    Verdict.EXACT: "no write was seen lost",
    Verdict.NOT_REPEATABLE: "no write was seen lost in what comes again; what looked like it did not come again",
    Verdict.UNSAFE: "a write was lost",
    Verdict.BROKEN: "cannot be told: the implementation broke",
}

EXACTNESS = {
    Verdict.EXACT: "nothing was reported that need not be",
    Verdict.NOT_REPEATABLE: "what was reported beyond what there need be was not reported again",
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
    if command in report.by_suite and count.worst is Verdict.EXACT:
        return Verdict.SKIPPED
    if count.accepted or count.refused or count.worst is not Verdict.EXACT:
        return count.worst
    return Verdict.SKIPPED if command in {spelled(each) for each in report.skipped} else None


def property_names(report: Report) -> list[str]:
    """The IDs of all properties, in the specification's order, and what else the report has counted."""
    return [*properties.IDS, *sorted(report.properties.keys() - set(properties.IDS))]


OF_COPIES = ("POINT-IN-TIME", "RELEASE")
"""Properties of how copies are made: where the suite makes them, they say nothing of the implementation."""


def property_verdict(report: Report, property_id: str) -> Verdict | None:
    """The verdict of a property: None if it was not checked, skipped if nothing that it needs is claimed either."""
    count = report.properties.get(property_id, PropertyCount())
    if report.by_suite and property_id in OF_COPIES and count.worst is Verdict.EXACT:
        return Verdict.SKIPPED
    if count.checked or count.worst is not Verdict.EXACT:
        return count.worst
    skipped = property_id in report.skipped or all_it_needs_is_skipped(report, property_id)
    return Verdict.SKIPPED if skipped else None


def all_it_needs_is_skipped(report: Report, property_id: str) -> bool:
    """Whether a property needs something to be checked, and nothing of that was asked for."""
    needs = PROPERTIES.get(property_id, frozenset())
    return bool(needs) and needs <= report.skipped.keys()


def statement(property_id: str) -> str:
    """What a property says, in one line: that of the specification."""
    of_states, of_steps, of_writes = properties.OF_STATES, properties.OF_STEPS, properties.OF_WRITES
    functions = [
        *of_states.get(property_id, ()),
        *of_steps.get(property_id, ()),
        *([of_writes[property_id]] if property_id in of_writes else []),
        *([rule_disk] if property_id == RULE_DISK else []),
    ]
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


def rules_of(failure: Failure) -> list[str]:
    """The rules that its findings break, each once, in a sentence."""
    return [*dict.fromkeys(map(rule, failure.findings))]


def how_often(failure: Failure) -> str:
    """How often a scenario failed when it was played again, if not each time, and where else the same was seen."""
    parts = []
    if failure.failed == 1 < failure.plays:
        parts.append(f"seen once; not in {failure.plays - 1} replay{'s' if failure.plays > 2 else ''}")
    elif failure.failed < failure.plays:
        parts.append(f"failed in {failure.failed} of {failure.plays} plays")
    if failure.also:
        parts.append(f"also seen in {failure.also:,} other scenario{'s' if failure.also > 1 else ''}")
        kept = [str(each.saved) for each in failure.others if each.saved is not None]
        if kept:
            parts[-1] += f", among them {', '.join(kept)}"
    if failure.output is not None:
        parts.append(f"all that it printed: {failure.output}")
    return "; ".join(parts)


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
