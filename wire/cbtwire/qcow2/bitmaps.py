"""The bitmaps of a qcow2 image: its directory, their tables, their bits.

Source: docs/interop/qcow2.rst and block/qcow2-bitmap.c of QEMU. An image is read as a whole or refused as a whole:
QEMU opens no image of which it cannot load every bitmap, not even read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct
from typing import Final

from cbtwire.qcow2.header import OFFSET_MASK, Header, read_header
from cbtwire.qcow2.reading import BadImage, Bytes, padded

ENTRY: Final = Struct(">QIIBBHI")
"""Table's offset and entries, flags, type, granularity's exponent, bytes of the name and of extra data."""
TABLE_ENTRY: Final = Struct(">Q")
IN_USE, AUTO = 1, 2
MOST_BYTES: Final = 512 << 20
"""Of the bits of one bitmap."""
MOST_ENTRIES: Final = 0x8000000
RESERVED_IN_TABLE: Final = 0xFF000000000001FE
ALL_ONES: Final = 1
LAST_BYTE: Final = (1 << 63) - (1 << 30)
"""The end of the largest file that QEMU can have."""


@dataclass(frozen=True, slots=True)
class StoredBitmap:
    """One bitmap. `granularity` is bytes of the disk for a bit; `table` has where its bits are, cluster by cluster.

    One that is in use (its bits are those of some program's memory, or of one that died) has none that count: `table`
    is empty then. `entry_at` is where its entry in the directory is, `table_at` and `table_entries` the table.
    """

    name: str
    granularity: int
    in_use: bool
    auto: bool
    table_at: int
    table_entries: int
    entry_at: int
    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that QEMU opens, with all its bitmaps in the order of the directory."""

    header: Header
    bitmaps: tuple[StoredBitmap, ...]


def read_image(source: Bytes) -> Image:
    """The header, and every bitmap that there is. `BadImage` if QEMU would not open the image."""
    header = read_header(source)
    return Image(header, read_bitmaps(source, header))


def read_bitmaps(source: Bytes, header: Header) -> tuple[StoredBitmap, ...]:
    """Every bitmap, with its table. `BadImage` if there is one that QEMU cannot load."""
    bitmaps: list[StoredBitmap] = []
    names: set[str] = set()
    for entry in _entries(source, header):
        if entry.name in names:
            if entry.in_use:
                continue  # QEMU has one of that name already, and passes over this one
            raise BadImage(f"Bitmap already exists: {entry.name}", entry.entry_at)
        names.add(entry.name)
        bitmaps.append(entry if entry.in_use else _with_table(source, header, entry))
    return tuple(bitmaps)


def granules(header: Header, bitmap: StoredBitmap) -> int:
    """How many bits the bitmap has."""
    return -(-header.length // bitmap.granularity)


def pieces(source: Bytes, header: Header, bitmap: StoredBitmap) -> Iterator[tuple[int, int, int]]:
    """The bits of a bitmap as (number of the first granule, how many, bits), a cluster's worth at once; no zeroes."""
    left, first, most = granules(header, bitmap), 0, header.cluster * 8
    for entry in bitmap.table:
        count = min(left, most)
        offset = entry & OFFSET_MASK
        if offset:
            data = padded(source, offset, -(-count // 8))
            yield first, count, int.from_bytes(data, "little") & ((1 << count) - 1)
        elif entry & ALL_ONES:
            yield first, count, (1 << count) - 1
        first += count
        left -= count


def bits(source: Bytes, header: Header, bitmap: StoredBitmap) -> int:
    """All bits as one integer, that of the first granule being the lowest."""
    word = 0
    for first, _, piece in pieces(source, header, bitmap):
        word |= piece << first
    return word


def _entries(source: Bytes, header: Header) -> Iterator[StoredBitmap]:
    """What the directory has, in its order, checked one after the other as QEMU does."""
    directory = header.directory
    if directory is None:
        return
    if directory.size == 0:
        raise BadImage("Requested bitmap directory size is zero", directory.offset)
    if directory.offset > LAST_BYTE - directory.size:
        raise BadImage("Failed to read bitmap directory: Input/output error", directory.said_at + 16)
    data = source.read(directory.offset, directory.size)
    at, found, entries = 0, 0, []
    while at < directory.size:
        where = directory.offset + at
        if at + ENTRY.size > directory.size:
            raise BadImage("Broken bitmap directory", where)
        found += 1
        if found > directory.bitmaps:
            raise BadImage("More bitmaps found than specified in header extension", where)
        fields = ENTRY.unpack(data[at : at + ENTRY.size].ljust(ENTRY.size, b"\0"))
        name_size, extra = fields[5:]
        size = ENTRY.size + name_size + extra + 7 & ~7
        if at + size > directory.size:
            raise BadImage("Broken bitmap directory", where)
        if extra:
            raise BadImage("Bitmap extra data is not supported", where + 20)
        begin = at + ENTRY.size
        raw = data[begin : begin + name_size].ljust(name_size, b"\0")
        entries.append(_entry(header, raw.partition(b"\0")[0].decode(errors="replace"), where, *fields[:6]))
        at += size
    if found < directory.bitmaps:
        raise BadImage("Less bitmaps found than specified in header extension", directory.offset + at)
    yield from entries


def _entry(
    header: Header, name: str, where: int,
    table_at: int, entries: int, flags: int, kind: int, exponent: int, length: int,
) -> StoredBitmap:  # fmt: skip
    physical = entries * header.cluster
    well_formed = (
        entries > 0 and table_at > 0 and table_at % header.cluster == 0 and entries <= MOST_ENTRIES
        and 9 <= exponent <= 31 and not flags & ~(IN_USE | AUTO) and length <= 1023 and kind == 1
        and physical <= MOST_BYTES
    )  # fmt: skip
    if not well_formed or (not flags & IN_USE and header.length > physical * 8 << exponent):
        raise BadImage(f"Bitmap '{name}' doesn't satisfy the constraints", where)
    return StoredBitmap(name, 1 << exponent, bool(flags & IN_USE), bool(flags & AUTO), table_at, entries, where, ())


def _with_table(source: Bytes, header: Header, bitmap: StoredBitmap) -> StoredBitmap:
    unread = f"Could not read bitmap_table table from image for bitmap '{bitmap.name}'"
    if bitmap.table_at > LAST_BYTE - bitmap.table_entries * TABLE_ENTRY.size:
        raise BadImage(f"{unread}: Input/output error", bitmap.entry_at)
    data = padded(source, bitmap.table_at, bitmap.table_entries * TABLE_ENTRY.size)
    table = tuple(each for (each,) in TABLE_ENTRY.iter_unpack(data))
    for number, entry in enumerate(table):
        offset = entry & OFFSET_MASK
        if entry & RESERVED_IN_TABLE or (offset and (entry & ALL_ONES or offset % header.cluster)):
            raise BadImage(f"{unread}: Invalid argument", bitmap.table_at + number * TABLE_ENTRY.size)
    needed = -(-granules(header, bitmap) // (header.cluster * 8))
    if needed != bitmap.table_entries:
        raise BadImage(f"Could not read bitmap '{bitmap.name}' from image: Invalid argument", bitmap.entry_at + 8)
    return replace(bitmap, table=table)
