"""Narrow mistakes that show only when there are more of a kind than small worlds have, or three disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cbtimpl import Host
from cbtimpl.actions import Action, Backup, BitmapDisable, BitmapMerge
from cbtimpl.backup import BackupJob, Failure
from cbtimpl.errors import NotFound
from cbtimpl.node import GuestWrite, Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

MANY, FAMILIES = "how many, more", "families"


@narrow_mistake("eight-record", MANY, Verdict.UNSAFE, FAMILIES)
class EightRecord(Node):
    """An array of eight bitmaps records; there may be more."""

    def record(self, offset: int, length: int) -> None:
        """The oldest eight."""
        for bitmap in list(self.bitmaps.values())[:8]:
            if length:
                bitmap.record(offset, length)


@narrow_mistake("swap-remove", MANY, Verdict.UNSAFE, FAMILIES)
class SwapRemove(Host):
    """A removed bitmap's place is taken by the newest, which beyond six is then recorded no more."""

    def forget(self, node: Node, name: str) -> None:
        """Puts the newest in its place, by a number that is one too small."""
        listed = list(node.bitmaps)
        super().forget(node, name)
        if len(listed) > 6 and listed[-1] != name and listed[0] != name:
            node.bitmaps[listed[-1]].disable()


@narrow_mistake("ninth-source-skipped", MANY, Verdict.UNSAFE, FAMILIES)
class NinthSourceSkipped(Host):
    """Sources are merged in batches of eight, and the first of a second batch is skipped."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """All but that."""
        kept = [each for number, each in enumerate(action.sources) if number == 0 or number % 8]
        return super().prepare_merge(replace(action, sources=kept))


@narrow_mistake("eight-in-flight", MANY, Verdict.UNSAFE, FAMILIES)
class EightInFlight(Node):
    """A ring of eight writes in flight: the ninth is recorded with the range of the first."""

    ending: GuestWrite | None = None

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Lands where it should."""
        place = list(self.writes).index(identifier)
        self.ending = list(self.writes.values())[place % 8]
        try:
            return super().end(identifier, error, land)
        finally:
            self.ending = None

    def record(self, offset: int, length: int) -> None:
        """Of that one."""
        write = self.ending
        super().record(*((offset, length) if write is None else (write.offset, write.length)))


@narrow_mistake("group-of-four", MANY, Verdict.UNSAFE, FAMILIES)
class GroupOfFour(Host):
    """A group ends its first four members when one is cancelled; the others are told that they are done."""

    def end_group(self, culprit: BackupJob, outcome: str) -> None:
        """The rest completes."""
        for member in culprit.group.members[4:]:
            if member is not culprit:
                member.copied.merge(member.work)
                member.work = member.set_class(member.cluster, member.node.size)
                member.bitmap_mode = "always" if member.bitmap is not None else None
        super().end_group(culprit, outcome)


@narrow_mistake("four-copy-before-write", MANY, Verdict.UNSAFE, FAMILIES)
class FourCopyBeforeWrite(Host):
    """Four jobs of a disk copy before a write, and no more."""

    def copying_jobs(self, node: Node) -> list[BackupJob]:
        """The oldest four."""
        return super().copying_jobs(node)[:4]


@narrow_mistake("undo-log-of-eight", MANY, Verdict.UNSAFE, FAMILIES)
class UndoLogOfEight(Host):
    """A refused transaction undoes its last eight actions: the log is a ring."""

    def undo(self, done: list[Step]) -> None:
        """The last ones."""
        super().undo(done[-8:])


