"""The header of a qcow2 image, and its extensions.

Source: docs/interop/qcow2.rst and block/qcow2.c of QEMU (`qcow2_do_open`, `qcow2_read_extensions`), whose checks are
made here in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from cbtwire.qcow2.reading import BadImage, Bytes, NotQcow2, padded

MAGIC: Final = 0x514649FB
BASE: Final = Struct(">IIQIIQIIQQIIQ")
"""magic, version, backing file's offset and length, cluster bits, size, encryption, L1 entries and offset, refcount
table's offset and clusters, snapshots and their offset."""
VERSION_3: Final = Struct(">QQQII")
"""At byte 72: incompatible, compatible and autoclear features, refcount order, length of the header."""
EXTENSION: Final = Struct(">II")
BITMAPS: Final = Struct(">IIQQ")
"""How many bitmaps, reserved, size and offset of the directory."""

EXTENSION_END: Final = 0
EXTENSION_BITMAPS: Final = 0x23852875
EXTENSION_BACKING_FORMAT: Final = 0xE2792ACA
EXTENSION_DATA_FILE: Final = 0x44415441

AUTOCLEAR_BITMAPS: Final = 1
AUTOCLEAR_RAW_DATA: Final = 2
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
INCOMPATIBLE: Final = {
    DIRTY: "dirty (refcounts are rebuilt when it is opened)",
    CORRUPT: "corrupt (it can be opened read-only, or by qemu-img check -r)",
    DATA_FILE: "external data file",
    COMPRESSION: "compression type",
    EXTENDED_L2: "extended L2 entries",
}
"""Incompatible features that QEMU knows."""

MOST_BITMAPS: Final = 65535
LARGEST_DIRECTORY: Final = 1024 * MOST_BITMAPS
LARGEST_TABLE: Final = 32 << 20
"""Bytes of the L1 table, at most; of the refcount table, a quarter of it."""
OFFSET_MASK: Final = 0x00FFFFFFFFFFFE00


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the directory of bitmaps is, and how many it has to have; `said_at` is where the header says so."""

    bitmaps: int
    size: int
    offset: int
    said_at: int


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself.

    `directory` is None without bitmaps, and where they are ignored: then `ignored` is true. That is so when the
    autoclear bit is not set, because a program that knows no bitmaps has written to the image.
    """

    version: int
    cluster_bits: int
    virtual_size: int
    encryption: int
    incompatible: int
    autoclear: int
    refcount_order: int
    l1_offset: int
    l1_entries: int
    refcount_offset: int
    refcount_clusters: int
    backing_file: str | None
    backing_format: str | None
    data_file: str | None
    directory: Directory | None
    ignored: bool

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def length(self) -> int:
        """Bytes of the guest's disk: whole sectors of 512 bytes, as QEMU counts."""
        return self.virtual_size & ~511


def read_header(source: Bytes) -> Header:
    """The header. `NotQcow2` if it is none, `BadImage` if QEMU would not open the image because of it."""
    first = padded(source, 0, 112)
    (
        magic, version, backing_offset, backing_length, cluster_bits, size, encryption, l1_entries, l1_offset,
        refcount_offset, refcount_clusters, snapshots, snapshots_offset,
    ) = BASE.unpack_from(first)  # fmt: skip
    if magic != MAGIC:
        raise NotQcow2("Image is not in qcow2 format", 0)
    if version not in (2, 3):
        raise BadImage(f"Unsupported qcow2 version {version}", 4)
    if not 9 <= cluster_bits <= 21:
        raise BadImage(f"Unsupported cluster size: 2^{cluster_bits}", 20)
    incompatible, autoclear, order, header_length = 0, 0, 4, 72
    if version == 3:
        incompatible, _, autoclear, order, header_length = VERSION_3.unpack_from(first, 72)
        if header_length < 104:
            raise BadImage("qcow2 header too short", 100)
    cluster = 1 << cluster_bits
    if header_length > cluster:
        raise BadImage("qcow2 header exceeds cluster size", 100)
    if backing_offset > cluster:
        raise BadImage("Invalid backing file offset", 8)
    _check_features(incompatible, first[104] if header_length > 104 else 0, cluster_bits)
    if order > 6:
        raise BadImage("Reference count entry width too large; may not exceed 64 bits", 96)
    if encryption > 2:
        raise BadImage(f"Unsupported encryption method {encryption}", 32)
    if refcount_clusters == 0:
        raise BadImage("Image does not contain a reference count table", 56)
    _check_table("Reference count table", refcount_offset, refcount_clusters * cluster, 8 << 20, cluster, 48)
    _check_table("Snapshot table", snapshots_offset, snapshots * 40, 40 * 65536, cluster, 64)
    _check_table("Active L1 table", l1_offset, l1_entries * 8, LARGEST_TABLE, cluster, 40)
    shift = 2 * cluster_bits - (4 if incompatible & EXTENDED_L2 else 3)
    if l1_entries < (size + (1 << shift) - 1) >> shift:
        raise BadImage("L1 table is too small", 36)
    used = bool(autoclear & AUTOCLEAR_BITMAPS)
    found = _extensions(source, header_length, backing_offset or cluster, used, cluster)
    directory = _directory(*found[EXTENSION_BITMAPS], cluster) if used and EXTENSION_BITMAPS in found else None
    backing = _backing_file(source, backing_offset, backing_length, cluster)
    return Header(
        version, cluster_bits, size, encryption, incompatible, autoclear, order, l1_offset, l1_entries,
        refcount_offset, refcount_clusters, backing,
        _text(found, EXTENSION_BACKING_FORMAT), _text(found, EXTENSION_DATA_FILE),
        directory, directory is None and EXTENSION_BITMAPS in found,
    )  # fmt: skip


