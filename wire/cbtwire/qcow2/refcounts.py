"""How often a cluster of a qcow2 image is used, as the image itself has it."""

from __future__ import annotations

from cbtwire.qcow2.bitmaps import Image
from cbtwire.qcow2.header import OFFSET_MASK, Header
from cbtwire.qcow2.reading import Bytes, padded


def refcount(source: Bytes, header: Header, offset: int) -> int:
    """The reference count of the cluster at this offset; 0 is free: the next that allocates may take it."""
    number = offset >> header.cluster_bits
    width = 1 << header.refcount_order
    per_block = header.cluster * 8 // width
    index = number // per_block
    if index * 8 >= header.refcount_clusters * header.cluster:
        return 0
    block = int.from_bytes(padded(source, header.refcount_offset + index * 8, 8), "big") & OFFSET_MASK
    if not block:
        return 0
    within = number % per_block
    if width >= 8:
        return int.from_bytes(padded(source, block + within * width // 8, width // 8), "big")
    byte = padded(source, block + within * width // 8, 1)[0]
    return byte >> (within * width % 8) & ((1 << width) - 1)


def free_but_used(source: Bytes, image: Image) -> list[tuple[str, int]]:
    """Clusters of the bitmaps that the image counts as free, as (what is there, offset): a write may land there."""
    header, found = image.header, []
    directory = header.directory
    if directory is not None:
        for offset in range(directory.offset, directory.offset + directory.size, header.cluster):
            found.append(("directory", offset))
    for bitmap in image.bitmaps:
        for offset in range(bitmap.table_at, bitmap.table_at + 8 * bitmap.table_entries, header.cluster):
            found.append((f"table of {bitmap.name}", offset))
        found += [(f"bits of {bitmap.name}", each & OFFSET_MASK) for each in bitmap.table if each & OFFSET_MASK]
    return [each for each in found if refcount(source, header, each[1]) == 0]
