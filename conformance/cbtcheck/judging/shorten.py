"""Makes a schedule that shows a mistake short: fewer runs, fewer writes, fewer faults."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cbtcheck.judging.grouped import main_reason
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.schedule import Schedule, Write
from cbtcheck.judging.verdicts import Judgement

MOST_PLAYS, MOST_STUCK = 24, 4
"""So often a schedule is played to make one short; and one in which the tool did not end, which takes long."""

Player = Callable[[Schedule], Outcome]


def shortened(outcome: Outcome, player: Player) -> Outcome:
    """A short schedule with the same verdict; if writes are lost, the first of them at the same point."""
    best, left = outcome, MOST_STUCK if outcome.judgement is Judgement.STUCK else MOST_PLAYS

    def shorter(schedule: Schedule) -> bool:
        nonlocal best, left
        if left == 0 or schedule == best.schedule:
            return False
        left -= 1
        found = player(schedule)
        if found.judgement is not outcome.judgement or (kind and _window(found) != kind):
            return False
        best = found
        return True

    reason, kind = main_reason(outcome), _window(outcome)
    run = reason.run.rstrip("ab") if reason is not None else ""
    if run.isdigit() and int(run) - 1 < best.schedule.increments:
        shorter(replace(best.schedule, increments=int(run) - 1))
    needed = _needed(best)
    if needed is not None:
        shorter(replace(best.schedule, writes=needed))
    if best.schedule.faults:
        shorter(replace(best.schedule, faults=()))
    for each in best.schedule.writes:
        shorter(replace(best.schedule, writes=tuple(one for one in best.schedule.writes if one is not each)))
    name = f"{outcome.schedule.name}, shortened"
    best.schedule = replace(best.schedule, name=name) if best is not outcome else best.schedule
    return best


def _needed(outcome: Outcome) -> tuple[Write, ...] | None:
    """The first write that a restore misses; None if it misses none."""
    reason = main_reason(outcome)
    missed = {each.wanted for each in reason.losses if each.wanted} if reason is not None else set()
    by_number = {each.number: each.write for each in outcome.entries if each.write is not None}
    first = by_number.get(min(missed)) if missed else None
    return None if first is None else (first,)


def _window(outcome: Outcome) -> str:
    reason = main_reason(outcome)
    return "" if reason is None else reason.window
