"""The lines that `cbtspec oracle` reads, as types; and the JSON Schemas that are published of them and of `replies`.

    python -m cbtcheck.oracle.messages input > conformance/cbtcheck/schemas/oracle-input-1.json
    python -m cbtcheck.oracle.messages output > conformance/cbtcheck/schemas/oracle-output-1.json

A command is an object as in a scenario file, made of the specification's own commands; what is observed is written
as an adapter writes it (`docs/use/adapter-protocol.md`). Offsets, lengths, sizes and granularities are in bytes.
"""

from __future__ import annotations

import sys
import typing
from importlib.resources import files
from typing import Annotated, Any, Literal

import msgspec
from cbtmodel import commands as c
from msgspec import UNSET, Meta, Struct, UnsetType

from cbtcheck.oracle.replies import OUTPUT, How, Outcome, Refusal
from cbtcheck.scenario.command_types import CommandTypes

VERSION = 1
LONGEST_LINE = 64 << 20
MOST_DISKS = 1024
MOST_ACTIONS = 4096
MOST_BITMAPS = 4096
MOST_EXTENTS = 1 << 20
MOST_COPIED = 1 << 16

Name = Annotated[str, Meta(max_length=4096)]
Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Extent = tuple[Size, Size]
Said = Literal["accepted", "indefinite"] | Refusal
Ends = Annotated[dict[str, Outcome], Meta(description="The jobs that ended, by their ids.")]


# What is read


class Disks(Struct, tag_field="do", tag="disks", forbid_unknown_fields=True):
    """The first line: fresh disks, sizes by name. What is smaller than a `block` is not told apart.

    `alignment`: writes may be recorded as if they began and ended at multiples of so many bytes, a power of two.
    `images`: each disk lies in an image of its own, which is empty and open for writing.
    """

    disks: Annotated[dict[Name, Annotated[int, Meta(ge=512, multiple_of=512)]],
                     Meta(min_length=1, max_length=MOST_DISKS)]  # fmt: skip
    block: Annotated[int, Meta(ge=512, le=1 << 31)] = 512
    alignment: Annotated[int, Meta(ge=1, le=1 << 31)] = 1
    images: bool = False


class Bitmap(Struct, forbid_unknown_fields=True):
    """A named bitmap."""

    node: Name
    name: Name


class Bounds(Struct, tag_field="do", tag="bounds", forbid_unknown_fields=True):
    """Asks for the bounds of these bitmaps, or of all. No more than `most` extents are given of a set."""

    bitmaps: list[Bitmap] | None = None
    most: Annotated[int, Meta(ge=0, le=MOST_EXTENTS)] = 1000


class Images(Struct, tag_field="do", tag="images", forbid_unknown_fields=True):
    """Asks what the images of these disks are, or of all. No more than `most` extents are given of a set."""

    nodes: list[Name] | None = None
    most: Annotated[int, Meta(ge=0, le=MOST_EXTENTS)] = 1000


class Chains(Struct, tag_field="do", tag="chains", forbid_unknown_fields=True):
    """Asks what the backups give back, and which commands are to blame where they do not give the disk back."""


class SeenBitmap(Struct, forbid_unknown_fields=True):
    """A bitmap as it was seen. What is left out was not looked at; `absent`: it was looked for and is not there.

    `dirty`: its granules as (offset, length). `raw`: instead, the bits in base64, granule i being bit i % 8 of byte
    i // 8. `count`: how many granules it says are dirty. `persistent`: it is to be stored. `inconsistent`: it says
    that it is not to be trusted.
    """

    node: Name
    name: Name
    granularity: Size | UnsetType = UNSET
    recording: bool | UnsetType = UNSET
    busy: bool | UnsetType = UNSET
    dirty: list[Extent] | UnsetType = UNSET
    raw: bytes | UnsetType = UNSET
    count: Size | UnsetType = UNSET
    persistent: bool | UnsetType = UNSET
    inconsistent: bool | UnsetType = UNSET
    absent: bool = False


