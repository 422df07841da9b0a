"""What a look says of guesses: where a granule is clean, no write to it was where it would have made it dirty.

So of the blocks in that granule the guesses that would have it dirty are refuted, and the others must say what they
owe. Only what is owed is learned from that: it is about blocks, while what is dirty is about all of a granule.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.claims import all_marks
from cbtmodel.node import with_bitmap

from cbtcheck.sets import runs
from cbtcheck.sets.between import Between
from cbtcheck.sets.compressed import NOTHING, Compressed, CompressedSets
from cbtcheck.trace.events import Look
from cbtcheck.trace.judgement import granules_of
from cbtcheck.trace.shape import Sets
from cbtcheck.trace.world import Traced


def refute(space: CompressedSets, world: Traced, look: Look) -> Traced:
    """The world with what is owed for certain, now that this was seen."""
    state = world.state
    for group in world.guesses if look.node in state.nodes else ():
        refuted = [_refuted(space, guess, look) for guess in group.states]
        if any(refuted):
            state = _owing(state, _owed(group.states, refuted))
    return replace(world, state=state)


def _refuted(space: CompressedSets, guess: Sets, look: Look) -> Compressed:
    """The blocks whose granules were seen clean, and would be dirty."""
    wrong = NOTHING
    node = guess.nodes[look.node]
    for name, seen in look.bitmaps.items():
        bitmap = node.bitmaps.get(name)
        if seen.dirty is None or bitmap is None:
            continue
        granules = space.granules(bitmap.marks.dirty.least, bitmap.granularity, node.size)
        found = granules_of(seen.dirty, bitmap.granularity, node.size)
        clean = runs.finer(granules - found, space.shift(bitmap.granularity))
        wrong = wrong | space.gathered(runs.below(clean, space.total(node.size)))
    return wrong


def _owed(group: tuple[Sets, ...], refuted: list[Compressed]) -> dict[str, Compressed]:
    """What is owed in each place by every guess, but those that are refuted there."""
    nowhere_right = reduce(lambda one, other: one & other, refuted)
    listed = []
    for guess, wrong in zip(group, refuted, strict=True):
        listed.append({where: marks.owed.least | wrong for _, where, _, marks in all_marks(guess)})
    return {where: reduce(lambda one, other: one & other, [each[where] for each in listed]) - nowhere_right
            for where in listed[0]}  # fmt: skip


def _owing(state: Sets, owed: dict[str, Compressed]) -> Sets:
    for node_name, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            where = f"{node_name}/{name}"
            changed: Bitmap[Between] = replace(bitmap, marks=_more(bitmap.marks, owed[where]))
            if bitmap.successor is not None:
                marks = _more(bitmap.successor.marks, owed[f"{where}'s successor"])
                changed = replace(changed, successor=replace(bitmap.successor, marks=marks))
            state = with_bitmap(state, node_name, name, changed)
    return state


def _more(marks: Marks[Between], owed: Compressed) -> Marks[Between]:
    if owed <= marks.owed.least:
        return marks
    least = (marks.owed.least | owed) & marks.owed.most
    return replace(marks, owed=Between(least, marks.owed.most, number=marks.owed.number))
