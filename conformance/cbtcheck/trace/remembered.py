"""What was seen while something overlapped it holds for what comes after: it is remembered as a bound.

Where among the commands the look was is not known, nor how far writes had come. So the window is gone through once
more for each place where it can have been, with what it has taught from there on, and with every write open. One of
these is the truth, which lies between the joined bounds of them, and between those that were found without the look.

A granule that was dirty then, and that no command has cleaned since, is dirty still; one that was clean is dirty only
if it was written afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import partial

from cbtmodel.bitmap import Bitmap
from cbtmodel.record import replace

from cbtcheck.sets.between import Between, BetweenSets, at_most
from cbtcheck.trace.events import Look
from cbtcheck.trace.judgement import judge
from cbtcheck.trace.learn import learn
from cbtcheck.trace.shape import Sets, agree, join, meet
from cbtcheck.trace.window import Item, Window, written
from cbtcheck.trace.world import Traced

MOST_RUNS = 600
"""Commands that the specification is run on for that, in one window at most; beyond that, nothing is remembered."""


def may_be_at(order: tuple[Item, ...], look: Item, place: int) -> bool:
    """Whether a look can have been after so many commands of an order, by its interval and theirs."""
    for number, item in enumerate(order):
        is_before = number < place
        if look.before >> item.number & 1 and not is_before:
            return False
        if item.before >> look.number & 1 and is_before:
            return False
    return True


def remembered(
    space: BetweenSets, window: Window, world: Traced, order: tuple[Item, ...], first: Mapping[int, int],
    after: list[Traced], guest_seen: bool,
) -> list[Traced]:  # fmt: skip
    """The worlds `after` an order of commands, with what the looks of the window have shown.

    `first`: by number of a look, the first place among the commands where it can have been, and is allowed.
    """
    for look in window.items:
        if isinstance(look.event, Look) and look.number in first and _is_open(after, look.event):
            places = [place for place in range(first[look.number], len(order) + 1) if may_be_at(order, look, place)]
            teach = partial(_taught, space, look.event, guest_seen)
            found: dict[Hashable, Sets] = {}
            for place in places:
                for each in window.taught(replace(world, guesses=()), order, look, place, teach):
                    key = each.shape()
                    found[key] = join(found[key], each.state) if key in found else each.state
            after = [_met(each, found.get(each.shape())) for each in after]
    return after


def beside_each_other(
    space: BetweenSets, window: Window, world: Traced, guest_seen: bool, adopt: bool
) -> Traced:
    """The world after looks that overlap each other and nothing else, but that writes go on that nobody saw.

    Which of them was first is not known: so each is remembered for itself. Of bitmaps that nothing is known of, the
    form is taken up first. `adopt`: also in a look that does not say so.
    """
    looks = [item.event for item in window.items if isinstance(item.event, Look)]
    for look in looks:
        form = {name: replace(seen, dirty=None, count=None, digest=None) for name, seen in look.bitmaps.items()}
        world = learn(space.inner, world, replace(look, bitmaps=form, adopt=look.adopt or adopt), guest_seen)
    state = world.state
    for look in looks:
        for each in _taught(space, look, guest_seen, replace(world, guesses=())):
            for node_name, blocks in window.lingering.items():
                each = next(iter(written(each, node_name, at_most(blocks))), each)
            if each.shape() == world.shape() and agree(state, each.state):
                state = meet(state, each.state)
    return replace(world, state=state)


def _is_open(worlds: list[Traced], look: Look) -> bool:
    """Whether there is something to learn about: a bitmap of which something was told, and not all is known."""
    return any(not bitmap.marks.dirty.exact for world in worlds for bitmap in _told_of(world, look))


def _told_of(world: Traced, look: Look) -> Iterator[Bitmap[Between]]:
    node = world.state.nodes.get(look.node)
    for name, seen in look.bitmaps.items():
        if node is not None and name in node.bitmaps and (seen.dirty, seen.count, seen.digest) != (None, None, None):
            yield node.bitmaps[name]


def _taught(space: BetweenSets, look: Look, guest_seen: bool, world: Traced) -> list[Traced]:
    """The world with what was seen; none if that is not allowed in it. No bitmap is taken up that was not known."""
    if judge(space, world, look).findings:
        return []
    return [learn(space.inner, world, replace(look, adopt=False), guest_seen)]


def _met(world: Traced, seen: Sets | None) -> Traced:
    """Both are right, if both can be."""
    if seen is None or not agree(world.state, seen):
        return world
    return replace(world, state=meet(world.state, seen))
