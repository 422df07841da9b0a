"""What is done to the bitmaps of an image that nobody has open, as `qemu-img bitmap` does: opened, done, closed.

So nothing new is to be said of what happens. `only_that` says what is to hold of it. A resize is not of this page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cbtmodel import commands as c
from cbtmodel.blocks import S
from cbtmodel.claims import Claims, Fact, Inclusion
from cbtmodel.image import Close, Entry, Happened, Open, Persist, Stored, happen
from cbtmodel.image_properties import same_entry

Operation: TypeAlias = (
    Persist | c.RemoveBitmap | c.ClearBitmap | c.EnableBitmap | c.DisableBitmap | c.MergeBitmaps
)


@dataclass(frozen=True, slots=True)
class Offline:
    """One operation on the bitmaps of an image that is closed."""

    operation: Operation

    @property
    def node(self) -> str:
        """The disk of the image."""
        return self.operation.add.node if isinstance(self.operation, Persist) else self.operation.node

    @property
    def name(self) -> str:
        """The bitmap that it changes."""
        if isinstance(self.operation, Persist):
            return self.operation.add.name
        return self.operation.target if isinstance(self.operation, c.MergeBitmaps) else self.operation.name


def offline(stored: Stored[S], what: Offline) -> Happened[S]:
    """Opened for writing, done, and closed, although it may be refused. Who has it open is in the way."""
    opened = happen(stored, Open(what.node))
    if opened.refusal is not None:
        return opened
    done = happen(opened.stored, what.operation)
    return Happened(happen(done.stored, Close(what.node)).stored, done.refusal)


def only_that(before: Stored[S], what: Offline, happened: Happened[S]) -> Claims[S]:
    """The operation has its effect, and no other: all else is as it was; all of it, if it is refused."""
    if what.node in before.opened:
        nothing = happened.stored is before and happened.refusal is not None
        yield Fact(f"{what.node}: open, so nothing is done", nothing)
        return
    image, now = before.images[what.node], happened.stored.images[what.node]
    entries = image.entries if image.current else {}
    yield Fact(f"{what.node}: closed as before", what.node not in happened.stored.opened)
    for name in {**entries, **now.entries}:
        where, entry, there = f"the image of {what.node}: {name}", entries.get(name), now.entries.get(name)
        if happened.refusal is None and name == what.name:
            yield from effect(where, before.state.space.empty, what, entry, there)
        else:
            yield Fact(f"{where}: there as before", (entry is None) == (there is None))
            if entry is not None and there is not None:
                yield from same_entry(where, entry, there)


def effect(where: str, empty: S, what: Offline, entry: Entry[S] | None, now: Entry[S] | None) -> Claims[S]:
    """What becomes of the bitmap that is named. What was owed is owed, unless it is cleared or removed."""
    operation = what.operation
    added, removed = isinstance(operation, Persist), isinstance(operation, c.RemoveBitmap)
    yield Fact(f"{where}: there unless it was added", (entry is None) == added)
    yield Fact(f"{where}: there unless it is removed", (now is None) == removed)
    if now is None:
        return
    yield Fact(f"{where}: valid", not now.in_use)
    if added or isinstance(operation, c.ClearBitmap):
        yield Inclusion(f"{where}: clean", now.marks.dirty, empty)
    if entry is not None:
        enabled = isinstance(operation, c.EnableBitmap) or (
            entry.enabled and not isinstance(operation, c.DisableBitmap)
        )
        yield Fact(f"{where}: records as it is to", now.enabled == enabled)
        yield Fact(f"{where}: as coarse as it was", now.granularity == entry.granularity)
        if not isinstance(operation, c.ClearBitmap):
            yield Inclusion(f"{where}: dirty still", entry.marks.dirty, now.marks.dirty)
            yield Inclusion(f"{where}: owed still", entry.marks.owed, now.marks.owed)
        if not isinstance(operation, c.MergeBitmaps):
            yield Inclusion(f"{where}: no more than was dirty", now.marks.dirty, entry.marks.dirty)
