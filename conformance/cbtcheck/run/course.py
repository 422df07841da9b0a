"""The course of a run: the ledger, the tour, workflows, traps, families, long histories, and drawn scenarios."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cbtcheck.adapter import Adapter
from cbtcheck.follow.play import Frame, Player, verdict_of
from cbtcheck.host.version import VERSION
from cbtcheck.run.deal import NOTHING_YET, dealer
from cbtcheck.run.failed_before import FailedBefore
from cbtcheck.run.failing import Failing, Smaller
from cbtcheck.run.gather import Gathering, Scope
from cbtcheck.run.interrupts import interrupts, or_over
from cbtcheck.run.ledger.ledger import Entry, confirm, entries, holds
from cbtcheck.run.ledger.triggers import Trigger, triggered
from cbtcheck.run.part import BEHIND, DRAWN, FAILED_BEFORE, FAMILIES, LEDGER, LONG, TOUR, TRAPS, WORKFLOWS, Part
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.report import FailedFirst, LedgerResult, Report
from cbtcheck.run.shard import WHOLE, Shard
from cbtcheck.run.tally import Tally
from cbtcheck.run.tour_phases import TourPhases
from cbtcheck.run.turned_away import Behind, the_race
from cbtcheck.run.wanted import DRAWN_ONE_IN, concerns, exercises
from cbtcheck.scenario.capabilities import missing, missing_for
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.families import families, members
from cbtcheck.search.families.long import history
from cbtcheck.search.tour.contexts.measure import AllEdges
from cbtcheck.search.tour.contexts.plan import edges_of_scope
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.traps import traps
from cbtcheck.workflows import workflows

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
Once = Callable[[Callable[[], list[LedgerResult]]], list[LedgerResult]]

CLOSELY = (FAILED_BEFORE, TOUR, WORKFLOWS, TRAPS, BEHIND)
"""The phases in which everything is observed after every step."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for. `only` is a property's ID or a command's name."""

    profile: str
    seed: int
    examples: int | None
    seconds: float | None
    only: str | None
    reports: Path
    most_seconds: float | None = None
    """For the whole run: what is over then counts as interrupted."""
    first: bool = False
    """Whether it ends with the first failure."""
    before: FailedBefore | None = None
    """What failed in the last run, if the run is to begin with that."""


def run(open_adapter: Callable[[], Adapter], options: Options, progress: Progress) -> Report:
    """The whole course, in this process. Ctrl-C ends it early, with a report of what was found until then."""
    with interrupts(signal.SIGINT) as pressed:
        interrupted = or_over(pressed, options.most_seconds)
        with pressed.at_once():
            adapter = open_adapter()
        try:
            gathering = gathering_for(adapter.name, adapter.version, options)
            with pressed.at_once():
                course = Course(adapter, options, progress, interrupted, gathering.add, lambda: gathering.enough)
            started = time.monotonic()
            try:
                course.run()
            except KeyboardInterrupt:
                gathering.report.interrupted = True
            gathering.exhausted = adapter.exhausted
            gathering.report.seconds = time.monotonic() - started
            return gathering.finished(course.scope, adapter.capabilities)
        finally:
            adapter.close()


def gathering_for(name: str, version: str, options: Options) -> Gathering:
    """An empty report of a run on the adapter of that name, on this implementation and version."""
    report = Report(VERSION, name, version, options.profile, options.seed, only=options.only)
    report.to_draw = PROFILES[options.profile].examples.get(name, 1000)
    if options.before is not None:
        listed = tuple(each for each, _ in options.before.scenarios)
        report.before = FailedFirst(str(options.reports), listed, options.before.unreadable)
    return Gathering(report, options.reports, first=options.first)


def replay(adapter: Adapter, scenario: Scenario) -> tuple[list[Frame], list[Finding]]:
    """Plays a scenario: every step as it was played, and what differs; what is worse than waste, if there is any."""
    player = Player(adapter)
    findings = player.play_scenario(scenario)
    if findings and verdict_of(findings) is Verdict.WASTEFUL:
        behind = Player(adapter, tolerant=True)
        worse = behind.play_scenario(scenario)
        if worse:
            return behind.frames, worse
    return player.frames, findings


