"""The lines of a trace as types, made from the specification's commands: what is read is checked against these.

`docs/use/traces.md` describes them for people, and JSON Schemas of them are in `cbtcheck/schemas` (see `schema`).
"""

from __future__ import annotations

import typing
from typing import Annotated, Any, Literal

import msgspec
from cbtmodel import commands as c
from cbtmodel.refusal import Kind
from msgspec import UNSET, Meta, Struct, UnsetType

from cbtcheck.scenario.command_types import CommandTypes
from cbtcheck.scenario.images import ImageRefusal, Played

FORMAT = "cbtspec-trace"
VERSION = 1
MOST_DISKS = 1024
LARGEST_DISK = 1 << 60
LARGEST_BLOCK = 1 << 20
MOST_BLOCKS = 1 << 36
"""Blocks of a disk: 32 TiB in blocks of 512 bytes. A set of all of them is no longer small then."""
MOST_BITMAPS = 4096
LARGEST_ALIGNMENT = 1 << 31
"""Bytes."""

Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Name = Annotated[str, Meta(max_length=1 << 16)]
Extent = tuple[Size, Size]
Outcome = Literal["completed", "failed", "cancelled"]
Reply = Literal["accepted", "indefinite"] | Kind | ImageRefusal
Phase = Literal["running", "paused", "waiting", "pending"]
Knowledge = Literal["recorded", "unknown"]


class Head(Struct, forbid_unknown_fields=True):
    """The first line. `disks` are sizes in bytes; `block` is the smallest unit, in bytes, that is told apart.

    `copies`: every copy of a job is in the trace. `guest`: every guest write is. `earlier`: there may be bitmaps and
    jobs from before the trace begins. `alignment`: writes may be recorded as if they began and ended at multiples of
    so many bytes, a power of two. `images`: each disk lies in one of its own, at the beginning empty and open.
    """

    format: Literal["cbtspec-trace"]
    version: Literal[1]
    disks: Annotated[dict[str, Annotated[int, Meta(ge=512, le=LARGEST_DISK, multiple_of=512)]],
                     Meta(min_length=1, max_length=MOST_DISKS)]  # fmt: skip
    block: Annotated[int, Meta(ge=512, le=LARGEST_BLOCK)] = 512
    title: str = ""
    copies: Knowledge = "recorded"
    guest: Knowledge = "recorded"
    earlier: bool = False
    alignment: Annotated[int, Meta(ge=1, le=LARGEST_ALIGNMENT)] = 1
    images: bool = False


class Bitmap(Struct, forbid_unknown_fields=True):
    """What was seen of a bitmap: any of these. `dirty` in bytes, (offset, length); `count` in bytes, too."""

    granularity: Size | UnsetType = UNSET
    recording: bool | UnsetType = UNSET
    busy: bool | UnsetType = UNSET
    dirty: list[Extent] | UnsetType = UNSET
    count: Size | UnsetType = UNSET
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | UnsetType = UNSET
    persistent: bool | UnsetType = UNSET
    inconsistent: bool | UnsetType = UNSET


Moment = float | UnsetType


class SeeBitmaps(Struct, tag_field="see", tag="bitmaps", forbid_unknown_fields=True):
    """Bitmaps of a node as they were seen, by name. `all`: there were no others."""

    node: Name
    bitmaps: dict[str, Bitmap]
    all: bool = False
    at: Moment = UNSET
    begin: Moment = UNSET
    end: Moment = UNSET


class SeeJobs(Struct, tag_field="see", tag="jobs", forbid_unknown_fields=True):
    """Jobs as they were seen, by id, with their phase, or null. `all`: there were no others."""

    jobs: dict[str, Phase | None]
    all: bool = False
    at: Moment = UNSET
    begin: Moment = UNSET
    end: Moment = UNSET


class JobsEnded(Struct, forbid_unknown_fields=True):
    """Jobs ended by themselves."""

    ended: Annotated[dict[str, Outcome], Meta(min_length=1)]
    at: Moment = UNSET
    begin: Moment = UNSET
    end: Moment = UNSET


class DoWrite(Struct, tag_field="do", tag="write", forbid_unknown_fields=True):
    """A guest write. An `end` of null: nobody knows whether, or when, it ended."""

    node: Name
    offset: Size
    length: Size
    kind: Literal["write", "zeroes", "discard"] = "write"
    result: Literal["ok", "failed", "copy failed", "ignored"] = "ok"
    at: Moment = UNSET
    begin: Moment = UNSET
    end: float | UnsetType | None = UNSET
    reply: Reply = "accepted"
    ended: dict[str, Outcome] | UnsetType = UNSET
    text: str | UnsetType = UNSET


class Source(Struct, forbid_unknown_fields=True):
    """A bitmap to merge from."""

    node: Name
    name: Name


_TYPES = CommandTypes(
    __name__,
    [("at", Moment, UNSET), ("begin", Moment, UNSET), ("end", Moment, UNSET), ("reply", Reply, "accepted"),
     ("ended", dict[str, Outcome] | UnsetType, UNSET), ("text", str | UnsetType, UNSET)],
    Source, but=(c.Write,), images=True,
)  # fmt: skip
ACTIONS, COMMANDS, EVENTS = _TYPES.actions, _TYPES.commands, _TYPES.events
_Commands = typing.Union[(DoWrite, *COMMANDS, *EVENTS)]  # type: ignore[valid-type]

HEAD: msgspec.json.Decoder[Head] = msgspec.json.Decoder(Head)
DO: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Commands)
SEE: msgspec.json.Decoder[SeeBitmaps | SeeJobs] = msgspec.json.Decoder(SeeBitmaps | SeeJobs)
ENDED: msgspec.json.Decoder[JobsEnded] = msgspec.json.Decoder(JobsEnded)


def to_command(line: Struct) -> c.Command:
    """The specification's command of a line."""
    if isinstance(line, DoWrite):
        return c.Write(line.node, line.offset, line.length, line.kind, line.result)
    return _TYPES.to_command(line)


def to_step(line: Struct) -> Played:
    """The specification's command, or event of images, of a line."""
    return to_command(line) if isinstance(line, DoWrite) else _TYPES.to_step(line)
