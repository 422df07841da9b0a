"""Mistakes in the life of a bitmap with its successor: freeze, abdicate, reclaim."""

from __future__ import annotations

from typing import Self

from cbtimpl import granules
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.bits import GranuleSet

from cbtcheck.adapters.mistakes.registry import mistake
from cbtcheck.scenario.verdict import Verdict


@mistake("frozen-parent-records", "", Verdict.UNSAFE, 3)
class FrozenParentRecords(Bitmap):
    """While a bitmap is frozen, writes go on being recorded in it instead of in its successor."""

    def recorder(self) -> Bitmap | None:
        """Itself, always."""
        return self if self.enabled else None


@mistake("frozen-is-deaf", "Z1", Verdict.UNSAFE, 3)
class FrozenIsDeaf(Bitmap):
    """Whether to record is decided by looking at the frozen bitmap only, and that does not record."""

    def record(self, offset: int, length: int) -> None:
        """Nothing while frozen."""
        if not self.frozen:
            super().record(offset, length)


@mistake("no-successor-window", "R2", Verdict.UNSAFE, 3)
class NoSuccessorWindow(Bitmap):
    """The successor appears only with the first write of the job, and that write is not in it."""

    def record(self, offset: int, length: int) -> None:
        """Misses the first write while frozen."""
        if self.successor is not None and self.successor.user is None:
            self.successor.user = "late"
            return
        super().record(offset, length)

    def abdicate(self) -> Bitmap:
        """As always, with a free heir."""
        heir = super().abdicate()
        heir.user = None
        return heir


@mistake("clear-at-start", "F1", Verdict.UNSAFE, 3)
class ClearAtStart(BackupJob):
    """The start of a backup reads the bitmap destructively: a failure cannot give it back."""

    def start(self) -> None:
        """Selects the clusters, and clears the bitmap."""
        super().start()
        if self.bitmap is not None:
            self.bitmap.clear()


@mistake("drop-successor-on-failure", "", Verdict.UNSAFE, 4)
class DropSuccessorOnFailure(Bitmap):
    """When a job fails, its bitmap is thawed and the successor deleted, with all writes of meanwhile."""

    def reclaim(self) -> Bitmap:
        """Takes nothing back."""
        self.thaw()
        return self


@mistake("abdicate-on-failure", "", Verdict.UNSAFE, 4)
class AbdicateOnFailure(BackupJob):
    """The successor takes over when the job ends, however it ends: what was to be copied is forgotten."""

    def synchronises(self, success: bool) -> bool:
        """Whatever happened."""
        return self.bitmap_mode != "never"


@mistake("heir-is-empty", "", Verdict.UNSAFE, 4)
class HeirIsEmpty(Bitmap):
    """After success the bitmap is simply cleared, with the writes since the job's start."""

    def abdicate(self) -> Bitmap:
        """A fresh bitmap takes the name."""
        heir = super().abdicate()
        heir.clear()
        return heir


@mistake("never-means-on-success", "", Verdict.UNSAFE, 4)
class NeverMeansOnSuccess(BackupJob):
    """A differential backup resets its bitmap: the next one lacks what this one had."""

    def synchronises(self, success: bool) -> bool:
        """Never is taken for on-success."""
        return success or self.bitmap_mode == "always"


@mistake("leftovers-forgotten", "", Verdict.UNSAFE, 4)
class LeftoversForgotten(BackupJob):
    """A best-effort job that fails leaves nothing of what it did not copy in the bitmap."""

    def keeps_leftovers(self, success: bool) -> bool:
        """Never."""
        return False


@mistake("leftovers-round-inwards", "Q5", Verdict.UNSAFE, 5)
class LeftoversRoundInwards(BackupJob):
    """What a best-effort job did not copy is marked only where whole granules are left."""

    def leftovers(self) -> GranuleSet:
        """Rounded inwards."""
        assert self.bitmap is not None
        left = self.set_class(self.bitmap.granularity, self.node.size)
        for offset, length in self.work.extents():
            left.add(*granules.inside(offset, length, left.granularity, left.size))
        return left


@mistake("reset-rounds-out", "Q5", Verdict.UNSAFE, 5)
class ResetRoundsOut(BackupJob):
    """What was copied is cleared in whole granules, also where a granule was copied only in part."""

    def leftovers(self) -> GranuleSet:
        """Without each granule that shares a byte with a copied cluster."""
        left = super().leftovers()
        for offset, length in self.copied.extents():
            left.remove(*granules.covering(offset, length, left.granularity, left.size))
        return left


@mistake("leftovers-only-where-dirty", "", Verdict.UNSAFE, 3)
class LeftoversOnlyWhereDirty(BackupJob):
    """A best-effort job that fails leaves what it did not copy, but only where its bitmap was dirty before."""

    def leftovers(self) -> GranuleSet:
        """Those that were dirty."""
        assert self.bitmap is not None
        return both(super().leftovers(), self.bitmap.bits)


@mistake("disabled-gets-no-leftovers", "", Verdict.UNSAFE, 3)
class DisabledGetsNoLeftovers(BackupJob):
    """A best-effort job that fails leaves nothing new in a bitmap that does not record."""

    def leftovers(self) -> GranuleSet:
        """If the bitmap is disabled, those that were dirty."""
        assert self.bitmap is not None
        left = super().leftovers()
        return left if self.bitmap.enabled else both(left, self.bitmap.bits)


def both(one: GranuleSet, other: GranuleSet) -> GranuleSet:
    """What is in both of two sets of equal granules."""
    common = type(one)(one.granularity, one.size)
    for first, past in one.runs():
        for run in other.runs(first, past):
            common.add(*run)
    return common


@mistake("successor-always-on", "", Verdict.DIVERGES, 2)
class SuccessorAlwaysOn(Bitmap):
    """The successor of a disabled bitmap records."""

    def make_successor(self) -> Self:
        """Enabled, whatever the bitmap is."""
        return type(self)(None, self.granularity, self.size, True)
