"""Scenarios in which disks lie in images that are closed, opened, reopened and left by a crash."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice

from cbtcheck.adapter import PERSISTENCE, Capabilities
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.words import answered
from cbtcheck.search.restarts.workflows import interrupted

FEWER = 6
"""Commands on bitmaps are so many times fewer, and say more of what is refused."""

TRIES = 100
"""How many scenarios are drawn at most for each that is to be found, if not every one is wanted."""


def everything(scenario: Scenario) -> bool:
    """Nothing is named, so every scenario is wanted."""
    return True


def restarts(
    claims: Capabilities, seed: int, examples: int, one_in: int = 1, wanted: Callable[[Scenario], bool] = everything
) -> dict[str, Scenario]:
    """Scenarios of short workflows first, then `examples` that are drawn; by name, and only those that are `wanted`.

    Of workflows one in `one_in` is taken, and of commands on each kind of bitmap one in a `FEWER`th of that; which
    ones depends on the seed, and not on what is wanted of them. None if images are not claimed.
    """
    if PERSISTENCE not in claims.features:
        return {}
    chance = random.Random(f"restarts {seed}")
    made = _some([*interrupted(claims)], one_in, chance)
    made = _some([*answered(claims)], max(1, one_in // FEWER), chance) | made
    found = {name: each for name, each in made.items() if wanted(each) and not missing_for(each, claims)}
    return found | dict(islice(_drawn(claims, seed, examples * TRIES, wanted), examples))


def _drawn(
    claims: Capabilities, seed: int, tries: int, wanted: Callable[[Scenario], bool]
) -> Iterator[tuple[str, Scenario]]:
    for number in range(tries):
        scenario = drawn(claims, seed, number)
        if wanted(scenario):
            yield f"drawn {number}", scenario


def _some(listed: list[tuple[str, Scenario]], one_in: int, chance: random.Random) -> dict[str, Scenario]:
    taken = chance.sample(range(len(listed)), -(-len(listed) // one_in))
    return dict(listed[number] for number in sorted(taken))
