"""Scenarios in which disks lie in images that are closed, opened, reopened and left by a crash."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import groupby, islice

from cbtcheck.adapter import PERSISTENCE, Capabilities
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.restarts.absent import NOT_THERE, absent
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.ground import Ground
from cbtcheck.search.restarts.told_first import TOLD_FIRST, told_first
from cbtcheck.search.restarts.words import answered, standing
from cbtcheck.search.restarts.workflows import interrupted, workflows

FEWER = 6
"""Commands on bitmaps are so many times fewer, and say more of what is refused."""

TRIES = 100
"""How many scenarios are drawn at most for each that is to be found, if not every one is wanted."""

DRAWN, TWO_DISKS = "drawn", "two disks"
"""The subjects of what is drawn, and of what happens to one of two disks."""

_OF_ANY_SIZE = Ground(Capabilities(frozenset(), clusters=(4096,), granularities=(4096,)))
"""Names do not depend on what is claimed."""


def subjects() -> list[str]:
    """What restarts are about, in their order: how a bitmap stands, a workflow, and what else there is."""
    return [*standing(_OF_ANY_SIZE), *workflows(_OF_ANY_SIZE), TWO_DISKS, NOT_THERE, TOLD_FIRST, DRAWN]


def subject(name: str) -> str:
    """The subject of a scenario of `restarts`, by the name that it has there."""
    if name.startswith(f"{DRAWN} "):
        return DRAWN
    workflow, interrupted_so, _ = name.partition(": ")
    if not interrupted_so:
        return TWO_DISKS
    if workflow in (NOT_THERE, TOLD_FIRST) or workflow in workflows(_OF_ANY_SIZE):
        return workflow
    return name.rpartition(": ")[2].removesuffix(", and closed")


def everything(scenario: Scenario) -> bool:
    """Nothing is named, so every scenario is wanted."""
    return True


def restarts(
    claims: Capabilities, seed: int, examples: int, one_in: int = 1, wanted: Callable[[Scenario], bool] = everything
) -> dict[str, Scenario]:
    """Scenarios of short workflows first, then `examples` that are drawn; by name, and only those that are `wanted`.

    Of workflows one in `one_in` is taken, of commands on each kind of bitmap, or on none, one in a `FEWER`th of that,
    and some of each subject; which ones depends on the seed, and not on what is wanted of them. None if images are
    not claimed.
    """
    if PERSISTENCE not in claims.features:
        return {}
    chance = random.Random(f"restarts {seed}")
    made = _some(interrupted(claims), one_in, chance)
    made = _some(answered(claims), max(1, one_in // FEWER), chance) | made
    for each in (absent(claims), told_first(claims)):
        made |= _some(each, max(1, one_in // FEWER), chance)
    found = {name: each for name, each in made.items() if wanted(each) and not missing_for(each, claims)}
    return found | dict(islice(_drawn(claims, seed, examples * TRIES, wanted), examples))


def _drawn(
    claims: Capabilities, seed: int, tries: int, wanted: Callable[[Scenario], bool]
) -> Iterator[tuple[str, Scenario]]:
    for number in range(tries):
        scenario = drawn(claims, seed, number)
        if wanted(scenario):
            yield f"{DRAWN} {number}", scenario


def _some(made: Iterator[tuple[str, Scenario]], one_in: int, chance: random.Random) -> dict[str, Scenario]:
    """One in so many of each subject, and at least one."""
    found: dict[str, Scenario] = {}
    for _, alike in groupby(made, lambda named: subject(named[0])):
        listed = [*alike]
        taken = chance.sample(range(len(listed)), -(-len(listed) // one_in))
        found |= dict(listed[number] for number in sorted(taken))
    return found
