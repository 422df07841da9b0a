"""A qcow2 image that is changed while it is used: what a guest writes, and bitmaps that are stored and removed.

Crash safety comes from four rules. What nothing refers to is written and flushed before a header or table refers to
it. Bitmaps are marked as in use, and that is flushed, before the first write is admitted. Clusters are freed only
when a header that does not refer to them has been flushed. And when a header was written and its flush has failed,
nobody knows which header is in the file: then nothing is freed, and no write is admitted until a header without
bitmaps is stable. Leaked clusters are the price.

Refcount blocks are not added: an image has room for what they count, and no more.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from struct import pack, unpack
from typing import Final, Protocol

from cbtwire.qcow2.bitmaps import ALL_ONES, AUTO, ENTRY, IN_USE, Image, bits, read_image
from cbtwire.qcow2.header import AUTOCLEAR_BITMAPS, BITMAPS, EXTENSION, EXTENSION_BITMAPS, OFFSET_MASK
from cbtwire.qcow2.reading import Bytes, padded
from cbtwire.qcow2.writing import COPIED

AUTOCLEAR_AT: Final = 88


class Storage(Bytes, Protocol):
    """Where the image lies. Each may raise `OSError`."""

    def write(self, offset: int, data: bytes) -> None:
        """Writes the bytes; they are stable after the next flush."""

    def flush(self) -> None:
        """Makes all that was written stable."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A bitmap in memory: granularity in bytes, bits (that of the first granule lowest), what may be done."""

    granularity: int
    bits: int = 0
    enabled: bool = True
    inconsistent: bool = False


class Refused(Exception):
    """What was asked for cannot be done; the message is one line."""


