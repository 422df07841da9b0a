"""What comes of a request that fails: the history goes on, the image is opened again, and everything is judged."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cbtcheck.crash.finding import Finding, Kind
from cbtcheck.crash.history import Step, parsed
from cbtcheck.crash.judge import DIED, STUCK, UNOPENABLE
from cbtcheck.crash.picture import picture, verb
from cbtcheck.crash.played import Played, Player
from cbtcheck.crash.recording import Fault
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import WHOLE, Found, Judged

AFTERWARDS = parsed("open; write 0+8; flush; write 8+4; close; open; close")
"""What happens to the image when nothing fails any more: it is opened, written to, and opened again after a crash."""
WEIGHTS = {"flush": 0.0, "write": 0.3, "zeroes": 0.3, "trim": 0.3, "read": 3.0}
FOLLOWING = ("write", "zero", "flush")


def faults_of(asked: Sequence[tuple[str, int, int]], seed: int) -> Iterator[Fault]:
    """Every request of a history, failing once and from then on, with EIO and ENOSPC; in an order drawn by the seed.

    Flushes tend to come early, what fails for ever late, and reads come last: they are many, and change nothing.
    """
    chance = random.Random(seed)
    faults = [
        (WEIGHTS[kind] + chance.random() * (2 if for_ever else 1), Fault(number, error, for_ever))
        for number, (kind, _, _) in enumerate(asked, 1)
        for error in (errno.EIO, errno.ENOSPC)
        for for_ever in (False, True)
    ]
    for _, fault in sorted(faults, key=lambda each: each[0]):
        yield fault


@dataclass(slots=True)
class Outcome:
    """What came of one fault: what was found, each with the file's state; and how many states were judged.

    `seconds` of the processor were taken for judging them.
    """

    found: list[tuple[Finding, Judged | None]] = field(default_factory=list)
    states: int = 0
    seconds: float = 0.0


async def with_fault(
    player: Player, setting: Setting, history: tuple[Step, ...], fault: Fault, only: Kind | None = None
) -> Outcome:
    """Plays a history with one fault. If `only` one kind of finding is wanted, no more is done than it takes."""
    played = await player.play(setting, history, fault)
    if played.recorder.failures == 0:
        return Outcome()
    step, request = step_of_fault(played), played.recorder.asked[fault.number - 1][0]
    before = _before(played, fault)
    if only is not None and only[1:4] != (step, request, before):
        return Outcome()
    start = max(0, played.recorder.first_failure)
    states = await player.states(played, WHOLE, start=start, one_in=1000)
    again, later = Played(setting, b"", played.recorder, played.account), Found()
    if only is None or only[4]:
        again = await player.play(setting, AFTERWARDS, after=played)
        later = await player.states(again, WHOLE, one_in=1000)

    def finding(verdict: str, why: str, when: str, shown: list[str]) -> Finding:
        return Finding(verdict, step, request, when, why, setting, WHOLE, history, fault, shown, before=before)

    found: list[tuple[Finding, Judged | None]] = []
    for part, of, when in ((played, states, ""), (again, later, "again")):
        for bad in of.bad:
            shown = picture(part, bad.place)
            found.append((finding(bad.judgement.verdict, bad.judgement.why, when, shown), bad))
    found += [(finding(STUCK, why, "", ["(the state of the file is well)"]), None) for why in _stuck(played, fault)]
    found += [(finding(verdict, why, "again", _end(again)), None) for verdict, why in _refused(again, later)]
    found += [(finding(DIED, of.broken, when, _end(of)), None) for of, when in ((played, ""), (again, "again"))
              if of.broken]  # fmt: skip
    return Outcome(found, states.states + later.states, states.seconds + later.seconds)


def step_of_fault(played: Played) -> str:
    """The step in which the first request failed, without names."""
    return next((verb(each.step) for each in played.done if each.harmed), "the end")


def _before(played: Played, fault: Fault) -> str:
    """What was written last before the request that failed."""
    for kind, offset, length in reversed(played.recorder.asked[: fault.number - 1]):
        if kind == "write":
            return "header" if offset == 0 else "entry" if length == 8 else "other"
    return ""


def _stuck(played: Played, fault: Fault) -> Iterator[str]:
    """Writes of the guest that fail though nothing fails any more."""
    if fault.for_ever:
        return
    since = False
    for each in played.done:
        if since and each.answer and not each.harmed and each.writable and each.step.verb in FOLLOWING:
            yield f"nothing fails any more, and the guest's '{each.step}' fails: {each.answer}"
            return
        since = since or each.harmed


def _refused(again: Played, later: Found) -> Iterator[tuple[str, str]]:
    """What QEMU refuses when the image is used again, where our reader has nothing against it."""
    if any(bad.judgement.verdict == UNOPENABLE for bad in later.bad):
        return
    for each in again.done:
        if each.answer and each.step.verb == "open":
            yield UNOPENABLE, f"QEMU does not open it for writing: {each.answer}"
            return
        if each.answer and each.writable:
            yield STUCK, f"it was opened again, and '{each.step}' fails: {each.answer}"
            return


def _end(again: Played) -> list[str]:
    return [f"{each.step}: {each.answer or 'well'}" for each in again.done]