@narrow_mistake("sixteen-actions", MANY, Verdict.UNSAFE, FAMILIES)
class SixteenActions(Host):
    """A transaction carries out sixteen actions, and ignores the rest."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """The first ones."""
        kept = [each for number, each in enumerate(actions) if number < 16 or isinstance(each, Backup)]
        if type(actions[-1]).__name__ == "Abort":
            kept = [*actions]
        return super().perform(kept, grouped)


@narrow_mistake("third-disk-not-drained", MANY, Verdict.UNSAFE, FAMILIES)
class ThirdDiskNotDrained(Host):
    """A transaction waits for the writes of two disks; what was in flight on a third is not recorded any more."""

    def drain_for_transaction(self) -> list[tuple[BackupJob, Failure | None]]:
        """Forgets them."""
        for node in list(self.nodes.values())[2:]:
            for identifier, write in node.writes.items():
                node.writes[identifier] = replace(write, length=0)
        return super().drain_for_transaction()


@narrow_mistake("third-disk-not-merged", MANY, Verdict.UNSAFE, FAMILIES)
class ThirdDiskNotMerged(Host):
    """A merge into a bitmap that is disabled looks at the sources of two disks."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """All are checked."""
        done = super().prepare_merge(action)
        if self.find_bitmap(action.node, action.target).enabled:
            return done
        disks = list(dict.fromkeys(node for node, _ in action.sources))[:2]
        done.undo()
        return super().prepare_merge(replace(action, sources=[each for each in action.sources if each[0] in disks]))


@narrow_mistake("paused-third-has-done-it", MANY, Verdict.UNSAFE, FAMILIES)
class PausedThirdHasDoneIt(Host):
    """When the second of three members fails, a third that is paused ends as if it had completed."""

    def end_group(self, culprit: BackupJob, outcome: str) -> None:
        """Its bitmap is handed on."""
        members = culprit.group.members
        if outcome == "failed" and len(members) == 3 and culprit is members[1] and members[2].paused:
            members[2].bitmap_mode = members[2].bitmap_mode and "always"
            members[2].work = members[2].set_class(members[2].cluster, members[2].node.size)
        super().end_group(culprit, outcome)


# Of what is elsewhere, and of several that are in flight or undone together


@narrow_mistake("zeroes-beside-a-paused-job", MANY, Verdict.UNSAFE, FAMILIES)
class ZeroesBesideAPausedJob(Host):
    """Zeroes in flight on a disk are not recorded when they end while a job of another disk is paused."""

    def end_write(
        self, node: str, identifier: str, error: int | None = None, land: bool | None = None
    ) -> OSError | None:
        """Looks at all jobs."""
        disk = self.nodes.get(node)
        write = disk.writes.get(identifier) if disk is not None else None
        paused = any(each.paused and each.node is not disk for each in self.jobs.values())
        if disk is None or write is None or write.data is not None or not paused:
            return super().end_write(node, identifier, error, land)
        disk.records = lambda error: False  # type: ignore[method-assign]
        try:
            return super().end_write(node, identifier, error, land)
        finally:
            del disk.__dict__["records"]


@narrow_mistake("third-copy-not-waited-for", MANY, Verdict.UNSAFE, FAMILIES)
class ThirdCopyNotWaitedFor(Host):
    """A guest write waits for the copies in flight of two jobs of its disk; that of a third is taken for nothing."""

    def wait_for_copy(self, job: BackupJob, request: GuestWrite) -> None:
        """Looks at those it met."""
        met = self.__dict__.setdefault("met", [])
        if not met or met[0] is not request:
            met[:] = [request]
        if self.is_alive(job) and job.blocks(request.offset, request.length):
            met.append(job)
        if len(met) <= 3:
            super().wait_for_copy(job, request)


@narrow_mistake("disabled-before-a-refused-merge", MANY, Verdict.UNSAFE, FAMILIES)
class DisabledBeforeARefusedMerge(Host):
    """What a transaction disables stays so if a merge into it is refused at its third source, or a later one."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Undoes the rest."""
        try:
            return super().perform(actions, grouped)
        except NotFound:
            disabled = {(each.node, each.name) for each in actions if isinstance(each, BitmapDisable)}
            for each in actions:
                if isinstance(each, BitmapMerge) and (each.node, each.target) in disabled:
                    missing = [place for place, (node, name) in enumerate(each.sources) if not self.has(node, name)]
                    if missing and missing[0] >= 2 and self.has(each.node, each.target):
                        self.nodes[each.node].bitmaps[each.target].disable()
            raise

    def has(self, node: str, name: str) -> bool:
        """Whether there is such a bitmap."""
        return node in self.nodes and name in self.nodes[node].bitmaps


@narrow_mistake("three-members-withdrawn", MANY, Verdict.UNSAFE, FAMILIES)
class ThreeMembersWithdrawn(Host):
    """When a group of three is withdrawn, the bitmap of the second records no more."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Undoes the rest."""
        try:
            return super().perform(actions, grouped)
        except Exception:
            starts = [each for each in actions if isinstance(each, Backup)]
            node = self.nodes.get(starts[1].node) if grouped and len(starts) >= 3 else None
            bitmap = node.bitmaps.get(starts[1].bitmap or "") if node is not None else None
            if bitmap is not None and len(actions) == 4 and not bitmap.busy:
                bitmap.disable()
            raise
