"""What must hold of images: RULE-DISK, and that no write that is owed is lost across a close, a crash or an open.

As in `properties`, each is a function that yields claims.
"""

from __future__ import annotations

from cbtmodel.bitmap import Bitmap, recording
from cbtmodel.blocks import S
from cbtmodel.claims import Claims, Fact, Inclusion, counts_as_delivered, owed_under_name
from cbtmodel.image import Close, Entry, Happened, Open, Reopen, Stored, WrittenByOthers, soundness
from cbtmodel.properties import no_lost_write


def rule_disk(stored: Stored[S]) -> Claims[S]:
    """A name in an image is openly not to be trusted, or has all that is owed under it."""
    yield from no_lost_write(stored.state)
    for node, image in stored.images.items():
        opened = stored.opened.get(node)
        for name, entry in image.entries.items():
            where = f"the image of {node}: {name}"
            if opened is not None and opened.writable:
                yield Fact(f"{where}: open for writing, so in use", entry.in_use)
            elif image.current and not entry.in_use:
                yield Inclusion(f"{where}: owed, so dirty", entry.marks.owed, entry.marks.dirty)


def in_memory(stored: Stored[S]) -> Claims[S]:
    """What is in memory fits what is in the image: a disk is open or not; bitmaps that are to be stored are there."""
    for node in stored.images:
        yield Fact(f"{node}: open if there is a disk", (node in stored.opened) == (node in stored.state.nodes))
    for node, opened in stored.opened.items():
        bitmaps, entries = stored.state.nodes[node].bitmaps, stored.images[node].entries
        yield Fact(
            f"{node}: only read, so nothing is in flight", opened.writable or not stored.state.nodes[node].writes
        )
        listed = not opened.writable or set(entries) <= set(opened.persistent)
        yield Fact(f"{node}: open for writing, so all entries are bitmaps", listed)
        for name, worth in opened.persistent.items():
            there = bitmaps.get(name)
            yield Fact(f"{node}/{name}: to be stored, so there", there is not None)
            if there is None:
                continue
            if worth == "inconsistent":
                in_use = name not in entries or entries[name].in_use
                yield Fact(f"{node}/{name}: inconsistent, so its entry is in use or gone", in_use)
                nothing = there.successor is None and not there.enabled
                yield Fact(f"{node}/{name}: inconsistent, so it records nothing", nothing)
                yield Inclusion(f"{node}/{name}: inconsistent, so empty", there.marks.dirty, stored.state.space.empty)
            elif not opened.writable:
                entry = entries.get(name)
                if entry is not None and not entry.in_use and stored.images[node].current:
                    yield Inclusion(
                        f"{node}/{name}: only read, so as stored", owed_under_name(there), entry.marks.owed
                    )


def across(before: Stored[S], happened: Happened[S]) -> Claims[S]:
    """What was owed under a name is owed under it still, or the name is openly not to be trusted, or openly gone.

    Or it was delivered: a job of mode *always* that a close has cancelled counts. This is about what happens to
    images; what commands do to what is owed is said of `step`.
    """
    after, ends = happened.stored, {(end.job.node, end.job.bitmap): end for end in happened.ended}
    for node, image in before.images.items():
        for name in {**image.entries, **(before.opened[node].persistent if node in before.opened else {})}:
            owed, now = owed_in(before, node, name), owed_in(after, node, name)
            end = ends.get((node, name))
            if owed is not None and now is not None:
                there = now | end.job.good if end is not None and counts_as_delivered(end) else now
                yield Inclusion(f"{node}/{name}: owed before, so owed", owed, there)
                yield Inclusion(
                    f"{node}/{name}: in flight before, so owed", ended_writes(before, after, node, name), now
                )


def ended_writes(before: Stored[S], after: Stored[S], node: str, name: str) -> S:
    """What was in flight while a bitmap recorded, and is not any more: it may have changed the disk."""
    blocks, disk, now = before.state.space.empty, before.state.nodes.get(node), after.state.nodes.get(node)
    if disk is not None and name in disk.bitmaps and recording(disk.bitmaps[name]):
        for write, touched in disk.writes.items():
            blocks = blocks if now is not None and write in now.writes else blocks | touched
    return blocks


