"""What the guest reads from a qcow2 image: its tables, followed down to the data."""

from __future__ import annotations

from struct import Struct
from typing import Final

from cbtwire.qcow2.header import DATA_FILE, EXTENDED_L2, OFFSET_MASK, Header
from cbtwire.qcow2.reading import BadImage, Bytes, padded

WORD: Final = Struct(">Q")
COMPRESSED: Final = 1 << 62
ZERO: Final = 1


def guest_data(source: Bytes, header: Header, backing: bytes | None = None) -> bytearray:
    """The whole disk; `backing` is what the backing file's disk has, zeroes beyond its end.

    `BadImage` for tables that QEMU would call corrupt, and for what is not read here: data that are encrypted,
    compressed or in another file, and extended L2 entries.
    """
    if header.encryption or header.incompatible & (DATA_FILE | EXTENDED_L2):
        raise BadImage("encrypted data, an external data file and extended L2 entries are not read", 0)
    cluster, length = header.cluster, header.length
    per_table = cluster // WORD.size
    disk = bytearray(length)
    if backing is not None:
        kept = backing[:length]
        disk[: len(kept)] = kept
    for first in range(0, length, cluster * per_table):
        at = header.l1_offset + first // (cluster * per_table) * WORD.size
        l2 = WORD.unpack(padded(source, at, WORD.size))[0] & OFFSET_MASK
        if not l2:
            continue
        if l2 % cluster:
            raise BadImage("L2 table offset unaligned", at)
        count = min(per_table, -(-(length - first) // cluster))
        table = padded(source, l2, count * WORD.size)
        for number, (entry,) in enumerate(WORD.iter_unpack(table)):
            if entry:
                begin = first + number * cluster
                data = _cluster(source, cluster, entry, l2 + number * WORD.size)
                if data is not None:
                    end = min(length, begin + cluster)
                    disk[begin:end] = data[: end - begin]
    return disk


def _cluster(source: Bytes, cluster: int, entry: int, where: int) -> bytes | None:
    """The data of one cluster; None if the backing file has them."""
    if entry & COMPRESSED:
        raise BadImage("compressed clusters are not read", where)
    if entry & ZERO:
        return bytes(cluster)
    offset = entry & OFFSET_MASK
    if not offset:
        return None
    if offset % cluster:
        raise BadImage("Cluster allocation offset unaligned", where)
    return padded(source, offset, cluster)
