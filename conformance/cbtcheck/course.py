"""The course of a run: the ledger's scenarios, the tour, the workflows, and drawn scenarios until there is enough."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from cbtcheck.adapter import Adapter
from cbtcheck.deal import dealer
from cbtcheck.ledger import Entry, confirm, entries, matches
from cbtcheck.play import Frame, Player, verdict_of
from cbtcheck.report import Failure, Report
from cbtcheck.scenario import KINDS, Scenario, from_data, save, spelled
from cbtcheck.shorten import shorten
from cbtcheck.tally import PROPERTIES, Tally
from cbtcheck.tour.coverage import Coverage
from cbtcheck.tour.phases import TOUR, TourPhases
from cbtcheck.tour.reachable import reachable
from cbtcheck.triggers import triggered
from cbtcheck.verdict import Finding, Verdict
from cbtcheck.version import VERSION

Progress = Callable[[str, int, int], None]
Smaller = Callable[[Callable[[Scenario], object]], Scenario]

CLOSELY = (TOUR, "workflows")
"""The phases in which everything is observed after every step."""

ENOUGH_FAILURES = 6
"""Different failures after which the tour ends, and no more scenarios are drawn."""

REPLAYS = 400
"""How often a failing scenario is replayed at most, to make it shorter."""


@dataclass(frozen=True)
class Profile:
    """How much is played: drawn scenarios by adapter, commands in each, and the scope of the tour and of its edges.

    `writes` is how many guest writes a history of the universal disk may have, by adapter.
    """

    examples: dict[str, int]
    steps: int
    scope: str
    writes: dict[str, int]


PROFILES = {
    "quick": Profile({"reference": 500, "qemu": 300}, 14, "quick", {"reference": 6, "qemu": 3}),
    "ci": Profile({"reference": 4000, "qemu": 2000}, 14, "ci", {"reference": 8, "qemu": 4}),
    "deep": Profile({"reference": 40000, "qemu": 40000}, 20, "deep", {"reference": 10, "qemu": 5}),
}


@dataclass(frozen=True)
class Options:
    """What the command line asks for. `only` is a property's ID or a command's name."""

    profile: str
    seed: int
    examples: int | None
    seconds: float | None
    only: str | None
    reports: Path


def names_for_only() -> list[str]:
    """What `--only` understands."""
    commands = [name for name in KINDS if name not in ("abort", "restore")]
    return [*PROPERTIES, *commands]


def workflows() -> dict[str, Scenario]:
    """The workflows by name."""
    found = [each for each in files("cbtcheck").joinpath("workflows").iterdir() if each.name.endswith(".json")]
    return {
        each.name.removesuffix(".json"): from_data(msgspec.json.decode(each.read_bytes()), each.name)
        for each in sorted(found, key=lambda file: file.name)
    }


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C is obeyed between two scenarios, so that nothing is torn; a second one at once. Gives: was there one?"""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = False
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def run(open_adapter: Callable[[], Adapter], options: Options, progress: Progress) -> Report:
    """The whole course. Ctrl-C ends it early, with a report of what was found until then."""
    with _interrupts() as interrupted:
        adapter = open_adapter()
        try:
            course = Course(adapter, options, progress, interrupted)
            started = time.monotonic()
            try:
                course.run()
            except KeyboardInterrupt:
                course.report.interrupted = True
            course.report.seconds = time.monotonic() - started
            return course.finished()
        finally:
            adapter.close()


def replay(adapter: Adapter, scenario: Scenario) -> tuple[list[Frame], list[Finding]]:
    """Plays one scenario: every step as it was played, and what differs."""
    player = Player(adapter)
    findings = player.play_scenario(scenario)
    return player.frames, findings


Signature = tuple[Any, ...]


def signature(findings: list[Finding], frames: list[Frame]) -> Signature:
    """What makes two failures the same failure, for counting and for shortening."""
    if not findings:
        return ()
    first = findings[0]
    last = frames[-1].asked if frames else None
    crash = first.seen.split(" | ")[-1][-80:] if first.verdict is Verdict.BROKEN else ""
    return verdict_of(findings), first.property, first.where.split()[-1].split("/")[0], type(last).__name__, crash


