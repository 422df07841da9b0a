"""Mistakes in transactions and groups, and commands that accept a bitmap in use."""

from __future__ import annotations

from cbtimpl import Host
from cbtimpl.actions import BitmapClear, BitmapMerge
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.draining import Outcomes
from cbtimpl.errors import Busy, SizeMismatch
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import mistake
from cbtcheck.scenario.verdict import Verdict


@mistake("clear-busy", "Q16", Verdict.UNSAFE, 4)
class ClearBusy(Host):
    """A bitmap that a job has frozen can be cleared."""

    def check_clear(self, bitmap: Bitmap) -> None:
        """Never refuses."""


@mistake("remove-busy", "Q16", Verdict.UNSAFE, 2)
class RemoveBusy(Host):
    """A bitmap that a job has frozen can be removed."""

    def check_remove(self, bitmap: Bitmap) -> None:
        """Never refuses."""


@mistake("enable-busy", "Q16", Verdict.DIVERGES, 3)
class EnableBusy(Host):
    """A bitmap that a job has frozen can be enabled."""

    def check_enable(self, bitmap: Bitmap) -> None:
        """Never refuses."""


@mistake("disable-busy", "Q16", Verdict.DIVERGES, 3)
class DisableBusy(Host):
    """A bitmap that a job has frozen can be disabled."""

    def check_disable(self, bitmap: Bitmap) -> None:
        """Never refuses."""


@mistake("merge-into-busy", "Q16", Verdict.DIVERGES, 3)
class MergeIntoBusy(Host):
    """A bitmap that a job has frozen can be merged into."""

    def check_merge_target(self, target: Bitmap) -> None:
        """Never refuses."""


@mistake("merge-from-busy", "Q16", Verdict.DIVERGES, 4)
class MergeFromBusy(Host):
    """A bitmap that a job has frozen can be merged from, although it is not all that was written."""

    def check_merge_source(self, source: Bitmap) -> None:
        """Never refuses."""


@mistake("backup-of-busy", "Q16", Verdict.UNSAFE, 5)
class BackupOfBusy(Host):
    """A second job can use a bitmap that a job has frozen; the first successor is lost."""

    def check_backup_bitmap(self, bitmap: Bitmap) -> None:
        """Never refuses."""


@mistake("last-action-stays", "", Verdict.UNSAFE, 3)
class LastActionStays(Host):
    """A refused transaction undoes all actions but the last that took effect."""

    def undo(self, done: list[Step]) -> None:
        """Forgets one."""
        super().undo(done[:-1])


@mistake("clear-not-undone", "", Verdict.UNSAFE, 3)
class ClearNotUndone(Host):
    """A clear in a transaction that is refused is not undone."""

    def prepare_clear(self, action: BitmapClear) -> Step:
        """Has nothing to undo."""
        super().prepare_clear(action)
        return Step()


@mistake("withdrawn-means-failed", "", Verdict.WASTEFUL, 2)
class WithdrawnMeansFailed(BackupJob):
    """A job whose transaction is refused ends like one that failed: best effort leaves its clusters behind."""

    def withdraw(self) -> None:
        """Ends without success."""
        self.group.members.remove(self)
        self.finish(False)


@mistake("withdrawn-means-done", "", Verdict.UNSAFE, 3)
class WithdrawnMeansDone(BackupJob):
    """A job whose transaction is refused ends like one that succeeded: its bitmap is reset."""

    def withdraw(self) -> None:
        """Ends with success."""
        self.group.members.remove(self)
        self.finish(True)


@mistake("transaction-without-drain", "R2", Verdict.UNSAFE, 3)
class TransactionWithoutDrain(Host):
    """A transaction does not wait for writes in flight."""

    def drain_for_transaction(self) -> Outcomes:
        """Nothing is waited for."""
        return []


@mistake("group-fails-alone", "", Verdict.DIVERGES, 2)
class GroupFailsAlone(Host):
    """When one job of a group fails or is cancelled, the others go on."""

    def sharers(self, culprit: BackupJob) -> list[BackupJob]:
        """Nobody."""
        return [culprit]


@mistake("merge-error-is-success", "Q33", Verdict.DIVERGES, 3)
class MergeErrorIsSuccess(Host):
    """A merge whose last step fails reports success: the transaction that it is in is committed."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Forgets the refusal."""
        try:
            return super().prepare_merge(action)
        except (Busy, SizeMismatch):
            return Step()
