"""Scenarios in which disks lie in images that are closed, opened, reopened and left by a crash."""

from __future__ import annotations

import random

from cbtcheck.adapter import PERSISTENCE, Capabilities
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.words import answered
from cbtcheck.search.restarts.workflows import interrupted

FEWER = 6
"""Commands on bitmaps are so many times fewer, and say more of what is refused."""


def restarts(claims: Capabilities, seed: int, examples: int, one_in: int = 1) -> dict[str, Scenario]:
    """Scenarios of short workflows first, then `examples` that are drawn; by name.

    Of workflows one in `one_in` is taken, and of commands on each kind of bitmap one in a `FEWER`th of that; which
    ones depends on the seed. None if images are not claimed.
    """
    if PERSISTENCE not in claims.features:
        return {}
    chance = random.Random(f"restarts {seed}")
    made = _some([*interrupted(claims)], one_in, chance)
    made = _some([*answered(claims)], max(1, one_in // FEWER), chance) | made
    found = {name: each for name, each in made.items() if not missing_for(each, claims)}
    found |= {f"drawn {number}": drawn(claims, seed, number) for number in range(examples)}
    return found


def _some(listed: list[tuple[str, Scenario]], one_in: int, chance: random.Random) -> dict[str, Scenario]:
    taken = chance.sample(range(len(listed)), -(-len(listed) // one_in))
    return dict(listed[number] for number in sorted(taken))
