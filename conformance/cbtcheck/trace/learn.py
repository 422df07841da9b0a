"""What is learned from looking: a bitmap is known exactly where it was seen, and one that was strange is followed.

Only from a look that nothing overlaps, in a world that nobody doubts. Where the guest's writes are not in the trace
(`guest_seen` is not set), what a bitmap was seen to have it is taken to owe: nobody else knows what was written.
"""

from __future__ import annotations

from dataclasses import replace

from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.node import Node, with_bitmap
from pyroaring import BitMap64

from cbtcheck.oracle import runs
from cbtcheck.oracle.compressed import NOTHING, CompressedSets
from cbtcheck.trace.between import Between, exactly
from cbtcheck.trace.events import Look, SeenBitmap
from cbtcheck.trace.judgement import LARGEST_DIGEST, digest_of, granules_of
from cbtcheck.trace.world import World


def learn(space: CompressedSets, world: World, look: Look, guest_seen: bool) -> World:
    """The world with what an allowed look has shown of bitmaps."""
    state = world.state
    for name, seen in look.bitmaps.items():
        node = state.nodes.get(look.node)
        bitmap = None if node is None else node.bitmaps.get(name)
        if node is None:
            return world
        if bitmap is None:
            if not look.adopt or look.node not in world.strange or seen.busy is not False:
                continue
            if seen.granularity is None or seen.recording is None or seen.granularity < space.block:
                continue
            bitmap = _unknown(space, node, seen.granularity, seen.recording)
        taught = _taught(space, node.size, bitmap, seen, guest_seen)
        if taught is not node.bitmaps.get(name):
            state = with_bitmap(state, look.node, name, taught)
    world = replace(world, state=state)
    complete = look.all and look.adopt and look.node in state.nodes
    if complete and look.bitmaps.keys() == state.nodes[look.node].bitmaps.keys():
        world = replace(world, strange=world.strange - {look.node})
    return world


def _unknown(space: CompressedSets, node: Node[Between], granularity: int, recording: bool) -> Bitmap[Between]:
    """A bitmap of which nothing is known but its form."""
    anything = Between(NOTHING, space.everything(node.size))
    marks = Marks(anything, anything, anything)
    made: Bitmap[Between] = Bitmap(granularity, recording, marks)
    return made


def _taught(
    space: CompressedSets, size: int, bitmap: Bitmap[Between], seen: SeenBitmap, guest_seen: bool
) -> Bitmap[Between]:
    """The bitmap with its dirty granules as they were seen, if that says more than was known."""
    marks = bitmap.marks
    if marks.dirty.exact:
        return bitmap
    found = _found(space, size, bitmap, seen)
    if found is None:
        return bitmap
    numbers = runs.finer(found, space.shift(bitmap.granularity))
    blocks = space.round_out(space.gathered(runs.below(numbers, space.total(size))), bitmap.granularity, size)
    least = marks.owed.least if guest_seen else blocks
    owed = exactly(least) if not guest_seen else Between(least, marks.owed.most & blocks)
    return replace(bitmap, marks=Marks(exactly(blocks), owed, marks.causes))


def _found(space: CompressedSets, size: int, bitmap: Bitmap[Between], seen: SeenBitmap) -> BitMap64 | None:
    """The granules that were dirty, if they are known now."""
    if seen.dirty is not None:
        return granules_of(seen.dirty, bitmap.granularity)
    granules = -(-size // bitmap.granularity)
    for bound in (bitmap.marks.dirty.least, bitmap.marks.dirty.most):
        found = space.granules(bound, bitmap.granularity, size)
        if seen.count == len(found) * bitmap.granularity:
            return found
        if seen.digest is not None and granules <= LARGEST_DIGEST and digest_of(found, granules) == seen.digest:
            return found
    return None
