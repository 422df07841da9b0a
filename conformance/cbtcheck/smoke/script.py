"""What is tried: a few stages, each a title in plain words and some commands. No answers are written down here.

Everything is in the plainest sizes that the implementation claims, on one small disk, so that the lines of a failure
can be read by a person and typed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cbtmodel.commands import (
    Abort,
    AddBitmap,
    BeginWrite,
    CancelJob,
    ClearBitmap,
    Command,
    Copy,
    DisableBitmap,
    EnableBitmap,
    EndWrite,
    MergeBitmaps,
    RemoveBitmap,
    Source,
    StartBackup,
    Transaction,
    Write,
)

from cbtcheck.adapter import Capabilities

DISK = "disk0"
PLACES = 8
"""How many granules, and clusters, the disk has at least."""


LARGEST = 4 << 20
"""Bytes; units that are larger make disks that are."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A title, and commands that go on from where the stage before has ended.

    `mistake` is what is usually wrong if it fails. `fresh`: it begins on fresh disks.
    """

    title: str
    commands: tuple[Command, ...]
    mistake: str
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """In bytes: granularity and cluster, the plainest that are claimed, and a disk that has room for some of each."""

    granularity: int
    cluster: int

    @property
    def disk(self) -> int:
        """The size of the disk."""
        return PLACES * max(self.granularity, self.cluster)


def sizes_of(capabilities: Capabilities) -> Sizes:
    """The plainest sizes that are claimed; if the plainest are too large for a small disk, the smallest."""
    return Sizes(_plainest(capabilities.granularities), _plainest(capabilities.clusters))


def _plainest(units: Sequence[int]) -> int:
    return next((each for each in units if each <= LARGEST), min(units))


def stages(sizes: Sizes) -> Iterator[Stage]:
    """The script. Commands that the implementation does not claim are in it; whoever plays it leaves them out."""
    yield from _tracking(sizes)
    yield from _backups(sizes)
    yield from _more(sizes)


def _tracking(sizes: Sizes) -> Iterator[Stage]:
    unit, cluster, disk = sizes.granularity, sizes.cluster, sizes.disk
    add = AddBitmap(DISK, "b0", unit)
    yield Stage(
        "fresh disks have no bitmaps", (),
        "reset must forget every bitmap", fresh=True,
    )  # fmt: skip
    yield Stage(
        "a new bitmap is clean, and records", (add,),
        "a new bitmap has no dirty granules; its granularity is in bytes, as asked for",
    )  # fmt: skip
    yield Stage(
        "a write of one byte marks the granule that it touches", (Write(DISK, 0, 1),),
        "extents are [offset, length] in bytes, of whole granules: neither granule numbers nor the bytes written",
    )  # fmt: skip
    yield Stage(
        "a write marks the granules that it touches in part, too", (Write(DISK, 3 * unit - 1, unit + 2),),
        "round outwards: from offset / granularity rounded down to (offset + length) / granularity rounded up",
    )  # fmt: skip
    yield Stage(
        "a write of no bytes marks nothing", (Write(DISK, 5 * unit + 1, 0),),
        "length 0 touches no granule, wherever it is",
    )  # fmt: skip
    yield Stage(
        "a write to the end of the disk marks the last granule", (Write(DISK, disk - 1, 1),),
        "the last granule is one too few in a loop, or in an array",
    )  # fmt: skip
    yield Stage(
        "a name that is taken is refused as exists", (add,),
        "look the name up before anything is changed; a definite error means that nothing has happened",
    )  # fmt: skip
    yield Stage(
        "a disk that is not there is refused as not found", (Write("disk9", 0, 1), AddBitmap("disk9", "b0", unit)),
        "look the disk up before anything is changed",
    )  # fmt: skip
    yield Stage(
        "a bitmap that is not there is refused as not found",
        (StartBackup("j0", DISK, "incremental", "b9", cluster=cluster),),
        "look the bitmap up before anything is changed",
    )


def _backups(sizes: Sizes) -> Iterator[Stage]:
    unit, cluster, disk = sizes.granularity, sizes.cluster, sizes.disk
    backup = StartBackup("j0", DISK, "incremental", "b0", cluster=cluster)
    yield Stage(
        "a backup freezes its bitmap", (backup,),
        "while a job has it, the bitmap is busy, its granules stand still, and it still records: in its successor",
    )  # fmt: skip
    yield Stage(
        "a bitmap in use is refused as busy",
        (StartBackup("j1", DISK, "incremental", "b0", cluster=cluster),),
        "one job at a time has a bitmap",
    )
    yield Stage(
        "a write during the backup is not in the frozen bitmap", (Write(DISK, 2 * unit - 1, 2),),
        "it belongs into the successor; if the job copies by itself, what it still needs is copied before the write",
    )  # fmt: skip
    yield Stage(
        "the backup ends well; the bitmap has what was written meanwhile, and no more", (Copy("j0", 0, disk),),
        "when a backup has ended well, the successor takes the bitmap's place, and the old granules are dropped; "
        "clearing the bitmap instead loses what was written meanwhile",
    )  # fmt: skip
    yield Stage(
        "a backup does not end well; the bitmap has what was written before and meanwhile",
        (Write(DISK, disk - 1, 1), backup, Write(DISK, 4 * unit, 1), CancelJob("j0")),
        "when a backup has not ended well, the bitmap has its own granules and its successor's",
    )
    yield Stage(
        "a full backup without a bitmap, and a write during it",
        (StartBackup("j1", DISK, "full", cluster=cluster), Write(DISK, unit, 1), Copy("j1", 0, disk)),
        "without a bitmap nothing is frozen, and every bitmap records as ever",
    )
    yield Stage(
        "reset forgets bitmaps and jobs", (backup,),
        "reset must forget everything: a second scenario begins on fresh disks", fresh=True,
    )  # fmt: skip


def _more(sizes: Sizes) -> Iterator[Stage]:
    """What goes beyond the smallest profile."""
    unit, cluster, disk = sizes.granularity, sizes.cluster, sizes.disk
    add = AddBitmap(DISK, "b0", unit)
    yield Stage(
        "a disabled bitmap records nothing; enabled it does",
        (add, DisableBitmap(DISK, "b0"), Write(DISK, 0, 1), EnableBitmap(DISK, "b0"), Write(DISK, unit, 1)),
        "a bitmap that is switched off keeps its granules and gets no new ones", fresh=True,
    )  # fmt: skip
    yield Stage(
        "bitmaps are merged, cleared and removed",
        (
            AddBitmap(DISK, "b1", unit), Write(DISK, 2 * unit, 1), ClearBitmap(DISK, "b0"), Write(DISK, 3 * unit, 1),
            MergeBitmaps(DISK, "b0", (Source(DISK, "b1"),)), RemoveBitmap(DISK, "b1"),
        ),
        "a merge adds the source's granules to the target's, and the source keeps them",
    )  # fmt: skip
    yield Stage(
        "no command changes a bitmap in use, or finds one that is not there",
        (
            StartBackup("j0", DISK, "incremental", "b0", cluster=cluster), ClearBitmap(DISK, "b0"),
            RemoveBitmap(DISK, "b0"), RemoveBitmap(DISK, "b9"), CancelJob("j0"),
        ),
        "busy, and not found, before anything is changed",
    )  # fmt: skip
    yield Stage(
        "a transaction does everything", (add, Transaction((AddBitmap(DISK, "b2", unit), ClearBitmap(DISK, "b0")))),
        "the actions are done one after the other, each seeing those before it", fresh=True,
    )  # fmt: skip
    yield Stage(
        "or nothing", (Write(DISK, 0, 1), Transaction((ClearBitmap(DISK, "b0"), Abort()))),
        "what the actions before the refused one have done must be undone",
    )  # fmt: skip
    yield Stage(
        "a write in flight is recorded when it ends", (add, BeginWrite(DISK, "w0", 0, unit), EndWrite(DISK, "w0")),
        "whatever records at the end of a write has it", fresh=True,
    )  # fmt: skip
    yield Stage(
        "what means nothing is refused as invalid", (Write(DISK, disk, 1), AddBitmap(DISK, "b9", 1000)),
        "check ranges and granularities before anything is changed", fresh=True,
    )  # fmt: skip
