"""Mistakes in what the specification says of images: with each, RULE-DISK fails.

`nobody-is-busy` and `valid-after-a-failed-reopening` are what QEMU does (docs/findings/crashes.md, CRASH-8 and
CRASH-2); of the first the proof asked the question.
"""

from __future__ import annotations

from cbtmodel import bitmap, image, jobs, node
from cbtmodel import commands as c
from cbtmodel.bitmap import Bitmap
from cbtmodel.blocks import S
from cbtmodel.image import (
    Close,
    Entry,
    Failure,
    Forbidden,
    Happened,
    Image,
    Open,
    Opened,
    Reopen,
    Soundness,
    Stored,
    cancelled,
    held,
    in_use,
    left,
    loaded,
    soundness,
    store,
    written,
)
from cbtmodel.loops import fold, some
from cbtmodel.node import Node, drain
from cbtmodel.record import replace
from cbtmodel.table import Table

from cbtproofs.mutants.mutant import Mutant, declaring

IMAGE_MISTAKES: list[Mutant] = []
instead_of = declaring(IMAGE_MISTAKES)


@instead_of(image.open_image)
def opened_without_a_mark(stored: Stored[S], event: Open) -> Happened[S]:
    """An image that is opened for writing still says that its bitmaps are valid."""
    if event.node in stored.opened:
        return Happened(stored, "open already")
    image = stored.images[event.node]
    entries = image.entries if image.current else Table()
    whole = Image(image.size, entries)
    if event.fails:
        return Happened(replace(stored, images=stored.images.put(event.node, left(image, whole, event.fails))))
    nothing: Table[Bitmap[S]] = Table()
    bitmaps = fold(entries, nothing, lambda made, name: made.put(name, loaded(stored, entries[name])))
    state = replace(stored.state, nodes=stored.state.nodes.put(event.node, Node(image.size, bitmaps)))
    images = stored.images.put(event.node, whole if event.writable else replace(image, entries=entries))
    unnamed: Table[Soundness] = Table()
    worth = fold(entries, unnamed, lambda made, name: made.put(name, soundness(entries[name])))
    return Happened(Stored(state, images, stored.opened.put(event.node, Opened(event.writable, worth))))


@instead_of(image.soundness)
def whatever_is_there_is_sound(entry: Entry[S]) -> Soundness:
    """An entry that was in use at a crash is trusted."""
    return "sound"


@instead_of(image.loaded)
def stale_bits_are_loaded(stored: Stored[S], entry: Entry[S]) -> Bitmap[S]:
    """An inconsistent bitmap has the bits of its entry, and records."""
    return Bitmap(entry.granularity, entry.enabled, entry.marks)


@instead_of(image.loaded)
def loaded_empty(stored: Stored[S], entry: Entry[S]) -> Bitmap[S]:
    """A bitmap is loaded without its bits."""
    return bitmap.create(stored.state.space, entry.granularity, entry.enabled and not entry.in_use)


@instead_of(image.written)
def stored_as_disabled(bitmap: Bitmap[S]) -> Entry[S]:
    """A bitmap that was stored does not record any more when it is loaded."""
    return Entry(bitmap.granularity, False, False, bitmap.marks)


@instead_of(image.store)
def inconsistent_ones_are_stored_as_valid(stored: Stored[S], node: str) -> Table[Image[S]]:
    """What could not be trusted can be after the next close."""
    opened, image, bitmaps = stored.opened[node], stored.images[node], stored.state.nodes[node].bitmaps
    if not opened.writable:
        return stored.images
    start: Table[Entry[S]] = Table()
    entries = fold(opened.persistent, start, lambda made, name: made.put(name, written(bitmaps[name])))
    return stored.images.put(node, Image(image.size, entries))


@instead_of(image.store)
def only_what_was_there_is_stored(stored: Stored[S], node: str) -> Table[Image[S]]:
    """A bitmap that was added since the image was opened is not stored, and nobody says so."""
    opened, image, bitmaps = stored.opened[node], stored.images[node], stored.state.nodes[node].bitmaps
    if not opened.writable:
        return stored.images

    def put(entries: Table[Entry[S]], name: str) -> Table[Entry[S]]:
        if opened.persistent[name] == "inconsistent":
            return entries.put(name, image.entries[name]) if name in image.entries else entries
        return entries.put(name, written(bitmaps[name])) if name in image.entries else entries

    start: Table[Entry[S]] = Table()
    return stored.images.put(node, Image(image.size, fold(opened.persistent, start, put)))


