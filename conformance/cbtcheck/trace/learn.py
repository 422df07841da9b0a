"""What is learned from looking: a bitmap is known exactly where it was seen, and one that was strange is followed.

Only from a look that nothing overlaps, in a world that nobody doubts. Where the guest's writes are not in the trace
(`guest_seen` is not set), what a bitmap was seen to have it is taken to owe: nobody else knows what was written.
"""

from __future__ import annotations

from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.node import Node, usable_granularity, with_bitmap
from cbtmodel.record import replace

from cbtcheck.sets import runs
from cbtcheck.sets.between import Between, exactly
from cbtcheck.sets.compressed import NOTHING, CompressedSets
from cbtcheck.sets.granules import LARGEST_DIGEST
from cbtcheck.sets.numbers import Numbers
from cbtcheck.trace.events import Look, ToldBitmap
from cbtcheck.trace.judgement import granules_of, in_granules
from cbtcheck.trace.world import Traced


def learn(space: CompressedSets, world: Traced, look: Look, guest_seen: bool) -> Traced:
    """The world with what an allowed look has shown of bitmaps."""
    state = world.state
    for name, seen in look.bitmaps.items():
        node = state.nodes.get(look.node)
        bitmap = None if node is None else node.bitmaps.get(name)
        if node is None:
            return world
        if seen.inconsistent or (world.files is not None and world.files.worth(look.node, name) == "inconsistent"):
            continue
        if bitmap is None:
            if not look.adopt or look.node not in world.strange or seen.busy is not False:
                continue
            if seen.granularity is None or seen.recording is None or seen.granularity < space.block:
                continue
            if not usable_granularity(seen.granularity):
                continue  # no bitmap has that: whoever wrote this down was mistaken
            bitmap = _unknown(space, node, seen.granularity, seen.recording)
        taught = _taught(space, node.size, bitmap, seen, guest_seen)
        if taught is not node.bitmaps.get(name):
            state = with_bitmap(state, look.node, name, taught)
    if state is world.state and look.node not in world.strange:
        return world
    adopted = {node_name: node.bitmaps.keys() for node_name, node in state.nodes.items()} != {
        node_name: node.bitmaps.keys() for node_name, node in world.state.nodes.items()
    }
    world = replace(world, state=state, guesses=() if adopted else world.guesses)
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
    space: CompressedSets, size: int, bitmap: Bitmap[Between], seen: ToldBitmap, guest_seen: bool
) -> Bitmap[Between]:
    """The bitmap with its dirty granules as they were seen, if that says more than was known."""
    marks = bitmap.marks
    found = None if marks.dirty.exact else _found(space, size, bitmap, seen)
    if found is None:
        return _counted(space, size, bitmap, seen, guest_seen)
    numbers = runs.finer(found, space.shift(bitmap.granularity))
    blocks = space.round_out(space.gathered(runs.below(numbers, space.total(size))), bitmap.granularity, size)
    least = marks.owed.least if guest_seen else blocks
    owed = exactly(least) if not guest_seen else Between(least, marks.owed.most & blocks)
    return replace(bitmap, marks=Marks(exactly(blocks), owed, marks.causes))


def _counted(
    space: CompressedSets, size: int, bitmap: Bitmap[Between], seen: ToldBitmap, guest_seen: bool
) -> Bitmap[Between]:
    """The bitmap with as many granules as were counted: the last of them may be a part of one."""
    told = in_granules(seen, bitmap.granularity, size)
    count = told.count if told.bits is None else len(told.bits)
    if not count:
        return bitmap
    per, total, marks = 1 << space.shift(bitmap.granularity), space.total(size), bitmap.marks
    number = count * per - -total % per
    dirty = marks.dirty.numbering(number)
    owed = marks.owed if guest_seen or marks.owed.exact else marks.owed.numbering(number)
    if dirty is marks.dirty and owed is marks.owed:
        return bitmap
    return replace(bitmap, marks=replace(marks, dirty=dirty, owed=owed))


def _found(space: CompressedSets, size: int, bitmap: Bitmap[Between], seen: ToldBitmap) -> Numbers | None:
    """The granules that were dirty, if they are known now."""
    if seen.dirty is not None:
        return granules_of(seen.dirty, bitmap.granularity, size)
    told = in_granules(seen, bitmap.granularity, size)
    for bound in (bitmap.marks.dirty.least, bitmap.marks.dirty.most):
        found = space.at_most(bound, bitmap.granularity, size)
        digested = told.digest is not None and found.total <= LARGEST_DIGEST
        if told.count == len(found) or (digested and told.digest == found.digest()):
            return found.members
    return None
