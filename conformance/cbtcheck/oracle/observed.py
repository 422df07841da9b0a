"""What somebody has seen of an implementation, in whatever form they have it.

Anything may be left out: what is None was not looked at. It is judged as the suite judges (`cbtcheck.follow.judge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cbtmodel.node import State
from pyroaring import BitMap, BitMap64, FrozenBitMap, FrozenBitMap64

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenJob
from cbtcheck.follow.judge import judge
from cbtcheck.follow.seen import Shown
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.granules import Granules, Roaring

Bits = Granules | Roaring | bytes | bytearray | memoryview | Iterable[tuple[int, int]]
"""Bits of a bitmap: ready granules, a pyroaring bitmap of their numbers, raw bits, or extents (see `granules`)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A bitmap as it was seen: granularity in bytes, flags, bits, and how many granules it says are dirty.

    What is None was not looked at.
    """

    granularity: int | None = None
    recording: bool | None = None
    busy: bool | None = None
    bits: Bits | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """An observation. Bitmaps are by (disk, name); None for one that was looked for and is not there.

    `complete`: there are no other bitmaps, and, unless `jobs` is None, no other jobs. `jobs` are by their ids, None
    for one that is not there. `successors` are the anonymous bitmaps of disks, `in_flight` all guest writes in
    flight as (disk, id).
    """

    bitmaps: Mapping[tuple[str, str], Seen | None] = field(default_factory=dict)
    jobs: Mapping[str, SeenJob | None] | None = None
    successors: dict[str, tuple[SeenAnonymous, ...]] | None = None
    in_flight: frozenset[tuple[str, str]] | None = None
    complete: bool = False


def judged(space: CompressedSets, state: State[Compressed], sight: Sight, shown: Shown) -> list[Finding]:
    """Every disagreement between a state and what was seen; none if the specification allows what was seen.

    `shown` is what was seen before; what this shows is added. `ValueError` if bits were given that cannot be bits of
    a bitmap of that granularity on that disk, or successors without all bitmaps.
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
    )  # fmt: skip
    return judge(space, state, seen, None, shown)


def in_granules(
    space: CompressedSets, state: State[Compressed], place: tuple[str, str], seen: Seen | None
) -> SeenBitmap | None:
    """A bitmap as it was seen, with its bits as granules, if the specification has such a bitmap."""
    node, name = place
    bitmap = state.nodes[node].bitmaps.get(name) if node in state.nodes else None
    if seen is None or bitmap is None:
        return None if seen is None else SeenBitmap()
    declared = bitmap.granularity if seen.granularity is None else seen.granularity
    bits = None
    if seen.bits is not None:
        if declared < space.block or declared.bit_count() != 1:
            raise ValueError(
                f"{node}/{name}: granules of {declared} bytes cannot be told apart in blocks of {space.block}"
            )
        bits = as_granules(seen.bits, declared, state.nodes[node].size)
    return SeenBitmap(seen.granularity, seen.recording, seen.busy, seen.count, None, bits)


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
    return replace(sight, bitmaps={place: _kept(seen) for place, seen in sight.bitmaps.items()})


def _kept(seen: Seen | None) -> Seen | None:
    return replace(seen, bits=list(seen.bits)) if seen is not None and isinstance(seen.bits, Iterator) else seen
