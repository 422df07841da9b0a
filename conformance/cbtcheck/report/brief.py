"""A run in a few lines: the verdict, what was played, what was not covered, what is known, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from cbtcheck.run.not_verified import OF_IMAGES, PLURALS, NotVerified, not_verified
from cbtcheck.run.outcome import WARN, cut_short, doubted_in_words, outcome
from cbtcheck.run.report import Report
from cbtcheck.run.results import NOT_RUN, exactness_in_words, reproduce, safety_in_words
from cbtcheck.scenario.verdict import Verdict

COLOUR = {
    Verdict.EXACT: "green",
    Verdict.SKIPPED: "dim",
    Verdict.KNOWN: "yellow",
    Verdict.NOT_REPEATABLE: "yellow",
    Verdict.WASTEFUL: "yellow",
    Verdict.DIVERGES: "red",
    Verdict.UNSAFE: "bold red",
    Verdict.BROKEN: "bold red",
}

NAMED = 2
"""So many of a kind are named; of more there is the number only."""

DEEPER = {"quick": "ci", "ci": "deep"}
"""The profile that goes further."""


def brief(report: Report, more_options: str = "") -> Iterator[Text]:
    """Ten lines at most, with what to do next; the verdict of the whole run is the last, as it always is."""
    played = ", ".join(f"{phase} {count:,}" for phase, count in report.phases.items())
    yield Text(f"scenarios    {report.scenarios:,}" + (f" ({played})" if played else ""))
    took = f"{report.steps:,} in {report.seconds:.1f} s"
    yield Text(f"steps        {took}; {report.compared:,} restored disks compared")
    if report.workers_died:
        yield Text(f"processes    {report.lost_in_words}", "yellow")
    if report.before is not None:
        yield Text(f"first        {report.before.in_words()}")
    if report.steps == 0:
        yield Text(f"safety       {NOT_RUN}")
        yield Text(f"exactness    {NOT_RUN}")
    else:
        yield result("safety", 13, report.safety, safety_in_words(report))
        yield result("exactness", 13, report.exactness, exactness_in_words(report))
    if report.not_repeatable:
        yield Text(f"apart        {doubted_in_words(report)}", "yellow")
    yield Text(f"not covered  {not_covered(report)}")
    if known := known_failures(report):
        yield Text(f"known        {known}")
    yield Text(f"next         {next_step(report, more_options)}")
    yield closing(report)


def result(what: str, width: int, verdict: Verdict, words: str) -> Text:
    """Safety or exactness, in a line."""
    return Text(f"{what:<{width}}").append(verdict.value, COLOUR[verdict]).append(f": {words}")


def closing(report: Report) -> Text:
    """The whole run in one line."""
    came = outcome(report)
    colour = "green" if came.conformant else "yellow" if came.tone == WARN else "red"
    return Text(came.closing, f"bold {colour}")


def not_covered(report: Report) -> str:
    """What the run has not verified, counted by kind; what blocks comes first. -v has the reasons."""
    found = not_verified(report)
    parts = []
    for blocking, said in ((True, "claimed: "), (False, "")):
        kinds: dict[str, list[NotVerified]] = {}
        for each in found:
            if each.blocking == blocking:
                kinds.setdefault(each.kind, []).append(each)
        if kinds:
            parts.append(said + ", ".join(_counted(report, kind, each) for kind, each in kinds.items()))
    return "; besides ".join(parts) or "nothing is known of"


def _counted(report: Report, kind: str, found: list[NotVerified]) -> str:
    many = sum(each.count for each in found)
    if kind == "edges":
        of_images = sum(each.count for each in found if each.name == OF_IMAGES)
        counts = {f"{report.edges_reachable:,} edges": many - of_images,
                  f"{report.images.reachable:,} edges of images": of_images}  # fmt: skip
        return ", ".join(f"{count:,} of {every}" for every, count in counts.items() if count)
    if kind == "histories":
        return f"{many:,} control sequences in part"
    if kind == "happening":
        names = ", ".join(dict.fromkeys(each.name for each in found))
        return f"{names} could not be made to happen {many:,} times"
    if kind == "turned away":
        return f"{many:,} commands turned away"
    if kind == "ledger":
        return f"{many:,} of the ledger's entries not confirmed"
    if kind == "data":
        return "restored data"
    named = f" ({', '.join(each.name for each in found)})" if len(found) <= NAMED else ""
    return f"{many:,} {kind if many == 1 else PLURALS[kind]}{named}"


def known_failures(report: Report) -> str:
    """What came of the expected failures in the ledger; "" if it has none for this implementation."""
    came: dict[str, list[str]] = {}
    for each in report.ledger:
        if each.outcome in ("known", "gone", "changed"):
            came.setdefault(each.outcome, []).append(each.id)
    said = {"known": "failing as listed", "gone": "not failing any more", "changed": "failing in another way"}
    return "; ".join(f"{len(ids)} of the ledger, {said[outcome]}: {', '.join(ids)}" for outcome, ids in came.items())


def next_step(report: Report, more_options: str = "") -> str:
    """The one thing to do now."""
    for each in (*report.failures, *report.not_repeatable):
        if line := reproduce(each, report.adapter, more_options):
            return line
    if report.failures or report.not_repeatable:
        return "look at the scenario above; it could not be saved"
    outcomes = Counter(each.outcome for each in report.ledger)
    if outcomes["gone"] or outcomes["changed"]:
        return "review the ledger (-v shows its entries): is the defect mended in this version?"
    if not report.steps:
        return "cbtspec check --help"
    if report.only is not None:
        return f"{_again(report, report.profile, more_options)}   (without --only: the whole profile)"
    if [*cut_short(report)]:
        return f"{_again(report, report.profile, more_options)}   (to its end)"
    if any(each.blocking for each in not_verified(report)):
        return "-v names what was never exercised; an adapter should not claim what it cannot show"
    if report.profile in DEEPER:
        return f"{_again(report, DEEPER[report.profile], more_options)}   (goes further; -v prints the tables)"
    return "another --seed draws other scenarios; -v prints the tables"


def _again(report: Report, profile: str, more_options: str) -> str:
    return f"cbtspec check {report.adapter} --profile {profile} {more_options}".rstrip()
