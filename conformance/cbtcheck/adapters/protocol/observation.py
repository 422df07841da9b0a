"""What an adapter says that there is, held against the sizes of disks, and in the words of the suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET, UnsetType

from cbtcheck.adapter import (
    ACCEPTED,
    Observation,
    Reply,
    SeenAnonymous,
    SeenBitmap,
    SeenEntry,
    SeenImage,
    SeenJob,
    digest,
)
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.mistakes import ProtocolError, printable
from cbtcheck.content import Content, Runs, in_form

FEW = 64
"""So many extents are put together one by one."""

Place = tuple[str, str]


def observation(
    said: m.SeenState, sizes: Mapping[str, int], exact: frozenset[Place] | None
) -> tuple[Observation, dict[Place, int]]:
    """What was seen, and the granules of every bitmap. Raises `ProtocolError` for what cannot be.

    `sizes` are those of the disks, in bytes; `exact` are the bitmaps whose digests are wanted, None for all.
    """
    bits: dict[Place, int] = {}
    bitmaps: dict[Place, SeenBitmap] = {}
    for each in said.bitmaps:
        place = each.node, each.name
        where = f"bitmap {_named(*place)}"
        if place in bitmaps:
            raise ProtocolError(f"{where} is there twice")
        word = granules(each.dirty, each.granularity, _size(each.node, sizes, where), where)
        wanted = exact is None or place in exact
        count = -(-sizes[each.node] // each.granularity)
        bits[place] = word
        bitmaps[place] = SeenBitmap(
            each.granularity, each.recording, each.busy, word.bit_count(), digest(word, count) if wanted else None,
            None, _told(each.persistent), _told(each.inconsistent),
        )  # fmt: skip
    seen = _jobs(said, sizes), _successors(said, sizes), _writes(said, sizes), _images(said, sizes)
    return Observation(bitmaps, *seen), bits


def _told(flag: bool | UnsetType) -> bool | None:
    return None if flag is UNSET else flag


def _images(said: m.SeenState, sizes: Mapping[str, int]) -> dict[str, SeenImage] | None:
    if said.images is UNSET:
        return None
    found: dict[str, SeenImage] = {}
    for each in said.images:
        where = f"the image of {_named(each.node)}"
        size = _size(each.node, sizes, where)
        if each.node in found:
            raise ProtocolError(f"{where} is there twice")
        entries = None if each.entries is UNSET else _entries(each.entries, size, where)
        found[each.node] = SeenImage(each.open, entries)
    return found


def _entries(listed: Sequence[m.SeenEntry], size: int, where: str) -> dict[str, SeenEntry]:
    found: dict[str, SeenEntry] = {}
    for each in listed:
        named = f"{where}: entry {_named(each.name)}"
        if each.name in found:
            raise ProtocolError(f"{named} is there twice")
        word = None if each.dirty is UNSET else granules(each.dirty, each.granularity, size, named)
        found[each.name] = SeenEntry(each.granularity, each.enabled, each.in_use, word)
    return found


def _jobs(said: m.SeenState, sizes: Mapping[str, int]) -> dict[str, SeenJob]:
    largest = max(sizes.values(), default=0)
    jobs: dict[str, SeenJob] = {}
    for each in said.jobs if said.jobs is not UNSET else ():
        if each.job in jobs:
            raise ProtocolError(f"job {_named(each.job)} is there twice")
        copied = None if each.copied is UNSET else tuple(each.copied)
        for offset, length in copied or ():
            if offset + length > largest:
                raise ProtocolError(
                    f"job {_named(each.job)} has copied [{offset},{length}], beyond the end of every disk"
                )
        jobs[each.job] = SeenJob(each.phase, copied)
    return jobs


def _successors(said: m.SeenState, sizes: Mapping[str, int]) -> dict[str, tuple[SeenAnonymous, ...]] | None:
    if said.successors is UNSET:
        return None
    found: dict[str, tuple[SeenAnonymous, ...]] = dict.fromkeys(sizes, ())
    for each in said.successors:
        where = f"a successor on {_named(each.node)}"
        word = granules(each.dirty, each.granularity, _size(each.node, sizes, where), where)
        found[each.node] += (SeenAnonymous(each.granularity, each.recording, word.bit_count()),)
    return found


def _writes(said: m.SeenState, sizes: Mapping[str, int]) -> frozenset[Place] | None:
    if said.writes is UNSET:
        return None
    for each in said.writes:
        _size(each.node, sizes, f"write {_named(each.node, each.write)}")
    return frozenset((each.node, each.write) for each in said.writes)


def _size(node: str, sizes: Mapping[str, int], where: str) -> int:
    if node not in sizes:
        raise ProtocolError(f"{where}: there is no such disk (there are: {', '.join(sizes)})")
    return sizes[node]


def _named(*names: str) -> str:
    return printable("/".join(names).encode(errors="replace"))


def granules(extents: Iterable[m.Extent], granularity: int, size: int, where: str) -> int:
    """Extents of a disk of `size` bytes as granules: bit i is granule i. Raises `ProtocolError`.

    They may come in any order, touch and overlap, and the last may end with the disk or with its granule.
    """
    end = -(-size // granularity) * granularity
    runs = []
    for offset, length in extents:
        past = offset + length
        if past > end:
            raise ProtocolError(f"{where}: the extent [{offset},{length}] is beyond the end of the disk, {size}")
        if offset % granularity or (past % granularity and past != size):
            raise ProtocolError(
                f"{where}: the extent [{offset},{length}] is not of whole granules of {granularity}",
                hint="extents are [offset, length] in bytes: neither granule numbers nor the bytes that were written",
            )
        if length:
            runs.append((offset // granularity, -(-past // granularity)))
    return _word(runs, end // granularity)


def _word(runs: Sequence[tuple[int, int]], count: int) -> int:
    """Runs (first, past the last) as bits, of `count` in all."""
    word = 0
    if len(runs) <= FEW:
        for first, past in runs:
            word |= ((1 << (past - first)) - 1) << first
        return word
    digits = bytearray(b"0") * count
    reached = 0
    for first, past in sorted(runs):
        first = max(first, reached)
        if past > first:
            digits[first:past] = b"1" * (past - first)
            reached = past
    digits.reverse()
    return int(digits, 2)


def content(runs: Sequence[m.Run], size: int, where: str) -> Content:
    """Runs of equal bytes as a content, which must be `size` in all. Raises `ProtocolError`."""
    total = sum(count for _, count in runs)
    if total != size:
        raise ProtocolError(f"{where} has a content of {total} bytes, where it is of {size}")
    return in_form(Runs(runs))


def reply_of(said: m.Done) -> Reply:
    """The reply to one command."""
    if said.error is UNSET:
        return ACCEPTED
    text = "" if said.text is UNSET else printable(said.text.encode(errors="replace"))
    return Reply(said.error, text, said.definite is not False)
