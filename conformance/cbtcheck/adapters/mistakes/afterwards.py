"""Narrow mistakes that were written after the tour had its edges in context: does it find others of the kind?

All ten were found without a change. Some were then made narrower, since drawn scenarios and a workflow found
them, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from cbtimpl import Host
from cbtimpl.actions import Action, Backup, BitmapAdd, BitmapClear, BitmapMerge
from cbtimpl.backup import BackupJob, Group
from cbtimpl.bitmap import Bitmap
from cbtimpl.node import Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.company import MANY, WHO
from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.adapters.mistakes.repeating import OFTEN
from cbtcheck.adapters.mistakes.undoing import UNDONE
from cbtcheck.scenario.verdict import Verdict


@narrow_mistake("disabled-clear-not-undone", UNDONE, Verdict.UNSAFE)
class DisabledClearNotUndone(Host):
    """A clear of a bitmap that is disabled is not undone."""

    def prepare_clear(self, action: BitmapClear) -> Step:
        """Undone for those that record."""
        done = super().prepare_clear(action)
        return done if self.find_bitmap(action.node, action.name).enabled else Step()


@narrow_mistake("disabled-add-stays", UNDONE, Verdict.DIVERGES)
class DisabledAddStays(Host):
    """An add of a bitmap that is disabled is not undone, if the disk had three before."""

    def prepare_add(self, action: BitmapAdd) -> Step:
        """Undone for those that record."""
        done = super().prepare_add(action)
        return done if action.enabled or len(self.find_node(action.node).bitmaps) < 4 else Step()


@narrow_mistake("second-member-stays-frozen", UNDONE, Verdict.DIVERGES)
class SecondMemberStaysFrozen(Host):
    """Of two backups that complete together, the undo of their transaction withdraws the first only."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Starts the second once more."""
        try:
            return super().perform(actions, grouped)
        except Exception:
            backups = [each for each in actions if isinstance(each, Backup)]
            if grouped and len(backups) > 2 and backups[1].job not in self.jobs:
                self.prepare_backup(backups[1], Group())
            raise


@narrow_mistake("merge-from-elsewhere-stays", UNDONE, Verdict.WASTEFUL)
class MergeFromElsewhereStays(Host):
    """The undo of a merge leaves what came from another disk."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Merged once more."""
        done = super().prepare_merge(action)
        target = self.find_bitmap(action.node, action.target)
        others = [self.find_bitmap(*each) for each in action.sources if each[0] != action.node]

        def undo() -> None:
            done.undo()
            for each in others:
                target.merge(each)

        return Step(undo)


@narrow_mistake("one-successor-records", WHO, Verdict.UNSAFE)
class OneSuccessorRecords(Node):
    """Of three successors of a disk only the first two record."""

    def record(self, offset: int, length: int) -> None:
        """Not the third."""
        successors = 0
        for bitmap in self.bitmaps.values():
            successors += bitmap.frozen
            if length and not (bitmap.frozen and successors > 2):
                bitmap.record(offset, length)


@narrow_mistake("failed-newest-write-lost", WHO, Verdict.UNSAFE)
class FailedNewestWriteLost(Node):
    """A write in flight that fails is not recorded if it ends before an older one."""

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Looks at who is older."""
        self.lost = error is not None and identifier != next(iter(self.writes))
        try:
            return super().end(identifier, error, land)
        finally:
            self.lost = False

    lost = False

    def record(self, offset: int, length: int) -> None:
        """Unless it is lost."""
        if not self.lost:
            super().record(offset, length)


@narrow_mistake("finalizes-the-neighbour", WHO, Verdict.UNSAFE)
class FinalizesTheNeighbour(Host):
    """A finalize of the third job of a disk is taken for the second."""

    def finalize(self, job: str) -> None:
        """Finds another one."""
        target = self.jobs.get(job)
        beside = [] if target is None else self.jobs_on(target.node)
        super().finalize(beside[1].id if len(beside) == 3 and beside[2] is target else job)


@narrow_mistake("members-of-other-disks-left", MANY, Verdict.UNSAFE)
class MembersOfOtherDisksLeft(Host):
    """When a job of a group fails, the members on a third disk go on."""

    def sharers(self, culprit: BackupJob) -> list[BackupJob]:
        """Of two disks only."""
        disks = list(dict.fromkeys(each.node for each in culprit.group.members))
        kept = [each for each in culprit.group.members if each.node in disks[:2]]
        return kept if culprit in kept else list(culprit.group.members)


@narrow_mistake("sixth-action-forgotten", MANY, Verdict.UNSAFE)
class SixthActionForgotten(Host):
    """A transaction carries out five actions; what comes after is taken for done."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Rehearses all, and keeps five."""
        done = super().perform(actions, grouped)
        for step in reversed(done[5:]):
            step.undo()
        return done[:5]


@narrow_mistake("fourth-abdication-loses", OFTEN, Verdict.UNSAFE)
class FourthAbdicationLoses(Bitmap):
    """The fourth time that a bitmap is abdicated, its successor's bits are lost."""

    generation = 0

    def abdicate(self) -> Bitmap:
        """Counts from heir to heir."""
        heir = super().abdicate()
        heir.generation = self.generation + 1  # type: ignore[attr-defined]
        if heir.generation == 4:  # type: ignore[attr-defined]
            heir.clear()
        return heir
