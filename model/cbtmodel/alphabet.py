"""The alphabet: every command over a small world, used and misused.

Whoever needs commands to choose from (explorer, refinement, provers, tour, vectors, drawing) takes them from here and
adds what is its own: values at the edges that it knows. A command that is said of one bitmap or of one job, and says
nothing more, is spelled in `commands` only; it is in all of their alphabets then.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable
from itertools import product

from cbtmodel import commands as c
from cbtmodel.backup import Side

ON_BITMAP: tuple[type[c.OnBitmap], ...] = typing.get_args(c.OnBitmap)
ON_JOB: tuple[type[c.OnJob], ...] = typing.get_args(c.OnJob)
WRITE_KINDS: tuple[c.WriteKind, ...] = typing.get_args(c.WriteKind)
COPY_ENDS: tuple[typing.Literal["ok"] | Side, ...] = ("ok", *typing.get_args(Side))

Place = tuple[str, str]
Commands = tuple[c.Command, ...]

# Operators


def on_bitmap(node: str, name: str, but: Collection[type] = ()) -> tuple[c.OnBitmap, ...]:
    """All that can be said of one bitmap, if nothing more is said; but for some kinds."""
    return tuple(kind(node, name) for kind in ON_BITMAP if kind not in but)


def on_job(job: str, but: Collection[type] = ()) -> tuple[c.OnJob, ...]:
    """All that can be said of one job, if nothing more is said; but for some kinds."""
    return tuple(kind(job) for kind in ON_JOB if kind not in but)


def added(node: str, name: str, granularity: int) -> tuple[c.AddBitmap, ...]:
    """A bitmap is added, to record at once or not yet."""
    return c.AddBitmap(node, name, granularity), c.AddBitmap(node, name, granularity, False)


def merges(into: Place, sources: Iterable[Place], most: int = 2) -> tuple[c.MergeBitmaps, ...]:
    """Merges of none of the sources up to `most`, in every order."""
    taken = [c.Source(*each) for each in sources]
    return tuple(c.MergeBitmaps(*into, each) for count in range(most + 1) for each in product(taken, repeat=count))


# The guest and the environment


def writes(node: str, offset: int, length: int) -> tuple[c.Write, ...]:
    """Whole guest writes of every kind with every result, but that of a discard without effect."""
    ends: tuple[typing.Literal["ok", "failed", "copy failed"], ...] = ("ok", "failed", "copy failed")
    return tuple(c.Write(node, offset, length, kind, each) for kind in WRITE_KINDS for each in ends)


def begun_writes(node: str, write: str, offset: int, length: int) -> tuple[c.BeginWrite, ...]:
    """Guest writes that stay in flight, of every kind with every result."""
    ends: tuple[typing.Literal["ok", "copy failed"], ...] = ("ok", "copy failed")
    return tuple(c.BeginWrite(node, write, offset, length, kind, each) for kind in WRITE_KINDS for each in ends)


def copies(job: str, offset: int, length: int) -> tuple[c.Copy, ...]:
    """Copies of a byte range with every end."""
    return tuple(c.Copy(job, offset, length, each) for each in COPY_ENDS)


def ended_copies(job: str) -> tuple[c.EndCopy, ...]:
    """Every end of a copy in flight."""
    return tuple(c.EndCopy(job, each) for each in COPY_ENDS)


# A command of each kind

SIZE = 8192
"""The size in bytes of the disk `d` of the samples."""

ADDED, ALSO = c.AddBitmap("d", "a", 4096), c.AddBitmap("d", "b", 4096)
STARTED = c.StartBackup("j", "d", "full", cluster=4096)
BY_HAND = c.StartBackup("j", "d", "full", cluster=4096, auto_finalize=False)

SAMPLES: tuple[tuple[Commands, c.Command], ...] = (
    ((), ADDED), ((ADDED,), c.RemoveBitmap("d", "a")), ((ADDED,), c.ClearBitmap("d", "a")),
    ((ADDED,), c.EnableBitmap("d", "a")), ((ADDED,), c.DisableBitmap("d", "a")),
    ((ADDED, ALSO), c.MergeBitmaps("d", "a", (c.Source("d", "b"),))), ((), STARTED),
    ((STARTED,), c.PauseJob("j")), ((STARTED, c.PauseJob("j")), c.ResumeJob("j")), ((STARTED,), c.CancelJob("j")),
    ((BY_HAND, c.Copy("j", 0, SIZE)), c.FinalizeJob("j")), ((ADDED,), c.Transaction((c.ClearBitmap("d", "a"),))),
    ((), c.Write("d", 0, 512)), ((), c.BeginWrite("d", "w", 0, 512)),
    ((c.BeginWrite("d", "w", 0, 512),), c.EndWrite("d", "w")), ((STARTED,), c.Copy("j", 0, 512)),
    ((STARTED,), c.BeginCopy("j", 0, 512)), ((STARTED, c.BeginCopy("j", 0, 512)), c.EndCopy("j")),
)  # fmt: skip
"""A command of each kind, and what must come before so that it is accepted. Abort is accepted nowhere."""
