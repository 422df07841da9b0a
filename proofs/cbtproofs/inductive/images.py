"""RULE-DISK: what is left of stored bitmaps, whatever happens to their images, is right or openly not to be trusted.

Every event is given to images that are closed, open for writing, and open for reading only; with entries that are in
use or not; bitmaps that are sound, inconsistent or not to be stored; a write in flight; a job with a bitmap or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from cbtmodel import commands as c
from cbtmodel.bitmap import Marks
from cbtmodel.image import (
    Close,
    Crash,
    Entry,
    Failure,
    Image,
    Open,
    Opened,
    Persist,
    Reopen,
    Soundness,
    Stored,
    WrittenByOthers,
    happen,
)
from cbtmodel.image_offline import Offline, offline, only_that
from cbtmodel.image_properties import across, all_sound, comes_back
from cbtmodel.node import State
from cbtmodel.table import Table

from cbtproofs.inductive.casts import SIZE, Cast
from cbtproofs.inductive.obligations import SAFE, claims_of
from cbtproofs.inductive.paths import Undecided
from cbtproofs.inductive.script import Claim, Item, Opening, Play, Played, ProveEach, Prover, Script

ID = "RULE-DISK"
STATEMENT = (
    "A name in an image is absent, or openly not to be trusted, or has all that is owed under it: after every open, "
    "close, crash and failure. What was closed well comes back as it was."
)
A, B = ("d", "a"), ("d", "b")


@dataclass(frozen=True)
class Setting:
    """An image of the disk d: the `cast` that is in memory, None if it is closed; the names that have an entry, and
    those that are to be stored."""

    name: str
    cast: Cast | None
    entries: tuple[str, ...]
    persistent: tuple[str, ...] = ()


TWO = Cast("two bitmaps", (A, B), disks=(("d", SIZE),))
A_WRITE = Cast("a bitmap and a write", (A,), writes=("w",), disks=(("d", SIZE),))
A_JOB = Cast("a job and a write", (A,), (("j", "d", "a"),), writes=("w",), disks=(("d", SIZE),))
A_GROUP = Cast("a group", (A, B), (("j", *A), ("k", *B)), together=True, disks=(("d", SIZE),))
A_FULL = Cast("a job without a bitmap, and a write", (A,), (("j", "d", None),), writes=("w",), disks=(("d", SIZE),))
SETTINGS = (
    Setting("closed", None, ("a", "b")),
    Setting("open", TWO, ("a", "b"), ("a", "b")),
    Setting("open, one not stored yet", TWO, ("b",), ("a", "b")),
    Setting("open, one not to be stored", TWO, ("b",), ("b",)),
    Setting("open, with a write in flight", A_WRITE, ("a",), ("a",)),
    Setting("open, with a job", A_JOB, ("a",), ("a",)),
    Setting("open, with a job that has no bitmap", A_FULL, ("a",), ("a",)),
)
OF_A_GROUP = Setting("open, with a group", A_GROUP, ("a", "b"), ("a", "b"))
"""For a close, which ends jobs together; what commands do to a group is proved of them without an image."""

HOW_MARKING_FAILS = get_args(Failure)
EVENTS: tuple[Any, ...] = (
    *(Open("d", writable, fails) for writable in (True, False) for fails in HOW_MARKING_FAILS),
    *(Close("d", fails) for fails in (True, False)),
    *(Reopen("d", writable, fails) for writable in (True, False) for fails in HOW_MARKING_FAILS),
    *(Persist(c.AddBitmap("d", name, 512), fails) for name in ("n", "a") for fails in (False, True)),
    WrittenByOthers("d"), Crash(),
)  # fmt: skip
COMMANDS: tuple[Any, ...] = (
    c.Write("d", 0, 512), c.ClearBitmap(*A), c.RemoveBitmap(*A), c.EnableBitmap(*A), c.DisableBitmap(*A),
    c.MergeBitmaps(*A, (c.Source(*B),)), c.MergeBitmaps(*B, (c.Source(*A),)), c.AddBitmap("d", "n", 512),
    c.StartBackup("n", "d", "bitmap", "a", "on-success"), c.StartBackup("n", "d", "bitmap", "a", "never"),
    c.Transaction((c.RemoveBitmap(*A),)), c.Transaction((c.RemoveBitmap(*A), c.Abort())),
    c.Transaction((c.ClearBitmap(*A), c.RemoveBitmap(*B))), c.Transaction((c.RemoveBitmap(*B), c.ClearBitmap(*A))),
    c.Transaction((c.StartBackup("n", "d", "bitmap", "a", "never"), c.StartBackup("m", "d", "full")), grouped=True),
    c.Transaction((c.RemoveBitmap(*B), c.StartBackup("n", "d", "full")), grouped=True),
    c.MergeBitmaps(*A, (c.Source("d", "nowhere"), c.Source(*B))),
)  # fmt: skip


OFFLINE = tuple(Offline(each) for each in (
    Persist(c.AddBitmap("d", "n", 512)), Persist(c.AddBitmap(*A, 512)), c.RemoveBitmap(*A), c.ClearBitmap(*A),
    c.EnableBitmap(*A), c.DisableBitmap(*A), c.MergeBitmaps(*A, (c.Source(*B),)), c.RemoveBitmap("d", "nowhere"),
    c.MergeBitmaps(*A, (c.Source("d", "nowhere"), c.Source(*B))),
))  # fmt: skip


def images(setting: Setting, what: Any) -> Script:
    """One event or command, or what is done to the bitmaps of a closed image."""

    def rest(prover: Prover, stored: Stored[Any]) -> Iterator[Item]:
        if isinstance(what, Offline):
            done = offline(stored, what)
            yield Played(done.stored.state)
            yield ProveEach(ID, all_sound(done.stored))
            yield ProveEach(ID, only_that(stored, what, done))
            return
        done = happen(stored, what)
        yield Played(stored.state)
        yield ProveEach(ID, all_sound(done.stored))
        if not isinstance(what, (*get_args(c.Command),)):
            yield ProveEach(ID, across(stored, done))
        yield ProveEach(ID, comes_back(stored, what, done))

    return Play(Opening(setting, arbitrary, legal), rest)


def legal(setting: Setting, stored: Stored[Any]) -> Iterator[Claim]:
    """All that is stored can be relied on, and the state is legal."""
    yield from all_sound(stored)
    for _, claims in claims_of(stored.state, "at rest", SAFE):
        yield from claims


def arbitrary(setting: Setting, prover: Prover) -> Stored[Any]:
    """Anything that this setting may be."""

    def flag() -> Any:
        return Undecided(prover.path, (True, False))

    def marks(of: str) -> Marks[Any]:
        dirty, owed = (prover.arbitrary(f"{of} {what} in the image") for what in ("dirty", "owed"))
        return Marks(dirty, owed, prover.space.empty)

    state = State(prover.space, Table()) if setting.cast is None else setting.cast.state(prover)
    entries = {name: Entry(4096, flag(), flag(), marks(name)) for name in setting.entries}
    opened: dict[str, Opened] = {}
    if setting.cast is not None:
        worth: dict[str, Any] = {name: Undecided(prover.path, get_args(Soundness)) for name in setting.persistent}
        opened["d"] = Opened(flag(), Table(worth))
    return Stored(state, Table({"d": Image(SIZE, Table(entries), flag())}), Table(opened))


def listed() -> Iterator[tuple[Setting, Any]]:
    """Each setting, with each event and command."""
    for setting in SETTINGS:
        yield from ((setting, each) for each in (*EVENTS, *COMMANDS))
    yield from ((OF_A_GROUP, each) for each in EVENTS if isinstance(each, Close))
    for setting, operations in zip(SETTINGS[:2], (OFFLINE, OFFLINE[:1]), strict=True):  # closed, and open
        yield from ((setting, each) for each in operations)
