"""The ground of a family: disks, sizes and commands in the sizes that an implementation claims.

Places are whole units: a unit holds a granule and a cluster of the plainest sizes, so that what is done in one unit
is never seen in another.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode, Sync

from cbtcheck.adapter import Capabilities

DISK = "disk0"


@dataclass(frozen=True)
class Ground:
    """What an implementation claims, and how much is to be played: the profile *quick*, *ci* or *deep*."""

    capabilities: Capabilities
    profile: str

    @property
    def granularity(self) -> int:
        """The plainest granularity, in bytes."""
        return self.capabilities.granularities[0]

    @property
    def cluster(self) -> int:
        """The plainest cluster, in bytes."""
        return self.capabilities.clusters[0]

    @property
    def unit(self) -> int:
        """Bytes of a unit."""
        return max(self.granularity, self.cluster)

    @property
    def thorough(self) -> bool:
        """Whether the profile is more than *quick*."""
        return self.profile != "quick"

    @property
    def jobs(self) -> int:
        """How many jobs there may be at once."""
        return self.capabilities.max_jobs

    def disks(self, units: int, count: int = 1) -> dict[str, int]:
        """So many disks of so many units, as far as they may be so many."""
        return {f"disk{number}": units * self.unit for number in range(min(count, self.capabilities.max_disks))}

    # Commands in units

    def write(self, place: int, node: str = DISK, result: str = "ok") -> c.Write:
        """A guest write of a unit."""
        return c.Write(node, place * self.unit, self.unit, "write", result)  # type: ignore[arg-type]

    def begin(self, name: str, place: int, node: str = DISK) -> c.BeginWrite:
        """A guest write of a unit that stays in flight."""
        return c.BeginWrite(node, name, place * self.unit, self.unit)

    def add(self, name: str, node: str = DISK, enabled: bool = True, granularity: int | None = None) -> c.AddBitmap:
        """A new bitmap, in the plainest granularity if none is given."""
        return c.AddBitmap(node, name, granularity or self.granularity, enabled)

    def backup(
        self, job: str, name: str | None, sync: Sync = "bitmap", mode: BitmapMode | None = "on-success",
        node: str = DISK, auto_finalize: bool = True,
    ) -> c.StartBackup:  # fmt: skip
        """A backup; without a bitmap, of the whole disk."""
        if name is None:
            return c.StartBackup(job, node, "full", cluster=self.cluster, auto_finalize=auto_finalize)
        mode = None if sync == "incremental" else mode
        return c.StartBackup(job, node, sync, name, mode, self.cluster, auto_finalize)

    def copy_all(self, job: str, units: int, result: str = "ok") -> c.Copy:
        """A job copies all that it has yet to copy of so many units, or fails to."""
        return c.Copy(job, 0, units * self.unit, result)  # type: ignore[arg-type]

    def merge(self, target: str, *sources: str, node: str = DISK) -> c.MergeBitmaps:
        """A merge on one disk."""
        return c.MergeBitmaps(node, target, tuple(c.Source(node, each) for each in sources))
