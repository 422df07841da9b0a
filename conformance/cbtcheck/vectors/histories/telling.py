"""How histories of backups are told: a disk of eight granules, and commands in a word each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode

GRANULE = 65536
SIZE = 8 * GRANULE
SECTOR = 512


@dataclass(frozen=True)
class Marked:
    """Not a command: what the backups give back is said here, too. At the end it always is."""


TABLE = Marked()
Told = c.Command | Marked


@dataclass(frozen=True)
class History:
    """Commands, and what is lost in the end: by job, the ranges and the steps that are to blame for them.

    What is not named restores. Ranges are (offset, length) in bytes; steps count from 1.
    """

    name: str
    title: str
    told: tuple[Told, ...]
    lost: Mapping[str, tuple[tuple[int, tuple[int, int]], ...]] = field(default_factory=dict)
    disks: Mapping[str, int] = field(default_factory=lambda: {"d": SIZE})

    @property
    def commands(self) -> tuple[c.Command, ...]:
        """All but the marks."""
        return tuple(each for each in self.told if not isinstance(each, Marked))

    def marked(self) -> Iterator[int]:
        """The steps after which the table is said."""
        steps = 0
        for each in self.told:
            if isinstance(each, Marked):
                yield steps
            else:
                steps += 1
        yield steps


def add(name: str = "b", node: str = "d", enabled: bool = True, granularity: int = GRANULE) -> c.AddBitmap:
    """A new bitmap."""
    return c.AddBitmap(node, name, granularity, enabled)


def remove(name: str = "b", node: str = "d") -> c.RemoveBitmap:
    """The bitmap is removed."""
    return c.RemoveBitmap(node, name)


def clear(name: str = "b", node: str = "d") -> c.ClearBitmap:
    """The bitmap is cleared."""
    return c.ClearBitmap(node, name)


def enable(name: str = "b", node: str = "d") -> c.EnableBitmap:
    """It records."""
    return c.EnableBitmap(node, name)


def disable(name: str = "b", node: str = "d") -> c.DisableBitmap:
    """It does not record any more."""
    return c.DisableBitmap(node, name)


def merge(target: str, *sources: str, node: str = "d") -> c.MergeBitmaps:
    """These bitmaps are merged into the target."""
    return c.MergeBitmaps(node, target, tuple(c.Source(node, each) for each in sources))


def full(
    job: str = "full", bitmap: str | None = None, mode: BitmapMode | None = None, node: str = "d"
) -> c.StartBackup:
    """A full backup begins."""
    return c.StartBackup(job, node, "full", bitmap, mode, GRANULE)


def increment(
    job: str = "inc", bitmap: str = "b", mode: BitmapMode = "on-success", node: str = "d", cluster: int = GRANULE
) -> c.StartBackup:
    """An increment begins."""
    return c.StartBackup(job, node, "bitmap", bitmap, mode, cluster)


def differential(job: str, bitmap: str = "b") -> c.StartBackup:
    """An increment begins that leaves the bitmap as it is."""
    return increment(job, bitmap, "never")


def at_once(*actions: c.Action, grouped: bool = False) -> c.Transaction:
    """A transaction."""
    return c.Transaction(actions, grouped)


def copied(job: str, first: int = 0, count: int = 8) -> c.Copy:
    """The job copies what it has yet to copy of these granules."""
    return c.Copy(job, first * GRANULE, count * GRANULE)


def failed(job: str, first: int = 0) -> c.Copy:
    """Its target cannot be written from this granule on."""
    return c.Copy(job, first * GRANULE, SIZE - first * GRANULE, "write error")


def write(granule: int, node: str = "d") -> c.Write:
    """The guest writes the first sector of a granule."""
    return c.Write(node, granule * GRANULE, SECTOR)


FILLED = c.Write("d", 0, SIZE)
"""The whole disk is written: a block that is lost was not zero either."""


def sectors(*granules: int) -> tuple[tuple[int, int], ...]:
    """What `write` writes in these."""
    return tuple((each * GRANULE, SECTOR) for each in granules)


def granules(first: int, count: int) -> tuple[int, int]:
    """So many whole granules."""
    return first * GRANULE, count * GRANULE


def by(step: int, *ranges: tuple[int, int]) -> tuple[tuple[int, tuple[int, int]], ...]:
    """These ranges are lost, and this step is to blame."""
    return tuple((step, each) for each in ranges)


IN_STEP = (at_once(add(), full()), copied("full"))
"""The bitmap and the full backup begin at one instant; two steps."""
