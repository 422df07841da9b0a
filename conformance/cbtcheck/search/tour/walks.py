"""The tour of explored edges: shortest scenarios that take every edge of the specification that a scope can reach.

For each edge there is a shortest way to it, from the exhaustive exploration of the worlds (see `reachable`). The tour
takes the longest ways first, and leaves out each whose edges have all been taken by others; so no walk of it is
the beginning of another one. Nothing is drawn: the same specification gives the same tour. It is computed when it is
needed, since a run explores its scope anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.tour.coverage import Edge, edges
from cbtcheck.search.tour.reachable import BLOCK, World, explore, worlds
from cbtcheck.search.tour.sizes import Sizes, disks_in, scaled
from cbtcheck.sets.bitsets import BitSets


@dataclass(frozen=True)
class Walk:
    """One scenario of the tour, in the sizes of its world. `aims` are the edges for which it is there.

    Each edge of the scope is an aim of exactly one walk of the tour. `in_context`: its aims are edges in context.
    """

    world: World
    commands: tuple[c.Command, ...]
    aims: frozenset[Edge]
    in_context: bool = False

    def scenario(self, sizes: Sizes) -> Scenario:
        """The walk in the sizes of an implementation."""
        commands = tuple(scaled(each, sizes) for each in self.commands)
        story = "for: " + "; ".join(map(str, sorted(self.aims)))
        return Scenario(disks_in(self.world.disks, sizes), commands, title=self.title, story=story)

    @property
    def title(self) -> str:
        """The last command, for whose sake the others are there; or what the walk is about."""
        if self.in_context:
            return f"the tour: {self.world.name}"
        return f"the tour: {describe(self.commands[-1])}, in the world '{self.world.name}'"


@cache
def tour(scope: str) -> tuple[Walk, ...]:
    """The walks to explored edges of a scope (*quick*, *ci* or *deep*), the shortest first."""
    ways = shortest_ways(scope)
    taken: set[Edge] = set()
    walks: list[Walk] = []
    for world, commands in sorted(dict.fromkeys(ways.values()), key=lambda way: -len(way[1])):
        new = edges_of(world, commands) - taken
        if new:
            taken |= new
            walks.append(Walk(world, commands, new))
    return tuple(sorted(walks, key=lambda walk: len(walk.commands)))


def shortest_ways(scope: str) -> dict[Edge, tuple[World, tuple[c.Command, ...]]]:
    """For each edge of a scope the first of the worlds in which the way to it is shortest, and that way."""
    ways: dict[Edge, tuple[World, tuple[c.Command, ...]]] = {}
    for world in worlds(scope):
        explored = explore(world)
        for edge in explored.ways:
            path = explored.path(edge)
            if edge not in ways or len(path) < len(ways[edge][1]):
                ways[edge] = world, path
    return ways


def edges_of(world: World, commands: Iterable[c.Command]) -> frozenset[Edge]:
    """All edges that commands take in a world, from its initial state."""
    state = initial(BitSets(BLOCK), {name: blocks * BLOCK for name, blocks in world.disks})
    found: set[Edge] = set()
    for command in commands:
        result = step(state, command)
        found |= edges(state, command, result)
        state = result.state
    return frozenset(found)


def not_claimed(commands: Iterable[c.Command], capabilities: Capabilities) -> str:
    """The first thing that commands need and an implementation does not claim; "" if there is none.

    More jobs at a time than it claims are named too.
    """
    jobs: set[str] = set()
    for command in commands:
        missing = claims.not_claimed(command, capabilities)
        if missing:
            return missing
        actions = command.actions if isinstance(command, c.Transaction) else ()
        jobs |= {each.job for each in (command, *actions) if isinstance(each, c.StartBackup)}
    return "" if len(jobs) <= capabilities.max_jobs else f"{len(jobs)} jobs"
