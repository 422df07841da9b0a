"""The tour of images: walks that take every edge of the graphs of a scope, for an implementation that claims so much.

A walk begins with the nearest state that has an edge left, asks there for all that leaves it as it is, then for what
leads on; it ends when it is long enough. Nothing is drawn: the same specification and the same claims give the same
walks. What is not claimed is not in the alphabet, so that no walk ends in the middle because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.capabilities import not_claimed
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.tour.images.graph import Edge, Graph, graph
from cbtcheck.search.tour.images.words import ImageEdge
from cbtcheck.search.tour.images.world import ImageWorld, image_worlds
from cbtcheck.search.tour.reachable import D
from cbtcheck.search.tour.sizes import Sizes, scaled

LONG_ENOUGH = 20
"""Steps of a walk, after which it does not go on to another state."""


@dataclass(frozen=True)
class ImageWalk:
    """A walk in a world: what is asked, the edge that each step takes, and those for which the walk is there."""

    world: str
    blocks: int
    steps: tuple[Played, ...]
    takes: tuple[ImageEdge, ...]
    aims: frozenset[ImageEdge]

    def scenario(self, sizes: Sizes) -> Scenario:
        """The walk in the sizes of an implementation."""
        steps = tuple(scaled(each, sizes) for each in self.steps)
        return Scenario({D: self.blocks * sizes.block}, steps, title=self.title, images=True)

    @property
    def title(self) -> str:
        """Where it walks."""
        return f"the tour of images: {self.world}"


@cache
def edges_of_images(scope: str) -> frozenset[ImageEdge]:
    """All edges of a scope (*quick*, *ci* or *deep*)."""
    return frozenset().union(*(graph(world).told for world in image_worlds(scope)))


def tour_of_images(scope: str, claims: Capabilities) -> tuple[ImageWalk, ...]:
    """The walks of a scope that take all its edges that are claimed, each an aim of one walk."""
    return tour_of(tuple(claimed(world, claims) for world in image_worlds(scope)))


@cache
def tour_of(worlds: tuple[ImageWorld, ...]) -> tuple[ImageWalk, ...]:
    """The walks that take all edges of these worlds."""
    taken: set[ImageEdge] = set()
    found: list[ImageWalk] = []
    for world in worlds:
        for steps in walks(graph(world), taken):
            takes = tuple(each.told for each in steps)
            new = frozenset(takes) - taken
            taken |= new
            asked = tuple(each.asked for each in steps)
            found.append(ImageWalk(world.name, world.blocks, asked, takes, new))
    return tuple(found)


def claimed(world: ImageWorld, claims: Capabilities) -> ImageWorld:
    """The world without what is not claimed."""
    return replace(world, alphabet=tuple(each for each in world.alphabet if not not_claimed(each, claims)))


def walks(graph: Graph, taken: set[ImageEdge]) -> Iterator[tuple[Edge, ...]]:
    """Walks that take all edges but those that are `taken`."""
    left = [[each for each in listed if each.told not in taken] for listed in graph.edges]
    while any(left):
        steps: list[Edge] = []
        here = 0
        while len(steps) < LONG_ENOUGH or not steps:
            wanted = frozenset(number for number, listed in enumerate(left) if listed)
            way = graph.way(here, wanted)
            if way is None:
                break
            steps += way
            here = way[-1].to if way else here
            staying = [each for each in left[here] if each.to == here]
            leading = [each for each in left[here] if each.to != here]
            steps += [*staying, *leading[:1]]
            left[here] = leading[1:]
            here = leading[0].to if leading else here
        yield tuple(steps)