class Course:
    """One run on one adapter."""

    def __init__(
        self, adapter: Adapter, options: Options, progress: Progress, interrupted: Callable[[], bool] = bool
    ) -> None:
        self.adapter, self.options = adapter, options
        self._progress, self.interrupted = progress, interrupted
        self.profile = PROFILES[options.profile]
        self.coverage = Coverage()
        self.tally = Tally(self.coverage.listen)
        self.player = Player(adapter, listen=self.tally.listen)
        self.report = Report(VERSION, adapter.name, adapter.version, options.profile, options.seed)
        self.known: list[Entry] = []
        self.turned_away: dict[str, int] = {}
        self.turned_away_now: list[str] = []
        self.signatures: set[Signature] = set()
        self.tour = TourPhases(self)

    @property
    def most_writes(self) -> int:
        """How many guest writes a history of the universal disk may have."""
        return self.profile.writes.get(self.adapter.name, 4)

    def run(self) -> None:
        """All phases."""
        self._ledger()
        self.tour.run()
        self._workflows()
        self._drawn()

    def progress(self, phase: str, number: int, of: int) -> None:
        """Before each scenario: says how far the run is; here it ends if that was asked for."""
        if self.interrupted():
            raise KeyboardInterrupt
        self._progress(phase, number, of)

    def enough(self) -> bool:
        """Whether so much has failed that the rest may be left out."""
        return len(self.report.failures) >= ENOUGH_FAILURES

    # Phases

    def _ledger(self) -> None:
        """Confirms what is known, whatever was asked for; what is confirmed is looked behind from then on."""
        mine = [entry for entry in entries() if entry.implementation == self.adapter.name]
        for number, entry in enumerate(mine):
            self.progress("ledger", number, len(mine))
            result = confirm(entry, self.player, self.adapter.version)
            self.report.ledger.append(result)
            if result.outcome != "skipped":
                self.report.phases["ledger"] += 1
            if result.outcome in ("known", "quiet"):
                self.known.append(entry)

    def turn_away(self, state: Any, command: Any) -> bool:
        """Whether a command would run into a known defect; then it is counted, and not played."""
        for entry in self.known:
            if entry.trigger is not None and triggered(entry.trigger, state, command):
                self.turned_away[entry.id] = self.turned_away.get(entry.id, 0) + 1
                self.turned_away_now.append(entry.id)
                return True
        return False

    def _workflows(self) -> None:
        named = {name: each for name, each in workflows().items() if self.wanted(each)}
        for number, (name, scenario) in enumerate(named.items()):
            self.progress("workflows", number, len(named))
            self.play("workflows", name, scenario)

    def _drawn(self) -> None:
        examples = self.options.examples
        if examples is None:
            examples = self.profile.examples.get(self.adapter.name, 1000)
        seconds = self.options.seconds
        self.player.turn_away = self.turn_away
        ends: float | None = None
        with dealer(self.adapter.capabilities, self.options.seed, self.profile.steps) as scenarios:
            played = 0
            for scenario in scenarios:
                if ends is None and seconds is not None:
                    ends = time.monotonic() + seconds  # from the first scenario on: drawing takes a while to begin
                if (seconds is None and played >= examples) or (ends is not None and time.monotonic() > ends):
                    break
                if self.enough():
                    break
                if not self.wanted(scenario):
                    continue
                self.progress("drawn", played, 0 if ends is not None else examples)
                self.play("drawn", "drawn", scenario)
                played += 1
        self.player.turn_away = None

    def wanted(self, scenario: Scenario) -> bool:
        """Whether a scenario exercises what `--only` names."""
        if self.options.only is None:
            return True
        wanted = PROPERTIES.get(self.options.only)
        kinds = {spelled(type(each).__name__) for each in scenario.commands}
        return bool(kinds & wanted) if wanted is not None else self.options.only in kinds

    # One scenario

    def play(self, phase: str, origin: str, scenario: Scenario, smaller: Smaller | None = None) -> bool:
        """Plays, counts and judges a scenario; whether it agrees.

        `smaller` makes a failing one smaller before it is made shorter.
        """
        self.turned_away_now = []
        self.player.closely = phase in CLOSELY
        findings = self.player.play_scenario(scenario)
        frames = self.player.frames
        self.player.closely = True
        self.report.phases[phase] += 1
        self.report.steps += len(frames)
        self.report.compared += self.player.compared
        self.tally.frames(frames)
        if not findings:
            self.tally.finished(self.player.state)
        if findings and not self._is_known(findings):
            self._failed(origin, scenario, findings, smaller)
        return not findings

    def _is_known(self, findings: list[Finding]) -> bool:
        """A race of the ledger can occur anywhere; it is recognised by what is seen of it."""
        for entry, result in ((e, r) for e in self.known for r in self.report.ledger if r.id == e.id):
            if entry.sometimes and matches(entry, findings):
                result.outcome, result.detail = "known", entry.what
                self.turned_away[entry.id] = self.turned_away.get(entry.id, 0) + 1
                return True
        return False

    def _failed(
        self, origin: str, scenario: Scenario, findings: list[Finding], smaller: Smaller | None = None
    ) -> None:
        """A failure of a new kind is made as short as it can be, saved, and kept for the report."""
        frames = list(self.player.frames)
        mark = signature(findings, frames)
        if mark in self.signatures:
            return
        self.signatures.add(mark)
        played = replace(scenario, commands=tuple(scenario.commands[: self._index_of(scenario, frames)]))
        listen, self.player.listen = self.player.listen, None
        turned_away = dict(self.turned_away)
        sizes = self.adapter.capabilities if origin in ("drawn", TOUR) else None
        fails = self._fails_alike(mark)
        shortest = shorten(played if smaller is None else smaller(fails), fails, sizes, REPLAYS)
        title = "the shortest scenario that was found"
        again = self.player.play_scenario(shortest)
        if again:
            frames, findings = list(self.player.frames), again
        else:
            shortest, title = played, "a scenario that failed once, and not when it was replayed"
        self.player.listen, self.turned_away = listen, turned_away
        failure = Failure(origin, replace(shortest, title=title, story=str(findings[0])), frames, findings)
        failure.saved = self._save(failure)
        self.report.failures.append(failure)

    @staticmethod
    def _index_of(scenario: Scenario, frames: list[Frame]) -> int:
        """How many of the scenario's commands were played; some may have been turned away."""
        position = 0
        for frame in frames:
            while scenario.commands[position] is not frame.asked:
                position += 1
            position += 1
        return position

    def _fails_alike(self, mark: Signature) -> Callable[[Scenario], Verdict | None]:
        def fails(scenario: Scenario) -> Verdict | None:
            if self.interrupted():
                return None
            findings = self.player.play_scenario(scenario)
            alike = findings and signature(findings, self.player.frames) == mark
            return verdict_of(findings) if alike else None

        return fails

    def _save(self, failure: Failure) -> Path | None:
        name = f"{self.adapter.name}-{failure.verdict.value}-{len(self.report.failures) + 1}.json"
        path = self.options.reports / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(failure.scenario, path)
        except OSError:
            return None
        return path

    # The end

    def finished(self) -> Report:
        """The report, complete."""
        report = self.report
        report.commands = self.tally.commands
        report.properties = self.tally.properties
        report.not_realised = self.player.not_realised
        edges = reachable(self.profile.scope)
        report.edges_covered, report.edges_reachable = self.coverage.within(edges), len(edges)
        report.unreached, report.missed = self.tour.unreached(), self.tour.missed()
        report.reached = self.coverage.reached(edges)
        for result in report.ledger:
            result.turned_away = self.turned_away.get(result.id, 0)
        claimed = self.adapter.capabilities.commands
        for name in KINDS:
            if name not in claimed and name not in ("abort", "restore"):
                report.skipped[name] = "the implementation does not claim it"
        report.skipped["BATCH"] = "relates two histories of the specification; tests and proofs check it there"
        return report
