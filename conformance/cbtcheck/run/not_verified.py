"""What a run has not verified, with the reason: every form of a report counts it, lest silence be taken for yes.

Some of it *blocks*: the implementation claims it, and the run never exercised it. Then the run *agrees, incomplete*
at best (see `outcome`). What is not claimed, cannot be asked for or is turned away because of a known defect is said,
and does not block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cbtcheck.adapter import FEATURES
from cbtcheck.run.part import NOT_ASKED_FOR, NOT_PLAYED
from cbtcheck.run.report import PropertyCount, Report
from cbtcheck.run.results import all_it_needs_is_skipped, command_names, count_of, ordered, property_names
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.scenario.scenario import spelled

KINDS = ("command", "property", "capability", "data", "edges", "histories", "bounded", "happening", "ledger",
         "turned away")  # fmt: skip
"""In the order in which they are listed."""

PLURALS = {
    "command": "commands",
    "property": "properties",
    "capability": "capabilities",
    "data": "restored data",
    "bounded": "bounded",
}

SEEN_IN_DATA = frozenset({"content", "read"})
"""Features that are not done by commands: whether they were exercised is whether restored disks were compared."""

MEANS_NOTHING_WITHOUT = {
    "ignored-discard": "discard",
    "grouped": "transaction",
    "always": "start-backup",
    "never": "start-backup",
    "error-policies": "start-backup",
    "manual-finalize": "start-backup",
}
"""Features that cannot be asked for without another capability, which somebody may not claim."""

OF_THE_SPECIFICATION, OF_IMAGES = "edges of the specification", "edges of images"

NARROWED = (NOT_ASKED_FOR, NOT_PLAYED)
"""Why the run itself, and not the implementation, has left something out."""


@dataclass(frozen=True, slots=True)
class NotVerified:
    """Something that the run has not verified. `count` is how many of it there are, `blocking` see above.

    - *command*, *property*, *capability* (a feature of commands): `name` was never exercised;
    - *data*: no restored disk was compared;
    - *edges*: edges of the specification, or of images, that were not reached, for this reason;
    - *histories*: control sequences against which not every history of guest writes was played;
    - *bounded*: what is larger than is claimed, or than the suite asks for if nobody claims it (see `bounds`);
    - *happening*: `name` was asked for, and could not be made to happen, that many times;
    - *ledger*: the entry `name` was not confirmed in this run;
    - *turned away*: so many commands were not played, because they would have run into the defect of that entry.
    """

    kind: str
    name: str
    reason: str
    count: int = 1
    blocking: bool = False


def not_verified(report: Report) -> list[NotVerified]:
    """All of it, what blocks first within each kind."""
    found = [*_commands(report), *_properties(report), *_capabilities(report), *_data(report), *_edges(report),
             *_edges_of_images(report), *_histories(report), *_bounded(report), *_happenings(report),
             *_ledger(report)]  # fmt: skip
    return sorted(found, key=lambda each: (KINDS.index(each.kind), not each.blocking))


def blocking_in_words(report: Report) -> str:
    """What is claimed and was never exercised, counted: "2 commands, 1 property"; "" if there is nothing."""
    counts: Counter[str] = Counter()
    for each in not_verified(report):
        counts[each.kind] += each.count if each.blocking else 0
    words = []
    for kind, count in counts.items():
        if count:
            plural = PLURALS.get(kind, kind)
            words.append(plural if kind == "data" else f"{count:,} {kind if count == 1 else plural}")
    return ", ".join(words)


def _commands(report: Report) -> Iterator[NotVerified]:
    skipped = {spelled(name): reason for name, reason in report.skipped.items()}
    for name in command_names(report):
        count = count_of(report, name)
        if count.accepted and name not in report.by_suite:
            continue
        if name in skipped:
            yield NotVerified("command", name, skipped[name])
        else:
            asked = "only ever refused" if count.refused else "never exercised"
            yield NotVerified("command", name, f"claimed, and {asked}", blocking=True)


def _properties(report: Report) -> Iterator[NotVerified]:
    for property_id in property_names(report):
        if report.properties.get(property_id, PropertyCount()).checked:
            continue
        needs = sorted(PROPERTIES.get(property_id, ()))
        if property_id in report.skipped:
            yield NotVerified("property", property_id, report.skipped[property_id])
        elif not needs:
            yield NotVerified("property", property_id, "cannot be checked on an implementation")
        elif all_it_needs_is_skipped(report, property_id):
            one = f"needs {needs[0]}, which is not claimed"
            reason = one if len(needs) == 1 else f"needs one of {', '.join(needs)}; none is claimed"
            yield NotVerified("property", property_id, reason)
        else:
            yield NotVerified("property", property_id, "never checked in a way that could have failed", blocking=True)


def _capabilities(report: Report) -> Iterator[NotVerified]:
    named = {*command_names(report), *property_names(report)}
    for name, reason in sorted(report.skipped.items()):
        if spelled(name) not in named and name not in named:
            yield NotVerified("capability", name, reason)
    exercised = {each for count in report.commands.values() for each in count.features}
    if any(count.refused["invalid"] for count in report.commands.values()):
        exercised.add("refusals")
    for name in sorted(FEATURES - report.skipped.keys() - exercised - SEEN_IN_DATA):
        needed = MEANS_NOTHING_WITHOUT.get(name, "")
        if needed in report.skipped:
            yield NotVerified("capability", name, f"needs {needed}, which is not claimed")
        else:
            yield NotVerified("capability", name, "claimed, and never exercised", blocking=True)


def _data(report: Report) -> Iterator[NotVerified]:
    if report.compared:
        return
    for needed in ("start-backup", "content"):
        if needed in report.skipped:
            yield NotVerified("data", "restored disks", f"{needed}: {report.skipped[needed]}")
            return
    yield NotVerified("data", "restored disks", "none was compared", blocking=True)


def _edges(report: Report) -> Iterator[NotVerified]:
    for why, count in ordered(report.unreached):
        yield NotVerified("edges", OF_THE_SPECIFICATION, why, count, why in NARROWED)


def _edges_of_images(report: Report) -> Iterator[NotVerified]:
    for why, count in ordered(report.images.unreached):
        yield NotVerified("edges", OF_IMAGES, why, count, why in NARROWED)


def _histories(report: Report) -> Iterator[NotVerified]:
    name = "control sequences"
    for why, count in ordered(report.tour.in_part):
        yield NotVerified("histories", name, why, count, why in NARROWED)
    if report.tour.bounded:
        why = "long ones: only writes that are near each other were combined"
        yield NotVerified("histories", name, why, report.tour.bounded)


def _bounded(report: Report) -> Iterator[NotVerified]:
    for what, why in report.bounded.items():
        yield NotVerified("bounded", what, why)


def _happenings(report: Report) -> Iterator[NotVerified]:
    for name, count in sorted(report.not_realised.items()):
        yield NotVerified("happening", spelled(name), "could not be made to happen", count)


def _ledger(report: Report) -> Iterator[NotVerified]:
    for each in report.ledger:
        if each.outcome in ("skipped", "quiet"):
            yield NotVerified("ledger", each.id, f"not confirmed: {each.detail}")
        if each.turned_away:
            yield NotVerified("turned away", each.id, "would have run into this known defect", each.turned_away)
