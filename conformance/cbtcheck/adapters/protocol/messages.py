"""The messages of the adapter protocol: every reply, and every request that is no command of the specification.

Requests that are commands are made from the specification's own (`lines.command_line`). In a reply, what may be left
out is `UNSET` if it was. Offsets, lengths and sizes are in bytes, none beyond `LARGEST`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cbtmodel.backup import Outcome
from msgspec import UNSET, Meta, Struct, UnsetType

LARGEST = (1 << 63) - 1
LEAST_DISK = 1 << 20
LEAST_CONTENT = 1 << 26
"""Bytes of the least that `largest_disk` may be: everybody is asked for disks that small."""

Bytes = Annotated[int, Meta(ge=0, le=LARGEST)]
Seq = Annotated[int, Meta(ge=1, le=LARGEST)]
Extent = tuple[Bytes, Bytes]
Run = tuple[Annotated[int, Meta(ge=0, le=255)], Bytes]
Unit = Annotated[int, Meta(ge=512, le=1 << 31)]
Limit = Annotated[int, Meta(ge=256, le=LARGEST)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]

ErrorKind = Literal[
    "not found", "exists", "busy", "size mismatch", "invalid", "wrong phase", "aborted", "copy failed",
    "read only", "inconsistent", "unsupported", "internal",
]  # fmt: skip
"""The kinds of `cbtmodel.refusal`, those of images, and two that the specification does not know."""

Copies = Literal["adapter", "suite"]
Phase = Literal["running", "paused", "waiting", "pending"]


class Record(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with these members, and no others."""


# Replies


class Reply(Record, frozen=True, forbid_unknown_fields=False, kw_only=True):
    """A JSON object from an adapter, perhaps from one that is newer: members that are not known are ignored."""


class Ended(Reply, frozen=True, kw_only=True):
    """A job that has ended by the command that is answered."""

    job: str
    outcome: Outcome


class Done(Reply, frozen=True, kw_only=True):
    """The reply to a command, to `reset`, to `end-backup` and to `bye`; with an `error`, the reply to anything.

    `trace` has commands as they happened, each perhaps with its own `error`, `text` and `definite`.
    """

    seq: Seq
    ended: list[Ended] | UnsetType = UNSET
    trace: list[dict[str, Any]] | UnsetType = UNSET
    error: ErrorKind | UnsetType = UNSET
    text: str | UnsetType = UNSET
    definite: bool | UnsetType = UNSET


class Hello(Reply, frozen=True, kw_only=True):
    """What the implementation is, and what it can do.

    The limits are left out by whoever does not claim them; then the suite's own hold.
    """

    seq: Seq
    protocol: Literal[1]
    name: Word
    version: Annotated[str, Meta(max_length=200)]
    language: Annotated[str, Meta(max_length=200)] = ""
    capabilities: Annotated[list[str], Meta(min_length=1, max_length=100)]
    copies: Copies
    granularities: Annotated[list[Unit], Meta(min_length=1, max_length=30)]
    clusters: Annotated[list[Unit], Meta(min_length=1, max_length=30)]
    min_granularity: Unit = 512
    max_granularity: Unit = 1 << 31
    max_disks: Annotated[int, Meta(ge=1, le=64)] = 2
    max_jobs: Annotated[int, Meta(ge=1, le=64)] = 3
    tails: bool = True
    picks_clusters: bool = True
    batch: bool = False
    largest_disk: Annotated[int, Meta(ge=LEAST_DISK, le=LARGEST)] | UnsetType = UNSET
    largest_content: Annotated[int, Meta(ge=LEAST_CONTENT, le=LARGEST)] | UnsetType = UNSET
    max_granules: Limit | UnsetType = UNSET
    max_dirty: Limit | UnsetType = UNSET
    max_write: Annotated[int, Meta(ge=4096, le=LARGEST)] | UnsetType = UNSET
    max_writes: Annotated[int, Meta(ge=1, le=4096)] | UnsetType = UNSET
    max_name: Annotated[int, Meta(ge=8, le=1023)] | UnsetType = UNSET
    ascii_names: bool = False
    alignment: Annotated[int, Meta(ge=1, le=1 << 31)] = 1


