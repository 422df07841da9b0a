"""Landmarks: the values at which implementations change their ways, in one table, and where on a disk they lie.

A number fits into one type and not into the next, a buffer is full, a page of bits ends. What is made of a landmark
fits what is claimed: granularities, clusters, tails, and the largest disk. Disks are sparse, and a *block* of a
scenario is as coarse as it may be, so that a disk of 16 TiB has no more blocks than one of some gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cbtcheck.content import LARGEST_FLAT
from cbtcheck.search.families.ground import Ground

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

OFFSETS: dict[int, str] = {
    1 << 16: "16 bits of bytes; the plainest cluster",
    1 << 20: "a buffer of 1 MiB",
    1 << 25: "16 bits of sectors",
    1 << 31: "31 bits of bytes, and the sign",
    1 << 32: "32 bits of bytes",
    1 << 40: "31 bits of sectors, and the sign",
    1 << 41: "32 bits of sectors",
    1 << 43: "31 bits of blocks of 4 KiB",
    1 << 44: "32 bits of blocks of 4 KiB",
}
"""Bytes from the start of a disk, at which and across which something is done."""

LENGTHS: dict[int, str] = {
    1 << 16: "16 bits of bytes; a short buffer",
    1 << 20: "a buffer of 1 MiB",
    1 << 21: "a buffer of 2 MiB",
    1 << 25: "16 bits of sectors; a request of NBD",
    1 << 31: "31 bits of bytes",
    1 << 32: "32 bits of bytes",
    1 << 40: "31 bits of sectors",
    1 << 41: "32 bits of sectors",
}
"""Bytes of one write; a little less, and a little more, too."""

MOST_DATA = 4 * MIB
"""Bytes of a write with data; what is longer writes zeroes, of which there may be terabytes."""

NUMBERS: dict[int, str] = {
    1 << 6: "a word of bits",
    1 << 8: "8 bits; a cache line of bits",
    1 << 12: "a page of 4,096 granules",
    1 << 15: "15 bits, and the sign; 4 KiB of bits",
    1 << 16: "16 bits; a container of a compressed bitmap",
    1 << 18: "a cluster of 32 KiB of bits",
}
"""Numbers of granules, and how many are dirty. 2^31 is left out: see `docs/understand/landmarks.md`."""

RUNS = (1, 5, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 1024)
"""Granules in a run, and runs in an answer."""

LONG_RUNS = (4096, 4097, 32768, 65535, 65536)
"""Granules in a run: what a count of 16 bits takes for none."""

MOST_BLOCKS = {"quick": 1 << 18}
"""Blocks of a disk, by profile; of each set that a step makes, a bit for each."""
MORE_BLOCKS = 1 << 20


@dataclass(frozen=True)
class Place:
    """A disk, and a landmark on it. All in bytes; `title` is for people.

    `block` is that of the scenario. `at` is the first byte of the granule that begins at the landmark; the disk has
    some granules before it, and after it as many as `UNITS_AFTER`.
    """

    title: str
    size: int
    block: int
    granularity: int
    cluster: int
    at: int

    @property
    def unit(self) -> int:
        """What holds a granule and a cluster."""
        return max(self.granularity, self.cluster)


CHEAP = 4 * MIB
"""Bytes of a disk whose content is compared in no time. What is a little larger is made too large for that, or, where
that is not claimed, left to *ci*."""

UNITS_AFTER = 24
TAIL = 1536


def most_blocks(ground: Ground) -> int:
    """How many blocks a disk may have."""
    return MOST_BLOCKS.get(ground.profile, MORE_BLOCKS)


def is_usable(ground: Ground, size: int, granularity: int, cluster: int) -> bool:
    """Whether a disk of so many bytes, in granules and clusters of so many, is claimed."""
    claims = ground.capabilities
    granules, clusters = -(-size // granularity), -(-size // cluster)
    few = granules <= claims.most_granules and (clusters <= claims.most_clusters or claims.suite_copies)
    return size <= claims.largest_disk and few


def granularities(ground: Ground) -> list[int]:
    """Every granularity that may be asked for, the finest first."""
    claims = ground.capabilities
    sizes = (1 << power for power in range(9, 32))
    return [each for each in sizes if claims.smallest_granularity <= each <= claims.largest_granularity]


def cluster_for(ground: Ground, granularity: int) -> int:
    """The cluster that a job has there: the granularity itself, if that may be, or the plainest."""
    claims = ground.capabilities
    return granularity if claims.any_cluster or granularity in claims.clusters else ground.cluster


def place(ground: Ground, title: str, at: int, granularity: int) -> Place | None:
    """The landmark on a disk that goes on a little, and ends within a block if it may; None if that cannot be had."""
    cluster = cluster_for(ground, granularity)
    unit, block = max(granularity, cluster), min(granularity, cluster)
    tail = min(TAIL, block - 512) if ground.capabilities.tails else 0
    size = -(-at // unit) * unit + UNITS_AFTER * unit + tail
    if CHEAP < size <= LARGEST_FLAT:
        if ground.capabilities.largest_disk > LARGEST_FLAT:
            size = LARGEST_FLAT + UNITS_AFTER * unit + tail
        elif not ground.thorough:
            return None
    usable = is_usable(ground, size, granularity, cluster) and size // block <= most_blocks(ground)
    return Place(title, size, block, granularity, cluster, at) if usable else None


def finest(ground: Ground, size: int, least: int = 512) -> list[int]:
    """The granularities that a disk of about that size may be tracked in, the finest first."""
    if size > CHEAP:
        size = max(size, LARGEST_FLAT)
    return [each for each in granularities(ground) if each >= least and size // each <= most_blocks(ground) // 4]


def offsets(ground: Ground) -> Iterator[Place]:
    """A place for each landmark among the offsets: in the finest granularity, and in one that is much coarser."""
    for at in OFFSETS:
        usable = [each for each in finest(ground, at) if at // each >= 2]
        for granularity in dict.fromkeys((*usable[:1], *usable[6:7])):
            found = place(ground, f"offset {power(at)} in granules of {granularity}", at, granularity)
            if found is not None:
                yield found


def ends(ground: Ground) -> Iterator[Place]:
    """Places at the end of the largest disk that is claimed, and of the one with the most granules."""
    claims = ground.capabilities
    finest_of_all = granularities(ground)[0]
    most = [finest_of_all] if claims.most_granules * finest_of_all < claims.largest_disk else []
    for granularity in dict.fromkeys((*finest(ground, claims.largest_disk)[:1], *most)):
        cluster = cluster_for(ground, granularity)
        unit, block = max(granularity, cluster), min(granularity, cluster)
        size = min(claims.largest_disk, claims.most_granules * granularity)
        if not claims.suite_copies:
            size = min(size, claims.most_clusters * cluster)
        size -= size % (512 if claims.tails else unit)
        if size.bit_count() == 1:  # which flatters whoever thinks in powers of two
            size -= 512 if claims.tails else unit
        at = (size // unit - UNITS_AFTER) * unit
        cheap = ground.thorough or not CHEAP < size <= LARGEST_FLAT
        if at > 0 and cheap and size // block <= most_blocks(ground):
            title = f"the end of {size} bytes in granules of {granularity}"
            yield Place(title, size, block, granularity, cluster, at)


def numbers(ground: Ground) -> Iterator[Place]:
    """A place for each landmark among the numbers of granules, in the finest granularity, and in 4 KiB."""
    for number in NUMBERS:
        for granularity in dict.fromkeys((*granularities(ground)[:1], 4096)):
            found = place(ground, f"granule {power(number)} of {granularity}", number * granularity, granularity)
            if found is not None:
                yield found


def power(number: int) -> str:
    """A number in the words of whoever looks for it: 2^32, 2^32 - 1, or 1,000."""
    for near, sign in ((number, ""), (number + 1, " - 1"), (number - 1, " + 1")):
        if near >= 256 and near.bit_count() == 1:
            return f"2^{near.bit_length() - 1}{sign}"
    return f"{number:,}"