def _check_features(incompatible: int, compression: int, cluster_bits: int) -> None:
    if bool(compression) is not bool(incompatible & COMPRESSION):
        must = "" if compression else "not "
        raise BadImage(f"qcow2: Compression type incompatible feature bit must {must}be set", 72)
    if compression > 1:
        raise BadImage(f"qcow2: unknown compression type: {compression}", 104)
    unknown = incompatible & ~sum(INCOMPATIBLE)
    if unknown:
        raise BadImage(f"Unsupported qcow2 feature(s): Unknown incompatible feature: {unknown:x}", 72)
    if incompatible & EXTENDED_L2 and cluster_bits < 14:
        raise BadImage(f"Unsupported subcluster size: {1 << cluster_bits >> 5}", 72)


def _check_table(name: str, offset: int, size: int, most: int, cluster: int, where: int) -> None:
    if size > most:
        raise BadImage(f"{name} too large", where)
    if offset % cluster or offset > (1 << 63) - 1 - size:
        raise BadImage(f"{name} offset invalid", where)


def _extensions(source: Bytes, start: int, end: int, used: bool, cluster: int) -> dict[int, tuple[int, bytes]]:
    """Each extension's place and data, by its number; of two that are the same, the last.

    That of the bitmaps is checked in its turn if it is `used`.
    """
    found: dict[int, tuple[int, bytes]] = {}
    data = padded(source, 0, max(start, end) + EXTENSION.size)
    at = start
    while at < end:
        kind, length = EXTENSION.unpack_from(data, at)
        at += EXTENSION.size
        if at > end or length > end - at:
            raise BadImage("Header extension too large", at - EXTENSION.size)
        if kind == EXTENSION_END:
            break
        found[kind] = at, data[at : at + length]
        if kind == EXTENSION_BITMAPS and used:
            _directory(*found[kind], cluster)
        at += length + 7 & ~7
    return found


def _directory(at: int, data: bytes, cluster: int) -> Directory:
    if len(data) != BITMAPS.size:
        raise BadImage("bitmaps_ext: Invalid extension length", at - 4)
    bitmaps, reserved, size, offset = BITMAPS.unpack(data)
    if reserved:
        raise BadImage("bitmaps_ext: Reserved field is not zero", at + 4)
    if bitmaps > MOST_BITMAPS:
        raise BadImage(
            f"bitmaps_ext: Image has {bitmaps} bitmaps, exceeding the QEMU supported maximum of {MOST_BITMAPS}", at
        )
    if bitmaps == 0:
        raise BadImage("found bitmaps extension with zero bitmaps", at)
    if offset % cluster:
        raise BadImage("bitmaps_ext: invalid bitmap directory offset", at + 16)
    if size > LARGEST_DIRECTORY:
        raise BadImage(
            f"bitmaps_ext: bitmap directory size ({size}) exceeds the maximum supported size ({LARGEST_DIRECTORY})",
            at + 8,
        )
    return Directory(bitmaps, size, offset, at)


def _backing_file(source: Bytes, offset: int, length: int, cluster: int) -> str | None:
    if not offset:
        return None
    if length > min(1023, cluster - offset):
        raise BadImage("Backing file name too long", 16)
    return padded(source, offset, length).decode(errors="replace")


def _text(found: dict[int, tuple[int, bytes]], kind: int) -> str | None:
    return found[kind][1].decode(errors="replace") if kind in found else None
