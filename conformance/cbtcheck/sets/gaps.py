"""Gaps between commands as blocks of a disk: what becomes of a guest write, whenever it is made.

Where guest writes are not in a trace, each gap in which one can have been made is a block of its own, and in each gap
exactly its block is written. What the specification then makes of a block, it makes of any write in that gap. Blocks
have no neighbours here, so nothing is rounded out; and every disk has all gaps, whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cbtcheck.sets.between import EMPTY, Between, BetweenSets, exactly, with_more
from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.sets.gap_set import GapSet
from cbtcheck.sets.granules import Granules
from cbtcheck.sets.numbers import Numbers

MOST_GAPS = 1 << 20
BLOCK = 512


ALL = exactly(GapSet(-1))


@dataclass(frozen=True)
class GapSets(BetweenSets):
    """The space of gaps. Whether anything was written is never known: `at_least` has none."""

    inner: CompressedSets = field(default_factory=lambda: CompressedSets(BLOCK))

    def everything(self, size: int) -> Between:
        """All gaps."""
        return ALL

    def gap(self, number: int) -> Between:
        """This gap."""
        return exactly(GapSet(1, number))

    def gaps_before(self, number: int) -> Between:
        """All gaps before this one."""
        return exactly(GapSet((1 << number) - 1)) if number else EMPTY

    def round_out(self, blocks: Between, granule: int, size: int) -> Between:
        """The same gaps."""
        return blocks

    def unnoticed(self) -> BetweenSets:
        """The same space for a job that starts and does not end at once, although nothing may be left to copy."""
        return UnnoticedGaps()

    def at_least(self, blocks: Between, granule: int, size: int) -> Granules:
        """None: nobody knows whether anything was written."""
        return Granules.from_numbers([], BLOCK, MOST_GAPS * BLOCK)

    def at_most(self, blocks: Between, granule: int, size: int) -> Granules:
        """The gaps in which a write would be in the set."""
        most = blocks.most
        gaps = most.numbers(MOST_GAPS) if isinstance(most, GapSet) else Numbers()
        return Granules(gaps, BLOCK, MOST_GAPS * BLOCK)


@dataclass(frozen=True)
class UnnoticedGaps(GapSets):
    """The same space, but whatever a job sets out to copy has *more*: it does not end at once."""

    def everything(self, size: int) -> Between:
        """All gaps, and more."""
        return with_more(super().everything(size))

    def round_out(self, blocks: Between, granule: int, size: int) -> Between:
        """The same gaps, and more."""
        return with_more(blocks)
