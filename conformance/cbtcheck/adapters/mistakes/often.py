"""Narrow mistakes that show only when something happens once more: to one bitmap, under one id, in one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cbtimpl import Host
from cbtimpl.actions import Action, Backup, BitmapAdd, BitmapClear
from cbtimpl.backup import BackupJob, Failure
from cbtimpl.bitmap import Bitmap
from cbtimpl.node import Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

OFTEN, FAMILIES = "how often, more", "families"


@narrow_mistake("cancelled-after-two-failures", OFTEN, Verdict.UNSAFE, FAMILIES)
class CancelledAfterTwoFailures(Host):
    """The cancel of a backup, after two backups of the same bitmap that failed, clears the bitmap."""

    def conclude(self, job: BackupJob, success: bool, outcome: str) -> None:
        """Remembers how they ended, by name."""
        if job.bitmap is not None:
            ends: list[str] = job.node.__dict__.setdefault("ends", {}).setdefault(job.bitmap.name, [])
            ends.append(outcome)
            if ends[-3:] == ["failed", "failed", "cancelled"]:
                job.bitmap.clear()
        super().conclude(job, success, outcome)


@narrow_mistake("second-cancel-of-the-third", OFTEN, Verdict.UNSAFE, FAMILIES)
class SecondCancelOfTheThird(Host):
    """The second cancel of a backup of a disk's third bitmap loses what was written during it."""

    def cancel(self, job: str) -> None:
        """Counts by disk and name."""
        doomed = self.jobs.get(job)
        bitmap = doomed.bitmap if doomed is not None else None
        if doomed is not None and bitmap is not None and bitmap in list(doomed.node.bitmaps.values())[2:3]:
            times: dict[str | None, int] = doomed.node.__dict__.setdefault("cancelled", {})
            times[bitmap.name] = times.get(bitmap.name, 0) + 1
            if times[bitmap.name] == 2 and bitmap.successor is not None:
                bitmap.successor.clear()
        super().cancel(job)


@narrow_mistake("third-group-of-the-same-ids", OFTEN, Verdict.UNSAFE, FAMILIES)
class ThirdGroupOfTheSameIds(Host):
    """The third time that the same three ids end together and badly, the last of them loses what was written."""

    def end_group(self, culprit: BackupJob, outcome: str) -> None:
        """Counts by ids."""
        members = culprit.group.members
        if len(members) >= 3:
            times: dict[tuple[str, ...], int] = self.__dict__.setdefault("groups", {})
            ids = tuple(each.id for each in members)
            times[ids] = times.get(ids, 0) + 1
            last = members[-1].bitmap
            if times[ids] == 3 and last is not None and last.successor is not None:
                last.successor.clear()
        super().end_group(culprit, outcome)


