"""An image's bitmaps in plain words, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cbtcheck.host.printable import plain, plain_json
from cbtcheck.stored.examine import DAMAGED, HELD, INCONSISTENT, Examined, Found

REMOVE = "remove it (qemu-img bitmap --remove IMAGE NAME), add it anew, and begin with a full backup"


def size(number: int) -> str:
    """Bytes in the largest unit that leaves no fraction, or one digit of it."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit:
            whole, rest = divmod(number, unit)
            return f"{whole} {name}" if rest == 0 else f"{number / unit:.1f} {name}"
    return f"{number} bytes"


def lines(found: Examined) -> Iterator[str]:
    """The report, line by line."""
    if found.refused:
        where = f" (at byte {found.refused_at})" if found.refused_at >= 0 else ""
        yield f"{plain(found.path)}: QEMU does not open this image: {plain(found.refused)}{where}"
        if not found.settled:
            yield "It changed while it was read: ask again."
        return
    count = len(found.bitmaps)
    head = f"{plain(found.path)}: qcow2 version {found.version}, {size(found.virtual_size)}, {_count(count)}"
    yield head
    for note in found.notes:
        yield f"note: {plain(note)}"
    yield from _use(found)
    if found.ignored:
        yield (
            "ignored: a program that knows no bitmaps has written to the image, so that QEMU ignores all that were "
            "there. The next backup must be full"
        )
    width = max((len(plain(each.name)) for each in found.bitmaps), default=0)
    for each in found.bitmaps:
        dirty = ""
        if each.dirty_granules is not None and each.dirty_bytes is not None:
            dirty = f", dirty {each.dirty_granules} of {each.granules} granules ({size(each.dirty_bytes)})"
        enabled = "enabled" if each.enabled else "disabled"
        yield f"{plain(each.name):<{width}}  {each.state}, {enabled}, granularity {size(each.granularity)}{dirty}"
        yield f"{'':<{width}}  {plain(meaning(each))}"
    if not found.settled:
        yield "It changed while it was read, each time: what is said above may be of two moments."


def _count(count: int) -> str:
    return "no bitmaps" if count == 0 else "1 bitmap" if count == 1 else f"{count} bitmaps"


def _use(found: Examined) -> Iterator[str]:
    if found.opened_for == "writing":
        yield (
            "open: a program has this image open for writing. Its bitmaps are in that program's memory, and what the "
            "file says of them is old; ask it (query-named-block-nodes over QMP)"
        )
    elif found.opened_for == "reading":
        yield "open: a program has this image open for reading"
    elif found.opened_for == "unknown" and any(each.state == INCONSISTENT for each in found.bitmaps):
        yield "open: it cannot be told here whether a program has this image open: one may still have its bitmaps"


def meaning(bitmap: Found) -> str:
    """What the state of a bitmap means for the next backup, in a sentence."""
    if bitmap.state == HELD:
        return (
            "the program that has the image open has it in memory, where the next backup looks (or has found it "
            "inconsistent: ask it). Should that program die before it stores it, it is inconsistent"
        )
    if bitmap.state == INCONSISTENT:
        return f"it was not stored when it was last used: no backup can use it. To go on: {REMOVE}"
    if bitmap.state == DAMAGED:
        return f"{bitmap.because}. Do not use it: {REMOVE}"
    if not bitmap.enabled:
        return "it records nothing while it is disabled: a backup that uses it lacks what was written meanwhile"
    if bitmap.dirty_bytes == 0:
        return "the next incremental backup that uses it copies only what is written until then"
    dirty = size(bitmap.dirty_bytes or 0)
    return f"the next incremental backup that uses it copies these {dirty}, and what is written until then"


def to_json(found: Examined) -> str:
    """The same as JSON, with a version of its form."""
    data: dict[str, Any] = {"format": "cbtspec-bitmaps", "version": 1, "image": found.path} | asdict(found)
    data["qcow2_version"] = found.version
    del data["path"]
    data["version"] = 1
    data["trusted"] = found.trusted
    for each, bitmap in zip(data["bitmaps"], found.bitmaps, strict=True):
        each["meaning"] = meaning(bitmap)
    return plain_json(json.dumps(data, indent=1, ensure_ascii=False))