class SeenJob(Struct, forbid_unknown_fields=True):
    """A job as it was seen, with its phase. `absent`: it was looked for and is not there."""

    job: Name
    phase: Literal["running", "paused", "waiting", "pending"] | UnsetType = UNSET
    copied: Annotated[list[Extent], Meta(max_length=MOST_COPIED)] | UnsetType = UNSET
    absent: bool = False


class SeenSuccessor(Struct, forbid_unknown_fields=True):
    """An anonymous bitmap of a disk."""

    node: Name
    granularity: Annotated[int, Meta(ge=512, le=1 << 31)]
    recording: bool
    dirty: list[Extent]


class SeenWrite(Struct, forbid_unknown_fields=True):
    """A guest write in flight."""

    node: Name
    write: Name


class SeenEntry(Struct, forbid_unknown_fields=True):
    """A bitmap in the file of an image; its bits as those of a bitmap. Of one that is in use they do not count."""

    name: Name
    granularity: Annotated[int, Meta(ge=512, le=1 << 31)]
    enabled: bool
    in_use: bool
    dirty: list[Extent] | UnsetType = UNSET
    raw: bytes | UnsetType = UNSET


class SeenImage(Struct, forbid_unknown_fields=True):
    """The image of a disk: how it is open ("" if it is closed), and all that is in its file, if somebody looked."""

    node: Name
    open: How
    entries: Annotated[list[SeenEntry], Meta(max_length=MOST_BITMAPS)] | UnsetType = UNSET


class Observed(Struct, tag_field="do", tag="observed", forbid_unknown_fields=True):
    """What was seen of an implementation. `complete`: there are no other bitmaps, nor other jobs if `jobs` are given.

    `successors` can be judged only if it is complete; `writes` are all that are in flight. `images` are those that
    were looked at.
    """

    bitmaps: list[SeenBitmap] = []
    jobs: list[SeenJob] | UnsetType = UNSET
    successors: list[SeenSuccessor] | UnsetType = UNSET
    writes: list[SeenWrite] | UnsetType = UNSET
    images: list[SeenImage] | UnsetType = UNSET
    complete: bool = False


class Source(Struct, forbid_unknown_fields=True):
    """A bitmap to merge from."""

    node: str
    name: str


_TYPES = CommandTypes(
    __name__, [("reply", Said | UnsetType, UNSET), ("text", str, ""), ("ended", Ends | UnsetType, UNSET)],
    Source, MOST_ACTIONS, images=True,
)  # fmt: skip
ACTIONS, COMMANDS, EVENTS = _TYPES.actions, _TYPES.commands, _TYPES.events
WRITE: Any = next(made for made, kind in COMMANDS.items() if kind is c.Write)
INPUT = typing.Union[(Disks, Bounds, Images, Chains, Observed, *COMMANDS, *EVENTS)]  # type: ignore[valid-type]
READ: msgspec.json.Decoder[Any] = msgspec.json.Decoder(INPUT)


to_step = _TYPES.to_step


TITLES = {
    "input": (INPUT, "A line that cbtspec oracle reads"),
    "output": (OUTPUT, "A line that cbtspec oracle writes"),
}


def schema_text(which: Literal["input", "output"]) -> str:
    """The JSON Schema (2020-12) of the lines of one direction, as it is published."""
    types, title = TITLES[which]
    (document,), definitions = msgspec.json.schema_components([types], ref_template="#/$defs/{name}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{title}, version {VERSION}"}
    parts = head | document | {"$defs": {name: definitions[name] for name in sorted(definitions)}}
    return msgspec.json.format(msgspec.json.encode(parts), indent=1).decode() + "\n"


def published(which: Literal["input", "output"]) -> str:
    """The schema that comes with the package."""
    return files("cbtcheck").joinpath("schemas", f"oracle-{which}-{VERSION}.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(schema_text("input" if sys.argv[1:] == ["input"] else "output"))
