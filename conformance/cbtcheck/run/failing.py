"""What a course does with a scenario that fails: plays it again, makes it as short as it can be, and keeps it.

Nothing of that is counted in the report, but what comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from cbtcheck.follow.play import Frame, verdict_of
from cbtcheck.host.printed_output import WHY
from cbtcheck.run.part import DRAWN, TOUR, Signature
from cbtcheck.run.playing import Known, Playing, Smaller
from cbtcheck.run.repeat import REPLAYS, Outcome, Repeated, repeated
from cbtcheck.run.report import Failure
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.shorten import shorten

TO_SHORTEN = 400
"""How often a failing scenario is replayed at most, to make it shorter."""


def signature(findings: list[Finding], frames: list[Frame]) -> Signature:
    """What makes two failures the same failure, for counting and for shortening."""
    if not findings:
        return ()
    first = findings[0]
    if verdict_of(findings) is Verdict.WASTEFUL:
        return Verdict.WASTEFUL, first.property  # whoever is coarse in one place is coarse in all of them
    last = frames[-1].asked if frames else None
    crash = first.seen.split(" | ")[-1] if first.verdict is Verdict.BROKEN else ""
    if first.verdict is Verdict.BROKEN and WHY.search(first.seen.partition(" | ")[2]):
        crash = first.seen.split(" | ")[1]  # the line that says why
    crash = re.sub("(seq\"?[: ]+|request |0x|==)[0-9a-f]+", "", crash)[-80:]
    return verdict_of(findings), first.property, first.where.split()[-1].split("/")[0], type(last).__name__, crash


def cause(mark: Signature) -> Signature:
    """What failures of one cause have in common: the rule that is broken, and in which way, wherever that is seen."""
    return mark if mark[0] in ("once", Verdict.BROKEN) else mark[:3]


class Failing:
    """The failures of a course, and of which kinds there were already."""

    def __init__(self, course: Playing) -> None:
        self.course = course
        self.signatures: set[Signature] = set()
        self.known: Known = lambda findings: False  # what of the scenario at hand is no failure

    def failed(
        self, origin: str, scenario: Scenario, findings: list[Finding], closely: bool, smaller: Smaller | None
    ) -> bool:
        """A scenario differs, in more than waste. Whether that is a failure: if not, it did not come again."""
        return self._kept(origin, scenario, findings, lambda: self._once_more(scenario, closely), smaller)

    def wasteful(
        self, origin: str, scenario: Scenario, waste: list[Finding], closely: bool, smaller: Smaller | None
    ) -> bool:
        """A scenario that went on after waste; of each kind the first is a failure of its own."""
        new = [each for each in waste if signature([each], []) not in self.signatures]
        if not new:
            return True

        def once_more() -> Outcome:
            _, frames = self._once_more(scenario, closely)
            again = [each for each in self.course.player.tolerated_findings if each.property == new[0].property]
            return again, frames

        return self._kept(origin, scenario, new, once_more, smaller, tolerant=False)

    def _kept(
        self, origin: str, scenario: Scenario, findings: list[Finding], once_more: Callable[[], Outcome],
        smaller: Smaller | None, tolerant: bool | None = None,
    ) -> bool:  # fmt: skip
        frames = list(self.course.player.frames)
        mark = signature(findings, frames)
        if mark in self.signatures:
            self.course.part.alike[mark] += 1
            return True
        with self._not_counted():
            came = repeated((findings, frames), once_more, self._stop)
            if not came.comes_again:
                self._seen_once(origin, scenario, came)
                return came.counts
            mark = signature(came.findings, came.frames)
            if mark in self.signatures:
                self.course.part.alike[mark] += 1
                return True
            self.signatures.add(mark)
            if tolerant is not None:
                self.course.player.tolerant = tolerant
            self.course.part.failures.append((mark, self._shortest(origin, scenario, mark, came, smaller)))
        return True

    @contextmanager
    def _not_counted(self) -> Iterator[None]:
        """What is played meanwhile is not counted, and the player is afterwards as it was."""
        course, player = self.course, self.course.player
        listen, player.listen = player.listen, None
        turned_away, not_realised = course.part.turned_away.copy(), player.not_realised.copy()
        now, known = list(course.turned_away_now), dict(course.part.known_again)
        tolerant, closely, frames, waste = player.tolerant, player.closely, player.frames, player.tolerated_findings
        course.sampling, sampling = False, course.sampling
        try:
            yield
        finally:
            player.listen, player.not_realised, course.part.turned_away = listen, not_realised, turned_away
            player.tolerant, player.closely = tolerant, closely
            player.frames, player.tolerated_findings = frames, waste
            course.turned_away_now, course.part.known_again = now, known
            course.sampling = sampling

    def _once_more(self, scenario: Scenario, closely: bool) -> Outcome:
        """Plays it as it was played; a race that the ledger knows is none of its failures."""
        player = self.course.player
        player.closely = closely
        findings = player.play_scenario(scenario)
        if findings and (self.known(findings) or self.course.is_known(findings)):
            findings = []
        return findings, list(player.frames)

    def _stop(self) -> bool:
        return self.course.interrupted() or self.course.adapter.exhausted

    def _seen_once(self, origin: str, scenario: Scenario, came: Repeated) -> None:
        """Something that did not come again: kept as it was played."""
        title = f"a scenario that failed once, and not when it was replayed ({came.in_words})"
        kept = self._failure(origin, _until(scenario, came.frames), title, came)
        mark = ("once", *signature(came.findings, came.frames))
        (self.course.part.failures if came.counts else self.course.part.not_repeatable).append((mark, kept))

    def _shortest(
        self, origin: str, scenario: Scenario, mark: Signature, came: Repeated, smaller: Smaller | None
    ) -> Failure:
        """A failure as short as it can be made; if that fails no more, or in another way, as it was played."""
        course, player = self.course, self.course.player
        player.closely = True
        played = _until(scenario, came.frames)
        sizes = course.adapter.capabilities if origin in (DRAWN, TOUR) else None
        fails = self._fails_alike(mark)
        shortest = shorten(played if smaller is None else smaller(fails), fails, sizes, TO_SHORTEN)
        for _ in range(REPLAYS):
            again = player.play_scenario(shortest)
            if again and verdict_of(again) is verdict_of(came.findings):
                came = replace(came, findings=again, frames=list(player.frames))
                return self._failure(origin, shortest, "the shortest scenario that was found", came)
            if self._stop():
                break
        return self._failure(origin, played, f"a scenario as it was played: it {came.in_words}", came)

    def _failure(self, origin: str, scenario: Scenario, title: str, came: Repeated) -> Failure:
        told = replace(scenario, title=title, story=str(came.findings[0]))
        failed = came.again + 1
        return Failure(origin, told, came.frames, came.findings, plays=came.replays + 1, failed=failed)

    def _fails_alike(self, mark: Signature) -> Callable[[Scenario], Verdict | None]:
        def fails(scenario: Scenario) -> Verdict | None:
            if self._stop():
                return None
            findings = self.course.player.play_scenario(scenario)
            alike = findings and not self.known(findings) and signature(findings, self.course.player.frames) == mark
            return verdict_of(findings) if alike else None

        return fails


def _until(scenario: Scenario, frames: list[Frame]) -> Scenario:
    """What was played of a scenario until it failed; some of its commands may have been turned away."""
    position = 0
    for frame in frames:
        while scenario.commands[position] is not frame.asked:
            position += 1
        position += 1
    return replace(scenario, commands=tuple(scenario.commands[:position]))
