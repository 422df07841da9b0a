"""Which order of what overlaps explains everything that was seen in a window."""

from __future__ import annotations

from dataclasses import dataclass, field

from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.between import BetweenSets
from cbtcheck.trace.events import Look, LookAtJobs, TraceProblem
from cbtcheck.trace.guesses import gather
from cbtcheck.trace.judgement import Judged, judge
from cbtcheck.trace.window import MOST_ORDERS, TOO_MUCH, Item, Window
from cbtcheck.trace.world import Traced


@dataclass
class Explained:
    """The worlds after a window, and what came of its looks; `findings` are with their lines."""

    worlds: list[Traced] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)


def explain(space: BetweenSets, window: Window, worlds: list[Traced]) -> Explained | None:
    """The worlds that explain all replies, and as many of the looks as any of them does; None if there is none."""
    found: list[Explained] = []
    tried = 0
    for world in worlds:
        for order in window.orders(world):
            tried += 1
            if tried > MOST_ORDERS:
                raise TraceProblem(window.line, TOO_MUCH)
            after = window.bounds(world, order)
            if after:
                explained = _look(space, window, world, order)
                if explained is not None:
                    explained.worlds = after
                    found.append(explained)
    if not found:
        return None
    best = min(found, key=lambda each: len(each.findings))
    agreeing = [each for each in found if len(each.findings) == len(best.findings)]
    best.worlds = gather(world for each in agreeing for world in each.worlds)
    return best


def _look(space: BetweenSets, window: Window, world: Traced, order: tuple[Item, ...]) -> Explained | None:
    """Each look at the first place among the commands where it is allowed; None if there is no place for it."""
    explained = Explained()
    places: dict[int, int] = {}
    for look in (item for item in window.items if item.is_look):
        earliest = max((at for number, at in places.items() if look.before >> number & 1), default=0)
        tried: list[tuple[int, Judged]] = []
        for at in range(earliest, len(order) + 1):
            judged = _judged(space, window, world, order, look, at)
            if judged is not None:
                tried.append((at, judged))
                if not judged.findings:
                    break
        if not tried:
            return None
        at, judged = min(tried, key=lambda pair: len(pair[1].findings))
        places[look.number] = at
        explained.judged.append(judged)
        explained.findings += [(look.span.line, finding) for finding in judged.findings]
    return explained


def _judged(
    space: BetweenSets, window: Window, world: Traced, order: tuple[Item, ...], look: Item, at: int
) -> Judged | None:
    """The look after the first `at` commands; None if it cannot be there."""
    done = sum(1 << item.number for item in order[:at])
    for item in order:
        is_before = bool(done >> item.number & 1)
        if look.before >> item.number & 1 and not is_before:
            return None
        if item.before >> look.number & 1 and is_before:
            return None
    assert isinstance(look.event, Look | LookAtJobs)
    results = [judge(space, each, look.event) for each in window.bounds(world, (*order[:at], look))]
    return min(results, key=lambda each: len(each.findings), default=None)