@instead_of(image.close)
def stored_before_the_jobs_end(stored: Stored[S], event: Close) -> Happened[S]:
    """A close stores a bitmap that a job has without what its successor has recorded."""
    state, ended = cancelled(drain(stored.state, event.node), event.node)
    images = stored.images if event.fails else store(stored, event.node)
    gone = replace(state, nodes=state.nodes.drop(event.node))
    return Happened(Stored(gone, images, stored.opened.drop(event.node)), None, ended)


@instead_of(image.close)
def closed_under_a_write(stored: Stored[S], event: Close) -> Happened[S]:
    """A close does not wait for writes in flight: they have changed the disk, and no bitmap has them."""
    state, ended = cancelled(stored.state, event.node)
    ready = replace(stored, state=state)
    images = stored.images if event.fails else store(ready, event.node)
    gone = replace(state, nodes=state.nodes.drop(event.node))
    return Happened(Stored(gone, images, stored.opened.drop(event.node)), None, ended)


@instead_of(image.reopen)
def not_in_use_when_reopened(stored: Stored[S], event: Reopen) -> Happened[S]:
    """An image that is open for writing again still says that its bitmaps are valid."""
    name = event.node
    opened, image = stored.opened[name], stored.images[name]
    if event.writable == opened.writable:
        return Happened(stored)
    if not event.writable and some(stored.state.nodes[name].bitmaps, lambda each: in_use(stored, name, each)):
        return Happened(stored, "busy")
    state, ended = jobs.settle(drain(stored.state, name), tuple(node.jobs_of(stored.state, name)))
    images = stored.images if event.writable else store(replace(stored, state=state), name)
    if event.fails:
        after = images.put(name, left(image, images[name], event.fails))
        return Happened(Stored(state, after, stored.opened), None, ended)
    reopened = stored.opened.put(name, replace(opened, writable=event.writable))
    return Happened(Stored(state, images, reopened), None, ended)


@instead_of(image.left)
def valid_after_a_failed_reopening(before: Image[S], after: Image[S], fails: Failure) -> Image[S]:
    """A reopening for reading only fails when bitmaps are stored, and they stay valid while the guest writes."""
    return {"before anything": before, "in use": after, "not current": replace(before, current=False)}[fails]


@instead_of(image.in_use)
def nobody_is_busy(stored: Stored[S], node: str, name: str) -> bool:
    """An image is reopened for reading only while a job has one of its bitmaps."""
    return False


@instead_of(image.read_only)
def written_although_only_read(stored: Stored[S], node: str) -> bool:
    """A guest writes to a disk that is open for reading only."""
    return False


@instead_of(image.unusable)
def merged_although_only_read(stored: Stored[S], node: str, name: str, changes: bool) -> Forbidden | None:
    """A bitmap of an image that is open for reading only is changed."""
    opened = stored.opened.get(node)
    if opened is None or in_use(stored, node, name):
        return None
    return "inconsistent" if opened.persistent.get(name) == "inconsistent" else None


@instead_of(image.unusable)
def inconsistent_ones_are_used(stored: Stored[S], node: str, name: str, changes: bool) -> Forbidden | None:
    """A bitmap that is not to be trusted can be enabled, merged and backed up with."""
    opened = stored.opened.get(node)
    if opened is None or in_use(stored, node, name):
        return None
    return "read only" if changes and held(stored, node, name) else None


@instead_of(image.written_by_others)
def nobody_notices_others(stored: Stored[S], node: str) -> Happened[S]:
    """An image that others have written to keeps its bitmaps, and is open to them while it is in use."""
    return Happened(replace(stored, images=stored.images.put(node, replace(stored.images[node], current=False))))


@instead_of(image.unlisted)
def removed_and_stored_again(stored: Stored[S], removal: c.Command | c.Action) -> Stored[S]:
    """A bitmap that was removed is to be stored all the same."""
    return stored


@instead_of(image.left)
def believed_after_a_failure(before: Image[S], after: Image[S], fails: Failure) -> Image[S]:
    """What fails when it has written calls an image current that others have written to."""
    return {"before anything": before, "in use": replace(before, current=True), "not current": before}[fails]
