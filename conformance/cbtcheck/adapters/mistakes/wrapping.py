"""Narrow mistakes that show after more than 256 of a kind: what wraps, and what leaks."""

from __future__ import annotations

from dataclasses import replace

from cbtimpl import Host
from cbtimpl.actions import Backup, BitmapAdd, BitmapDisable, BitmapMerge
from cbtimpl.backup import Group
from cbtimpl.errors import Exists
from cbtimpl.node import GuestWrite, Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

OFTEN = "how often, beyond 256"
FAMILIES, FAMILIES_OF_CI = "families", "families of ci"


@narrow_mistake("job-257-copies-nothing", OFTEN, Verdict.UNSAFE, FAMILIES)
class Job257CopiesNothing(Host):
    """Jobs are numbered with a byte, and number zero is taken for none: it records nothing for its bitmap."""

    started = 0

    def prepare_backup(self, action: Backup, group: Group) -> Step:
        """Counts."""
        done = super().prepare_backup(action, group)
        self.started += 1
        job = self.jobs[action.job]
        if self.started % 256 == 0 and job.bitmap is not None and job.bitmap.successor is not None:
            job.bitmap.successor.enabled = False
        return done


@narrow_mistake("bitmap-257-blind", OFTEN, Verdict.UNSAFE, FAMILIES)
class Bitmap257Blind(Host):
    """Bitmaps are numbered with a byte; number zero does not record."""

    added = 0

    def prepare_add(self, action: BitmapAdd) -> Step:
        """Counts."""
        done = super().prepare_add(action)
        self.added += 1
        if self.added % 256 == 0:
            self.find_node(action.node).bitmaps[action.name].disable()
        return done


@narrow_mistake("write-257-not-recorded", OFTEN, Verdict.UNSAFE, FAMILIES)
class Write257NotRecorded(Node):
    """Writes in flight are numbered with a byte, and the end of number zero is not recorded."""

    begun = 0

    def begin(self, identifier: str, write: GuestWrite) -> None:
        """Counts."""
        super().begin(identifier, write)
        self.begun += 1
        if self.begun % 256 == 0:
            self.writes[identifier] = replace(write, length=0, data=None)


@narrow_mistake("job-slots-leak", OFTEN, Verdict.DIVERGES, FAMILIES)
class JobSlotsLeak(Host):
    """There are 500 slots for jobs, and a cancelled one never gives its own back."""

    leaked = 0

    def cancel(self, job: str) -> None:
        """Leaks."""
        super().cancel(job)
        self.leaked += 1

    def prepare_backup(self, action: Backup, group: Group) -> Step:
        """Looks for a slot."""
        if self.leaked >= 250:
            raise Exists(f"Job ID '{action.job}' already in use")
        return super().prepare_backup(action, group)


# Of what takes more than quick has


@narrow_mistake("write-1000-not-recorded", OFTEN, Verdict.UNSAFE, FAMILIES_OF_CI)
class Write1000NotRecorded(Node):
    """What a disk is written is counted, and every thousandth write is not recorded."""

    written = 0

    def record(self, offset: int, length: int) -> None:
        """Counts."""
        self.written += 1
        if self.written % 1000:
            super().record(offset, length)


@narrow_mistake("merge-after-1000", OFTEN, Verdict.UNSAFE, FAMILIES_OF_CI)
class MergeAfter1000(Host):
    """When a thousand transactions and commands have disabled something, a merge adds nothing any more."""

    disabled = 0

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Counts."""
        self.disabled += 1
        return super().prepare_disable(action)

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Checks, and undoes."""
        done = super().prepare_merge(action)
        if self.disabled >= 1000:
            done.undo()
        return done
