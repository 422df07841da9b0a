"""A finding is made short: steps are left out as long as the same kind is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cbtcheck.crash.faults import with_fault
from cbtcheck.crash.finding import Finding
from cbtcheck.crash.history import Step
from cbtcheck.crash.picture import picture, step_of_crash, verb
from cbtcheck.crash.played import Played, Player
from cbtcheck.crash.recording import Fault


async def shorten(player: Player, finding: Finding, left: int) -> None:
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
