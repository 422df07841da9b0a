"""A state of the specification as strips of cells: one for each bitmap, job and guest write in flight of a node.

A cell stands for `unit` bytes of the disk, the same for all strips of a node, so that they can be read one below
the other. Where several blocks share a cell, it shows the one that matters most to somebody who looks for a fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap, recording
from cbtmodel.commands import Write, malformed
from cbtmodel.node import State

from cbtcheck.follow.judge import phase_of
from cbtcheck.follow.play import Frame
from cbtcheck.scenario.describe import name_text
from cbtcheck.scenario.images import Played
from cbtcheck.sets.bitsets import Bits, BitSets

CLEAN = "·"
DIRTY = "█"
IN_SUCCESSOR = "▒"
IN_BOTH = "▚"
TO_DO = "○"
COPYING = "◐"
COPIED = "●"
WRITTEN = "▼"
IN_FLIGHT = "~"
MISSING = "✗"
EXTRA = "+"
ALLOWED = "░"

MEANING = {
    DIRTY: "dirty",
    IN_SUCCESSOR: "dirty in the successor",
    IN_BOTH: "dirty in both",
    TO_DO: "to copy",
    COPYING: "copy in flight",
    COPIED: "copied",
    WRITTEN: "written by the guest",
    IN_FLIGHT: "guest write in flight",
    ALLOWED: "may be dirty, need not",
    MISSING: "missing or wrong",
    EXTRA: "extra",
}
"""The legend. What is clean, or not concerned, is a dot."""

STYLE = {
    CLEAN: "dim",
    DIRTY: "cyan",
    IN_SUCCESSOR: "magenta",
    IN_BOTH: "bright_blue",
    TO_DO: "blue",
    COPYING: "bold yellow",
    COPIED: "green",
    WRITTEN: "bold",
    IN_FLIGHT: "bold",
    ALLOWED: "dim",
    MISSING: "bold red",
    EXTRA: "bold yellow",
}
"""Colour adds to a glyph and never says what the glyph does not."""

SMALLEST_UNIT = 65536


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of cells with its name and what else is to be said of it; in a picture also the node that it is of."""

    label: str
    cells: str
    note: str = ""
    node: str = ""


def space_of(state: State[Bits]) -> BitSets:
    """The space of a state that a `Player` made."""
    assert isinstance(state.space, BitSets)
    return state.space


def unit_of(frames: Iterable[Frame], node: str, columns: int) -> int:
    """The bytes that a cell of this node stands for: its finest granule, or more if that makes too many cells."""
    sizes = [1 << 63]
    size = block = 1
    for frame in frames:
        if node not in frame.state.nodes:
            continue  # its image is closed
        size, block = frame.state.nodes[node].size, space_of(frame.state).block
        sizes += [bitmap.granularity for bitmap in frame.state.nodes[node].bitmaps.values()]
        sizes += [job.cluster for job in frame.state.jobs.values() if job.node == node]
    unit = max(block, min(sizes) if len(sizes) > 1 else SMALLEST_UNIT)
    while -(-size // unit) > columns:
        unit *= 2
    return unit


@dataclass(frozen=True, slots=True)
class Scale:
    """How a node is drawn: its size and the unit of a cell, in bytes."""

    node: str
    size: int
    unit: int

    @property
    def columns(self) -> int:
        """How many cells."""
        return -(-self.size // self.unit)

    def cells(self, space: BitSets, *layers: tuple[Bits, str]) -> str:
        """Cells for sets of blocks; of two layers that meet in a cell the first is seen."""
        row = [CLEAN] * self.columns
        for blocks, glyph in reversed(layers):
            word = space.granules(blocks, self.unit, self.size)
            for column in range(self.columns):
                if word >> column & 1:
                    row[column] = glyph
        return "".join(row)


def strips(state: State[Bits], scale: Scale) -> dict[tuple[str, str], Strip]:
    """What there is on a node, by kind and name."""
    if scale.node not in state.nodes:
        return {}
    space, node = space_of(state), state.nodes[scale.node]
    found = {("bitmap", name): _bitmap(space, scale, name, each) for name, each in node.bitmaps.items()}
    found |= {
        ("job", job_id): _job(space, scale, job_id, job)
        for job_id, job in state.jobs.items()
        if job.node == scale.node
    }
    for write_id, blocks in node.writes.items():
        cells = scale.cells(space, (blocks, IN_FLIGHT))
        found["write", write_id] = Strip(name_text(write_id), cells, "in flight")
    return found


def _bitmap(space: BitSets, scale: Scale, name: str, bitmap: Bitmap[Bits]) -> Strip:
    successor = Bits() if bitmap.successor is None else bitmap.successor.marks.dirty
    own_cells = scale.cells(space, (bitmap.marks.dirty, DIRTY))
    below_cells = scale.cells(space, (successor, IN_SUCCESSOR))
    both = [_together(own, below) for own, below in zip(own_cells, below_cells, strict=True)]
    flags = ["frozen"] if bitmap.successor is not None else []
    flags += [] if recording(bitmap) else ["disabled"]
    return Strip(name_text(name), "".join(both), ", ".join(flags))


def _together(own: str, below: str) -> str:
    if CLEAN in (own, below):
        return below if own == CLEAN else own
    return IN_BOTH


def _job(space: BitSets, scale: Scale, job_id: str, job: Job[Bits]) -> Strip:
    layers = ((job.copying, COPYING), (job.todo, TO_DO), (job.scope, COPIED))
    return Strip(name_text(job_id), scale.cells(space, *layers), phase_of(job))


def guest_write(state: State[Bits], command: Played, scale: Scale) -> Strip | None:
    """Where the guest writes by this command, if it is a whole write to this node."""
    if not isinstance(command, Write) or command.node != scale.node or command.result == "ignored":
        return None
    if malformed(command) or command.offset + command.length > scale.size:
        return None
    space = space_of(state)
    blocks = space.blocks(command.offset, command.length)
    return Strip("guest", scale.cells(space, (blocks, WRITTEN))) if blocks else None
