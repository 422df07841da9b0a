"""What the oracle says of images, and which events it can follow."""

from __future__ import annotations

from typing import assert_never

from cbtmodel.commands import AddBitmap, Command
from cbtmodel.image import Close, Crash, Entry, Event, Open, Persist, Reopen, WrittenByOthers

from cbtcheck.oracle.answer import EntryBounds, How, ImageBounds, OracleError
from cbtcheck.scenario.images import Files, Played
from cbtcheck.scenario.scenario import word_for
from cbtcheck.sets.compressed import Compressed, CompressedSets

ASK = 'say Oracle(disks, images=True), or "images": true beside "disks"'


def image_bounds(space: CompressedSets, files: Files[Compressed], node: str) -> ImageBounds:
    """How the image of this disk is open, and what is in its file: nothing if its last writer knew no bitmaps."""
    image, opened = files.images[node], files.opened.get(node)
    how: How = "" if opened is None else "rw" if opened.writable else "ro"
    entries = image.entries.items() if image.current else ()
    return ImageBounds(how, {name: _entry(space, each, image.size) for name, each in entries})


def _entry(space: CompressedSets, entry: Entry[Compressed], size: int) -> EntryBounds:
    owed, dirty, granule = entry.marks.owed, entry.marks.dirty, entry.granularity
    if entry.in_use:
        owed = dirty = space.empty
    must = space.at_least(owed, granule, size)
    may = space.at_most(space.padded(dirty, granule, size), granule, size)
    return EntryBounds(granule, entry.enabled, entry.in_use, must, may)


def followable(step: object, in_images: bool) -> Played:
    """A command or event, if it can be followed. `OracleError` if it cannot."""
    if isinstance(step, Command):
        return step
    if not isinstance(step, Event):
        raise OracleError(f"{type(step).__name__} is no command")
    what = "'persistent'" if isinstance(step, Persist) else f"'{word_for(step)}'"
    if not in_images:
        raise OracleError(f"{what} needs disks that lie in images: {ASK}")
    if not _well_formed(step):
        raise OracleError(f"{what} is malformed: a name is a str, and 'writable' a bool")
    if not isinstance(step, Persist | WrittenByOthers | Crash) and step.fails:
        raise OracleError(f"{what}: what is left by a request that fails is the business of 'cbtspec crash'")
    return step


def _well_formed(event: Event) -> bool:
    match event:
        case Open(node, writable) | Reopen(node, writable):
            return isinstance(node, str) and isinstance(writable, bool)
        case Close(node) | WrittenByOthers(node):
            return isinstance(node, str)
        case Persist(add):
            return isinstance(add, AddBitmap)
        case Crash():
            return True
        case _:
            assert_never(event)