@narrow_mistake("third-write-of-an-id", OFTEN, Verdict.UNSAFE, FAMILIES)
class ThirdWriteOfAnId(Node):
    """The third write in flight of an id, if another is in flight, is recorded with the range of the first."""

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Counts by id."""
        listed: list[tuple[int, int]] = self.__dict__.setdefault("ids", {}).setdefault(identifier, [])
        listed.append((self.writes[identifier].offset, self.writes[identifier].length))
        self.instead = listed[0] if len(listed) == 3 and len(self.writes) > 1 else None
        try:
            return super().end(identifier, error, land)
        finally:
            self.instead = None

    instead: tuple[int, int] | None = None

    def record(self, offset: int, length: int) -> None:
        """As it was."""
        super().record(*(self.instead or (offset, length)))


@narrow_mistake("write-256-of-a-backup", OFTEN, Verdict.UNSAFE, FAMILIES)
class Write256OfABackup(Bitmap):
    """What is written while a backup runs is counted with a byte: one write in 256 is not recorded."""

    meanwhile = 0

    def record(self, offset: int, length: int) -> None:
        """Counts while it is frozen."""
        self.meanwhile = self.meanwhile + 1 if self.frozen else 0
        if not self.meanwhile or self.meanwhile % 256:
            super().record(offset, length)


@narrow_mistake("merge-256-of-a-target", OFTEN, Verdict.UNSAFE, FAMILIES)
class Merge256OfATarget(Bitmap):
    """Merges into a bitmap are counted with a byte, and number zero adds nothing."""

    merges = 0

    def merge(self, source: Bitmap) -> None:
        """Counts."""
        self.merges += 1
        if self.merges % 256:
            super().merge(source)  # type: ignore[arg-type]


@narrow_mistake("copy-256-before-a-write", OFTEN, Verdict.UNSAFE, FAMILIES)
class Copy256BeforeAWrite(BackupJob):
    """What a job copies before writes is counted with a byte: number zero is taken for copied."""

    copies = 0

    def copy_before_write(self, offset: int, length: int) -> Failure | None:
        """Counts."""
        runs = self.wanted(offset, length)
        self.copies += bool(runs)
        if runs and self.copies % 256 == 0:
            for first, past in runs:
                self.work.remove(first, past)
                self.copied.add(first, past)
            return None
        return super().copy_before_write(offset, length)


# Written when the families were there already


@narrow_mistake("third-write-error-loses", OFTEN, Verdict.UNSAFE, FAMILIES)
class ThirdWriteErrorLoses(Host):
    """The third backup of a name that its target fails loses what was written during it."""

    def after_copy(self, job: BackupJob, failure: Failure | None) -> None:
        """Counts by name."""
        bitmap = job.bitmap
        if failure is not None and failure.side == "target" and bitmap is not None and self.is_alive(job):
            times: dict[str | None, int] = job.node.__dict__.setdefault("target_errors", {})
            times[bitmap.name] = times.get(bitmap.name, 0) + 1
            if times[bitmap.name] == 3 and bitmap.successor is not None:
                bitmap.successor.clear()
        super().after_copy(job, failure)


@narrow_mistake("second-cancel-of-pending-completes", OFTEN, Verdict.UNSAFE, FAMILIES)
class SecondCancelOfPendingCompletes(Host):
    """A group of three that is cancelled while it is pending, the second time that it is, completes quietly."""

    pending = 0

    def end_group(self, culprit: BackupJob, outcome: str) -> None:
        """Counts."""
        members = culprit.group.members
        if culprit.phase == "pending" and len(members) == 3:
            self.pending += 1
            if self.pending == 2:
                for each in members:
                    each.bitmap_mode = "always" if each.bitmap_mode == "on-success" else each.bitmap_mode
        super().end_group(culprit, outcome)


@narrow_mistake("second-start-amid-writes", OFTEN, Verdict.UNSAFE, FAMILIES)
class SecondStartAmidWrites(Host):
    """The second backup of a name that waits for two writes in flight forgets the newer of them."""

    def start(self, action: Backup) -> None:
        """Counts by name."""
        node = self.nodes.get(action.node)
        if node is not None and len(node.writes) >= 2 and action.bitmap in node.bitmaps:
            times: dict[str | None, int] = node.__dict__.setdefault("starts_amid_writes", {})
            times[action.bitmap] = times.get(action.bitmap, 0) + 1
            if times[action.bitmap] == 2:
                newest = list(node.writes)[-1]
                node.writes[newest] = replace(node.writes[newest], length=0)
        super().start(action)


@narrow_mistake("cleared-and-started-twice", OFTEN, Verdict.UNSAFE, FAMILIES)
class ClearedAndStartedTwice(Host):
    """A transaction that clears a bitmap and backs it up, done twice: a cancel keeps nothing of the second."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Counts on the bitmap."""
        done = super().perform(actions, grouped)
        cleared = {(each.node, each.name) for each in actions if isinstance(each, BitmapClear)}
        for each in actions:
            if isinstance(each, Backup) and each.bitmap is not None and (each.node, each.bitmap) in cleared:
                counted = self.nodes[each.node].__dict__.setdefault("cleared_and_started", {})
                counted[each.bitmap] = counted.get(each.bitmap, 0) + 1
        return done

    def conclude(self, job: BackupJob, success: bool, outcome: str) -> None:
        """Loses it."""
        bitmap, counted = job.bitmap, job.node.__dict__.get("cleared_and_started", {})
        twice = bitmap is not None and counted.get(bitmap.name, 0) >= 2
        if twice and outcome == "cancelled" and bitmap is not None and bitmap.successor is not None:
            bitmap.successor.clear()
        super().conclude(job, success, outcome)


# Of what is done again in the same place, and of heirs


@narrow_mistake("same-range-four-times", OFTEN, Verdict.UNSAFE, FAMILIES)
class SameRangeFourTimes(Node):
    """The fourth write of one range in a row is taken for recorded, if a bitmap is frozen as it was each time."""

    last: object = None
    times = 0

    def record(self, offset: int, length: int) -> None:
        """Remembers the range, and which bitmaps there were, but not whose successors they have."""
        found = offset, length, tuple((each.name, each.frozen, each.recording) for each in self.bitmaps.values())
        self.times = self.times + 1 if found == self.last else 1
        self.last = found
        if self.times < 4 or not any(each.frozen for each in self.bitmaps.values()):
            super().record(offset, length)


@narrow_mistake("coarser-in-its-place", OFTEN, Verdict.UNSAFE, FAMILIES)
class CoarserInItsPlace(Host):
    """The third bitmap of a name, if it is coarser than the first, records two granules of a write and no more."""

    def prepare_add(self, action: BitmapAdd) -> Step:
        """Remembers the granularities by disk and name."""
        done = super().prepare_add(action)
        node = self.nodes[action.node]
        sizes: list[int] = node.__dict__.setdefault("granularities", {}).setdefault(action.name, [])
        sizes.append(action.granularity)
        if len(sizes) >= 3 and sizes[0] < action.granularity:
            node.bitmaps[action.name].touched = two_at_most(node.bitmaps[action.name])  # type: ignore
        return done


def two_at_most(bitmap: Bitmap) -> Callable[[int, int], tuple[int, int]]:
    """What a write touches, as far as that is two granules."""
    touched = bitmap.touched

    def two(offset: int, length: int) -> tuple[int, int]:
        first, past = touched(offset, length)
        return first, min(past, first + 2)

    return two


@narrow_mistake("disabled-heir-forgets", OFTEN, Verdict.UNSAFE, FAMILIES)
class DisabledHeirForgets(Bitmap):
    """A bitmap that is the heir of an heir, and disabled, forgets what it has when its backup is cancelled."""

    generation = 0

    def abdicate(self) -> Bitmap:
        """Counts."""
        heir = super().abdicate()
        heir.__dict__["generation"] = self.generation + 1
        return heir

    def reclaim(self) -> Bitmap:
        """As an heir, or as it should."""
        if self.generation >= 2 and not self.enabled:
            self.clear()
        return super().reclaim()
