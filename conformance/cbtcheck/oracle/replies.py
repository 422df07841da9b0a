"""The lines that `cbtspec oracle` writes, one for each that it reads, as types.

Offsets, lengths, sizes and granularities are in bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from cbtmodel.refusal import Kind
from msgspec import UNSET, Struct, UnsetType

from cbtcheck.scenario.images import ImageRefusal

Outcome = Literal["completed", "failed", "cancelled"]
Refusal = Kind | ImageRefusal
How = Literal["rw", "ro", ""]


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

    reply: Literal["accepted"] | Refusal
    ended: dict[str, Outcome] = {}


class Answered(Struct, tag_field="is", tag="answer", omit_defaults=True):
    """What the specification replies, the jobs that end, and what differs from the reply that was seen.

    `histories`: how many are possible still; if there is more than one, and they differ here, `others` are replies.
    """

    line: int
    reply: Literal["accepted"] | Refusal
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
    """What a bitmap must have dirty and what it may, and its flags; the last two if disks lie in images."""

    node: str
    name: str
    granularity: int
    recording: bool
    busy: bool
    must: Some
    may: Some
    persistent: bool | UnsetType = UNSET
    inconsistent: bool | UnsetType = UNSET


class EntryBounds(Struct):
    """A bitmap in the file of an image, with what must and may be in it; of one that is in use nothing counts."""

    name: str
    granularity: int
    enabled: bool
    in_use: bool
    must: Some
    may: Some


class ImageBounds(Struct):
    """An image in one history that is possible: how it is open, and all that is in its file."""

    open: How
    entries: list[EntryBounds]


class Imaged(Struct):
    """The image of a disk, once for each way in which the histories that are possible differ in it."""

    node: str
    histories: list[ImageBounds]


class InImages(Struct, tag_field="is", tag="images"):
    """The images that were asked for."""

    line: int
    images: list[Imaged]


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
    """A backup of which nothing counts. *Gone*: a crash has taken it along."""

    job: str
    node: str
    began: int
    ended: int
    outcome: Outcome | Literal["gone"]


class NoIncrement(Struct):
    """A bitmap with which no backup can be made any more: why, and the event that is to blame."""

    node: str
    bitmap: str
    why: str
    at: int


class ChainsOfHistory(Struct, omit_defaults=True):
    """The restore points of one history that is possible. `forgotten`: so many older ones are no longer followed."""

    restore_points: list[RestorePoint]
    waived: list[WaivedBlocks]
    failed: list[FailedBackup]
    forgotten: int
    no_increment: list[NoIncrement] = []


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


OUTPUT = Begun | Answered | Bounded | InImages | Chained | Judged | Wrong
