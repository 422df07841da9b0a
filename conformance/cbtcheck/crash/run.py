"""A run: histories, their crash states, requests that fail; what QEMU says of the states; and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from cbtcheck.crash.confirm import difference
from cbtcheck.crash.faults import faults_of, with_fault
from cbtcheck.crash.finding import Finding, Kind
from cbtcheck.crash.histories import BY_HAND, BY_HAND_OFFLINE, drawn
from cbtcheck.crash.history import Step, told
from cbtcheck.crash.judge import DIED
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.picture import picture, step_of_crash, verb
from cbtcheck.crash.played import Played, Player
from cbtcheck.crash.recording import TRIMS, Fault
from cbtcheck.crash.setting import CLUSTERS, Setting
from cbtcheck.crash.states import SECTORS, WHOLE, Judged

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
class Profile:
    """How far a run goes: crash states, requests that fail, and the seed of what is drawn."""

    states: int
    faults: int
    seed: int


@dataclass(slots=True)
class Report:
    """What came of a run."""

    adapter: str = "qemu"
    """Who was played: *qemu*, *reference* or *exec*."""
    command: str = ""
    """The program, of *exec*."""
    version: str = ""
    """Of the QEMU that played, or that looked at the states; "" if none did."""
    qemu_img: str = ""
    """The version of the `qemu-img` for offline operations; "" without one."""
    histories: int = 0
    states: int = 0
    torn: int = 0
    """Those of the states that have torn writes, or that torn writes were looked for in."""
    read: int = 0
    states_after_faults: int = 0
    epochs: int = 0
    cut: int = 0
    confirmed: int = 0
    faults: int = 0
    findings: dict[Kind, Finding] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)
    hung: str = ""
    """Why the run was given up, if it was."""
    interrupted: bool = False


def cases(
    seed: int, offline: bool, among: tuple[Setting, ...] = SETTINGS
) -> Iterator[tuple[Setting, tuple[Step, ...]]]:
    """Histories made by hand, then drawn ones without end; on each setting in turns."""
    by_hand = BY_HAND + (BY_HAND_OFFLINE if offline else ())
    settings = (among[number % len(among)] for number in count())
    yield from zip(settings, by_hand, strict=False)
    for number in count():
        yield next(settings), drawn(seed * 1_000_003 + number, offline)


async def run(
    player: Player, looker: Machine | None, profile: Profile, offline: bool, report: Report, tell: Told = untold
) -> None:
    """Fills the report: `player` plays, `looker` says what QEMU sees, `tell` is told how far it is.

    Raises `TimeoutError` if QEMU hangs.
    """
    cleared: list[Played] = []
    among = (Setting(),) if report.adapter == "exec" else SETTINGS
    for setting, history in cases(profile.seed, offline, among):
        if report.states >= profile.states and report.histories >= min(LEAST_HISTORIES, profile.states // 100):
            break
        tell("states", min(report.states, profile.states), profile.states)
        played = await player.play(setting, history)
        cleared.append(played)
        both = report.torn < profile.states // 2  # torn writes have far more states, and must not crowd out histories
        await states_of(player, looker, played, history, report, profile.seed, (WHOLE, SECTORS) if both else (WHOLE,))
    await _faults(player, looker, profile, cleared, report, tell)
    for number, finding in enumerate(report.findings.values()):
        tell("findings made short", number, len(report.findings))
        if finding.verdict != DIED:
            await _shorten(player, finding, LONGEST_SHORTENING // (3 if finding.known else 1))


async def states_of(
    player: Player, looker: Machine | None, played: Played, history: tuple[Step, ...], report: Report, seed: int,
    assumptions: tuple[str, ...] = (WHOLE, SECTORS),
) -> None:  # fmt: skip
    """The crash states of a history that was played, under each assumption."""
    report.histories += 1
    if played.broken:
        step = next((verb(each.step) for each in played.done if "died" in each.answer), "the end")
        shown = [f"{each.step}: {each.answer or 'well'}" for each in played.done]
        died = Finding(DIED, step, "", "", played.broken, played.setting, WHOLE, history, None, shown)
        await _note(looker, report, died, None)
    for assumption in assumptions:
        found = await player.states(played, assumption, seed)
        report.states += found.states
        report.torn += found.states if assumption == SECTORS else 0
        report.read += found.read
        report.epochs += found.epochs
        report.cut += found.cut
        for each in found.bad:
            step = step_of_crash(played, each.place)
            finding = Finding(
                each.judgement.verdict, step, "", "", each.judgement.why, played.setting, assumption, history, None,
                picture(played, each.place),
            )  # fmt: skip
            await _note(looker, report, finding, each)
        for each in found.samples:
            await _confirm(looker, report, played.setting, each, f"{told(history)} on {played.setting}", False)


async def fault_of(
    player: Player, looker: Machine | None, setting: Setting, history: tuple[Step, ...], fault: Fault, report: Report
) -> None:
    """One request of a history fails."""
    outcome = await with_fault(player, setting, history, fault)
    report.faults += 1
    report.states_after_faults += outcome.states
    for finding, state in outcome.found:
        await _note(looker, report, finding, state)


async def _faults(
    player: Player, looker: Machine | None, profile: Profile, cleared: list[Played], report: Report, tell: Told
) -> None:
    """Requests fail, some of each history in turns, until there were as many as the profile has."""
    some = cleared[: max(LEAST_WITH_FAULTS, profile.faults // FAULTS_OF_EACH)]
    waiting = [(played, faults_of(played, profile.seed)) for played in some]
    while waiting and report.faults < profile.faults:
        played, faults = waiting.pop(0)
        for _ in range(min(FAULTS_A_HISTORY, profile.faults - report.faults)):
            fault = next(faults, None)
            if fault is None:
                break
            tell("faults", report.faults, profile.faults)
            history = tuple(each.step for each in played.done)
            await fault_of(player, looker, played.setting, history, fault, report)
        else:
            waiting.append((played, faults))


async def _note(looker: Machine | None, report: Report, finding: Finding, state: Judged | None) -> None:
    finding.adapter, finding.command = report.adapter, report.command
    if state is not None:
        finding.confirmed = await _confirm(looker, report, finding.setting, state, finding.replay(), True)
    before = report.findings.get(finding.kind)
    if before is not None:
        before.times += 1
        if len(finding.history) >= len(before.history):
            return
        finding.times = before.times
    report.findings[finding.kind] = finding


async def _confirm(
    looker: Machine | None, report: Report, setting: Setting, state: Judged, where: str, data: bool
) -> str:
    if looker is None:
        return ""
    differs = await difference(looker, setting, state.content, data)
    report.confirmed += 1
    if differs:
        report.disagreements.append(f"{where}: {differs}")
    return differs


async def _shorten(player: Player, finding: Finding, left: int) -> None:
    """Leaves steps out, one by one, as long as the same kind of failure is found; plays at most `left` times."""
    number = 0
    while number < len(finding.history) and left > 0:
        history = finding.history[:number] + finding.history[number + 1 :]
        better = None
        if history:
            played = await player.play(finding.setting, history)
            left -= 1
            if finding.fault is None:
                better = await _crashed(player, played, history, finding)
            else:
                better, left = await _failed(player, played, history, finding, left)
        if better is None:
            number += 1
        else:
            finding.history, finding.fault = history, better.fault
            finding.picture, finding.why = better.picture, better.why


async def _crashed(player: Player, played: Played, history: tuple[Step, ...], finding: Finding) -> Finding | None:
    """The same kind of failure after a crash of this history."""
    found = await player.states(played, finding.assumption)
    for each in found.bad:
        if each.judgement.verdict == finding.verdict and step_of_crash(played, each.place) == finding.step:
            return replace(finding, why=each.judgement.why, picture=picture(played, each.place))
    return None


async def _failed(
    player: Player, played: Played, history: tuple[Step, ...], finding: Finding, left: int
) -> tuple[Finding | None, int]:
    """The same kind of failure after a request of this history that fails; and how many plays are left."""
    for fault in _same(played, finding):
        if left <= 0:
            break
        left -= 1
        outcome = await with_fault(player, finding.setting, history, fault, finding.kind)
        better = next((each for each, _ in outcome.found if each.kind == finding.kind), None)
        if better is not None:
            return better, left
    return None, left


def _same(clean: Played, finding: Finding) -> Iterator[Fault]:
    """Faults in the same kind of request, in the same kind of step; the last ones first."""
    assert finding.fault is not None
    begin = 0
    candidates = []
    for each in clean.done:
        if verb(each.step) == finding.step:
            candidates += [
                number for number in range(begin + 1, each.asked + 1)
                if clean.recorder.asked[number - 1][0] == finding.request
            ]  # fmt: skip
        begin = each.asked
    for number in reversed(candidates):
        yield replace(finding.fault, number=number)
