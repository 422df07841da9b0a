"""The lines that `cbtspec oracle` reads and writes, as types; the JSON Schemas that are published are made of these.

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
from cbtmodel.refusal import Kind
from msgspec import UNSET, Meta, Struct, UnsetType

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
Outcome = Literal["completed", "failed", "cancelled"]
Said = Literal["accepted", "indefinite"] | Kind
Ends = Annotated[dict[str, Outcome], Meta(description="The jobs that ended, by their ids.")]


# What is read


class Disks(Struct, tag_field="do", tag="disks", forbid_unknown_fields=True):
    """The first line: fresh disks, sizes by name. What is smaller than a `block` is not told apart.

    `alignment`: writes may be recorded as if they began and ended at multiples of so many bytes, a power of two.
    """

    disks: Annotated[dict[Name, Annotated[int, Meta(ge=512, multiple_of=512)]],
                     Meta(min_length=1, max_length=MOST_DISKS)]  # fmt: skip
    block: Annotated[int, Meta(ge=512, le=1 << 31)] = 512
    alignment: Annotated[int, Meta(ge=1, le=1 << 31)] = 1


class Bitmap(Struct, forbid_unknown_fields=True):
    """A named bitmap."""

    node: Name
    name: Name


class Bounds(Struct, tag_field="do", tag="bounds", forbid_unknown_fields=True):
    """Asks for the bounds of these bitmaps, or of all. No more than `most` extents are given of a set."""

    bitmaps: list[Bitmap] | None = None
    most: Annotated[int, Meta(ge=0, le=MOST_EXTENTS)] = 1000


class Chains(Struct, tag_field="do", tag="chains", forbid_unknown_fields=True):
    """Asks what the backups give back, and which commands are to blame where they do not give the disk back."""


class SeenBitmap(Struct, forbid_unknown_fields=True):
    """A bitmap as it was seen. What is left out was not looked at; `absent`: it was looked for and is not there.

    `dirty`: its granules as (offset, length). `raw`: instead, the bits in base64, granule i being bit i % 8 of byte
    i // 8. `count`: how many granules it says are dirty.
    """

    node: Name
    name: Name
    granularity: Size | UnsetType = UNSET
    recording: bool | UnsetType = UNSET
    busy: bool | UnsetType = UNSET
    dirty: list[Extent] | UnsetType = UNSET
    raw: bytes | UnsetType = UNSET
    count: Size | UnsetType = UNSET
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


class Observed(Struct, tag_field="do", tag="observed", forbid_unknown_fields=True):
    """What was seen of an implementation. `complete`: there are no other bitmaps, nor other jobs if `jobs` are given.

    `successors` can be judged only if it is complete; `writes` are all that are in flight.
    """

    bitmaps: list[SeenBitmap] = []
    jobs: list[SeenJob] | UnsetType = UNSET
    successors: list[SeenSuccessor] | UnsetType = UNSET
    writes: list[SeenWrite] | UnsetType = UNSET
    complete: bool = False


class Source(Struct, forbid_unknown_fields=True):
    """A bitmap to merge from."""

    node: str
    name: str


_TYPES = CommandTypes(
    __name__, [("reply", Said | UnsetType, UNSET), ("text", str, ""), ("ended", Ends | UnsetType, UNSET)],
    Source, MOST_ACTIONS,
)  # fmt: skip
ACTIONS, COMMANDS = _TYPES.actions, _TYPES.commands
WRITE: Any = next(made for made, kind in COMMANDS.items() if kind is c.Write)
INPUT = typing.Union[(Disks, Bounds, Chains, Observed, *COMMANDS)]  # type: ignore[valid-type]
READ: msgspec.json.Decoder[Any] = msgspec.json.Decoder(INPUT)


to_command = _TYPES.to_command


# What is written, one line for each that is read


class Begun(Struct, tag_field="is", tag="begun"):
    """The disks are there. Here as in every answer, `line` is the number of the line that is answered, from 1."""

    line: int
    disks: int


class Finding(Struct, omit_defaults=True):
    """A disagreement: the verdict, the property that is at stake ("" if none), the place, what was expected and seen.

    Of bits: the `granules` that are missing (if it is unsafe) or too many, as extents, the first 1000 of them.
    """

    verdict: Literal["wasteful", "diverges", "unsafe"]
    property: str
    where: str
    expected: str
    seen: str
    granules: list[tuple[int, int]] | None = None


class Other(Struct, omit_defaults=True):
    """What is replied in another history that is possible."""

    reply: Literal["accepted"] | Kind
    ended: dict[str, Outcome] = {}


class Answered(Struct, tag_field="is", tag="answer", omit_defaults=True):
    """What the specification replies, the jobs that end, and what differs from the reply that was seen.

    `histories`: how many are possible still; if there is more than one, and they differ here, `others` are replies.
    """

    line: int
    reply: Literal["accepted"] | Kind
    reason: str = ""
    ended: dict[str, Outcome] = {}
    findings: list[Finding] = []
    others: list[Other] = []
    histories: int = 1


class Some(Struct):
    """A set of granules: how many, and its first extents as (offset, length); all of them if it is `whole`."""

    granules: int
    extents: list[tuple[int, int]]
    whole: bool


class BitmapBounds(Struct):
    """What a bitmap must have dirty and what it may, and its flags."""

    node: str
    name: str
    granularity: int
    recording: bool
    busy: bool
    must: Some
    may: Some


class Bounded(Struct, tag_field="is", tag="bounds"):
    """The bounds that were asked for."""

    line: int
    bounds: list[BitmapBounds]


class LostBlocks(Struct):
    """Blocks that a restore point lacks, and why; `blame` is the command without which it, or an older one, had them.

    They were changed between the commands `from` and `to`. Of `certain` it is known, of `perhaps` not.
    """

    why: str
    blame: int
    from_: int = msgspec.field(name="from")
    to: int
    certain: list[tuple[int, int]]
    perhaps: list[tuple[int, int]]


class RestorePoint(Struct):
    """A backup that counts: at which command it began, on which older ones nothing is lost, and what it gives."""

    number: int
    job: str
    node: str
    bitmap: str | None
    at: int
    full: bool
    complete: bool
    gives: Literal["restores", "assumed", "does not restore", "perhaps", "in part"]
    stacks_on: list[int]
    not_on: list[int]
    lost: list[LostBlocks]


class WaivedBlocks(Struct):
    """What a command said no backup need have, and none that completed has had since."""

    node: str
    bitmap: str
    at: int
    certain: list[tuple[int, int]]
    perhaps: list[tuple[int, int]]


class FailedBackup(Struct):
    """A backup of which nothing counts."""

    job: str
    node: str
    began: int
    ended: int
    outcome: Outcome


class ChainsOfHistory(Struct):
    """The restore points of one history that is possible. `forgotten`: so many older ones are no longer followed."""

    restore_points: list[RestorePoint]
    waived: list[WaivedBlocks]
    failed: list[FailedBackup]
    forgotten: int


class Chained(Struct, tag_field="is", tag="chains"):
    """What the backups give back, in each history that is possible. Commands are numbered by their lines.

    `left_out`: there are so many histories more, of which that is not followed.
    """

    line: int
    histories: list[ChainsOfHistory]
    left_out: int = 0


class Judged(Struct, tag_field="is", tag="verdict", omit_defaults=True):
    """Whether the specification allows what was observed."""

    line: int
    verdict: Literal["exact", "wasteful", "diverges", "unsafe"]
    findings: list[Finding] = []
    histories: int = 1


class Wrong(Struct, tag_field="is", tag="error"):
    """A line that could not be used, and why; nothing has changed."""

    line: int
    error: str


OUTPUT = Begun | Answered | Bounded | Chained | Judged | Wrong
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
