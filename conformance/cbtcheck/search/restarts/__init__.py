"""Scenarios in which disks lie in images that are closed, opened, reopened and left by a crash."""

from __future__ import annotations

import random

from cbtcheck.adapter import PERSISTENCE, Capabilities
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.words import answered
from cbtcheck.search.restarts.workflows import interrupted


def restarts(claims: Capabilities, seed: int, examples: int, one_in: int = 1) -> dict[str, Scenario]:
    """Scenarios of short workflows first, then `examples` that are drawn; by name.

    Of the workflows one in `one_in` is taken, which ones depends on the seed. None if images are not claimed.
    """
    if PERSISTENCE not in claims.features:
        return {}
    workflows = [*interrupted(claims)]
    taken = random.Random(f"restarts {seed}").sample(range(len(workflows)), -(-len(workflows) // one_in))
    made = {**dict(answered(claims)), **dict(workflows[number] for number in sorted(taken))}
    found = {name: each for name, each in made.items() if not missing_for(each, claims)}
    found |= {f"drawn {number}": drawn(claims, seed, number) for number in range(examples)}
    return found
