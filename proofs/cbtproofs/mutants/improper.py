"""Mutants that do something that no specification may do, whether it does harm or not.

They look inside a set, or make anew what a command does not concern. Only the inductive proof looks for such things,
so that they are not among `all_mutants`.
"""

from __future__ import annotations

from typing import Any

from cbtmodel import bitmap, node
from cbtmodel.bitmap import Bitmap, marked, recording
from cbtmodel.blocks import S, Space
from cbtmodel.node import State, find_free_bitmap, with_bitmap
from cbtmodel.record import replace

from cbtproofs.mutants.mutant import Mutant, declaring

IMPROPER: list[Mutant] = []
instead_of = declaring(IMPROPER)
"""Declares a function to be a mutant of another."""


@instead_of(bitmap.record)
def lists_blocks(space: Space[S], bitmap: Bitmap[S], blocks: Any, size: int) -> Bitmap[S]:
    """A write is recorded only if the blocks that it touches can be listed."""
    if not recording(bitmap) or not list(blocks):
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size)
    if bitmap.successor is None:
        return replace(bitmap, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


@instead_of(bitmap.record)
def compares_sets(space: Space[S], bitmap: Bitmap[S], blocks: S, size: int) -> Bitmap[S]:
    """A write of just what is dirty is not recorded again."""
    if not recording(bitmap) or blocks == bitmap.marks.dirty:
        return bitmap
    new = marked(space, blocks, bitmap.granularity, size)
    if bitmap.successor is None:
        return replace(bitmap, marks=bitmap.marks | new)
    return replace(bitmap, successor=replace(bitmap.successor, marks=bitmap.successor.marks | new))


@instead_of(node.enable)
def makes_others_anew(state: State[S], node: str, name: str) -> State[S]:
    """Enabling a bitmap makes all others of the disk anew, equal as they are."""
    free = find_free_bitmap(state, node, name)
    for other, each in state.nodes[node].bitmaps.items():
        state = with_bitmap(state, node, other, replace(each))
    return with_bitmap(state, node, name, replace(free, enabled=True))
