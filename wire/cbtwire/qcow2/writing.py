"""A whole qcow2 image, version 3, written at once: the guest's data, reference counts, bitmaps.

Pure: what is to be in the image goes in, its bytes come out. QEMU opens them, and `qemu-img check` finds nothing.
Nothing is said of the order in which bytes reach a disk: for that an image would have to be changed, and not written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final

from cbtwire.qcow2.bitmaps import ALL_ONES, AUTO, ENTRY, IN_USE
from cbtwire.qcow2.header import (
    AUTOCLEAR_BITMAPS,
    AUTOCLEAR_RAW_DATA,
    BASE,
    BITMAPS,
    DATA_FILE,
    EXTENSION,
    EXTENSION_BITMAPS,
    MAGIC,
    VERSION_3,
)

HEADER_LENGTH: Final = 112
COPIED: Final = 1 << 63
"""Set in L1 and L2 entries: the cluster is used once, and may be written in place."""


@dataclass(frozen=True, slots=True)
class NewBitmap:
    """A bitmap to be written: granularity in bytes, a power of two from 512 on; `bits` has that of the first granule
    lowest."""

    name: str
    granularity: int
    bits: int
    auto: bool = True
    in_use: bool = False


class _Room:
    """Clusters, one after the other."""

    def __init__(self, cluster: int) -> None:
        self.cluster = cluster
        self.parts: list[bytes] = []

    def add(self, data: bytes) -> int:
        """Where they are now: whole clusters."""
        at = len(self.parts) * self.cluster
        for begin in range(0, len(data), self.cluster):
            self.parts.append(data[begin : begin + self.cluster].ljust(self.cluster, b"\0"))
        return at


def image_bytes(
    size: int, cluster_bits: int, data: Mapping[int, bytes] | None = None, bitmaps: Sequence[NewBitmap] = ()
) -> bytes:
    """An image with a disk of `size` bytes (a multiple of 512), and clusters of 2^`cluster_bits` bytes (9 to 21).

    `data` has what the guest wrote, by the number of the cluster. `ValueError` for what cannot be written.
    """
    cluster = 1 << cluster_bits
    if size % 512 or not 9 <= cluster_bits <= 21:
        raise ValueError(f"no image of {size} bytes with clusters of 2^{cluster_bits}")
    room = _Room(cluster)
    room.add(bytes(cluster))  # the header's place
    l1_at, l1_entries = _tables(room, size, cluster, data or {})
    directory_at, directory = _bitmaps(room, size, bitmaps)
    refcount_at, refcount_clusters = _refcounts(room, cluster)
    extension = b""
    if bitmaps:
        body = BITMAPS.pack(len(bitmaps), 0, len(directory), directory_at)
        extension = EXTENSION.pack(EXTENSION_BITMAPS, len(body)) + body
    header = BASE.pack(
        MAGIC, 3, 0, 0, cluster_bits, size, 0, l1_entries, l1_at, refcount_at, refcount_clusters, 0, 0
    ) + VERSION_3.pack(0, 0, AUTOCLEAR_BITMAPS if bitmaps else 0, 4, HEADER_LENGTH)
    room.parts[0] = (header.ljust(HEADER_LENGTH, b"\0") + extension + EXTENSION.pack(0, 0)).ljust(cluster, b"\0")
    return b"".join(room.parts)


def beside_raw_data(size: int, cluster_bits: int) -> bytes:
    """An image whose guest data lie in a file of their own, byte for byte as the guest sees them; without bitmaps.

    Every cluster has its place there already. The file of the data is named by whoever opens the image.
    """
    cluster = 1 << cluster_bits
    if size % 512 or not 9 <= cluster_bits <= 21:
        raise ValueError(f"no image of {size} bytes with clusters of 2^{cluster_bits}")
    room = _Room(cluster)
    room.add(bytes(cluster))  # the header's place
    per_table, clusters = cluster // 8, -(-size // cluster)
    l1 = []
    for first in range(0, clusters, per_table):
        table = [each * cluster | COPIED for each in range(first, min(first + per_table, clusters))]
        l1.append(room.add(pack(f">{len(table)}Q", *table)) | COPIED)
    l1_at = room.add(pack(f">{len(l1)}Q", *l1))
    refcount_at, refcount_clusters = _refcounts(room, cluster)
    header = BASE.pack(
        MAGIC, 3, 0, 0, cluster_bits, size, 0, len(l1), l1_at, refcount_at, refcount_clusters, 0, 0
    ) + VERSION_3.pack(DATA_FILE, 0, AUTOCLEAR_RAW_DATA, 4, HEADER_LENGTH)
    room.parts[0] = (header.ljust(HEADER_LENGTH, b"\0") + EXTENSION.pack(0, 0)).ljust(cluster, b"\0")
    return b"".join(room.parts)


def _tables(room: _Room, size: int, cluster: int, data: Mapping[int, bytes]) -> tuple[int, int]:
    per_table = cluster // 8
    clusters = -(-size // cluster)
    if any(not 0 <= each < clusters for each in data):
        raise ValueError("data beyond the end of the disk")
    l1 = []
    for first in range(0, clusters, per_table):
        table = [
            room.add(data[number].ljust(cluster, b"\0")) | COPIED if number in data else 0
            for number in range(first, min(first + per_table, clusters))
        ]
        l1.append(room.add(pack(f">{len(table)}Q", *table)) | COPIED if any(table) else 0)
    entries = max(1, len(l1))
    return room.add(pack(f">{entries}Q", *(l1 or [0]))), entries


def _bitmaps(room: _Room, size: int, bitmaps: Sequence[NewBitmap]) -> tuple[int, bytes]:
    directory = b""
    for each in bitmaps:
        granules = -(-size // each.granularity)
        name = each.name.encode()
        exponent = each.granularity.bit_length() - 1
        if each.bits >> granules or each.granularity != 1 << exponent or not 9 <= exponent <= 31 or not name:
            raise ValueError(f"no bitmap of {granules} granules of {each.granularity} bytes: {each.name!r}")
        per_cluster, table = room.cluster * 8, []
        for first in range(0, granules, per_cluster):
            count = min(per_cluster, granules - first)
            part = each.bits >> first & ((1 << count) - 1)
            if part == (1 << count) - 1 and count == per_cluster:
                table.append(ALL_ONES)
            else:
                table.append(room.add(part.to_bytes(-(-count // 8), "little")) if part else 0)
        at = room.add(pack(f">{len(table)}Q", *table))
        flags = (IN_USE if each.in_use else 0) | (AUTO if each.auto else 0)
        entry = ENTRY.pack(at, len(table), flags, 1, exponent, len(name), 0) + name
        directory += entry.ljust(len(entry) + 7 & ~7, b"\0")
    return (room.add(directory) if directory else 0), directory


def _refcounts(room: _Room, cluster: int) -> tuple[int, int]:
    """Every cluster counts one, those of the counts themselves among them (16 bits each)."""
    per_block, used = cluster // 2, len(room.parts)
    blocks = table = 0
    while True:
        total = used + blocks + table
        needed = -(-total // per_block)
        wanted = needed, -(-needed * 8 // cluster)
        if wanted == (blocks, table):
            break
        blocks, table = wanted
    counts = (b"\0\1" * total).ljust(blocks * cluster, b"\0")
    at = room.add(counts)
    table_at = room.add(pack(f">{blocks}Q", *(at + each * cluster for each in range(blocks))))
    return table_at, table
