"""Puts the tour's walks into sizes: many granularities and clusters, and disks that end within them.

A walk's last block is cut, so that granules and clusters at the end of its disks are partial; as each block stays
a block of its own, every edge of the specification stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from cbtmodel import commands as c

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.tour.reachable import BLOCK
from cbtcheck.search.tour.sizes import Sizes, disks_in, scaled, sizes_for
from cbtcheck.search.tour.walks import Walk

C = TypeVar("C")
CUT = 1536
"""Bytes that are missing at the end of a disk: no multiple of any granule above 512 bytes."""


def sizes_in_turn(capabilities: Capabilities) -> Iterator[tuple[Sizes, int]]:
    """Sizes for one walk after the other, for ever, each with the bytes that are missing at the end of its disks."""
    listed = sizes_for(capabilities)
    while True:
        for cut in (0, CUT):
            for sizes in listed:
                yield sizes, cut if sizes.block > cut else 0


def in_sizes(walk: Walk, sizes: Sizes, cut: int) -> Scenario:
    """The walk in these sizes, on disks that lack their last `cut` bytes."""
    whole = disks_in(walk.world.disks, sizes)
    commands = tuple(_shorter(scaled(each, sizes), whole, cut) for each in walk.commands)
    return Scenario({name: size - cut for name, size in whole.items()}, commands, BLOCK, walk.title)


def _shorter(command: C, whole: dict[str, int], cut: int) -> C:
    """A range that goes to the end of the disk still does. What is beyond the end on purpose still is."""
    if not cut or not isinstance(command, c.Write | c.BeginWrite | c.Copy | c.BeginCopy):
        return command
    sizes = set(whole.values()) if isinstance(command, c.Copy | c.BeginCopy) else {whole.get(command.node, 0)}
    if command.offset + command.length in sizes and command.length:
        return replace(command, length=command.length - cut)
    return command
