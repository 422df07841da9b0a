"""Holds what was seen of bitmaps and jobs against a world.

For every bitmap there are two bounds, in granules: *must* (what is owed, for certain) and *may* (what can be dirty).
Less than must is a lost write, more than may is waste; what lies between is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from cbtmodel.bitmap import Bitmap, busy, recording
from pyroaring import BitMap64

from cbtcheck.adapter import digest
from cbtcheck.oracle import runs
from cbtcheck.oracle.compressed import CompressedSets
from cbtcheck.trace.between import Between
from cbtcheck.trace.events import Look, LookAtJobs, SeenBitmap
from cbtcheck.trace.world import World
from cbtcheck.verdict import Finding, Verdict

MOST_RANGES = 8
"""How many ranges of granules are spelt out in a message."""

LARGEST_DIGEST = 1 << 26
"""Of bitmaps of more granules than this no digest is computed."""


@dataclass
class Judged:
    """What came of a look: the disagreements, and what could not be judged, with the reason."""

    findings: list[Finding] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)


def judge(space: CompressedSets, world: World, seen: Look | LookAtJobs) -> Judged:
    """Everything in which a world and what was seen disagree."""
    judged = Judged()
    if isinstance(seen, LookAtJobs):
        _judge_jobs(world, seen, judged)
        return judged
    node = world.state.nodes.get(seen.node)
    if node is None:
        judged.unjudged.append("bitmaps of a node whose size is not known")
        return judged
    strange = seen.node in world.strange
    for name, found in seen.bitmaps.items():
        where = f"{seen.node}/{name}"
        bitmap = node.bitmaps.get(name)
        if bitmap is not None:
            judged.findings += _flags(where, bitmap, found)
            _bits(space, node.size, where, bitmap, found, judged)
        elif strange:
            judged.unjudged.append("bitmaps whose beginning is not in the trace")
        else:
            judged.findings.append(Finding(Verdict.DIVERGES, "ONE-HEIR", where, "no such bitmap", "a bitmap"))
    if seen.all:
        for name in node.bitmaps.keys() - seen.bitmaps.keys():
            judged.findings.append(_missing(f"{seen.node}/{name}", node.bitmaps[name]))
    return judged


def _missing(where: str, bitmap: Bitmap[Between]) -> Finding:
    marks = [bitmap.marks, *([bitmap.successor.marks] if bitmap.successor else [])]
    owes = any(each.owed.least for each in marks)
    verdict = Verdict.UNSAFE if owes else Verdict.DIVERGES
    return Finding(verdict, "ONE-HEIR", where, "a bitmap", "no such bitmap")


def _flags(where: str, bitmap: Bitmap[Between], seen: SeenBitmap) -> list[Finding]:
    pairs = (
        ("granularity", bitmap.granularity, seen.granularity),
        ("recording", recording(bitmap), seen.recording),
        ("busy", busy(bitmap), seen.busy),
    )
    findings = []
    for what, expected, found in pairs:
        if found is None or found == expected:
            continue
        # A bitmap that does not record, and should, loses every write from now on.
        deaf = what == "recording" and expected
        verdict, property = (Verdict.UNSAFE, "NO-LOST-WRITE") if deaf else (Verdict.DIVERGES, "")
        findings.append(Finding(verdict, property, f"{where} {what}", _word(expected), _word(found)))
    return findings


def _word(value: bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _bits(
    space: CompressedSets, size: int, where: str, bitmap: Bitmap[Between], seen: SeenBitmap, judged: Judged
) -> None:
    if seen.dirty is None and seen.count is None and seen.digest is None:
        return
    granularity = bitmap.granularity
    must = space.granules(bitmap.marks.owed.least, granularity, size)
    may = space.granules(bitmap.marks.dirty.most, granularity, size)
    unit = f"granules of {granularity}"
    if seen.dirty is not None:
        found = granules_of(seen.dirty, granularity)
        _between(where, unit, must, may, found, judged)
        if seen.count is not None and seen.count != len(found) * granularity:
            expected = f"{len(found) * granularity} bytes, as dirty has it"
            judged.findings.append(Finding(Verdict.DIVERGES, "", f"{where} count", expected, f"{seen.count} bytes"))
    elif seen.count is not None:
        _count(where, unit, must, may, seen.count, granularity, judged)
    if seen.digest is not None and not any(each.where.startswith(f"{where} ") for each in judged.findings):
        _digest(where, must, may, seen, granularity, -(-size // granularity), judged)


def granules_of(dirty: tuple[tuple[int, int], ...], granularity: int) -> BitMap64:
    """The granules that extents touch."""
    found = BitMap64()
    for offset, length in dirty:
        if length:
            found.add_range(offset // granularity, (offset + length - 1) // granularity + 1)
    return found


def _between(where: str, unit: str, must: BitMap64, may: BitMap64, found: BitMap64, judged: Judged) -> None:
    missing, extra = must - found, found - may
    if missing:
        judged.findings.append(
            Finding(
                Verdict.UNSAFE, "NO-LOST-WRITE", f"{where} dirty", f"at least {unit}: {ranges(must)}",
                f"{ranges(found)}; missing {ranges(missing)}",
            )
        )  # fmt: skip
    if extra:
        judged.findings.append(
            Finding(
                Verdict.WASTEFUL, "EXACT", f"{where} dirty", f"at most {unit}: {ranges(may)}",
                f"{ranges(found)}; beyond {ranges(extra)}",
            )
        )  # fmt: skip


def _count(
    where: str, unit: str, must: BitMap64, may: BitMap64, count: int, granularity: int, judged: Judged
) -> None:
    least, most = len(must), len(may)
    if least * granularity <= count <= most * granularity and count % granularity == 0:
        return
    between = f"{least}" if least == most else f"{least} to {most}"
    expected = f"{between} {unit} ({ranges(may)})" if most <= 1000 else f"{between} {unit}"
    found = f"{count // granularity}" if count % granularity == 0 else f"{count} bytes, which are no whole granules"
    verdict, property = Verdict.DIVERGES, ""
    if count < least * granularity:
        verdict, property = Verdict.UNSAFE, "NO-LOST-WRITE"
    elif count > most * granularity:
        verdict, property = Verdict.WASTEFUL, "EXACT"
    judged.findings.append(Finding(verdict, property, f"{where} count", expected, found))


def _digest(
    where: str, must: BitMap64, may: BitMap64, seen: SeenBitmap, granularity: int, granules: int, judged: Judged
) -> None:
    """Of what lies between the bounds, only the bounds themselves can be told by their digest."""
    if granules > LARGEST_DIGEST:
        judged.unjudged.append("digests of very large bitmaps")
        return
    if digest_of(may, granules) == seen.digest:
        return
    if len(must) != len(may) and digest_of(must, granules) == seen.digest:
        return
    if len(must) == len(may):
        expected, count = f"that of granules {ranges(may)}", None if seen.count is None else seen.count // granularity
        verdict, property = Verdict.DIVERGES, ""
        if not must:
            verdict, property = Verdict.WASTEFUL, "EXACT"
        elif len(may) == granules or (count is not None and count <= len(must)):
            verdict, property = Verdict.UNSAFE, "NO-LOST-WRITE"
        judged.findings.append(Finding(verdict, property, f"{where} digest", expected, "another one"))
    elif seen.count in (len(must) * granularity, len(may) * granularity):
        expected = f"that of {seen.count // granularity} of the granules {ranges(may)}"
        judged.findings.append(Finding(Verdict.DIVERGES, "FROZEN-IS-STILL", f"{where} digest", expected, "another"))
    else:
        judged.unjudged.append("digests of bitmaps that are known in part only")


def digest_of(granules: BitMap64, count: int) -> str:
    """The digest of a bitmap of `count` granules with these dirty."""
    word = bytearray(8 * max(1, -(-count // 64)))
    for first, past in runs.runs(granules):
        if past - first < 64:
            for each in range(first, past):
                word[each >> 3] |= 1 << (each & 7)
            continue
        head, tail = -(-first >> 3), past >> 3
        word[head:tail] = b"\xff" * (tail - head)
        for each in [*range(first, head << 3), *range(tail << 3, past)]:
            word[each >> 3] |= 1 << (each & 7)
    return digest(int.from_bytes(word, "little"), count)


def ranges(granules: BitMap64) -> str:
    """Granule numbers as ranges, not too many of them: "0-3,7"."""
    listed = list(islice(runs.runs(granules), MOST_RANGES + 1))
    parts = [str(first) if past == first + 1 else f"{first}-{past - 1}" for first, past in listed[:MOST_RANGES]]
    return (",".join(parts) or "none") + (",…" if len(listed) > MOST_RANGES else "")


def _judge_jobs(world: World, seen: LookAtJobs, judged: Judged) -> None:
    """Phases are judged where the copies are seen; where not, a job may be further than anybody knows."""
    jobs = world.state.jobs
    for id, phase in seen.jobs.items():
        if id not in jobs:
            if not seen.outsiders and not any(end[0] == id for end in world.due):
                judged.findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", "no such job", phase or "a job"))
            continue
        expected = "paused" if jobs[id].paused else jobs[id].phase
        if phase is not None and not jobs[id].todo.more and phase != expected:
            judged.findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", expected, phase))
    if seen.all:
        for id in jobs.keys() - seen.jobs.keys():
            judged.findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", jobs[id].phase, "no such job"))
