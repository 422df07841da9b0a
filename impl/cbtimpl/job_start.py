"""Starting a backup job: what QEMU refuses, in QEMU's order, and the start itself.

Source: qemu-facts.md 4.1 and 4.2. The numbers of the checks are that section's. A refused start leaves no trace,
not even of the drain.
"""

import re

from cbtimpl import granules
from cbtimpl.actions import Backup
from cbtimpl.backup import BackupJob, Group
from cbtimpl.bitmap import Bitmap
from cbtimpl.errors import Busy, Exists, Invalid, NotFound, SizeMismatch
from cbtimpl.node import Node
from cbtimpl.state import State, Step
from cbtimpl.storage import Disk


class JobStart(State):
    """Checks and start of a backup job."""

    def check_backup(self, action: Backup) -> tuple[Node, Bitmap | None]:
        """Raise the first refusal there is; else the source and the bitmap that are meant."""
        node = self.find_device(action.node)
        self.check_bitmap_given(action)
        self.check_incremental_mode(action)
        bitmap = None
        if action.bitmap is not None:
            bitmap = self.find_backup_bitmap(node, action.bitmap)
            self.check_mode_given(action)
            self.check_backup_bitmap(bitmap)
            self.check_image_allows(action, bitmap)
            self.check_mode_has_effect(action)
        self.check_mode_has_bitmap(action)
        self.check_target_is_other(action, node)
        self.check_source_free(node)
        self.check_target_free(action.target)
        self.check_target_size(action, node)
        self.check_job_id(action.job)
        self.check_cluster(action.cluster)
        return node, bitmap

    def check_bitmap_given(self, action: Backup) -> None:
        """(1) These modes read a bitmap."""
        if action.sync in ("incremental", "bitmap") and action.bitmap is None:
            raise Invalid(f"must provide a valid bitmap name for '{action.sync}' sync mode")

    def check_incremental_mode(self, action: Backup) -> None:
        """(2) incremental means bitmap with on-success."""
        if action.sync == "incremental" and action.bitmap_mode not in (None, "on-success"):
            raise Invalid("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'")

    def find_backup_bitmap(self, node: Node, name: str) -> Bitmap:
        """(3) Another text than that of the operator's commands."""
        if name not in node.bitmaps:
            raise NotFound(f"Bitmap '{name}' could not be found")
        return node.bitmaps[name]

    def check_mode_given(self, action: Backup) -> None:
        """(4) Only incremental has a mode of its own."""
        if action.bitmap_mode is None and action.sync != "incremental":
            raise Invalid("Bitmap sync mode must be given when providing a bitmap")

    def check_backup_bitmap(self, bitmap: Bitmap) -> None:
        """(5) One job for each bitmap."""
        self.check_not_busy(bitmap)

    def check_image_allows(self, action: Backup, bitmap: Bitmap) -> None:
        """(5) A job that only reads its bitmap may have one that cannot be changed."""
        self.check_consistent(bitmap)
        if action.bitmap_mode != "never":
            self.check_not_read_only(bitmap)

    def check_mode_has_effect(self, action: Backup) -> None:
        """(7) A bitmap that is neither read nor written."""
        if action.bitmap_mode == "never" and action.sync != "bitmap":
            raise Invalid(
                f"Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '{action.sync}'"
            )

    def check_mode_has_bitmap(self, action: Backup) -> None:
        """(8) A mode for no bitmap."""
        if action.bitmap is None and action.bitmap_mode is not None:
            raise Invalid("Cannot specify bitmap sync mode without a bitmap")

    def check_target_is_other(self, action: Backup, node: Node) -> None:
        """(9) A disk is no backup of itself."""
        if action.target is node.disk:
            raise Invalid("Source and target cannot be the same")

    def check_source_free(self, node: Node) -> None:
        """(10) A node that a job writes to is no source."""
        if any(job.target is node.disk for job in self.jobs.values()):
            raise Busy(f"Node '{node.name}' is busy: block device is in use by block job: backup")

    def check_target_free(self, target: Disk) -> None:
        """(10) A disk that a job reads or writes is no target."""
        if any(target is job.target or target is job.node.disk for job in self.jobs.values()):
            names = [node.name for node in self.nodes.values() if node.disk is target] or ["target"]
            raise Busy(f"Node '{names[0]}' is busy: block device is in use by block job: backup")

    def check_target_size(self, action: Backup, node: Node) -> None:
        """(14) Byte for byte."""
        if action.target.size != node.size:
            raise SizeMismatch("Source and target image have different sizes")

    def check_job_id(self, job: str) -> None:
        """(17) Ids are well formed, and global."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", job):
            raise Invalid(f"Invalid job ID '{job}'")
        if job in self.jobs:
            raise Exists(f"Job ID '{job}' already in use")

    def check_cluster(self, cluster: int) -> None:
        """Last, and without a number: in QEMU it is not the operator who chooses it."""
        if not granules.is_granularity(cluster):
            raise Invalid("Cluster size must be power of 2 and at least 512")

    def bitmap_mode(self, action: Backup) -> str | None:
        """The mode that is meant: incremental is bitmap with on-success (qemu-facts.md 4.2)."""
        return "on-success" if action.sync == "incremental" else action.bitmap_mode

    def prepare_backup(self, action: Backup, group: Group) -> Step:
        """Create the job; undone by withdrawing it, which is not the same as its failure."""
        node, bitmap = self.check_backup(action)
        job = self.job_class(
            action.job,
            node,
            action.target,
            action.sync,
            bitmap,
            self.bitmap_mode(action),
            action.cluster,
            action.auto_finalize,
            action.on_source_error,
            action.on_target_error,
            group,
        )
        job.start()
        self.jobs[job.id] = job
        return Step(undo=lambda: self.withdraw(job))

    def withdraw(self, job: BackupJob) -> None:
        """Undo the start of a job."""
        del self.jobs[job.id]
        job.withdraw()
