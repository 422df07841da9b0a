"""Each checker as one function: does it find this mistake, and how much did it look at until then?

A mistake is a mutant of the specification, or a seeded mistake of the implementation. Checkers stop at what they find
first. How much they have looked at is counted, not timed: the same mistake gives the same number each time.

What does not depend on the mistake is made once, by the right specification, and kept (`prepare`). What a mutant does
is never kept. Where its function is known not to be called (`calls`), a mutant cannot show: that counts as looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

from cbtcheck.adapters.mistakes.registry import Mistake
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run.hunting import SEED, STEPS
from cbtcheck.run.hunting_on_tour import histories_kill
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.search.tour.sizes import sizes_for
from cbtcheck.search.tour.walks import tour

from cbtproofs.explorer.breadth_first import TooLarge
from cbtproofs.explorer.scopes import Scope
from cbtproofs.inductive.prove import prove
from cbtproofs.inductive.stage import Scene, scenes
from cbtproofs.mutants.kill_matrix.calls import CALLS
from cbtproofs.mutants.kill_matrix.explored_again import Again
from cbtproofs.mutants.kill_matrix.recorded import RecordedWalk, recordings
from cbtproofs.refinement.walk import Walk
from cbtproofs.refinement.walking import Disagreement, first_disagreement
from cbtproofs.refinement.worlds import worlds

DRAWN = 400
"""How many scenarios the machine draws."""

SCOPE = "ci"
"""Of the tour."""

SCOPES = (
    Scope(1, alphabet="small"),
    Scope(1, bitmaps=0, jobs=2, nodes=2, alphabet="small"),
    Scope(2, bitmaps=2, jobs=0, granularity=2, alphabet="small"),
    Scope(1, bitmaps=0, jobs=2),
    Scope(1),
    Scope(2, cluster=2, alphabet="small"),
    Scope(1, bitmaps=2, nodes=2, alphabet="small"),
    Scope(2, alphabet="small"),
    Scope(2, granularity=2, alphabet="small"),
    Scope(1, bitmaps=2, jobs=2, alphabet="small"),
)
"""What is explored, the smallest first. Each in about a second; together they have every kind of command."""

MOST_STATES = 5_000
"""A scope of these has at most 1,029 states; a mutant that makes it grow without end is found by that."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A mistake was found, after looking at so many scenes, states, edges or scenarios.

    `why` is what was wrong in a few words; `commands` are those that show it, if the checker has any.
    """

    looked_at: int
    why: str
    commands: tuple[str, ...] = ()


def shown(commands: Any) -> tuple[str, ...]:
    """Commands in words."""
    return tuple(describe(each) for each in commands)


# Proof


@cache
def all_scenes() -> tuple[Scene, ...]:
    """Everything that is to be proved."""
    return tuple(scenes())


def proof(code: CodeType | None = None) -> Kill | None:
    """The inductive proof on the universal disk, up to the first scene with an obligation that does not hold.

    `code` is the right code of the mutated function.
    """
    number = 0

    def listed() -> Iterator[Scene]:
        nonlocal number
        for number, scene in enumerate(all_scenes(), 1):
            if not CALLS.same_as_ever(("scene", number), code):
                yield scene

    try:
        for proved in prove(("universal disk",), listed()):
            if proved.failures:
                return Kill(number, ", ".join(dict.fromkeys(each.obligation.id for each in proved.failures)))
            CALLS.at(("scene", number))
    except Exception as problem:
        return Kill(number, f"trips: {type(problem).__name__}")
    return None


# Exploration


def explorer(code: CodeType | None = None) -> Kill | None:
    """Exhaustive exploration of small scopes: every property, and what is to be seen sometimes."""
    states = 0
    for scope in SCOPES:
        again = Again(scope, code)
        try:
            again.run(MOST_STATES)
        except TooLarge as grown:
            return Kill(states + grown.limit, "more and more states")
        except Exception as problem:
            return Kill(states + again.states, f"trips: {type(problem).__name__}")
        states += again.states
        if again.failed:
            return Kill(states, ", ".join(dict.fromkeys(each.id for each in again.failed)), shown(again.commands))
        if again.missing:
            return Kill(states, f"never seen: {again.missing[0]}")
    return None


# Refinement


def refinement(code: CodeType | None = None) -> Kill | None:
    """The right implementation and the specification walk side by side through the quick worlds."""
    return walked([RecordedWalk(each, code) for each in recordings()])


def refinement_of(mistake: Mistake) -> Kill | None:
    """The implementation with a mistake and the right specification walk side by side."""
    return walked([Walk(world, mistake.host) for world in worlds("quick")])


def walked(walks: list[Any]) -> Kill | None:
    """All walks at once, up to the first edge on which the two part."""
    try:
        found: Disagreement | None = first_disagreement(walks)
    except Exception as problem:
        return Kill(sum(each.edges for each in walks), f"trips: {type(problem).__name__}")
    if found is None:
        return None
    return Kill(sum(each.edges for each in walks), found.differences[0], shown(found.path))


# Scenarios


@cache
def drawn() -> tuple[Scenario, ...]:
    """What the stateful machine draws."""
    found: list[Scenario] = []
    draw_scenarios(ReferenceAdapter.capabilities, found.append, seed=SEED, examples=DRAWN, steps=STEPS)
    return tuple(found)


@cache
def toured() -> tuple[Scenario, ...]:
    """The walks of the tour, derived from the right specification, each in sizes that the implementation has."""
    listed = sizes_for(ReferenceAdapter.capabilities)
    return tuple(walk.scenario(listed[number % len(listed)]) for number, walk in enumerate(tour(SCOPE)))


def stateful(code: CodeType | None = None) -> Kill | None:
    """Drawn scenarios: the right implementation, with the specification as its oracle and every property checked."""
    return first_failing("drawn", drawn(), Player(ReferenceAdapter(), self_check=True), code)


def stateful_of(mistake: Mistake) -> Kill | None:
    """Drawn scenarios on the implementation with a mistake."""
    return first_failing("drawn", drawn(), Player(ReferenceAdapter(mistake.host, mistake.name)))


def tour_walks(code: CodeType | None = None) -> Kill | None:
    """The tour on the right implementation, with the specification as its oracle; no property is checked."""
    return first_failing("tour", toured(), Player(ReferenceAdapter()), code)


def tour_of(mistake: Mistake) -> Kill | None:
    """The tour on the implementation with a mistake: its walks, and then every write history of up to 8 writes."""
    found = first_failing("tour", toured(), Player(ReferenceAdapter(mistake.host, mistake.name)))
    if found is not None:
        return found
    history = histories_kill(mistake, SCOPE)
    return None if history is None else Kill(len(toured()) + 1, "a write history", shown(history.commands))


def first_failing(
    what: str, scenarios: tuple[Scenario, ...], player: Player, code: CodeType | None = None
) -> Kill | None:
    """The first scenario in which the two disagree, or the specification disagrees with itself."""
    for number, scenario in enumerate(scenarios, 1):
        if CALLS.same_as_ever((what, number), code):
            continue
        try:
            findings = player.play_scenario(scenario)
            why = verdict_of(findings).value if findings else ""
            played = len(player.frames)
        except Exception as problem:
            why = "a property" if isinstance(problem, AssertionError) else f"trips: {type(problem).__name__}"
            played = len(player.frames) + 1
        CALLS.at((what, number))
        if why:
            return Kill(number, why, shown(scenario.commands[:played]))
    return None


# All of them

Find = Callable[[Any], Kill | None]

OF_MUTANTS: dict[str, Find] = {
    "tour": lambda mutant: tour_walks(CALLS.right_code(mutant)),
    "stateful": lambda mutant: stateful(CALLS.right_code(mutant)),
    "proof": lambda mutant: proof(CALLS.right_code(mutant)),
    "explorer": lambda mutant: explorer(CALLS.right_code(mutant)),
    "refinement": lambda mutant: refinement(CALLS.right_code(mutant)),
}
"""What is asked of a mutant of the specification, while that is applied; None is the right specification."""

OF_MISTAKES: dict[str, Find] = {"tour": tour_of, "stateful": stateful_of, "refinement": refinement_of}
"""What is asked of a seeded mistake of the implementation."""


def prepare(recorded: bool) -> dict[str, Kill | None]:
    """Everything that the checkers keep, made by the right specification; returns what they find in it: nothing.

    `recorded`: also looks at all of it once, so that what a mutant cannot change is left out later: about a minute.
    """
    toured()
    drawn()
    all_scenes()
    if not recorded:
        return {}
    refinement()
    with CALLS.recorded():
        return {name: find(None) for name, find in OF_MUTANTS.items()}
