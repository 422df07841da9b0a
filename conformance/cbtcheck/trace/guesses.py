"""What is known of several sets together: of a write that was before the start of a job or after, it is not known
whether the frozen bitmap has it or the successor; but one of them does.

Bounds of each set alone cannot say that. So a world remembers the states that its bounds were joined from: its
*guesses*. What happens, happens to every guess, and the bounds are met with what the guesses have in common then.

Each group of them is about some guest writes. If it is about one write, or about all that meet in some granules, one
of its guesses is right altogether: they are `whole`, and what is seen refutes a guess or does not (`narrowed`). If it
is about more, every block is as in one of them. Kept is what can tell more than bounds do: any while a job of that
disk is running, else what is `whole` and differs in two bitmaps or granules, or more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial, reduce

from cbtmodel.claims import all_marks
from cbtmodel.record import replace

from cbtcheck.follow.worlds import distinct as each_once
from cbtcheck.sets.between import BetweenSets
from cbtcheck.trace.shape import Sets, agree_on, differ_on, differ_where_jobs_run, differing, equal, join, meet, shape
from cbtcheck.trace.world import Guesses, Traced

MOST_GUESSES = 12
"""Guesses of a world about more than one write each, beyond which they are no longer told apart."""

MOST_WHOLE = 24
"""The same, of those that are right or wrong altogether."""

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
            started = (replace(world, state=guess, guesses=()) for guess in group.states)
            done = tuple(each.state for one in started for each in change(one) if each.shape() == key)
            groups.append(replace(group, states=done))
        if all(group.states for group in groups):
            found.append(refined(after, groups))
    return found


def refined(world: Traced, groups: Iterable[Guesses], known: bool = True) -> Traced:
    """The world with bounds that every group allows, and with those of the groups that say more than that.

    Not `known`: the world says nothing itself; there is one group, and its states are all that there can be.
    """
    state, kept, mixed = world.state, list(world.guesses), world.mixed and (not known or _open(world.state))
    for group in groups:
        apart = distinct(group.states)
        if group.narrowed:
            tells_more = differing([state, *apart], _block(state)) > 0
        else:
            state = meet(state, reduce(join, apart)) if known else reduce(join, apart)
            excluding = differing(apart, _block(state)) > 1
            tells_more, mixed = group.whole and excluding, mixed or (excluding and group.lumped)
            if len(apart) < 2 or not (tells_more or differ_where_jobs_run(apart)):
                continue
        if not tells_more and group.narrowed:
            continue
        most = MOST_WHOLE if group.whole else MOST_GUESSES
        if sum(len(each.states) for each in kept if each.whole == group.whole) + len(apart) <= most:
            kept.append(replace(group, states=tuple(apart)))
        else:
            mixed = mixed or tells_more
    return replace(world, state=state, guesses=tuple(kept), mixed=mixed)


def narrowed(world: Traced, node: str, right: Callable[[Sets], bool]) -> Traced | None:
    """The world without those guesses about a disk that are wrong altogether; None if in one group all are.

    What is left of one group may be at odds with guesses of another one: then these are wrong, too. The bounds of the
    world stay as they are: what is at odds with no bounds, but with all guesses, is a mixture of orders, and not a
    write that is lost or one too much.
    """
    about = [each for each in world.guesses if differ_on((world.state, *each.states), node)]
    others = tuple(each for each in world.guesses if not any(each is one for one in about))
    groups = [_left(each, right) if each.whole else each for each in about]
    state, before, left = world.state, -1, sum(len(each.states) for each in groups)
    while left != before:
        before = left
        for at, group in enumerate(groups):
            if group.whole:
                group = groups[at] = _left(group, partial(agree_on, state, node_name=node))
                if not group.states:
                    return None
                state = meet(state, reduce(join, group.states))
        left = sum(len(each.states) for each in groups)
    return refined(replace(world, guesses=others), groups)


def _left(group: Guesses, right: Callable[[Sets], bool]) -> Guesses:
    states = tuple(filter(right, group.states))
    return replace(group, states=states, narrowed=group.narrowed or len(states) < len(group.states))


def _open(state: Sets) -> bool:
    """Whether there is a bitmap that is not known exactly."""
    return not all(marks.dirty.exact for _, _, _, marks in all_marks(state))


def _block(state: Sets) -> int:
    return state.space.inner.block if isinstance(state.space, BetweenSets) else 1


def distinct(states: Iterable[Sets]) -> list[Sets]:
    """States of the same shape, each once."""
    return each_once([*states], equal)


def _same(one: Traced, other: Traced) -> bool:
    """Whether the same is known of both, by their guesses, too."""
    if one is other:
        return True
    if one.shape() != other.shape() or not equal(one.state, other.state) or len(one.guesses) != len(other.guesses):
        return False
    return all(
        (mine.whole, mine.narrowed, len(mine.states)) == (others.whole, others.narrowed, len(others.states))
        and all(shape(each) == shape(its) and equal(each, its)
                for each, its in zip(mine.states, others.states, strict=True))
        for mine, others in zip(one.guesses, other.guesses, strict=True)
    )  # fmt: skip


def unite(worlds: Iterable[Traced]) -> list[Traced]:
    """Worlds of the same shape as one, whose guesses are forgotten where they differ."""
    listed = [*worlds]
    if len(listed) < 2:
        return listed
    found: dict[Hashable, Traced] = {}
    for each in listed:
        key = each.shape()
        if key in found and found[key] is not each:
            found[key] = replace(each, state=join(found[key].state, each.state), guesses=())
        else:
            found[key] = each
    return list(found.values())


def gather(worlds: Iterable[Traced]) -> list[Traced]:
    """The worlds, each once; if they are many, those of the same shape as one, which has them as its guesses."""
    found = each_once([*worlds], _same)
    if len(found) <= MOST_APART:
        return found
    together = []
    for one in unite(found):
        key = one.shape()
        states = tuple(each.state for each in found if each.shape() == key)
        mixed = any(each.mixed for each in found)
        together.append(refined(replace(one, mixed=mixed), [Guesses(states, whole=True)] if len(states) > 1 else []))
    return together
