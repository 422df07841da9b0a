"""Does the tour find a seeded mistake? The tour alone, with the universal disk, and nothing that was drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from cbtcheck.adapters.mistakes.registry import Mistake, NarrowMistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import alike, in_the_environment
from cbtcheck.run.hunting import player_of
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.shorten import Fails, fails_on, shorten
from cbtcheck.search.tour.narrow import narrow
from cbtcheck.search.tour.sizes import Sizes, sizes_for, sizes_for_histories
from cbtcheck.search.tour.universal_play import Play, control_sequences, plays
from cbtcheck.search.tour.walks import tour

REPLAYS = 400
"""How often a failing scenario is replayed at most, to make it shorter."""


def tour_kills(mistake: Mistake | NarrowMistake, scope: str = "ci", writes: int = 8) -> Scenario | None:
    """The first scenario of the tour that disagrees with the reference implementation with this mistake, made short.

    First come the walks, then every history of up to so many `writes`. None: the whole tour agrees with the mistake.
    """
    return walks_kill(mistake, scope) or histories_kill(mistake, scope, writes)


def walks_kill(mistake: Mistake | NarrowMistake, scope: str = "ci") -> Scenario | None:
    """The same, with the walks of the tour alone: each as it is, with its few writes."""
    player = player_of(mistake)
    fails = fails_on(player)
    listed = sizes_for(player.adapter.capabilities)
    for number, walk in enumerate(tour(scope)):
        scenario = walk.scenario(listed[number % len(listed)])
        if fails(scenario):
            played = replace(scenario, commands=scenario.commands[: len(player.frames)])
            return _named(mistake, shorten(played, fails, replays=REPLAYS))
    return None


def histories_kill(mistake: Mistake | NarrowMistake, scope: str = "ci", writes: int = 8) -> Scenario | None:
    """The same, with every write history against the control sequences of the tour alone."""
    player = player_of(mistake)
    fails = fails_on(player)
    for play, sizes in _universal_plays(scope, writes):
        player.closely, player.together = False, alike
        if fails(play.scenario(sizes)):
            few = narrow(play, _any_fails(fails, sizes))
            short = shorten(few.scenario(sizes), fails, replays=REPLAYS)
            player.closely, player.together = True, in_the_environment
            fails(short)  # may be shorter still if everything is looked at
            played = replace(short, commands=short.commands[: len(player.frames)])
            return _named(mistake, played)
    return None


def _universal_plays(scope: str, writes: int) -> Iterator[tuple[Play, Sizes]]:
    for sequence in control_sequences(tour(scope)):
        for play in plays(sequence, writes):
            for sizes in sizes_for_histories(ReferenceAdapter.capabilities, len(play.histories)):
                yield play, sizes


def _any_fails(fails: Fails, sizes: Sizes) -> Callable[[Play], bool]:
    return lambda part: fails(part.scenario(sizes)) is not None


def _named(mistake: Mistake | NarrowMistake, scenario: Scenario) -> Scenario:
    return replace(scenario, title=mistake.name, story=mistake.story)