class Course:
    """A run on one adapter, or a shard of it. Each part is handed to `take`; `enough` says whether enough has failed.

    The ledger is confirmed `once` in a run: that is given how to do it, and gives what came of it.
    """

    def __init__(
        self, adapter: Adapter, options: Options, progress: Progress, interrupted: Callable[[], bool],
        take: Callable[[Part], None], enough: Callable[[], bool],
        shard: Shard = WHOLE, once: Once = lambda confirm: confirm(),
    ) -> None:  # fmt: skip
        self.adapter, self.options, self.shard = adapter, options, shard
        self._progress, self.interrupted = progress, interrupted
        self._take, self._once = take, once
        self.enough: Callable[[], bool] = lambda: enough() or adapter.exhausted
        self.profile = PROFILES[options.profile]
        self.part = Part("", 0, 0)
        self.tally = Tally(AllEdges(lambda found: self.part.edges.update(found)).listen)
        self.player = Player(adapter, listen=self.tally.listen)
        self.behind = Behind([])
        self.races: list[tuple[Entry, Trigger | None]] = []
        self.turned_away_now: list[str] = []
        self.failing = Failing(self)
        self.sampling = True  # while a failure is made shorter, what is turned away is no news
        self.tour = TourPhases(self)

    @property
    def scope(self) -> Scope:
        """What the profile's scope has, and what the tour is after."""
        aims = frozenset(edge for walk in self.tour.walks for edge in walk.aims)
        return Scope(edges_of_scope(self.profile.scope), aims)

    @property
    def most_writes(self) -> int:
        """How many guest writes a history of the universal disk may have."""
        return self.profile.writes.get(self.adapter.name, 4)

    def run(self) -> None:
        """All phases."""
        self._ledger()
        self._failed_before()
        self.tour.run()
        if self.shard.of > 1:
            self.failing.signatures.clear()  # what failed in the tour may have come after enough of others had
        self._workflows()
        self._traps()
        self._families()
        self._long()
        self._drawn()
        self._turned_away()

    @contextmanager
    def item(self, phase: str, number: int, of: int) -> Iterator[Part]:
        """Plays an item of the course: what is played and counted meanwhile is its part."""
        self.progress(phase, number, of)
        part = self.part = Part(phase, number, of)
        self.tally.begin()
        try:
            yield part
        finally:
            part.commands, part.properties = dict(self.tally.commands), dict(self.tally.properties)
            part.not_realised, self.player.not_realised = self.player.not_realised, Counter()
            self._take(part)

    def progress(self, phase: str, number: int, of: int) -> None:
        """Before each item: says how far the run is; here it ends if that was asked for."""
        self.end_if_interrupted()
        self._progress(phase, number, of)

    def end_if_interrupted(self) -> None:
        """Here the run ends if that was asked for."""
        if self.interrupted():
            raise KeyboardInterrupt

    # Phases

    def _ledger(self) -> None:
        """Confirms what is known, whatever was asked for; what is confirmed is looked behind from then on."""
        version = self.adapter.version
        mine = [entry for entry in entries() if entry.implementation == self.adapter.name]
        outcomes = {each.id: each.outcome for each in self._once(lambda: self._confirm(mine))}
        held = [entry for entry in mine if holds(entry, outcomes.get(entry.id, ""), version)]
        self.behind = Behind([(entry, it) for entry in held if (it := entry.trigger_in(version)) is not None])
        self.races = [(entry, entry.trigger_in(version)) for entry in mine if entry.luck and entry.id in outcomes]
        self.player.excuse = self.behind.excuses
        self.player.tolerant = True  # from now on, what is behind waste is looked at too

    def _confirm(self, mine: list[Entry]) -> list[LedgerResult]:
        results = []
        for number, entry in enumerate(mine):
            with self.item(LEDGER, number, len(mine)) as part:
                part.confirmed = confirm(entry, self.player, self.adapter.version)
                part.scenarios = int(part.confirmed.outcome != "skipped")
                results.append(replace(part.confirmed))
        return results

    def _failed_before(self) -> None:
        """What failed in the last run, as it was saved, whatever `--only` names."""
        listed = self.options.before.scenarios if self.options.before is not None else ()
        for number, (name, scenario) in enumerate(listed):
            if self.options.first and self.enough():
                break
            if self.shard.owns(number) and not self.adapter.exhausted:
                with self.item(FAILED_BEFORE, number, len(listed)) as part:
                    unclaimed = missing_for(scenario, self.adapter.capabilities)
                    if unclaimed:
                        part.not_claimed[name] = f"the implementation does not claim {unclaimed}"
                    else:
                        part.agree_now[name] = self.play(FAILED_BEFORE, name, scenario) and not self.player.waste

    def turn_away(self, state: Any, command: Any) -> bool:
        """Whether a command is not claimed, or would run into a known defect; then it is not played."""
        unclaimed = missing(state, command, self.adapter.capabilities)
        if unclaimed:
            self.turned_away_now.append(f"not claimed: {unclaimed}")
            return True
        known = self.behind.turns_away(state, command)
        if not known:
            return False
        self.part.turned_away[known[0].id] += 1
        self.turned_away_now.append(known[0].id)
        if self.sampling:
            disks, played = self.player.disks, [frame.asked for frame in self.player.frames]
            self.behind.keep(known, disks, self.player.block, played, command)
        return True

    def _workflows(self) -> None:
        named = {name: each for name, each in workflows().items() if self.wanted(each)}
        for number, (name, scenario) in enumerate(named.items()):
            if self.options.first and self.enough():
                break
            if self.shard.owns(number) and not self.adapter.exhausted:
                with self.item(WORKFLOWS, number, len(named)) as part:
                    unclaimed = missing_for(scenario, self.adapter.capabilities)
                    if unclaimed:
                        part.not_claimed[f"workflow {name}"] = f"the implementation does not claim {unclaimed}"
                    else:
                        self.play(WORKFLOWS, name, scenario)

    def _traps(self) -> None:
        named = {name: each for name, each in traps(self.adapter.capabilities).items() if self.wanted(each)}
        self.player.turn_away = self.turn_away
        for number, (name, scenario) in enumerate(named.items()):
            if self.enough():
                break
            if self.shard.owns(number):
                with self.item(TRAPS, number, len(named)):
                    self.play(TRAPS, name, scenario)
        self.player.turn_away = None

    def _families(self) -> None:
        """What families vary: how often, how many, where, how large."""
        claims = self.adapter.capabilities
        only = self.options.only
        listed = [
            each for each in members(families(), claims, self.options.profile)
            if exercises(each.scenario, only, each.family.subject)
        ]  # fmt: skip
        chosen = self._one_in([each for each in listed if not each.family.few])
        chosen += [each for each in listed if each.family.few]
        self._each_of(FAMILIES, [
            (member.name, member.family.closely, partial(member.whole_if_claimed, claims)) for member in chosen
        ])  # fmt: skip

    def _long(self) -> None:
        """Histories of 100 and of 1,000 commands: of everything, so not if something is named."""
        if self.options.only is not None:
            return
        drawn = partial(history, self.adapter.capabilities, self.options.seed)
        self._each_of(LONG, self._one_in([
            (LONG, False, partial(drawn, number, length)) for number, length in enumerate(self.profile.lengths())
        ]))  # fmt: skip

    def _one_in(self, listed: list[T]) -> list[T]:
        """One in so many, as the profile says for this adapter."""
        return listed[:: self.profile.one_in.get(self.adapter.name, 1)]

    def _each_of(self, phase: str, listed: list[tuple[str, bool, Callable[[], Scenario | None]]]) -> None:
        """Plays all of them. Each has a name, whether it is observed closely, and what makes it, if claimed."""
        self.player.turn_away = self.turn_away
        for number, (name, closely, made) in enumerate(listed):
            if self.enough():
                break
            self.end_if_interrupted()
            scenario = made() if self.shard.owns(number) else None
            if scenario is not None:
                with self.item(phase, number, len(listed)):
                    self.play(phase, name, scenario, closely=closely)
        self.player.turn_away = None

    def _drawn(self) -> None:
        examples = self.options.examples
        if examples is None:
            examples = self.profile.examples.get(self.adapter.name, 1000)
            if self.options.only is not None:
                examples = -(-examples // DRAWN_ONE_IN)
        seconds = self.options.seconds
        self.player.turn_away = self.turn_away
        ends: float | None = None
        capabilities, seed, only = self.adapter.capabilities, self.options.seed, self.options.only
        with dealer(capabilities, seed, self.profile.steps, self.shard, only) as dealt:
            for number, scenario in dealt:
                if number == NOTHING_YET:
                    self.end_if_interrupted()
                    continue
                if ends is None and seconds is not None and scenario is not None:
                    ends = time.monotonic() + seconds  # from the first scenario on: drawing takes a while to begin
                if (seconds is None and number >= examples) or (ends is not None and time.monotonic() > ends):
                    break
                if self.enough():
                    break
                if scenario is None:
                    self.end_if_interrupted()
                    continue
                with self.item(DRAWN, number, 0 if ends is not None else examples):
                    self.play(DRAWN, DRAWN, scenario)
        self.player.turn_away = None

    def _turned_away(self) -> None:
        """A sample of what was turned away: it is the known defect, and nothing worse."""
        samples = tuple(self.behind.samples)
        for number, sample in enumerate(samples):
            if self.enough():
                break
            with self.item(BEHIND, number, len(samples)):
                self.play(BEHIND, BEHIND, sample.scenario, known=sample.is_known)

    def wanted(self, scenario: Scenario) -> bool:
        """Whether a scenario exercises what `--only` names."""
        return exercises(scenario, self.options.only)

    def concerns(self, aims: Iterable[Edge]) -> bool:
        """Whether one of these edges is about what `--only` names."""
        return concerns(aims, self.options.only)

    # One scenario

    def play(
        self, phase: str, origin: str, scenario: Scenario, smaller: Smaller | None = None,
        known: Callable[[list[Finding]], bool] = lambda findings: False, closely: bool | None = None,
    ) -> bool:  # fmt: skip
        """Plays, counts and judges a scenario; whether it agrees.

        `smaller` makes a failing one smaller before it is made shorter. What is `known` is no failure. `closely`:
        everything is observed after every step; None leaves that to the phase.
        """
        self.turned_away_now = []
        self.failing.known = known
        closely = phase in CLOSELY if closely is None else closely
        self.player.closely = closely
        findings = self.player.play_scenario(scenario)
        frames, waste = self.player.frames, self.player.waste
        self.player.closely = True
        self.part.scenarios += 1
        self.part.steps += len(frames)
        self.part.compared += self.player.compared
        if not findings:
            self.tally.finished(self.player.state)
        doubted: list[Finding] = []
        listed = bool(findings) and known(findings)
        new = bool(findings) and not listed and not self.is_known(findings)
        if listed or (new and not self.failing.failed(origin, scenario, findings, closely, smaller)):
            doubted += findings
        if waste and not self.failing.wasteful(origin, scenario, waste, closely, smaller):
            doubted += waste
        self.tally.frames(frames, doubted)
        return not findings

    def is_known(self, findings: list[Finding]) -> bool:
        """A race of the ledger can occur anywhere; it is recognised by what is seen of it."""
        last = self.player.frames[-1] if self.player.frames else None

        def happened(trigger: Trigger) -> bool:
            return last is not None and not isinstance(last.asked, Restore) and triggered(
                trigger, last.before, last.asked
            )  # fmt: skip

        entry = the_race(self.races, findings, happened)
        if entry is not None:
            self.part.known_again[entry.id] = entry.what
            self.part.turned_away[entry.id] += 1
        return entry is not None

