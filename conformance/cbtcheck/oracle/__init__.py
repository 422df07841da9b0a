"""The oracle: the specification itself on real disks, for whoever wants to ask it from a program of their own.

    oracle = Oracle({"disk0": 16 << 40}, block=4096)
    oracle.command(AddBitmap("disk0", "b0", 65536))
    oracle.write("disk0", offset, length)
    bounds = oracle.bounds("disk0", "b0")
    findings = oracle.observe_bitmap("disk0", "b0", extents)
"""

from cbtcheck.follow.bits import BitsFinding
from cbtcheck.oracle.answer import Answer, Bounds, EntryBounds, ImageBounds, OracleError
from cbtcheck.oracle.observed import Seen, Sight
from cbtcheck.oracle.oracle import INDEFINITE, Oracle
from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.granules import Granules

__all__ = [
    "INDEFINITE",
    "Answer",
    "BitsFinding",
    "Bounds",
    "Compressed",
    "CompressedSets",
    "EntryBounds",
    "Granules",
    "ImageBounds",
    "Oracle",
    "OracleError",
    "Seen",
    "Sight",
]
