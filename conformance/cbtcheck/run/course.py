"""How a run's items are played on an adapter; and a whole run in this process."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from cbtcheck.adapter import Adapter, AdapterUnusable
from cbtcheck.follow.play import Frame, Player, alike, in_the_environment, verdict_of
from cbtcheck.host.version import VERSION
from cbtcheck.run.deal import NOTHING_YET, Ahead, Draws, dealer, drawn_here
from cbtcheck.run.failing import Failing
from cbtcheck.run.gather import Gathering, Known
from cbtcheck.run.interrupts import interrupts, or_over
from cbtcheck.run.ledger.ledger import Entry, confirm, entries_of, holds
from cbtcheck.run.ledger.triggers import Trigger, triggered
from cbtcheck.run.options import Options
from cbtcheck.run.part import (
    BEHIND,
    DRAWN,
    FAILED_BEFORE,
    FAMILIES,
    HISTORIES,
    IMAGES,
    LONG,
    RESTARTS,
    TOUR,
    TRAPS,
    WORKFLOWS,
    Part,
)
from cbtcheck.run.plan import Drawn, EveryHistory, Given, Grown, Item, Listed, Long, Plan, Walked, WalkedInImages
from cbtcheck.run.playing import Smaller
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.report import FailedFirst, LedgerResult, Report
from cbtcheck.run.tally import Tally
from cbtcheck.run.tour_of_images import play_walk
from cbtcheck.run.tour_phases import TourPhases
from cbtcheck.run.turned_away import Behind, Sample, the_race
from cbtcheck.scenario.capabilities import followed, missing, missing_for
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.families.long import history
from cbtcheck.search.tour.contexts.measure import AllEdges
from cbtcheck.search.traps import ended_from

Progress = Callable[[str, int, int], None]

CLOSELY = (FAILED_BEFORE, TOUR, WORKFLOWS, TRAPS, RESTARTS, IMAGES, BEHIND)
"""The phases in which everything is observed after every step."""

TURNING_AWAY = (TOUR, HISTORIES, TRAPS, FAMILIES, RESTARTS, IMAGES, LONG, DRAWN)
"""The phases in which what would run into a known defect is not played."""


def run(open_adapter: Callable[[], Adapter], options: Options, progress: Progress) -> Report:
    """The whole run, in this process. Ctrl-C (or SIGTERM) ends it early, with a report of what was found."""
    with interrupts(signal.SIGINT, signal.SIGTERM) as pressed:
        interrupted = or_over(pressed, options.most_seconds)
        with pressed.at_once():
            adapter = open_adapter()
        try:
            gathering = gathering_for(adapter.name, adapter.version, options)
            with pressed.at_once():
                plan = Plan(adapter.name, adapter.capabilities, options)
                scope = plan.scope
            started = time.monotonic()
            claims, seed, steps = adapter.capabilities, options.seed, plan.profile.steps
            with Ahead(partial(dealer, claims, seed, steps, options.only)) as draws:
                timed = Timed(gathering, options.seconds)
                course = Course(adapter, options, progress, interrupted, timed.take, timed.left_out, draws)

                def play_here(items: Iterable[Item]) -> None:
                    for item in items:
                        course.play_item(item, gathering.known)

                try:
                    play(plan, gathering, timed, play_here)
                except KeyboardInterrupt:
                    gathering.report.interrupted = True
            gathering.report.seconds = time.monotonic() - started
            return gathering.finished(scope, adapter.capabilities)
        finally:
            adapter.close()


class Timed:
    """Takes the parts of a run; knows what is left out because enough has failed, or the time to draw is over."""

    def __init__(self, gathering: Gathering, seconds: float | None) -> None:
        self._gathering, self._seconds = gathering, seconds
        self._ends: float | None = None

    def take(self, part: Part) -> None:
        """The next part of the run. The time to draw counts from the first drawn one on: drawing is slow to begin."""
        if part.phase == DRAWN and self._ends is None and self._seconds is not None:
            self._ends = time.monotonic() + self._seconds
        self._gathering.add(part)

    def left_out(self, phase: str) -> bool:
        """Whether no more of this phase is to be played."""
        over = phase == DRAWN and self._ends is not None and time.monotonic() > self._ends
        return over or self._gathering.left_out(phase)


def play(plan: Plan, gathering: Gathering, timed: Timed, play_all: Callable[[Iterable[Item]], None]) -> None:
    """Plays a plan, by whoever plays items: `play_all` returns when it has, and what came of them is gathered."""

    def wanted(items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if timed.left_out(item.phase):
                if item.phase == DRAWN:
                    return  # of which there may be no end
                continue
            yield item

    play_all(plan.ledger())
    gathering.confirmed()
    play_all(wanted(plan.items()))
    play_all(wanted(plan.turned_away(gathering.samples.listed)))


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
    """Plays items on one adapter. Each part is handed to `take`; `left_out` says whether a phase is to end."""

    def __init__(
        self, adapter: Adapter, options: Options, progress: Progress, interrupted: Callable[[], bool],
        take: Callable[[Part], None], left_out: Callable[[str], bool] = lambda phase: False,
        draws: Draws | None = None,
    ) -> None:  # fmt: skip
        self.adapter, self.options = adapter, options
        self._progress, self.interrupted = progress, interrupted
        self._take, self._left_out = take, left_out
        self.profile = PROFILES[options.profile]
        self._draws = draws or drawn_here(adapter.capabilities, options.seed, self.profile.steps, options.only)
        self.part = Part("", 0, 0)
        self.tally = Tally(AllEdges(lambda found: self.part.edges.update(found)).listen)
        self.player = Player(adapter, listen=self.tally.listen)
        self.behind = Behind([])
        self.races: list[tuple[Entry, Trigger | None]] = []
        self.turned_away_now: list[str] = []
        self.failing = Failing(self)
        self.sampling = True  # while a failure is made shorter, what is turned away is no news
        self.tour = TourPhases(self)
        self._entries = {each.id: each for each in entries_of(adapter.name)}
        self._confirmed: tuple[LedgerResult, ...] | None = None

    @property
    def most_writes(self) -> int:
        """How many guest writes a history of the universal disk may have."""
        if self.options.writes is not None:
            return self.options.writes
        return self.profile.writes.get(self.adapter.name, 4)

    @contextmanager
    def item(self, phase: str, number: int, of: int) -> Iterator[Part]:
        """Plays what is to be one part of the report: what is played and counted meanwhile is in it."""
        self.progress(phase, number, of)
        part = self.part = Part(phase, number, of)
        self.tally.begin()
        try:
            yield part
        finally:
            part.commands, part.properties = dict(self.tally.commands), dict(self.tally.properties)
            part.not_realised, self.player.not_realised = self.player.not_realised, Counter()
            part.samples, self.behind.samples = self.behind.samples, []
            part.exhausted = self.adapter.exhausted
            self._take(part)

    def progress(self, phase: str, number: int, of: int) -> None:
        """Before each part: says how far the run is; here it ends if that was asked for."""
        self.end_if_interrupted()
        self._progress(phase, number, of)

    def end_if_interrupted(self) -> None:
        """Here the run ends if that was asked for."""
        if self.interrupted():
            raise KeyboardInterrupt

    # Items

    def play_item(self, item: Item, known: Known) -> None:
        """Plays an item, with what is known from items before it. It is one part, a batch one for each scenario."""
        self.know(known)
        player = self.player
        player.turn_away = self.turn_away if item.phase in TURNING_AWAY else None
        player.together = alike if item.phase == HISTORIES else in_the_environment
        try:
            match item.what:
                case Drawn(stop):
                    self._batch(item, stop)
                case Grown() | Long():
                    self._play_made(item, item.what)
                case _:
                    with self.item(item.phase, item.number, item.of) as part:
                        self._play_one(item, part)
        finally:
            player.turn_away, player.together = None, in_the_environment

    def know(self, known: Known) -> None:
        """From here on this is known."""
        self.failing.signatures = set(known.marks)
        if known.confirmed is not None and known.confirmed != self._confirmed:
            self._is_confirmed(known.confirmed)
        self.behind.begin(known.shapes)

    def _is_confirmed(self, results: tuple[LedgerResult, ...]) -> None:
        """What is known is looked behind from then on."""
        version, mine = self.adapter.version, self._entries.values()
        outcomes = {each.id: each.outcome for each in results}
        held = [entry for entry in mine if holds(entry, outcomes.get(entry.id, ""), version)]
        self.behind = Behind([(entry, it) for entry in held if (it := entry.trigger_in(version)) is not None])
        self.races = [(entry, entry.trigger_in(version)) for entry in mine if entry.luck and entry.id in outcomes]
        self.player.excuse = self.behind.excuses
        self.player.tolerant = True  # from now on, what is behind waste is looked at too
        self._confirmed = results

    def _play_one(self, item: Item, part: Part) -> None:
        """An item that is one part, whatever comes of it."""
        match item.what:
            case Listed(job_id):
                part.confirmed = confirm(self._entries[job_id], self.player, self.adapter.version)
                part.scenarios = int(part.confirmed.outcome != "skipped")
            case Walked():
                self.tour.walk(item.number, item.what, part)
            case WalkedInImages():
                play_walk(self, item.what, part)
            case EveryHistory():
                self.tour.every_history(item.what, part)
            case Given():
                self._given(item.phase, item.what, part)
            case Sample() as sample:
                self.play(BEHIND, BEHIND, sample.scenario, known=partial(self.behind.is_known, sample))
            case Grown() | Long() | Drawn():
                raise AssertionError("what has to be made or drawn first")
            case _ as never:
                assert_never(never)

    def _given(self, phase: str, given: Given, part: Part) -> None:
        """A scenario as it is. A trap is made for what is claimed, and what it has besides is turned away."""
        name, scenario = given.name, given.scenario
        unclaimed = missing_for(scenario, self.adapter.capabilities) if phase not in (TRAPS, RESTARTS) else ""
        if unclaimed:
            named = f"workflow {name}" if phase == WORKFLOWS else name
            part.not_claimed[named] = f"the implementation does not claim {unclaimed}"
            return
        try:
            agrees = self.play(phase, name, scenario)
        except AdapterUnusable as problem:
            if not scenario.images:
                raise
            part.not_claimed[name] = str(problem)
            return
        if phase == FAILED_BEFORE:
            part.agree_now[name] = agrees and not self.player.tolerated_findings

    def _play_made(self, item: Item, what: Grown | Long) -> None:
        """What is made when it is played, since making it takes time; if not all of it is claimed, it is no part."""
        claims, name, closely = self.adapter.capabilities, LONG, False
        match what:
            case Grown(_, name, scenario, closely):
                unclaimed, state = followed(scenario, claims)
                if unclaimed:
                    return
                scenario = replace(ended_from(state, scenario), title=name)
            case Long(length):
                scenario = history(claims, self.options.seed, item.number, length)
        with self.item(item.phase, item.number, item.of):
            self.play(item.phase, name, scenario, closely=closely)

    def _batch(self, item: Item, stop: int) -> None:
        """Drawn scenarios, each as a part."""
        for number, scenario in self._draws(item.number, stop):
            if number != NOTHING_YET and self._left_out(DRAWN):
                return
            if scenario is None:
                self.end_if_interrupted()
                continue
            with self.item(DRAWN, number, item.of):
                self.play(DRAWN, DRAWN, scenario)

    def turn_away(self, state: Any, command: Any) -> bool:
        """Whether a command is not claimed, or would run into a known defect; then it is not played."""
        unclaimed = missing(state, command, self.adapter.capabilities)
        if unclaimed:
            self.turned_away_now.append(f"not claimed: {unclaimed}")
            return True
        known = self.behind.turns_away(state, command, self.player.files)
        if not known:
            return False
        self.part.turned_away[known[0].id] += 1
        self.turned_away_now.append(known[0].id)
        if self.sampling:
            player = self.player
            played = Scenario(
                player.disks, tuple(frame.asked for frame in player.frames), player.block,
                images=player.files is not None,
            )  # fmt: skip
            self.behind.keep(known, played, command)
        return True

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
        frames, waste = self.player.frames, self.player.tolerated_findings
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
                trigger, last.before, last.asked, last.files
            )  # fmt: skip

        entry = the_race(self.races, findings, happened)
        if entry is not None:
            self.part.known_again[entry.id] = entry.what
            self.part.turned_away[entry.id] += 1
        return entry is not None

