"""The graph of a world of images: every state that can be reached, and from each an edge for all that can happen.

As in `reachable`, states are told apart by everything but the ghosts; beside them by what is in the file and how it
is open. Nothing is drawn, and there is no limit to the length of a history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache

from cbtmodel.image import Image, Stored, happen

from cbtcheck.scenario.images import Played
from cbtcheck.search.tour.images.words import ImageEdge, edge
from cbtcheck.search.tour.images.world import ImageWorld
from cbtcheck.search.tour.reachable import BLOCK, D, identity
from cbtcheck.sets.bitsets import Bits


@dataclass(frozen=True)
class Edge:
    """What is `asked` in a state, and the number of the state to which that leads, which may be the same."""

    asked: Played
    told: ImageEdge
    to: int


@dataclass(frozen=True)
class Graph:
    """The edges of each state, by its number; 0 is the first."""

    edges: tuple[tuple[Edge, ...], ...] = field(repr=False)

    @property
    def told(self) -> frozenset[ImageEdge]:
        """All edges."""
        return frozenset(each.told for listed in self.edges for each in listed)

    def way(self, first: int, wanted: frozenset[int]) -> tuple[Edge, ...] | None:
        """A shortest way from a state to one that is `wanted`, or None; through what is sure to happen, if it can."""
        found = self._way(first, wanted, unsure=False)
        return self._way(first, wanted, unsure=True) if found is None else found

    def _way(self, first: int, wanted: frozenset[int], unsure: bool) -> tuple[Edge, ...] | None:
        came: dict[int, tuple[int, Edge] | None] = {first: None}
        line = deque([first])
        while line:
            number = line.popleft()
            if number in wanted:
                return tuple(reversed([*_back(came, number)]))
            for each in self.edges[number]:
                if each.to not in came and (unsure or " or " not in each.told.outcome):
                    came[each.to] = number, each
                    line.append(each.to)
        return None


def _back(came: dict[int, tuple[int, Edge] | None], number: int) -> list[Edge]:
    edges = []
    while (step := came[number]) is not None:
        number, taken = step
        edges.append(taken)
    return edges


@cache
def graph(world: ImageWorld) -> Graph:
    """All that can happen in every state that can be reached, breadth first."""
    first = world.initial()
    known = {place(first): 0}
    states = [first]
    edges: list[tuple[Edge, ...]] = []
    for stored in states:  # which grows meanwhile
        listed = []
        for asked in world.alphabet:
            happened = happen(stored, asked)
            key = place(happened.stored)
            if key not in known:
                known[key] = len(states)
                states.append(happened.stored)
            listed.append(Edge(asked, edge(stored, D, BLOCK, asked, happened), known[key]))
        edges.append(tuple(listed))
    return Graph(tuple(edges))


def place(stored: Stored[Bits]) -> Hashable:
    """What tells a state from others; see `words`."""
    images = tuple(_entries(each) for each in stored.images.values())
    opened = tuple((name, each.writable, frozenset(each.persistent.items())) for name, each in stored.opened.items())
    return images, opened, identity(stored.state)


def _entries(image: Image[Bits]) -> Hashable:
    return frozenset(
        (name, each.granularity, each.enabled, None if each.in_use else each.marks.dirty.word)
        for name, each in image.entries.items()
        if image.current
    )
