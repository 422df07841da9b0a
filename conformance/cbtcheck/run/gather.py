"""Gathers the parts of a run into its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cbtcheck.adapter import FEATURES, Capabilities
from cbtcheck.host.saving import write_new
from cbtcheck.run.bounds import bounds
from cbtcheck.run.failed_before import Keeper
from cbtcheck.run.failing import cause
from cbtcheck.run.outcome import cut_short
from cbtcheck.run.part import LEFT_OUT_AFTER_ENOUGH, NOT_PLAYED, OTHERWISE, Part, Signature
from cbtcheck.run.plan import Scope
from cbtcheck.run.report import (
    CommandCount,
    Failure,
    ImagesCount,
    LedgerResult,
    MissedEdge,
    PropertyCount,
    Report,
    TourCount,
)
from cbtcheck.run.results import OF_COPIES
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.run.turned_away import Sample
from cbtcheck.scenario.capabilities import COMMANDS, JOB_CONTROL
from cbtcheck.scenario.scenario import KINDS, as_bytes
from cbtcheck.scenario.verdict import Verdict, worst
from cbtcheck.search.tour.coverage import Coverage, Edge
from cbtcheck.search.tour.images.words import ImageEdge

NOT_CLAIMED = "the implementation does not claim it"

OF_WHAT_IS_NOT_CLAIMED = "take what the implementation does not claim"

BY_SUITE = "done by the suite, which makes the copies"

ENOUGH_FAILURES = 6
"""Different failures worse than waste, after which the tour ends, and no more scenarios are drawn."""


@dataclass(frozen=True)
class Known:
    """What is known when an item begins, from items that come before it in the order of the run.

    `confirmed` is what came of the ledger, None before that. `marks` are the kinds of failures that there were
    already, and `shapes` the samples of what was turned away, by the id of the defect: none is needed twice. To know
    less of them costs time, and changes no report.
    """

    confirmed: tuple[LedgerResult, ...] | None = None
    marks: frozenset[Signature] = frozenset()
    shapes: Mapping[str, frozenset[Hashable]] = field(default_factory=dict)


@dataclass
class Samples:
    """Of what was turned away because of each known defect a few, each of another shape."""

    listed: list[Sample] = field(default_factory=list)

    def add(self, samples: Iterable[Sample]) -> None:
        """Those of the next part of a run."""
        for each in samples:
            kept = self.shapes.get(each.ids[0], frozenset())
            if len(kept) < each.most and each.shape not in kept:
                self.listed.append(each)

    @property
    def shapes(self) -> dict[str, frozenset[Hashable]]:
        """The shapes that there are, by the id of the defect."""
        found: dict[str, frozenset[Hashable]] = {}
        for each in self.listed:
            found[each.ids[0]] = found.get(each.ids[0], frozenset()) | {each.shape}
        return found


@dataclass
class Gathering:
    """A report in the making; what fails is saved in the directory `reports` at once.

    Parts are to be added in the order of the run: of failures of a kind the first one counts, and after enough of
    them the tour and what is drawn count no more.
    """

    report: Report
    reports: Path
    missed_because: dict[Edge, str] = field(default_factory=dict)
    first: bool = False
    coverage: Coverage = field(default_factory=Coverage)
    image_edges: set[ImageEdge] = field(default_factory=set)
    image_edges_missed: dict[ImageEdge, str] = field(default_factory=dict)
    exhausted: bool = False
    _different: int = 0
    _causes: dict[Signature, Failure] = field(default_factory=dict)
    _kept: dict[Signature, Failure] = field(default_factory=dict)
    _doubted: dict[Signature, Failure] = field(default_factory=dict)
    samples: Samples = field(default_factory=lambda: Samples())
    _confirmed: tuple[LedgerResult, ...] | None = None

    def __post_init__(self) -> None:
        self._keeper = Keeper(self.reports, self.report.adapter)
        names = [name for name in KINDS if name not in ("abort", "restore")]
        self.report.commands = {name: CommandCount() for name in names}
        self.report.properties = {property_id: PropertyCount() for property_id in (*PROPERTIES, "BATCH")}

    @property
    def enough(self) -> bool:
        """Whether so much has failed that the rest may be left out."""
        if self.first:
            return bool(self.report.failures)
        return self._different >= ENOUGH_FAILURES

    def left_out(self, phase: str) -> bool:
        """Whether so much has failed, or the adapter is so exhausted, that nothing more of this phase is played."""
        return self.exhausted or (self.enough and (self.first or phase in LEFT_OUT_AFTER_ENOUGH))

    def confirmed(self) -> None:
        """The ledger is through."""
        self._confirmed = tuple(replace(each) for each in self.report.ledger)

    @property
    def known(self) -> Known:
        """What an item may know that begins now."""
        return Known(self._confirmed, frozenset(self._kept), self.samples.shapes)

    def add(self, part: Part) -> None:
        """The next part of the run."""
        self.exhausted = self.exhausted or part.exhausted
        report = self.report
        if self.enough and (self.first or part.phase in LEFT_OUT_AFTER_ENOUGH):
            return
        if part.scenarios:
            report.phases[part.phase] += part.scenarios
        report.steps += part.steps
        report.compared += part.compared
        report.not_realised.update(part.not_realised)
        self.coverage.edges |= part.edges
        self.missed_because |= part.missed_because
        self.image_edges |= part.image_edges
        self.image_edges_missed |= part.image_edges_missed
        report.skipped |= part.not_claimed
        add_commands(report.commands, part.commands)
        add_properties(report.properties, part.properties)
        add_tour(report.tour, part.tour)
        self._add_ledger(part)
        self.samples.add(part.samples)
        if report.before is not None:
            report.before.agree |= part.agree_now
        for mark, failure in part.failures:
            self._add_failure(mark, failure)
        for mark, failure in part.not_repeatable:
            first = self._doubted.setdefault(mark, failure)
            if first is failure:
                self._save(failure, Verdict.NOT_REPEATABLE, len(report.not_repeatable))
                report.not_repeatable.append(failure)
            else:
                first.also += 1
        for mark, times in part.alike.items():
            if mark in self._kept:
                self._kept[mark].also += times

    def _add_failure(self, mark: Signature, failure: Failure) -> None:
        """A failure of a new kind; if one of the same cause was seen before, it belongs to that."""
        if mark in self._kept:
            self._kept[mark].also += 1
            return
        self._different += failure.verdict is not Verdict.WASTEFUL
        first = self._causes.setdefault(cause(mark), failure)
        self._kept[mark] = first
        self._save(failure, failure.verdict, len(self.report.failures) + sum(map(_others, self.report.failures)))
        if first is failure:
            self.report.failures.append(failure)
        else:
            first.also += 1
            first.others.append(failure)

    def _add_ledger(self, part: Part) -> None:
        if part.confirmed is not None:
            self.report.ledger.append(part.confirmed)
        for result in self.report.ledger:
            result.turned_away += part.turned_away[result.id]
            if result.id in part.known_again:
                result.outcome, result.detail = "known", part.known_again[result.id]

    def _save(self, failure: Failure, verdict: Verdict, before: int) -> None:
        """Saves it under a name that no file has yet, so that what another run has found stays."""
        stem, first = f"{self.report.adapter}-{verdict.value.replace(' ', '-')}", before + 1
        try:
            failure.saved = write_new(self.reports, stem, ".json", as_bytes(failure.scenario), first)
            self._keeper.saved(failure.saved.name)
            printed = next((each.output for each in failure.findings if each.output), "")
            if printed:
                content = printed.encode(errors="replace")
                failure.output = write_new(self.reports, f"{failure.saved.stem}.output", ".txt", content)
        except OSError as problem:
            failure.not_saved = f"{self.reports} cannot be written: {problem.strerror}"

    def finished(self, scope: Scope, capabilities: Capabilities) -> Report:
        """The report, complete."""
        report = self.report
        report.edges_covered, report.edges_reachable = self.coverage.within(scope.edges), len(scope.edges)
        report.reached = self.coverage.reached(scope.edges)
        report.missed = self._missed(scope)
        report.unreached = Counter(each.why for each in report.missed)
        report.images = self._images(scope)
        for name in sorted((COMMANDS - capabilities.commands) | (FEATURES - capabilities.features)):
            report.skipped[name] = NOT_CLAIMED
        report.claimed = (capabilities.commands & COMMANDS) | (capabilities.features & FEATURES)
        report.bounded = bounds(capabilities)
        report.not_claimed = (COMMANDS | FEATURES) - report.claimed
        if self.enough:
            many = "the first failure" if self.first else f"{self._different} different failures"
            report.stopped = f"stopped after {many}; the rest was not played"
        elif self.exhausted:
            report.stopped = "ended early: it was late, or broke, so often that it was not worth waiting for"
        if capabilities.suite_copies:
            report.by_suite = JOB_CONTROL & capabilities.commands
            report.skipped |= dict.fromkeys([*sorted(report.by_suite), *OF_COPIES], BY_SUITE)
        self._remember()
        report.skipped["BATCH"] = "relates two histories of the specification; tests and proofs check it there"
        return report

    def _remember(self) -> None:
        """What the next run can begin with."""
        played = {} if self.report.before is None else self.report.before.agree
        again = [name for name, agrees in played.items() if not agrees]
        whole = not self.report.interrupted and not any(cut_short(self.report))
        self._keeper.ended([name for name, agrees in played.items() if agrees], again, whole)
        self.report.list_not_written = self._keeper.not_written

    def _images(self, scope: Scope) -> ImagesCount:
        """What was taken of the edges of images, and what came between."""
        rest = scope.images - self.image_edges
        why = Counter(self.image_edges_missed.get(each, NOT_PLAYED) for each in rest & scope.image_aims)
        why.update({OF_WHAT_IS_NOT_CLAIMED: len(rest - scope.image_aims)} if rest - scope.image_aims else {})
        return ImagesCount(len(scope.images) - len(rest), len(scope.images), why)

    def _missed(self, scope: Scope) -> list[MissedEdge]:
        """The edges that the tour is after and the whole run did not cover, with what came between."""
        rest = sorted(scope.aims - self.coverage.edges)
        why = {each: self.missed_because.get(each, NOT_PLAYED) or OTHERWISE for each in rest}
        return [MissedEdge(each.command.partition(":")[0], str(each), reason) for each, reason in why.items()]


def _others(failure: Failure) -> int:
    return len(failure.others)


def add_commands(to: dict[str, CommandCount], more: dict[str, CommandCount]) -> None:
    """Adds counts of commands up; the worst verdict stays."""
    for name, count in more.items():
        total = to.setdefault(name, CommandCount())
        total.accepted += count.accepted
        total.refused.update(count.refused)
        total.features.update(count.features)
        total.worst = worst([total.worst, count.worst])


def add_properties(to: dict[str, PropertyCount], more: dict[str, PropertyCount]) -> None:
    """Adds counts of checks up; the worst verdict stays."""
    for property_id, count in more.items():
        total = to.setdefault(property_id, PropertyCount())
        total.checked += count.checked
        total.worst = worst([total.worst, count.worst])


def add_tour(to: TourCount, more: TourCount) -> None:
    """Adds counts of the tour up. The most writes of a history stay the most."""
    to.walks += more.walks
    to.sequences += more.sequences
    to.pairs += more.pairs
    to.plays += more.plays
    to.writes = max(to.writes, more.writes)
    to.bounded += more.bounded
    to.in_part.update(more.in_part)
    to.seconds += more.seconds