def comes_back(before: Stored[S], what: object, happened: Happened[S]) -> Claims[S]:
    """What is closed or reopened well is stored, all of it; and what was stored is there when it is opened.

    And nobody else writes to an image that is open.
    """
    after = happened.stored
    if isinstance(what, WrittenByOthers) and what.node in before.opened:
        same = after.images[what.node] == before.images[what.node]
        yield Fact(f"the image of {what.node}: open, so nobody else writes", same)
    if happened.refusal is not None or not isinstance(what, Close | Reopen | Open) or what.fails:
        return
    node = what.node
    if isinstance(what, Open):
        stored = before.images[node].entries if before.images[node].current else {}
        for name, entry in stored.items():
            there = after.state.nodes[node].bitmaps.get(name)
            yield Fact(f"{node}/{name}: was stored, so it is there", there is not None)
            worth = after.opened[node].persistent.get(name)
            yield Fact(f"{node}/{name}: is worth what its entry is", worth == soundness(entry))
            if there is not None and worth == "sound":
                yield from as_it_was(f"{node}/{name}", entry, there)
    elif before.opened[node].writable and not (isinstance(what, Reopen) and what.writable):
        for name, worth in before.opened[node].persistent.items():
            entry_now = after.images[node].entries.get(name)
            had = worth == "sound" or name in before.images[node].entries
            yield Fact(f"{node}/{name}: to be stored, so it has an entry", (entry_now is not None) == had)
            there = before.state.nodes[node].bitmaps[name]
            if entry_now is not None and worth == "sound":
                yield Fact(f"{node}/{name}: sound, so valid", not entry_now.in_use)
                yield Fact(f"{node}/{name}: records as before", entry_now.enabled == recording(there))
                if there.successor is None:  # else see FAILURE-KEEPS: its job is cancelled
                    yield Inclusion(f"{node}/{name}: dirty, so stored", there.marks.dirty, entry_now.marks.dirty)
                    new = ended_writes(before, after, node, name)
                    rounded = before.state.space.round_out(new, there.granularity, before.images[node].size)
                    was = there.marks.dirty | rounded
                    yield Inclusion(f"{node}/{name}: stored, so dirty or written", entry_now.marks.dirty, was)
            elif entry_now is not None:
                yield Fact(f"{node}/{name}: inconsistent still", entry_now.in_use)


def as_it_was(where: str, entry: Entry[S], there: Bitmap[S]) -> Claims[S]:
    """A bitmap is what its entry says."""
    yield Fact(f"{where}: as it was stored", (there.enabled, there.granularity) == (entry.enabled, entry.granularity))
    yield Inclusion(f"{where}: no less", entry.marks.dirty, there.marks.dirty)
    yield Inclusion(f"{where}: no more", there.marks.dirty, entry.marks.dirty)


def same_entry(where: str, before: Entry[S], now: Entry[S]) -> Claims[S]:
    """An entry is as it was. What one in use had, counts for nothing."""
    same = (before.granularity, before.enabled, before.in_use) == (now.granularity, now.enabled, now.in_use)
    yield Fact(f"{where}: as it was", same)
    if not before.in_use:
        yield Inclusion(f"{where}: no less", before.marks.dirty, now.marks.dirty)
        yield Inclusion(f"{where}: no more", now.marks.dirty, before.marks.dirty)
        yield Inclusion(f"{where}: owed as before", before.marks.owed, now.marks.owed)


def owed_in(stored: Stored[S], node: str, name: str) -> S | None:
    """What is owed under a name; None if it is not there, or openly not to be trusted."""
    opened = stored.opened.get(node)
    if opened is not None:
        there = stored.state.nodes[node].bitmaps.get(name)
        return None if there is None or opened.persistent.get(name) == "inconsistent" else owed_under_name(there)
    image = stored.images[node]
    entry: Entry[S] | None = image.entries.get(name)
    return None if entry is None or entry.in_use or not image.current else entry.marks.owed


def all_sound(stored: Stored[S]) -> Claims[S]:
    """Everything that must hold of a state."""
    yield from rule_disk(stored)
    yield from in_memory(stored)

