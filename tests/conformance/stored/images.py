"""Images to be spoilt, and how."""

from __future__ import annotations

import functools

from cbtwire.qcow2.writing import NewBitmap, image_bytes

B0 = NewBitmap("b0", 65536, 0b101)
SECOND = NewBitmap("second", 512, 0b1 << 7 | 0b11 << 40, auto=False)
LOST = NewBitmap("lost", 4096, 0, in_use=True)
SIZE = 1 << 20


@functools.cache
def usual(cluster_bits: int = 12) -> bytes:
    """Two valid bitmaps and one that is in use, and some data."""
    cluster = 1 << cluster_bits
    return image_bytes(SIZE, cluster_bits, {0: b"a" * cluster, 5: b"b" * cluster}, [B0, SECOND, LOST])


def put(image: bytes, offset: int, data: bytes) -> bytes:
    """The same with other bytes at one place."""
    return image[:offset] + data + image[offset + len(data) :]
