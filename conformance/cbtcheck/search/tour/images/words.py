"""An edge of images, in words: the whole state of a small disk and its image, what is asked, and what comes of it.

Unlike an edge of `coverage` it is not cut down: in these worlds all that can be told apart is told. What cannot is
left out: the bits of an entry that is in use, and the entries of an image that others have written to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap
from cbtmodel.image import Happened, Image, Persist, Stored, read_only

from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.images import Played, refusal_kind
from cbtcheck.scenario.scenario import word_for
from cbtcheck.search.tour.coverage import phase
from cbtcheck.sets.bitsets import Bits, BitSets, filled, ranges


class ImageEdge(NamedTuple):
    """`command` is the word of what is `asked` for; `state` and `outcome` are in words."""

    command: str
    asked: str
    state: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.asked} | {self.state} | {self.outcome}"


def edge(before: Stored[Bits], node: str, unit: int, asked: Played, happened: Happened[Bits]) -> ImageEdge:
    """The edge of what has `happened` to the disk `node`, whose blocks have `unit` bytes. `asked` is the world's."""
    return ImageEdge(word_for(asked), describe(asked), state(before, node, unit), outcome(before, asked, happened))


def outcome(before: Stored[Bits], asked: Played, happened: Happened[Bits]) -> str:
    """Accepted, and how jobs ended; or the kind of refusal, and what may be told instead."""
    kind = refusal_kind(happened.refusal)
    said = f"refused: {kind}" if kind else "accepted"
    said += "".join(f", {each.job_id} {each.outcome}" for each in happened.ended)
    if isinstance(asked, Persist) and read_only(before, asked.add.node):
        said += ", or refused: read only"  # implementations differ in this, and may
    return said


def state(stored: Stored[Bits], node: str, unit: int) -> str:
    """Disk and image in words: how it is open, its bitmaps, what its file has, and what is going on."""
    opened, image = stored.opened.get(node), stored.images[node]
    if opened is None:
        return "; ".join(["closed", *_in_the_file(stored, image, unit)])
    return "; ".join([
        "open" if opened.writable else "only read", *_bitmaps(stored, node, unit),
        *_in_the_file(stored, image, unit), *_going_on(stored, node, unit),
    ])  # fmt: skip


def _bitmaps(stored: Stored[Bits], node: str, unit: int) -> Iterator[str]:
    persistent, disk = stored.opened[node].persistent, stored.state.nodes[node]
    for name in sorted(disk.bitmaps):
        worth = persistent.get(name, "not to be stored")
        if worth == "inconsistent":
            yield f"{name} inconsistent"
            continue
        said = f"{name} {_bitmap(stored, disk.bitmaps[name], disk.size, unit)}"
        yield said if worth == "sound" else f"{said}, {worth}"


def _bitmap(stored: Stored[Bits], bitmap: Bitmap[Bits], size: int, unit: int) -> str:
    records = "enabled" if bitmap.enabled else "disabled"
    said = f"{records} {_dirty(stored, bitmap.marks.dirty, size, unit)}"
    heir = bitmap.successor
    if heir is None:
        return said
    flag = "" if heir.enabled else "disabled "
    return f"frozen {said} with a {flag}{_dirty(stored, heir.marks.dirty, size, unit)} successor"


def _in_the_file(stored: Stored[Bits], image: Image[Bits], unit: int) -> Iterator[str]:
    for name in sorted(image.entries) if image.current else ():
        entry = image.entries[name]
        records = "enabled" if entry.enabled else "disabled"
        worth = "in use" if entry.in_use else f"valid, {_dirty(stored, entry.marks.dirty, image.size, unit)}"
        yield f"{name} in the file: {records}, {worth}"


def _going_on(stored: Stored[Bits], node: str, unit: int) -> Iterator[str]:
    size = stored.state.nodes[node].size
    for write, blocks in sorted(stored.state.nodes[node].writes.items()):
        yield f"{write} in flight to {_numbers(stored, blocks, size, unit)}"
    for name, job in sorted(stored.state.jobs.items()):
        yield f"{name} {_job(stored, job, size, unit)}"


def _job(stored: Stored[Bits], job: Job[Bits], size: int, unit: int) -> str:
    def left(blocks: Bits, what: str) -> str:
        return f", {what} {_numbers(stored, blocks, size, unit)}" if blocks else ""

    done = "" if job.todo else ", all copied"
    mode = job.mode or "no bitmap"
    scope = f", of {_numbers(stored, job.scope, size, unit)}" if job.scope else ", of nothing"
    return f"{phase(job)}, {mode}{scope}{left(job.todo, 'to do')}{left(job.copying, 'copying')}{done}"


def _dirty(stored: Stored[Bits], blocks: Bits, size: int, unit: int) -> str:
    if not blocks:
        return "clean"
    word = _word(stored, blocks, size, unit)
    return "dirty" if word == filled(-(-size // unit)) else f"dirty in {ranges(word)}"


def _numbers(stored: Stored[Bits], blocks: Bits, size: int, unit: int) -> str:
    return f"block {ranges(_word(stored, blocks, size, unit))}"


def _word(stored: Stored[Bits], blocks: Bits, size: int, unit: int) -> int:
    space = stored.state.space
    assert isinstance(space, BitSets)
    return space.granules(blocks, unit, size)
