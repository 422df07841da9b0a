"""Puts the commands of a world, whose blocks, granules and clusters are 512 bytes, into an implementation's sizes.

A world's block becomes a block of `Sizes.block` bytes. As that is no smaller than a granule and a cluster, two blocks
never share one, and every edge of the specification stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from cbtmodel import commands as c
from cbtmodel.image import Persist
from cbtmodel.node import usable_granularity

from cbtcheck.adapter import Capabilities
from cbtcheck.search.tour.reachable import BLOCK

C = TypeVar("C")


@dataclass(frozen=True)
class Sizes:
    """What a world's block, its granularity and its cluster become, in bytes."""

    block: int
    granularity: int
    cluster: int


AS_IN_THE_WORLD = Sizes(BLOCK, BLOCK, BLOCK)


def sizes_for(capabilities: Capabilities) -> tuple[Sizes, ...]:
    """The sizes that are worth playing on an implementation, the plainest first: blocks as small as they can be."""
    return tuple(
        Sizes(max(granularity, cluster), granularity, cluster)
        for granularity in capabilities.granularities
        for cluster in capabilities.clusters
    )


def one_cluster_a_block(capabilities: Capabilities) -> tuple[Sizes, ...]:
    """Those in which a copy of a block is one copy, whoever picks what is copied next."""
    listed = sizes_for(capabilities)
    return listed if capabilities.picks_clusters else tuple(each for each in listed if each.block == each.cluster)


WIDE = 8


def wide(sizes: Sizes) -> Sizes:
    """The same with blocks of several clusters.

    An implementation that goes on copying for a moment when it is paused or drained has not copied all then.
    """
    return replace(sizes, block=WIDE * max(sizes.granularity, sizes.cluster))


def sizes_for_histories(capabilities: Capabilities, histories: int) -> tuple[Sizes, ...]:
    """The sizes in which a universal disk is worth playing, where a block is that of one of so many histories.

    First the one in which no two histories share a granule or a cluster. Then, as far as the implementation has
    such sizes, with all histories of a range in one cluster; and with several of them in a granule, where that does
    not take a copy for each history.
    """
    granularities, clusters = sorted(capabilities.granularities), sorted(capabilities.clusters)
    alone = min(set(granularities) & set(clusters), default=max(granularities[0], clusters[0]))
    found = [Sizes(alone, alone if alone in granularities else granularities[0], clusters[0])]
    if not capabilities.tails:
        return tuple(found)  # in the others a disk may end within a granule or a cluster
    fine, wide = granularities[0], clusters[-1]
    if fine < wide:
        found.append(Sizes(max(fine, wide // histories), fine, wide))
    coarse = [each for each in granularities if each > alone]
    if coarse and capabilities.picks_clusters:
        found.append(replace(found[0], granularity=coarse[0]))
    return tuple(found)


def disks_in(disks: Iterable[tuple[str, int]], sizes: Sizes) -> dict[str, int]:
    """Disks given by their number of blocks, in bytes."""
    return {name: blocks * sizes.block for name, blocks in disks}


def scaled(command: C, sizes: Sizes) -> C:
    """The command in these sizes. What is wrong on purpose stays wrong: a granularity of 1000, a byte too much."""
    changes: dict[str, Any] = {}
    for each in fields(command):  # type: ignore[arg-type]
        value = getattr(command, each.name)
        if each.name in ("offset", "length"):
            changes[each.name] = value // BLOCK * sizes.block + value % BLOCK
        elif each.name == "granularity" and usable_granularity(value):
            changes[each.name] = value // BLOCK * sizes.granularity
        elif each.name == "cluster" and usable_granularity(value):
            changes[each.name] = value // BLOCK * sizes.cluster
        elif isinstance(command, c.Transaction) and each.name == "actions":
            changes[each.name] = tuple(scaled(action, sizes) for action in value)
        elif isinstance(command, Persist) and each.name == "add":
            changes[each.name] = scaled(value, sizes)
    return replace(command, **changes)  # type: ignore[type-var]
