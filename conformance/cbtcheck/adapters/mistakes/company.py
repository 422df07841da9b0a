"""Narrow mistakes that show only when there is somebody else: another bitmap, another write, another job."""

from __future__ import annotations

from collections.abc import Sequence

from cbtimpl import Host
from cbtimpl.actions import BitmapMerge
from cbtimpl.backup import BackupJob
from cbtimpl.node import GuestWrite, Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

WHO, MANY = "who else", "how many"


@narrow_mistake("stops-at-the-disabled", WHO, Verdict.UNSAFE)
class StopsAtTheDisabled(Node):
    """Once one bitmap has recorded, the next that is disabled ends it: those that are newer still do not record."""

    def record(self, offset: int, length: int) -> None:
        """From the oldest on."""
        recorded = False
        for bitmap in self.bitmaps.values():
            if not length or (recorded and not bitmap.recording):
                return
            bitmap.record(offset, length)
            recorded |= bitmap.recording


@narrow_mistake("stops-after-the-frozen", WHO, Verdict.UNSAFE)
class StopsAfterTheFrozen(Node):
    """With three bitmaps, who records is looked for from the newest on, and no further than to one that is frozen."""

    def record(self, offset: int, length: int) -> None:
        """From the newest on."""
        for bitmap in reversed(self.bitmaps.values()):
            if length:
                bitmap.record(offset, length)
            if bitmap.frozen and len(self.bitmaps) > 2:
                return


@narrow_mistake("newest-disabled-hides-the-oldest", WHO, Verdict.UNSAFE)
class NewestDisabledHidesTheOldest(Node):
    """With three bitmaps or more, if the newest is disabled the oldest does not record."""

    def record(self, offset: int, length: int) -> None:
        """Leaves one out."""
        bitmaps = list(self.bitmaps.values())
        hidden = bitmaps[0] if len(bitmaps) > 2 and not bitmaps[-1].recording else None
        for bitmap in bitmaps:
            if length and bitmap is not hidden:
                bitmap.record(offset, length)


@narrow_mistake("end-of-the-newer-write", WHO, Verdict.UNSAFE)
class EndOfTheNewerWrite(Node):
    """The end of a write in flight that is not the oldest is recorded with the range of the oldest."""

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Lands where it should."""
        write, oldest = self.writes[identifier], next(iter(self.writes.values()))
        self.wrong = None if write is oldest else oldest
        try:
            return super().end(identifier, error, land)
        finally:
            self.wrong = None

    wrong: GuestWrite | None = None

    def record(self, offset: int, length: int) -> None:
        """Of that one."""
        if self.wrong is not None:
            offset, length = self.wrong.offset, self.wrong.length
        super().record(offset, length)


@narrow_mistake("last-in-flight-is-forgotten", WHO, Verdict.UNSAFE)
class LastInFlightIsForgotten(Node):
    """Of three writes in flight, the newest is not recorded when it ends first."""

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Not that one."""
        self.forgotten = len(self.writes) == 3 and identifier == [*self.writes][-1]
        try:
            return super().end(identifier, error, land)
        finally:
            self.forgotten = False

    forgotten = False

    def record(self, offset: int, length: int) -> None:
        """Unless it is forgotten."""
        if not self.forgotten:
            super().record(offset, length)


@narrow_mistake("fourth-bitmap-blind", MANY, Verdict.UNSAFE)
class FourthBitmapBlind(Node):
    """A disk has a table of three bitmaps that record; a fourth sees no write."""

    def record(self, offset: int, length: int) -> None:
        """Only three."""
        for bitmap in [*self.bitmaps.values()][:3]:
            if length:
                bitmap.record(offset, length)


@narrow_mistake("fourth-source-left-out", MANY, Verdict.UNSAFE)
class FourthSourceLeftOut(Host):
    """A merge takes three sources, and leaves out the fourth."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """All are checked, and three are merged."""
        done = super().prepare_merge(action)
        if len(action.sources) > 3:
            done.undo()
            super().prepare_merge(BitmapMerge(action.node, action.target, action.sources[:3]))
        return done


@narrow_mistake("waiting-member-stays", MANY, Verdict.UNSAFE)
class WaitingMemberStays(Host):
    """When the third of three jobs of a group fails or is cancelled while the first waits for it, that one stays."""

    def sharers(self, culprit: BackupJob) -> list[BackupJob]:
        """Two."""
        members = list(culprit.group.members)
        stays = len(members) == 3 and culprit is members[2] and members[0].phase == "waiting"
        return members[1:] if stays else members


@narrow_mistake("cancels-the-neighbour", WHO, Verdict.UNSAFE)
class CancelsTheNeighbour(Host):
    """The cancel of the newest of three jobs of a disk forgets what was written since the second began."""

    def cancel(self, job: str) -> None:
        """Clears a successor too many."""
        target = self.jobs.get(job)
        super().cancel(job)
        left: Sequence[BackupJob] = [] if target is None else self.jobs_on(target.node)
        if len(left) == 2 and [*left][-1].bitmap is not None:
            bitmap = left[-1].bitmap
            if bitmap is not None and bitmap.successor is not None:
                bitmap.successor.clear()
