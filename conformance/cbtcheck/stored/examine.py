"""Which bitmaps an image has, and in what state they are. Reads only; nothing is locked, and nothing is written.

Sizes and offsets are bytes.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cbtwire.qcow2.bitmaps import Image, StoredBitmap, granules, pieces, read_image
from cbtwire.qcow2.header import CORRUPT, DATA_FILE, INCOMPATIBLE, OFFSET_MASK
from cbtwire.qcow2.reading import BadImage, Bytes, InFile, NotQcow2
from cbtwire.qcow2.refcounts import free_but_used

from cbtcheck.stored.holders import held

TRIES: Final = 5
"""How often an image that changes is read again."""
VALID, HELD, INCONSISTENT, DAMAGED = "valid", "in use", "inconsistent", "damaged"


class CannotRead(Exception):
    """There is no image that could be read. The message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """One bitmap.

    `state` is one of *valid*, *in use* (a program has it in its memory), *inconsistent* (nobody has it any more) and
    *damaged* (QEMU takes it for valid, and should not: `because`). `dirty_granules` and `dirty_bytes` are None where
    the file does not say. Bytes beyond the disk's end do not count.
    """

    name: str
    state: str
    enabled: bool
    granularity: int
    granules: int
    dirty_granules: int | None
    dirty_bytes: int | None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """An image, and its bitmaps.

    `opened_for` says whether a program has it open: "nobody", "reading", "writing", or "unknown". `ignored`: there
    are bitmaps that nobody may use, as a program without bitmaps has written to the image. `refused` is why QEMU does
    not open it, and `refused_at` where; empty and -1 if it does.
    """

    path: str
    version: int = 0
    virtual_size: int = 0
    cluster: int = 0
    opened_for: str = "unknown"
    ignored: bool = False
    bitmaps: tuple[Found, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""
    refused_at: int = -1
    settled: bool = field(default=True)

    @property
    def trusted(self) -> bool:
        """Every bitmap that the image has is one that the next backup can use."""
        return not (self.refused or self.ignored) and all(each.state == VALID for each in self.bitmaps)


def examine(path: Path) -> Examined:
    """Reads an image. Raises `CannotRead`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise CannotRead(f"{path} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise CannotRead(f"{path} cannot be read: it is no path") from None
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "neither a file nor a block device"
            raise CannotRead(f"{path} is {what}: name an image")
        return _examined(path, descriptor)
    except NotQcow2:
        raise CannotRead(
            f"{path} is no qcow2 image{_what_it_is(descriptor)}: only qcow2 (version 3) keeps bitmaps with a disk"
        ) from None
    except OSError as problem:
        raise CannotRead(f"{path} cannot be read: {problem.strerror}") from None
    finally:
        os.close(descriptor)


def _what_it_is(descriptor: int) -> str:
    begin = os.pread(descriptor, 8, 0)
    if not begin:
        return " (it is empty)"
    known = {b"KDMV": "VMDK", b"conectix": "VHD", b"vhdxfile": "VHDX", b"LUKS\xba\xbe": "LUKS", b"QED\0": "QED"}
    return next((f" ({name})" for magic, name in known.items() if begin.startswith(magic)), "")


def _examined(path: Path, descriptor: int) -> Examined:
    """Read again while somebody changes it: a directory that is half new would be a lie."""
    for _ in range(TRIES):
        source = InFile(descriptor)
        before = source.read(0, 4096)
        try:
            found: Examined | BadImage = _of(str(path), source, held(descriptor))
        except NotQcow2:
            raise
        except BadImage as problem:
            found = problem
        settled = source.read(0, 4096) == before
        if settled:
            break
    opened_for = held(descriptor)
    if isinstance(found, BadImage):
        return Examined(
            str(path), opened_for=opened_for, refused=found.what, refused_at=found.offset, settled=settled
        )
    if not settled:
        found = Examined(
            found.path, found.version, found.virtual_size, found.cluster, opened_for, found.ignored, found.bitmaps,
            found.notes, settled=False,
        )  # fmt: skip
    return found


def _of(path: str, source: Bytes, opened_for: str) -> Examined:
    image = read_image(source)
    header = image.header
    free = free_but_used(source, image)
    bitmaps = tuple(_found(source, image, each, opened_for, free) for each in image.bitmaps)
    notes = [f"backing file {header.backing_file}"] if header.backing_file else []
    if header.encryption:
        notes.append("the guest's data are encrypted, its bitmaps are not")
    features = {bit: text for bit, text in INCOMPATIBLE.items() if bit not in (CORRUPT, DATA_FILE)}
    notes += [text for bit, text in features.items() if header.incompatible & bit]
    if header.incompatible & DATA_FILE:
        notes.append(f"the guest's data are in another file, {header.data_file or 'which the image does not name'}")
    if header.incompatible & CORRUPT:
        notes.append("marked corrupt: QEMU opens it read-only, until qemu-img check -r all has repaired it")
    if header.version == 2:
        notes.append("version 2 keeps no bitmaps (qemu-img amend -o compat=1.1 makes it version 3)")
    if free and not bitmaps:
        notes.append("the directory of bitmaps is where the image has free room: the next write may overwrite it")
    return Examined(
        path, header.version, header.length, header.cluster, opened_for, header.ignored, bitmaps, tuple(notes)
    )


def _found(
    source: Bytes, image: Image, bitmap: StoredBitmap, opened_for: str, free: list[tuple[str, int]]
) -> Found:
    header, count = image.header, granules(image.header, bitmap)
    if bitmap.in_use:
        state = HELD if opened_for == "writing" else INCONSISTENT
        return Found(bitmap.name, state, bitmap.auto, bitmap.granularity, count, None, None)
    dirty, tail = 0, False
    for first, length, word in pieces(source, header, bitmap):
        dirty += word.bit_count()
        tail = tail or bool(first + length == count and word >> (length - 1) & 1)
    size = dirty * bitmap.granularity
    if tail:
        size -= count * bitmap.granularity - header.length
    because = _damage(source, image, bitmap, free)
    return Found(
        bitmap.name, DAMAGED if because else VALID, bitmap.auto, bitmap.granularity, count, dirty, size, because
    )


def _damage(source: Bytes, image: Image, bitmap: StoredBitmap, free: list[tuple[str, int]]) -> str:
    """Why nobody should trust a bitmap that QEMU does trust; "" if there is no reason."""
    beyond = [each & OFFSET_MASK for each in bitmap.table if each & OFFSET_MASK >= source.size]
    if bitmap.table_at >= source.size:
        beyond.append(bitmap.table_at)
    if beyond:
        return (
            f"its bits should be at byte {beyond[0]}, and the file ends at {source.size}: it was cut off, and QEMU "
            "reads them as clean"
        )
    for what, offset in free:
        if what in ("directory", f"table of {bitmap.name}", f"bits of {bitmap.name}"):
            return (
                f"its {what.partition(' ')[0]} at byte {offset} is in room that the image counts as free, so that "
                "any write may overwrite it, or may have done so"
            )
    return ""
