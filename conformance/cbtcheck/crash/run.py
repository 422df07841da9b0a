"""A run: histories, their crash states, requests that fail; what QEMU says of the states; and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Final

from cbtcheck.crash.crew import Crew
from cbtcheck.crash.faults import faults_of
from cbtcheck.crash.histories import BY_HAND, BY_HAND_OFFLINE, drawn
from cbtcheck.crash.history import Step
from cbtcheck.crash.judge import DIED
from cbtcheck.crash.recording import TRIMS, Fault
from cbtcheck.crash.report import Profile, Report
from cbtcheck.crash.setting import CLUSTERS, Setting
from cbtcheck.crash.states import SECTORS, WHOLE
from cbtcheck.crash.tasks import Done, OneFault, OneHistory, Shorter, Task

SETTINGS: Final = tuple(
    Setting(bits, backed, trims) for trims in TRIMS for backed in (False, True) for bits in CLUSTERS
)
"""All that a history is played on, in turns."""
FAULTS_A_HISTORY: Final = 2
"""So many requests of one history fail before the next one's turn."""
FAULTS_OF_EACH: Final = 20
"""So many requests of a history fail at least, if the profile allows it: few histories, and those well."""
LEAST_WITH_FAULTS: Final = 5
LEAST_HISTORIES: Final = len(BY_HAND)
LONGEST_SHORTENING: Final = 60
"""Times that a history is played to find a shorter one for a finding."""


Told = Callable[[str, int, int], None]
"""Called with the phase, how much is done, and of how much."""


def untold(phase: str, done: int, total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """A history that was played without a fault: its steps as they were played, and the requests that came of it."""

    setting: Setting
    history: tuple[Step, ...]
    faults: Iterator[Fault]


def cases(
    seed: int, offline: bool, among: tuple[Setting, ...] = SETTINGS
) -> Iterator[tuple[Setting, tuple[Step, ...]]]:
    """Histories made by hand, then drawn ones without end; on each setting in turns."""
    by_hand = BY_HAND + (BY_HAND_OFFLINE if offline else ())
    settings = (among[number % len(among)] for number in count())
    yield from zip(settings, by_hand, strict=False)
    for number in count():
        yield next(settings), drawn(seed * 1_000_003 + number, offline)


async def run(crew: Crew, profile: Profile, offline: bool, report: Report, tell: Told = untold) -> None:
    """Fills the report: the crew plays, and `tell` is told how far it is. Who the crew is changes nothing in it.

    Raises `TimeoutError` if QEMU hangs.
    """
    cleared = await _histories(crew, profile, offline, report, tell)
    async with aclosing(crew.each(_faults(profile, cleared))) as faults:
        async for _, done in faults:
            taken(report, done)
            tell("faults", report.faults, profile.faults)
    shorter = (
        Shorter(each, LONGEST_SHORTENING // (3 if each.known else 1))
        for each in list(report.findings.values()) if each.verdict != DIED
    )  # fmt: skip
    number = 0
    async with aclosing(crew.each(shorter)) as findings:
        async for _, done in findings:
            if done.finding is not None:
                report.findings[done.finding.kind] = done.finding
            taken(report, done)
            number += 1
            tell("findings made short", number, len(report.findings))


async def taken_from(crew: Crew, task: Task, report: Report) -> None:
    """One task is all that is done."""
    async with aclosing(crew.each(iter((task,)))) as each:
        async for _, done in each:
            taken(report, done)


def taken(report: Report, done: Done) -> None:
    """Takes over what came of a task; raises why it did not come to its end."""
    for part in done.parts:
        report.take(part)
    if done.problem is not None:
        raise done.problem


async def _histories(crew: Crew, profile: Profile, offline: bool, report: Report, tell: Told) -> list[Cleared]:
    """The crash states of so many histories as the profile wants; gives those in which requests are to fail.

    Whether a history is wanted depends on those before. Where several are played at a time some are that are not.
    """
    among = (Setting(),) if report.adapter == "exec" else SETTINGS
    cleared: list[Cleared] = []

    def wanted() -> bool:
        least = min(LEAST_HISTORIES, profile.states // 100)
        return report.states < profile.states or report.histories < least

    def torn() -> bool:  # torn writes have far more states, and must not crowd out histories
        return report.torn < profile.states // 2

    def tasks() -> Iterator[OneHistory]:
        for setting, history in cases(profile.seed, offline, among):
            if not wanted():
                return
            yield OneHistory(setting, history, (WHOLE, SECTORS) if torn() else (WHOLE,), profile.seed)

    async with aclosing(crew.each(tasks())) as played:
        async for task, done in played:
            if not wanted():
                break
            if not torn():
                del done.parts[1:]
            taken(report, done)
            tell("states", min(report.states, profile.states), profile.states)
            if len(cleared) < max(LEAST_WITH_FAULTS, profile.faults // FAULTS_OF_EACH):
                cleared.append(Cleared(task.setting, done.played, faults_of(done.asked, profile.seed)))
    return cleared


def _faults(profile: Profile, cleared: list[Cleared]) -> Iterator[OneFault]:
    """Requests that fail, some of each history in turns, until there were as many as the profile has."""
    waiting, left = list(cleared), profile.faults
    while waiting and left:
        played = waiting.pop(0)
        for _ in range(min(FAULTS_A_HISTORY, left)):
            fault = next(played.faults, None)
            if fault is None:
                break
            left -= 1
            yield OneFault(played.setting, played.history, fault)
        else:
            waiting.append(played)
