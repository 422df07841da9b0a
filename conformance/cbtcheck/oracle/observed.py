"""What somebody has seen of an implementation, held against one state of the specification.

Anything may be left out: what is None was not looked at. What can be judged as the suite judges it is judged by the
very same functions (`cbtcheck.judge`); only bits are compared here, as compressed sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cbtmodel.bitmap import Bitmap, busy, recording
from cbtmodel.node import State
from cbtmodel.table import Table
from pyroaring import BitMap, BitMap64, FrozenBitMap, FrozenBitMap64

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenJob
from cbtcheck.judge import judge_with
from cbtcheck.oracle.compressed import Compressed, CompressedSets
from cbtcheck.oracle.granules import Granules, Roaring
from cbtcheck.verdict import Finding, Verdict

WIDEST_WORD = 1 << 16
"""Of disks with more granules than this a finding has no bit vectors, but only text and granules."""

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


@dataclass(frozen=True, slots=True)
class BitsFinding(Finding):
    """A disagreement about bits: the granules that are missing, or those that are too many."""

    granules: Granules | None = None


def judged(space: CompressedSets, state: State[Compressed], sight: Sight) -> list[Finding]:
    """Every disagreement between a state and what was seen; none if the specification allows what was seen.

    `ValueError` if bits were given that cannot be bits of a bitmap of that granularity on that disk, or successors
    without all bitmaps.
    """
    if sight.successors is not None and not sight.complete:
        raise ValueError("successors can be judged only together with all bitmaps")

    def judge_bits(place: tuple[str, str], size: int, bitmap: Bitmap[Compressed], _: SeenBitmap) -> list[Finding]:
        seen = sight.bitmaps[place]
        return [] if seen is None else bits_judged(space, "/".join(place), size, bitmap, seen)

    return judge_with(space, _looked_at(state, sight), _as_observed(state, sight), judge_bits)


def _looked_at(state: State[Compressed], sight: Sight) -> State[Compressed]:
    """The state without what nobody looked at."""
    if not sight.complete:
        for on, node in state.nodes.items():
            named = {name: each for name, each in node.bitmaps.items() if (on, name) in sight.bitmaps}
            state = replace(state, nodes=state.nodes.put(on, replace(node, bitmaps=Table(named))))
    if sight.jobs is None or not sight.complete:
        jobs = {id: job for id, job in state.jobs.items() if sight.jobs is not None and id in sight.jobs}
        state = replace(state, jobs=Table(jobs))
    return state


def _as_observed(state: State[Compressed], sight: Sight) -> Observation:
    """The observation as the suite has it; flags that nobody looked at are as specified."""
    bitmaps = {}
    for (on, name), seen in sight.bitmaps.items():
        if seen is None:
            continue
        bitmap = state.nodes[on].bitmaps.get(name) if on in state.nodes else None
        expected = (0, False, False) if bitmap is None else (bitmap.granularity, recording(bitmap), busy(bitmap))
        found = (seen.granularity, seen.recording, seen.busy)
        granularity, records, used = (e if f is None else f for e, f in zip(expected, found, strict=True))
        bitmaps[on, name] = SeenBitmap(granularity, bool(records), bool(used), 0, None)
    jobs = {id: job for id, job in (sight.jobs or {}).items() if job is not None}
    return Observation(bitmaps, jobs, sight.successors, sight.in_flight)


def bits_judged(
    space: CompressedSets, where: str, size: int, bitmap: Bitmap[Compressed], seen: Seen
) -> list[Finding]:  # fmt: skip
    """Whether the bits of a bitmap are within its bounds: all that it must have, and no more than it may."""
    if seen.bits is None:
        must, may = bounds_of(space, bitmap, size)
        return [] if seen.count is None else _by_count(where, must, may, seen.count)
    declared = bitmap.granularity if seen.granularity is None else seen.granularity
    if declared < space.block or declared.bit_count() != 1:
        raise ValueError(f"{where}: granules of {declared} bytes cannot be told apart in blocks of {space.block}")
    found = as_granules(seen.bits, declared, size)
    if seen.count not in (None, len(found)):
        return [Finding(Verdict.DIVERGES, "", f"{where} bits", f"{seen.count} granules as counted",
                        f"{len(found)} granules as read")]  # fmt: skip
    if declared > bitmap.granularity:
        found = found.finer(bitmap.granularity)
    must, may = bounds_of(space, bitmap, size, found.granularity)
    if found == may:
        return []
    missing, extra = must - found, found - may
    findings: list[Finding] = []
    if missing:
        texts = f"at least granules {must.named()}", f"granules {found.named()}"
        findings.append(_finding(Verdict.UNSAFE, "NO-LOST-WRITE", where, texts, missing, "missing"))
    if extra:
        texts = f"at most granules {may.named()}", f"granules {found.named()}"
        findings.append(_finding(Verdict.WASTEFUL, "EXACT", where, texts, extra, "extra"))
    return findings


def bounds_of(
    space: CompressedSets, bitmap: Bitmap[Compressed], size: int, granularity: int | None = None
) -> tuple[Granules, Granules]:  # fmt: skip
    """What a bitmap must have and what it may have, in granules of its own granularity, or of a smaller one."""
    granule = bitmap.granularity if granularity is None else granularity
    owed, dirty = bitmap.marks.owed, bitmap.marks.dirty
    must = Granules(space.granules(owed, granule, size), granule, size)
    return must, Granules(space.granules(dirty, granule, size), granule, size)


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


def _finding(
    verdict: Verdict, property: str, where: str, texts: tuple[str, str], granules: Granules, what: str
) -> BitsFinding:  # fmt: skip
    expected, seen = texts
    if "…" in expected + seen:
        seen += f"; {what}: {granules.named()}"
    small = -(-granules.size // granules.granularity) <= WIDEST_WORD
    word = granules.word() if small else None
    missing, extra = (word, None) if what == "missing" else (None, word)
    return BitsFinding(verdict, property, f"{where} bits", expected, seen, missing, extra, granules)


def _by_count(where: str, must: Granules, may: Granules, count: int) -> list[Finding]:
    """What can be said of bits of which only the number was seen."""
    if len(must) <= count <= len(may):
        return []
    verdict, property = (
        (Verdict.UNSAFE, "NO-LOST-WRITE") if count < len(must) else (Verdict.WASTEFUL, "EXACT")
    )  # fmt: skip
    bound = f"at least {len(must)}" if count < len(must) else f"at most {len(may)}"
    return [Finding(verdict, property, f"{where} bits", f"{bound} granules", f"{count} granules")]
