"""Seeded mistakes: a recorded order of requests, changed as an implementation would change it that makes the mistake.

They show that the judge bites: each has to be found in what a correct QEMU has written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from struct import unpack_from

from cbtwire.qcow2.bitmaps import AUTO, ENTRY, IN_USE, read_image
from cbtwire.qcow2.header import OFFSET_MASK
from cbtwire.qcow2.reading import BadImage, InMemory

from cbtcheck.crash.owed import Expected
from cbtcheck.crash.played import Played
from cbtcheck.crash.recording import Event
from cbtcheck.crash.states import apply

Recorded = tuple[list[Event], list[int]]
"""Events, and for each position of the original (to its end, inclusive) the position that it has now."""
Mistake = Callable[[Played], Recorded]


def no_in_use_at_open(played: Played) -> Recorded:
    """Opening for writing does not mark the bitmaps as in use."""
    dropped = {number for begin, end, verb in _steps(played) if verb == "open" for number in range(begin, end)}
    return _without(played, dropped)


def flushes_ignored(played: Played) -> Recorded:
    """The storage takes flushes for nothing, as with cache=unsafe."""
    events = played.recorder.events
    return _without(played, {number for number, each in enumerate(events) if each.kind == "flush"})


def header_before_directory(played: Played) -> Recorded:
    """A store writes the header, and flushes it, before what it refers to."""
    return _moved(played, lambda group, header: [*header, *group])


def freed_before_the_header(played: Played) -> Recorded:
    """A store frees what the old header refers to (its directory, tables and bits), and then writes the new one."""

    def change(group: list[Event], header: list[Event]) -> list[Event]:
        return [*group, *_freed(played, group), *header]

    return _moved(played, change)


def inconsistent_stored_as_valid(played: Played) -> Recorded:
    """A store writes an entry that it carries over, of a bitmap that is inconsistent, without its mark."""
    return _rewritten(played, lambda flags: flags & ~IN_USE)


def auto_not_stored(played: Played) -> Recorded:
    """A store does not write that a bitmap is enabled."""
    return _rewritten(played, lambda flags: flags & ~AUTO)


MISTAKES: dict[str, Mistake] = {
    "no in-use at open": no_in_use_at_open,
    "flushes ignored": flushes_ignored,
    "header before directory": header_before_directory,
    "old clusters freed before the header": freed_before_the_header,
    "an inconsistent one stored as valid": inconsistent_stored_as_valid,
    "auto not stored": auto_not_stored,
}


def versions(played: Played, now: list[int]) -> list[tuple[int, Expected]]:
    """What is owed from which event on, after the events have moved."""
    return [(now[position], expected) for position, expected in played.account.versions]


def _steps(played: Played) -> list[tuple[int, int, str]]:
    """Each step as (first event, past the last, verb)."""
    steps, begin = [], 0
    for each in played.done:
        steps.append((begin, each.position, each.step.verb))
        begin = each.position
    return steps


def _without(played: Played, dropped: set[int]) -> Recorded:
    events: list[Event] = []
    now: list[int] = []
    for number, each in enumerate(played.recorder.events):
        now.append(len(events))
        if number not in dropped:
            events.append(each)
    return events, [*now, len(events)]


def _moved(played: Played, change: Callable[[list[Event], list[Event]], list[Event]]) -> Recorded:
    """Within each store, what comes before the write of the header (since it began) and that write with its flush."""
    events: list[Event] = []
    now: list[int] = []
    original = played.recorder.events
    for begin, end, verb in _steps(played):
        part = original[begin:end]
        headers = [at for at, each in enumerate(part) if each.kind == "write" and each.offset == 0]
        if verb in ("close", "quit") and headers:
            at = headers[-1]
            upto = next((n + 1 for n in range(at, len(part)) if part[n].kind == "flush"), len(part))
            part = [*change(part[:at], part[at:upto]), *part[upto:]]
        now += [min(len(events) + each, len(events) + len(part)) for each in range(end - begin)]
        events += part
    now.append(len(events))
    return events, now + [len(events)] * (len(original) + 1 - len(now))


def _freed(played: Played, group: list[Event]) -> list[Event]:
    """Zeroes over all that the bitmaps have in the image as it was before these events."""
    content = bytearray(played.base)
    for each in played.recorder.events:
        if group and each is group[0]:
            break
        apply(content, each)
    try:
        image = read_image(InMemory(bytes(content)))
    except BadImage:
        return []
    cluster, found = image.header.cluster, []
    if image.header.directory is not None:
        found.append(image.header.directory.offset)
    for bitmap in image.bitmaps:
        found += [bitmap.table_at, *(entry & OFFSET_MASK for entry in bitmap.table if entry & OFFSET_MASK)]
    return [Event("zeroes", at, cluster, bytes(cluster)) for at in found]


def _rewritten(played: Played, change: Callable[[int], int]) -> Recorded:
    """Entries of the directory that a store writes have other flags."""
    events = list(played.recorder.events)
    for begin, end, verb in _steps(played):
        if verb in ("close", "quit"):
            for number in range(begin, end):
                events[number] = _flags(events[number], change)
    return events, list(range(len(events) + 1))


def _flags(event: Event, change: Callable[[int], int]) -> Event:
    """A write of a directory with other flags; anything else as it is."""
    data, at = bytearray(event.data), 0
    while at + ENTRY.size <= len(data):
        table, _, _, kind, exponent, length, extra = ENTRY.unpack_from(data, at)
        size = ENTRY.size + length + 7 & ~7
        if kind != 1 or not 9 <= exponent <= 31 or not length or extra or not table or at + size > len(data):
            return event
        data[at + 12 : at + 16] = change(unpack_from(">I", data, at + 12)[0]).to_bytes(4, "big")
        at += size
    return event if at != len(data) or not at else replace(event, data=bytes(data))
