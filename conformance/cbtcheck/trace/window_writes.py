"""The guest writes of a window, in classes: each for itself where that tells more, and it is not too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.trace.gathered import MOST_ALONE, MOST_SINGLE, Gathered
from cbtcheck.trace.window import WriteClass


def write_classes(
    space: CompressedSets, gathered: Mapping[tuple[str, int, int, bool], Gathered], alone: bool
) -> Iterator[WriteClass]:
    """The writes of a window, which were gathered by node, by the items before and after them, and by being sure.

    `alone`: it may depend on one of them that a job has nothing to do. Then each is a class of its own; and where
    that are too many, they may as well not have happened.
    """
    few = sum(len(each.runs) for (_, _, _, sure), each in gathered.items() if sure) <= MOST_SINGLE
    for (on, before, closed, sure), each in gathered.items():
        if (alone or few) and sure and len(each.runs) <= MOST_ALONE:
            for first, past in each.runs:
                blocks = space.blocks(first * space.block, (past - first) * space.block)
                yield WriteClass(on, before, closed, sure, blocks, single=few)
        else:
            yield WriteClass(on, before, closed, sure and not alone, space.gathered(each.blocks))