class ImageFile:
    """An image that is open. `OSError` if its storage fails, `BadImage` if it is none."""

    def __init__(self, storage: Storage, read_only: bool = False) -> None:
        self._storage = storage
        self.read_only = read_only
        image = read_image(storage)
        self.bitmaps = {
            each.name: Tracked(
                each.granularity, 0 if each.in_use else bits(storage, image.header, each), each.auto, each.in_use
            )
            for each in image.bitmaps
        }
        self._unsure = False
        if not read_only:
            self._mark(image)

    # The operator

    def add(self, name: str, granularity: int, enabled: bool) -> None:
        """A new bitmap; it reaches the file when it is stored."""
        if name in self.bitmaps:
            raise Refused(f"Bitmap already exists: {name}")
        self._writable()
        self.bitmaps[name] = Tracked(granularity, enabled=enabled)

    def change(self, name: str, enabled: bool | None = None, cleared: bool = False, merged: str = "") -> None:
        """Enables, disables, clears it, or merges another one into it."""
        self._writable()
        bitmap = self._usable(name)
        if merged:
            source = self._usable(merged)
            bitmap = replace(bitmap, bits=bitmap.bits | self._spread(source, bitmap.granularity))
        if enabled is not None:
            bitmap = replace(bitmap, enabled=enabled)
        self.bitmaps[name] = replace(bitmap, bits=0) if cleared else bitmap

    def remove(self, name: str) -> None:
        """It is gone, from the file at once."""
        self._writable()
        if name not in self.bitmaps:
            raise Refused(f"Dirty bitmap '{name}' not found")
        self._settle()
        image = read_image(self._storage)
        if any(each.name == name for each in image.bitmaps):
            directory = b"".join(
                _entry(each.name, each.table_at, each.table_entries, each.granularity, each.in_use, each.auto)
                for each in image.bitmaps
                if each.name != name
            )
            self._switch(image, directory, [name])
        del self.bitmaps[name]

    def store(self) -> None:
        """Every bitmap is in the file, valid, and the file is stable. It must not be written to before `mark`."""
        self._settle()
        image = read_image(self._storage)
        directory = b"".join(
            _entry(each.name, each.table_at, each.table_entries, each.granularity, True, each.auto)
            for each in image.bitmaps
            if each.name in self.bitmaps and self.bitmaps[each.name].inconsistent
        )
        stored = []
        for name, bitmap in self.bitmaps.items():
            if not bitmap.inconsistent:
                table_at, entries = self._written(image, bitmap)
                directory += _entry(name, table_at, entries, bitmap.granularity, False, bitmap.enabled)
                stored.append(name)
        if stored or (not directory and image.bitmaps):
            self._switch(image, directory, stored)

    def reopen(self, read_only: bool) -> None:
        """From now on it is read-only, with all bitmaps stored; or it is writable, with all of them in use."""
        if read_only and not self.read_only:
            self.store()
        elif self.read_only and not read_only:
            self._mark(read_image(self._storage))
        self.read_only = read_only

    # The guest

    def write(self, offset: int, data: bytes) -> None:
        """Whole clusters. Bitmaps that record know of it, whether it succeeds or not."""
        self._writable()
        self._settle()
        self._record(offset, len(data))
        image = read_image(self._storage)
        cluster = image.header.cluster
        for begin in range(0, len(data), cluster):
            self._write_cluster(image, offset + begin, data[begin : begin + cluster])

    def flush(self) -> None:
        """What the guest has written is stable."""
        self._storage.flush()

    # Bitmaps in the file

    def _mark(self, image: Image) -> None:
        """Every bitmap is in use, in the file, before anything is written."""
        if all(each.in_use for each in image.bitmaps) or image.header.directory is None:
            return
        directory = b"".join(
            _entry(each.name, each.table_at, each.table_entries, each.granularity, True, each.auto)
            for each in image.bitmaps
        )
        self._autoclear(False)
        self._storage.write(image.header.directory.offset, directory)
        self._storage.flush()
        self._autoclear(True)

    def _autoclear(self, there: bool) -> None:
        self._storage.write(AUTOCLEAR_AT, pack(">Q", AUTOCLEAR_BITMAPS if there else 0))
        self._storage.flush()

    def _settle(self) -> None:
        """Nobody knows which header is in the file: one without bitmaps has to be, before anything is written."""
        if self._unsure:
            self._autoclear(False)
            self._unsure = False

    def _switch(self, image: Image, directory: bytes, replaced: Sequence[str]) -> None:
        """The header refers to a new directory; then the old one, and what the replaced bitmaps had, are freed."""
        at = self._put(image, directory) if directory else 0
        self._storage.flush()
        count = 0
        position = 0
        while position < len(directory):
            count += 1
            position += ENTRY.size + int.from_bytes(directory[position + 18 : position + 20], "big") + 7 & ~7
        self._unsure = True
        self._storage.write(0, _header(padded(self._storage, 0, image.header.cluster), count, len(directory), at))
        self._storage.flush()
        self._unsure = False
        with suppress(OSError):  # it is done: what cannot be freed is leaked, and that is no failure of the whole
            self._free(image, replaced)

    def _free(self, image: Image, replaced: Sequence[str]) -> None:
        """What a failure leaves counted is leaked, and harmless."""
        old = image.header.directory
        clusters = [] if old is None else [old.offset + at for at in range(0, old.size, image.header.cluster)]
        for each in image.bitmaps:
            if each.name in replaced:
                table = padded(self._storage, each.table_at, 8 * each.table_entries)
                entries = [int.from_bytes(table[at : at + 8], "big") & OFFSET_MASK for at in range(0, len(table), 8)]
                clusters += [entry for entry in entries if entry]
                clusters += [each.table_at + at for at in range(0, len(table), image.header.cluster)]
        self._count(image, clusters, 0)

    def _written(self, image: Image, bitmap: Tracked) -> tuple[int, int]:
        """Its bits and its table are written; returns where the table is, and its entries."""
        cluster, total = image.header.cluster, -(-image.header.length // bitmap.granularity)
        most, table = cluster * 8, []
        for first in range(0, total, most):
            count = min(most, total - first)
            part = bitmap.bits >> first & ((1 << count) - 1)
            if part == (1 << count) - 1 and count == most:
                table.append(ALL_ONES)
            else:
                table.append(self._put(image, part.to_bytes(-(-count // 8), "little")) if part else 0)
        return self._put(image, pack(f">{len(table)}Q", *table)), len(table)

    # Clusters

    def _write_cluster(self, image: Image, offset: int, data: bytes) -> None:
        """In place, or in a new cluster, to which the table refers when it has its content."""
        cluster = image.header.cluster
        per_table = cluster // 8
        number = offset // cluster
        l1_at = image.header.l1_offset + number // per_table * 8
        l2 = int.from_bytes(padded(self._storage, l1_at, 8), "big") & OFFSET_MASK
        if not l2:
            l2 = self._put(image, bytes(cluster))
            self._storage.flush()
            self._storage.write(l1_at, pack(">Q", l2 | COPIED))
        at = l2 + number % per_table * 8
        entry = int.from_bytes(padded(self._storage, at, 8), "big")
        place = entry & OFFSET_MASK or self._taken(image, 1)
        self._storage.write(place, data)
        if not entry & OFFSET_MASK:
            self._storage.write(at, pack(">Q", place | COPIED))

    def _put(self, image: Image, data: bytes) -> int:
        """New clusters with this content."""
        at = self._taken(image, -(-len(data) // image.header.cluster))
        self._storage.write(at, data.ljust(-(-len(data) // image.header.cluster) * image.header.cluster, b"\0"))
        return at

    def _taken(self, image: Image, count: int) -> int:
        """So many free clusters, one after the other, which count as used from now on, whatever comes."""
        cluster = image.header.cluster
        counts = b"".join(padded(self._storage, each, cluster) for each in self._blocks(image))
        at, free = -1, b"\0\0" * count
        while (at := counts.find(free, at + 1)) >= 0:
            if at % 2 == 0:
                first = at // 2 * cluster
                self._count(image, [first + each * cluster for each in range(count)], 1)
                self._storage.flush()
                return first
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _blocks(self, image: Image) -> list[int]:
        """Where the blocks of reference counts are (16 bits each)."""
        header = image.header
        table = padded(self._storage, header.refcount_offset, header.refcount_clusters * header.cluster)
        return [each & OFFSET_MASK for each in unpack(f">{len(table) // 8}Q", table) if each]

    def _count(self, image: Image, clusters: Sequence[int], count: int) -> None:
        blocks, per_block = self._blocks(image), image.header.cluster // 2
        for each in sorted(clusters):
            number = each // image.header.cluster
            at = blocks[number // per_block] + number % per_block * 2
            self._storage.write(at, pack(">H", count))

    # In memory

    def _record(self, offset: int, length: int) -> None:
        for name, bitmap in self.bitmaps.items():
            if bitmap.enabled and not bitmap.inconsistent:
                first, last = offset // bitmap.granularity, (offset + length - 1) // bitmap.granularity
                more = (1 << last + 1) - (1 << first)
                self.bitmaps[name] = replace(bitmap, bits=bitmap.bits | more)

    def _spread(self, source: Tracked, granularity: int) -> int:
        """Its bits in another granularity: every granule that has a part of one of them."""
        word = 0
        for granule in range(source.bits.bit_length()):
            if source.bits >> granule & 1:
                begin = granule * source.granularity
                first, last = begin // granularity, (begin + source.granularity - 1) // granularity
                word |= (1 << last + 1) - (1 << first)
        image = read_image(self._storage)
        return word & ((1 << -(-image.header.length // granularity)) - 1)

    def _usable(self, name: str) -> Tracked:
        if name not in self.bitmaps:
            raise Refused(f"Dirty bitmap '{name}' not found")
        if self.bitmaps[name].inconsistent:
            raise Refused(f"Bitmap '{name}' is inconsistent and cannot be used")
        return self.bitmaps[name]

    def _writable(self) -> None:
        if self.read_only:
            raise Refused("it is read-only")


def _entry(name: str, table_at: int, entries: int, granularity: int, in_use: bool, auto: bool) -> bytes:
    raw, flags = name.encode(), (IN_USE if in_use else 0) | (AUTO if auto else 0)
    entry = ENTRY.pack(table_at, entries, flags, 1, granularity.bit_length() - 1, len(raw), 0) + raw
    return entry.ljust(len(entry) + 7 & ~7, b"\0")


def _header(old: bytes, count: int, size: int, offset: int) -> bytes:
    """The header's first sector with another directory, or with none. It has no extension but that of bitmaps."""
    length = int.from_bytes(old[100:104], "big")
    body = BITMAPS.pack(count, 0, size, offset)
    extension = EXTENSION.pack(EXTENSION_BITMAPS, len(body)) + body if count else b""
    fixed = old[:AUTOCLEAR_AT] + pack(">Q", AUTOCLEAR_BITMAPS if count else 0) + old[AUTOCLEAR_AT + 8 : length]
    return (fixed + extension + EXTENSION.pack(0, 0)).ljust(512, b"\0")[:512]


