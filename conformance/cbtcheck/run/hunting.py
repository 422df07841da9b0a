"""Finds a seeded mistake with the same machine that tests everything else, and keeps the shortest scenario."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

from cbtcheck.adapters.mistakes.registry import Mistake, NarrowMistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.scenario.scenario import Scenario, load, save, to_data
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.search.shorten import fails_on, shorten

SEED = 20160106
ROUNDS = 6
EXAMPLES = 1000
STEPS = 20
ENOUGH = 8
SHORTEST = Path(__file__).parents[1] / "search" / "shortest"
"""The shortest scenario of each mistake, as a file that anyone can replay."""


def player_of(mistake: Mistake | NarrowMistake) -> Player:
    """Plays scenarios on the reference implementation with the mistake."""
    return Player(ReferenceAdapter(mistake.host, mistake.name))


@functools.cache
def drawn_scenarios(seed: int) -> tuple[Scenario, ...]:
    """What the machine draws. It does not depend on who plays it, so that all mistakes are sought in the same."""
    drawn: list[Scenario] = []
    draw_scenarios(ReferenceAdapter.capabilities, drawn.append, seed=seed, examples=EXAMPLES, steps=STEPS)
    return tuple(drawn)


def hunt_down(mistake: Mistake, at_most: int = 0) -> Scenario | None:
    """The shortest scenario for a mistake that a search leads to; None: it was not found.

    A few drawn scenarios that show it with its verdict are made short, and the shortest result counts. A scenario
    ends at its first disagreement; if that is a lesser one, another scenario is tried. So many commands are few
    enough, and end the search.
    """
    player = player_of(mistake)
    fails = fails_on(player)
    found: list[Scenario] = []
    for number in range(ROUNDS):
        for scenario in drawn_scenarios(SEED + number):
            if fails(scenario) is mistake.verdict:
                played = replace(scenario, commands=scenario.commands[: len(player.frames)])
                found.append(shorten(played, fails, player.adapter.capabilities))
                if len(found) == ENOUGH or len(found[-1].commands) <= at_most:
                    break
        if found:
            short = min(found, key=lambda each: (len(each.commands), len(str(to_data(each)))))
            return replace(short, title=mistake.name, story=mistake.story)
    return None


def shortest(mistake: Mistake) -> Scenario:
    """The scenario that is kept for it. Raises `ScenarioError`."""
    return load(SHORTEST / f"{mistake.name}.json")


def keep(mistake: Mistake, scenario: Scenario) -> None:
    """Keeps a scenario for it."""
    SHORTEST.mkdir(exist_ok=True)
    save(scenario, SHORTEST / f"{mistake.name}.json")
