"""Refinement of the arithmetic, for one arbitrary block: squares that CrossHair confirms over all paths.

Each function is a claim about sizes, ranges and blocks of any magnitude, and returns whether it holds. On one side is
the implementation's arithmetic, in granules (`cbtimpl.granules`); on the other the specification's, in blocks
(`cbtmodel.blocks.touched`); between them the abstraction function for one block: it is in a set of granules if its
own granule is. Contracts are in PEP 316 style; `crosshair check --analysis_kind=PEP316 cbtproofs.refinement.squares`
tries them.

A granule has any number of blocks, powers of two among them.

That one granularity is taken over into another, rounded out, is the two squares one after the other: the bytes of a
granule lie on the disk and touch exactly its blocks, and of any bytes on the disk the granules are marked that share
a block with them. As a square of its own, `taken_over`, Z3 comes to its end or does not, by where its memory lies:
it has products of what was divided twice. So that one is only tried, by tests.

Not here: sets. That sets of granules behave as sets is the affair of the contracts in `cbtimpl`, and of the walk.
"""

from __future__ import annotations

from cbtimpl import granules
from cbtmodel.blocks import touched

BLOCK = 512


def one_disk(size: int, per_granule: int, block: int) -> bool:
    """A disk, granules of some blocks, and a block of the disk."""
    return 0 < size < 2**63 and 0 < per_granule <= 2**22 and block >= 0 and block * BLOCK < size


def in_granules(block: int, per_granule: int, run: tuple[int, int]) -> bool:
    """The abstraction function: whether a run of granules stands for a set with the block."""
    return run[0] <= block // per_granule < run[1]


def shares_granule(block: int, blocks: tuple[int, int], per_granule: int) -> bool:
    """What rounding out means: a block of the run, from the first to before the second, is in the block's granule."""
    start = block - block % per_granule
    return max(blocks[0], start) < min(blocks[1], start + per_granule)


def recording_a_write(size: int, per_granule: int, block: int, offset: int, length: int) -> bool:
    """A write marks the granules that stand for its blocks, rounded out.

    pre: one_disk(size, per_granule, block)
    pre: 0 <= offset and 0 <= length and offset + length <= size
    post: _
    """
    marked = granules.covering(offset, length, per_granule * BLOCK, size)
    written = touched(offset, length, BLOCK)
    return in_granules(block, per_granule, marked) == shares_granule(block, written, per_granule)


def granules_as_bytes(size: int, per_granule: int, block: int, first: int, past: int) -> bool:
    """The bytes of a run of granules lie on the disk, and touch exactly the blocks that it stands for.

    pre: one_disk(size, per_granule, block)
    pre: 0 <= first <= past < 2**63
    post: _
    """
    offset, length = granules.span(first, past, per_granule * BLOCK, size)
    start, end = touched(offset, length, BLOCK)
    on_disk = offset >= 0 and length >= 0 and offset + length <= size
    return on_disk and (start <= block < end) == in_granules(block, per_granule, (first, past))


def taken_over(size: int, per_granule: int, block: int, per_cluster: int, granule: int) -> bool:
    """A granule, taken over into granules of another size, is what its blocks are, rounded out."""
    offset, length = granules.span(granule, granule + 1, per_granule * BLOCK, size)
    taken = granules.covering(offset, length, per_cluster * BLOCK, size)
    blocks = granule * per_granule, min((granule + 1) * per_granule, (size + BLOCK - 1) // BLOCK)
    return in_granules(block, per_cluster, taken) == shares_granule(block, blocks, per_cluster)


SQUARES = (recording_a_write, granules_as_bytes)
