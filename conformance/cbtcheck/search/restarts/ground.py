"""What scenarios with images are made of: disks and bitmaps in the sizes that an implementation claims."""

from __future__ import annotations

from dataclasses import dataclass

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode
from cbtmodel.image import Close, Crash, Open, Persist

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import Scenario, Step

ONE, OTHER = "disk0", "disk1"
UNITS = 8
"""Clusters of a disk."""


@dataclass(frozen=True)
class Ground:
    """The claims, and words for what is done most often. Sizes are in bytes."""

    claims: Capabilities

    @property
    def unit(self) -> int:
        """What a guest write is at most, and a job copies at once."""
        return self.claims.clusters[0]

    @property
    def fine(self) -> int:
        """The granularity of most bitmaps."""
        return self.claims.granularities[0]

    @property
    def coarse(self) -> int:
        """Another one, if there is."""
        return self.claims.granularities[-1]

    @property
    def size(self) -> int:
        """Of a disk."""
        return UNITS * max(self.unit, self.fine, self.coarse)

    def add(self, name: str = "b", enabled: bool = True, node: str = ONE, granularity: int = 0) -> Persist:
        """A bitmap that is to be stored."""
        return Persist(c.AddBitmap(node, name, granularity or self.fine, enabled))

    def write(self, unit: int, node: str = ONE) -> c.Write:
        """A guest write of a block in that unit."""
        return c.Write(node, unit % UNITS * self.unit, 512)

    def backup(self, name: str | None = "b", mode: BitmapMode | None = None, node: str = ONE) -> c.StartBackup:
        """A job, incremental unless its `mode` is another; of everything without a bitmap."""
        if name is None:
            return c.StartBackup("j0", node, "full", cluster=self.unit)
        return c.StartBackup("j0", node, "incremental" if mode is None else "bitmap", name, mode, self.unit)

    def copied(self, job: str = "j0") -> c.Copy:
        """The job copies what is left."""
        return c.Copy(job, 0, self.size)

    def scenario(self, title: str, *steps: Step, disks: int = 1) -> Scenario:
        """One with images; at the end they are closed and opened again, so that all that was stored is seen."""
        names = (ONE, OTHER)[:disks]
        again = [each(name) for name in names for each in (Close, Open)]
        return Scenario(dict.fromkeys(names, self.size), (*steps, *again), title=title, images=True)


def restarted(*nodes: str) -> tuple[Step, ...]:
    """A crash, and then everything is opened again."""
    return (Crash(), *(Open(node) for node in nodes or (ONE,)))


def again(node: str = ONE) -> tuple[Step, ...]:
    """Closed and opened."""
    return Close(node), Open(node)
