"""What is known of several sets together: of a write that was before the start of a job or after, it is not known
whether the frozen bitmap has it or the successor; but one of them does.

Bounds of each set alone cannot say that. So while a job is running, a world remembers the states that its bounds
were joined from: its *guesses*. Each group of them is about one class of writes; every block is as in one of the
group. What happens, happens to every guess, and the bounds are met with what the guesses have in common then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce

from cbtcheck.follow.worlds import distinct as each_once
from cbtcheck.trace.shape import Sets, equal, join, meet
from cbtcheck.trace.world import Traced

MOST_GUESSES = 12
"""Guesses of a world, beyond which they are no longer told apart."""

MOST_APART = 8
"""Worlds of the same shape, beyond which they are taken as one."""


def advance(world: Traced, change: Callable[[Traced], Iterable[Traced]]) -> list[Traced]:
    """The worlds after a change, which is applied to every guess, too."""
    if not world.guesses:
        return list(change(world))
    found = []
    for after in change(replace(world, guesses=())):
        key = after.shape()
        groups = []
        for group in world.guesses:
            started = (replace(world, state=guess, guesses=()) for guess in group)
            groups.append([done for each in started for done in change(each) if done.shape() == key])
        if all(groups):
            found.append(refined(after, [[each.state for each in group] for group in groups]))
    return found


def refined(world: Traced, groups: Iterable[list[Sets]]) -> Traced:
    """The world with bounds that every group allows. Guesses are kept while there is a job."""
    state, kept = world.state, list(world.guesses)
    for group in groups:
        state = meet(state, reduce(join, group))
        apart = distinct(group)
        if state.jobs and len(apart) > 1 and sum(map(len, kept)) + len(apart) <= MOST_GUESSES:
            kept.append(tuple(apart))
    return replace(world, state=state, guesses=tuple(kept))


def distinct(states: Iterable[Sets]) -> list[Sets]:
    """States of the same shape, each once."""
    return each_once([*states], equal)


def unite(worlds: Iterable[Traced]) -> list[Traced]:
    """Worlds of the same shape as one, whose guesses are forgotten where they differ."""
    found: dict[Traced, Traced] = {}
    for each in worlds:
        key = each.shape()
        if key in found and found[key] is not each:
            found[key] = replace(each, state=join(found[key].state, each.state), guesses=())
        else:
            found[key] = each
    return list(found.values())


def gather(worlds: Iterable[Traced]) -> list[Traced]:
    """The worlds, each once; those of the same shape as one if they are many."""
    found = each_once(
        [*worlds], lambda one, other: one.shape() == other.shape() and equal(one.state, other.state)
    )
    return found if len(found) <= MOST_APART else unite(found)
