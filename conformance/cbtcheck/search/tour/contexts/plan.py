"""The whole tour: walks to every edge that is explored, and then walks to every edge in context.

The families of `ways_…` name what is combined; which edges that gives the specification says when it plays them. As
in the rest of the tour, a walk whose edges have all been taken by others is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from cbtcheck.search.tour import walks
from cbtcheck.search.tour.contexts.stage import Way
from cbtcheck.search.tour.contexts.ways_among import ways_among
from cbtcheck.search.tour.contexts.ways_repeated import ways_repeated
from cbtcheck.search.tour.contexts.ways_undone import ways_undone
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.reachable import World, reachable
from cbtcheck.search.tour.walks import Walk

FAMILIES: dict[str, Callable[[str], Iterator[Way]]] = {
    "what is undone": ways_undone, "who else, and how many": ways_among, "how often": ways_repeated,
}  # fmt: skip


def tour(scope: str) -> tuple[Walk, ...]:
    """The walks of a scope (*quick*, *ci* or *deep*): to the edges that are explored, and to those in context."""
    return (*walks.tour(scope), *tour_in_context(scope))


def edges_of_scope(scope: str) -> frozenset[Edge]:
    """All edges of a scope, explored and in context: what the tour takes."""
    return reachable(scope) | reachable_in_context(scope)


@cache
def tour_in_context(scope: str) -> tuple[Walk, ...]:
    """The walks to edges in context, family by family."""
    taken: set[Edge] = set()
    found: list[Walk] = []
    for name, family in FAMILIES.items():
        for way in family(scope):
            new = way.edges - taken
            if new:
                taken |= new
                found.append(Walk(World(name, way.disks, ()), way.commands, new, in_context=True))
    return tuple(found)


@cache
def reachable_in_context(scope: str) -> frozenset[Edge]:
    """All edges in context that these walks take."""
    return frozenset(edge for walk in tour_in_context(scope) for edge in walk.aims)