class SeenBitmap(Reply, frozen=True, kw_only=True):
    """A named bitmap: its own granules that are dirty, not its successor's."""

    node: str
    name: str
    granularity: Annotated[int, Meta(ge=1, le=LARGEST)]
    recording: bool
    busy: bool
    dirty: list[Extent]
    persistent: bool | UnsetType = UNSET
    inconsistent: bool | UnsetType = UNSET


class SeenJob(Reply, frozen=True, kw_only=True):
    """A job that has not ended. `copied` has reached its target."""

    job: str
    phase: Phase
    copied: list[Extent] | UnsetType = UNSET


class SeenWrite(Reply, frozen=True, kw_only=True):
    """A guest write in flight."""

    node: str
    write: str


class SeenSuccessor(Reply, frozen=True, kw_only=True):
    """The bitmap that records in place of a frozen one."""

    node: str
    granularity: Annotated[int, Meta(ge=1, le=LARGEST)]
    recording: bool
    dirty: list[Extent]


class SeenEntry(Reply, frozen=True, kw_only=True):
    """A bitmap in the image of a disk; of one that is in use the bits do not count, and may be left out."""

    name: str
    granularity: Annotated[int, Meta(ge=1, le=LARGEST)]
    enabled: bool
    in_use: bool
    dirty: list[Extent] | UnsetType = UNSET


class SeenImage(Reply, frozen=True, kw_only=True):
    """The image of a disk: how it is open, and what is in its file, if that can be seen."""

    node: str
    open: Literal["rw", "ro", ""]
    entries: list[SeenEntry] | UnsetType = UNSET


class SeenState(Reply, frozen=True, kw_only=True):
    """The reply to `observe` with `what` `state`."""

    seq: Seq
    bitmaps: list[SeenBitmap]
    jobs: list[SeenJob] | UnsetType = UNSET
    writes: list[SeenWrite] | UnsetType = UNSET
    successors: list[SeenSuccessor] | UnsetType = UNSET
    images: list[SeenImage] | UnsetType = UNSET


class SeenContent(Reply, frozen=True, kw_only=True):
    """The reply to `observe` with `what` `disk` or `target`, and to `read`: runs of equal bytes, [byte, how many]."""

    seq: Seq
    content: list[Run]


# Requests


class Disk(Record, frozen=True, kw_only=True):
    """A disk to begin with, all zeroes."""

    name: str
    size: Bytes


class SayHello(Record, frozen=True, kw_only=True):
    """The first request."""

    seq: Seq
    do: Literal["hello"] = "hello"
    protocol: Literal[1] = 1
    suite: str


class Reset(Record, frozen=True, kw_only=True):
    """Forget everything; fresh disks. `block` is the smallest unit that the suite tells apart.

    `images` is for those who claim `persistence`: whether each disk lies in an image, which is open for writing.
    """

    seq: Seq
    do: Literal["reset"] = "reset"
    block: Bytes
    disks: list[Disk]
    images: bool | UnsetType = UNSET


class ObserveState(Record, frozen=True, kw_only=True):
    """What bitmaps and jobs are there now?"""

    seq: Seq
    do: Literal["observe"] = "observe"
    what: Literal["state"] = "state"


class ObserveContent(Record, frozen=True, kw_only=True):
    """What is on the disk of this name, or on the target of the job of this id, that has just ended?"""

    seq: Seq
    do: Literal["observe"] = "observe"
    what: Literal["disk", "target"]
    name: str


class Read(Record, frozen=True, kw_only=True):
    """What was on the disk of this job when it started? Only if the suite copies."""

    seq: Seq
    do: Literal["read"] = "read"
    job: str
    offset: Bytes
    length: Bytes


class EndBackup(Record, frozen=True, kw_only=True):
    """The job has ended, and these ranges are left to copy. Only if the suite copies."""

    seq: Seq
    do: Literal["end-backup"] = "end-backup"
    job: str
    success: bool
    left: list[Extent]


class Bye(Record, frozen=True, kw_only=True):
    """The last request."""

    seq: Seq
    do: Literal["bye"] = "bye"


REPLIES: dict[str, type[Record]] = {"done": Done, "hello": Hello, "state": SeenState, "content": SeenContent}
"""By the names of their schemas."""

REQUESTS: tuple[type[Record], ...] = (SayHello, Reset, ObserveState, ObserveContent, Read, EndBackup, Bye)
"""All requests but the specification's commands."""
