"""Mistakes in merging one bitmap into another."""

from __future__ import annotations

from typing import Self

from cbtimpl import granules
from cbtimpl.bitmap import Bitmap

from cbtcheck.adapters.mistakes.registry import mistake
from cbtcheck.scenario.verdict import Verdict


@mistake("merge-empty-loses", "Q32", Verdict.UNSAFE, 3)
class MergeEmptyLoses(Bitmap):
    """A merge with an empty bitmap returns early, and the result lacks what the other one had."""

    def merge_nothing(self, source: Self) -> None:
        """The result is as empty as the source."""
        self.clear()


@mistake("merge-into-empty-loses", "Q32", Verdict.UNSAFE, 4)
class MergeIntoEmptyLoses(Bitmap):
    """A merge into an empty bitmap returns early, and the result stays empty."""

    def merge_into_nothing(self, source: Self) -> None:
        """Nothing."""


@mistake("merge-by-number", "C2", Verdict.UNSAFE, 4)
class MergeByNumber(Bitmap):
    """A merge takes the numbers of granules as they are, also between different granularities."""

    def merge(self, source: Self) -> None:
        """The same numbers, kept on the disk."""
        last = granules.count(self.size, self.granularity)
        for first, past in list(source.bits.runs()):
            self.bits.add(min(first, last), min(past, last))


@mistake("merge-rounds-inwards", "C2", Verdict.UNSAFE, 4)
class MergeRoundsInwards(Bitmap):
    """A merge into a coarser bitmap marks only what is dirty from end to end."""

    def merge(self, source: Self) -> None:
        """Rounded inwards."""
        for offset, length in list(source.bits.extents()):
            self.bits.add(*granules.inside(offset, length, self.granularity, self.size))


@mistake("merge-replaces", "", Verdict.UNSAFE, 3)
class MergeReplaces(Bitmap):
    """A merge replaces what the target had."""

    def merge(self, source: Self) -> None:
        """Copies instead of adding."""
        if source is not self:
            self.clear()
            super().merge(source)
