"""What somebody has seen of an implementation, in whatever form they have it.

Anything may be left out: what is None was not looked at. It is judged as the suite judges (`cbtcheck.follow.judge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cbtmodel.node import State
from pyroaring import BitMap, BitMap64, FrozenBitMap, FrozenBitMap64

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenEntry, SeenImage, SeenJob
from cbtcheck.follow.judge import judge
from cbtcheck.follow.judge_images import judge_with_images
from cbtcheck.follow.seen import Shown
from cbtcheck.scenario.images import Files
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.granules import Granules
from cbtcheck.sets.numbers import Roaring

Bits = Granules | Roaring | bytes | bytearray | memoryview | Iterable[tuple[int, int]]
"""Bits of a bitmap: ready granules, a pyroaring bitmap of their numbers, raw bits, or extents (see `granules`)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A bitmap as it was seen: granularity in bytes, flags, bits, and how many granules it says are dirty.

    What is None was not looked at. `persistent` and `inconsistent` are of disks that lie in images.
    """

    granularity: int | None = None
    recording: bool | None = None
    busy: bool | None = None
    bits: Bits | None = None
    count: int | None = None
    persistent: bool | None = None
    inconsistent: bool | None = None


Kept = TypeVar("Kept", Seen, SeenEntry)


@dataclass(frozen=True, slots=True)
class Sight:
    """An observation. Bitmaps are by (disk, name); None for one that was looked for and is not there.

    `complete`: there are no other bitmaps, and, unless `jobs` is None, no other jobs. `jobs` are by their ids, None
    for one that is not there. `successors` are the anonymous bitmaps of disks, `in_flight` all guest writes in
    flight as (disk, id). `images` are those of disks that were looked at; bits of entries are as those of bitmaps.
    """

    bitmaps: Mapping[tuple[str, str], Seen | None] = field(default_factory=dict)
    jobs: Mapping[str, SeenJob | None] | None = None
    successors: dict[str, tuple[SeenAnonymous, ...]] | None = None
    in_flight: frozenset[tuple[str, str]] | None = None
    complete: bool = False
    images: Mapping[str, SeenImage] | None = None


def judged(
    space: CompressedSets, state: State[Compressed], sight: Sight, shown: Shown, files: Files[Compressed] | None
) -> tuple[list[Finding], Files[Compressed] | None]:
    """Every disagreement between a state and what was seen; none if the specification allows what was seen.

    And the images in which disks lie, if they do, after this look at them. `shown` is what was seen before; what
    this shows is added. `ValueError` if bits were given that cannot be bits of a bitmap of that granularity on that
    disk, or successors without all bitmaps, or something of images where disks lie in none.
    """
    if sight.successors is not None and not sight.complete:
        raise ValueError("successors can be judged only together with all bitmaps")
    bitmaps: dict[tuple[str, str], SeenBitmap | None] = {}
    jobs: dict[str, SeenJob | None] = {}
    if not sight.complete:  # of the others nothing was seen
        bitmaps = {
            (node_name, name): SeenBitmap() for node_name, node in state.nodes.items() for name in node.bitmaps
        }
    if not sight.complete or sight.jobs is None:
        jobs = {job_id: SeenJob(None) for job_id in state.jobs}
    bitmaps |= {place: in_granules(space, state, place, seen) for place, seen in sight.bitmaps.items()}
    jobs |= sight.jobs or {}
    seen = Observation(
        {place: each for place, each in bitmaps.items() if each is not None},
        {job_id: each for job_id, each in jobs.items() if each is not None}, sight.successors, sight.in_flight,
        _images(space, files, sight),
    )  # fmt: skip
    if files is None:
        return judge(space, state, seen, None, shown), None
    looked_at = state.nodes if sight.complete else {node for node, _ in sight.bitmaps}
    return judge_with_images(space, state, files, seen, None, shown), files.looked_at(looked_at)


def _images(space: CompressedSets, files: Files[Compressed] | None, sight: Sight) -> dict[str, SeenImage] | None:
    """The images that were seen, with the bits of their entries as granules."""
    if files is None:
        flags = [flag for each in sight.bitmaps.values() if each for flag in (each.persistent, each.inconsistent)]
        if sight.images is not None or any(each is not None for each in flags):
            raise ValueError("the disks lie in no images")
        return None
    found: dict[str, SeenImage] = {}
    for node, image in (sight.images or {}).items():
        if node not in files.images:
            raise ValueError(f"there is no disk '{node}'")
        size = files.images[node].size
        entries = None if image.entries is None else {
            name: replace(each, bits=bits_of(space, f"{node}/{name}", each.bits, each.granularity, size))
            for name, each in image.entries.items()
        }  # fmt: skip
        found[node] = replace(image, entries=entries)
    return found


def in_granules(
    space: CompressedSets, state: State[Compressed], place: tuple[str, str], seen: Seen | None
) -> SeenBitmap | None:
    """A bitmap as it was seen, with its bits as granules, if their granularity is known."""
    if seen is None:
        return None
    node, name = place
    disk = state.nodes.get(node)
    there = None if disk is None else disk.bitmaps.get(name)
    declared = seen.granularity if seen.granularity is not None or there is None else there.granularity
    bits = None
    if disk is not None and declared is not None:
        bits = bits_of(space, f"{node}/{name}", seen.bits, declared, disk.size)
    return SeenBitmap(
        seen.granularity, seen.recording, seen.busy, seen.count, None, bits, seen.persistent, seen.inconsistent
    )


def bits_of(space: CompressedSets, where: str, bits: Bits | None, granularity: int, size: int) -> Granules | None:
    """Bits as granules of so many bytes. `ValueError` if there cannot be such."""
    if bits is None:
        return None
    if granularity < space.block or granularity.bit_count() != 1:
        raise ValueError(f"{where}: granules of {granularity} bytes cannot be told apart in blocks of {space.block}")
    return as_granules(bits, granularity, size)


def as_granules(bits: Bits, granularity: int, size: int) -> Granules:
    """Bits, however they are written, as granules. `ValueError` if they are not granules of that disk."""
    if isinstance(bits, Granules):
        if (bits.granularity, bits.size) != (granularity, size):
            raise ValueError(f"granules of {bits.granularity} bytes of a disk of {bits.size} bytes were given "
                             f"for those of {granularity} bytes of a disk of {size}")  # fmt: skip
        return bits
    if isinstance(bits, BitMap | FrozenBitMap | BitMap64 | FrozenBitMap64):
        return Granules.from_numbers(bits, granularity, size)
    if isinstance(bits, bytes | bytearray | memoryview):
        return Granules.from_raw_bits(bytes(bits), granularity, size)
    return Granules.from_extents(bits, granularity, size)


def to_look_at_twice(sight: Sight) -> Sight:
    """Bits that come one by one can be looked at in one world only, so they are kept."""
    images = None if sight.images is None else {
        node: each if each.entries is None else replace(
            each, entries={name: _kept(entry) for name, entry in each.entries.items()}
        )
        for node, each in sight.images.items()
    }  # fmt: skip
    bitmaps = {place: None if seen is None else _kept(seen) for place, seen in sight.bitmaps.items()}
    return replace(sight, bitmaps=bitmaps, images=images)


def _kept(seen: Kept) -> Kept:
    return replace(seen, bits=list(seen.bits)) if isinstance(seen.bits, Iterator) else seen
