"""Which order of what overlaps explains everything that was seen in a window."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.between import BetweenSets, TooMuch
from cbtcheck.trace import remembered
from cbtcheck.trace.commuting import dependences
from cbtcheck.trace.events import Look, LookAtJobs
from cbtcheck.trace.guesses import gather
from cbtcheck.trace.judgement import Judged
from cbtcheck.trace.search import MOST_STEPS, Search
from cbtcheck.trace.whole import judge_whole
from cbtcheck.trace.window import Item, Window
from cbtcheck.trace.world import Traced

MOST_ORDERS = 64
"""Orders of commands of which the bounds are found at most."""

MOST_RUNS = 6_000
"""Commands that the specification is run on for that, in one window at most."""


@dataclass
class Explained:
    """The worlds after a window, and what came of its looks; `findings` are with their lines.

    `order` is one of the orders of its commands that explain it, `first` are the first places of its looks in it.
    """

    order: tuple[Item, ...] = ()
    first: dict[int, int] = field(default_factory=dict)
    worlds: list[Traced] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)


def explain(
    space: BetweenSets, window: Window, worlds: list[Traced], guest_seen: bool = True
) -> Explained | None:
    """The worlds that explain all replies, and as many of the looks as any of them does; None if there is none.

    `guest_seen`: guest writes are in the trace; if not, what is seen in a bitmap is owed, too (see `learn`).
    `TooMuch` if there are more orders than are gone through.
    """
    try:
        return _explain(space, window, worlds, guest_seen, exact=True)
    except TooMuch:
        loose = window.loosened()
        if not loose.items:
            raise
        explained = _explain(space, loose, worlds, guest_seen, exact=False)
        if explained is not None:
            looks = sum(item.is_look for item in window.items)
            unjudged = ["looks that overlap more commands than can be put in order"] * looks
            explained.judged.append(Judged(unjudged=unjudged))
        return explained


def _explain(
    space: BetweenSets, window: Window, worlds: list[Traced], guest_seen: bool, exact: bool
) -> Explained | None:
    found: list[Explained] = []
    controls = [item for item in window.items if not item.is_look]
    depends, alike = dependences(window, worlds, exact), _alike(window, controls)
    steps, runs = MOST_STEPS, 0
    tried: list[tuple[Traced, tuple[Item, ...]]] = []
    for world in worlds:
        search = Search(controls, depends, alike, window.after, not exact, len(window.classes), steps)
        for order in search.orders([world]) if len(controls) > 1 else [tuple(controls)]:
            runs += window.choices(world, order) * len(order)
            tried.append((world, order))
            if len(tried) > MOST_ORDERS or runs > MOST_RUNS:
                raise TooMuch
        steps = search.steps
    again = sum((len(order) + 1) ** 2 for _, order in tried) * sum(item.is_look for item in window.items)
    for world, order in tried:
        after = window.bounds(world, order)
        if after:
            explained = _look(space, window, world, order)
            if explained is not None:
                if again <= remembered.MOST_RUNS and not explained.findings:
                    after = remembered.remembered(space, window, world, order, explained.first, after, guest_seen)
                explained.order, explained.worlds = order, after
                found.append(explained)
    if not found:
        return None
    best = min(found, key=lambda each: len(each.findings))
    agreeing = [each for each in found if len(each.findings) == len(best.findings)]
    best.worlds = gather(world for each in agreeing for world in each.worlds)
    return best


def _alike(window: Window, controls: list[Item]) -> dict[int, Hashable]:
    """What is equal for commands that can be exchanged for each other in every order."""

    def key(item: Item) -> Hashable:
        bit = 1 << item.number
        after = tuple(each.number for each in window.items if each.before & bit)
        writes = tuple((bool(each.before & bit), item.number >= each.closed) for each in window.classes)
        return item.event, item.before, after, writes

    return {item.number: key(item) for item in controls}


def _look(space: BetweenSets, window: Window, world: Traced, order: tuple[Item, ...]) -> Explained | None:
    """Each look at the first place among the commands where it is allowed; None if there is no place for it."""
    explained = Explained()
    places = explained.first
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
    if not remembered.may_be_at(order, look, at):
        return None
    assert isinstance(look.event, Look | LookAtJobs)
    results = [judge_whole(space, each, look.event)[0] for each in window.bounds(world, (*order[:at], look))]
    return min(results, key=lambda each: len(each.findings), default=None)
