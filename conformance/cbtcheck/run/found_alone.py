"""Narrow mistakes, asked of one kind of scenario alone: the phase that is to find one, and those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from cbtcheck.adapters.mistakes.registry import NarrowMistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import verdict_of
from cbtcheck.run.deal import BATCH, batch
from cbtcheck.run.hunting import player_of
from cbtcheck.run.hunting_on_tour import histories_kill
from cbtcheck.run.profiles import PROFILES
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.tour.contexts.plan import tour_in_context
from cbtcheck.search.tour.sizes import sizes_for
from cbtcheck.search.tour.walks import Walk, tour
from cbtcheck.search.traps import traps
from cbtcheck.workflows import workflows

DEFAULT_SEED = 20160121
CAPABILITIES = ReferenceAdapter.capabilities


def in_sizes(walks: Iterable[Walk]) -> Iterator[Scenario]:
    """Walks in the sizes of the reference, which change from one to the next."""
    listed = sizes_for(CAPABILITIES)
    return (walk.scenario(listed[number % len(listed)]) for number, walk in enumerate(walks))


@cache
def drawn(seed: int = DEFAULT_SEED) -> tuple[Scenario, ...]:
    """What *quick* draws."""
    profile = PROFILES["quick"]
    batches = range(profile.examples["reference"] // BATCH)
    return tuple(each for number in batches for each in batch(CAPABILITIES, seed, number, profile.steps))


OTHERS: dict[str, Callable[[], Iterable[Scenario]]] = {
    "explored edges": lambda: in_sizes(tour("quick")),
    "workflows": lambda: workflows().values(),
    "traps": lambda: traps(CAPABILITIES).values(),
    "drawn": drawn,
}
"""What is not to find a narrow mistake; and every write history."""


def found_in_context(
    mistake: NarrowMistake, scope: str = "quick", enough: Verdict | None = None
) -> dict[str, set[Verdict]]:
    """What the walks to edges in context say of a mistake: the verdicts, by family. The first `enough` ends it."""
    found: dict[str, set[Verdict]] = {}
    player = player_of(mistake)
    walks = tour_in_context(scope)
    for walk, scenario in zip(walks, in_sizes(walks), strict=True):
        findings = player.play_scenario(scenario)
        if findings:
            verdict = verdict_of(findings)
            found.setdefault(walk.world.name, set()).add(verdict)
            if verdict is enough:
                break
    return found


def found_by_others(mistake: NarrowMistake, histories: bool = True) -> list[str]:
    """Which of the others find a mistake. `histories`: every write history is asked, too, which takes seconds."""
    player = player_of(mistake)
    found = [name for name, listed in OTHERS.items() if any(player.play_scenario(each) for each in listed())]
    if histories and histories_kill(mistake, "quick", PROFILES["quick"].writes["reference"]):
        found.append("every write history")
    return found
