"""Holds what was seen against what the specification says, bitmap by bitmap, job by job.

For every bitmap there are two bounds: *must* (what is owed, rounded to the granularity) and *may* (what is dirty).
Reporting less than must is a lost write; more than may is waste.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap, busy, recording
from cbtmodel.blocks import S, Space
from cbtmodel.node import State

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenJob, digest
from cbtcheck.bitsets import Bits, BitSets, ranges
from cbtcheck.verdict import Finding, Verdict

ReadBits = Callable[[str, str], int | None]
JudgeBits = Callable[[tuple[str, str], int, Bitmap[S], SeenBitmap], list[Finding]]


class Counting(Space[S], Protocol[S]):
    """A space that can also say in which granules a set has blocks: how many these are, and which, as text."""

    def counted(self, blocks: S, granule: int, size: int) -> int:
        """How many granules of a disk of `size` bytes have a block of `blocks`."""
        ...

    def named(self, blocks: S, granule: int, size: int) -> str:
        """Their numbers."""
        ...


def judge(space: BitSets, state: State[Bits], seen: Observation, read_bits: ReadBits) -> list[Finding]:
    """Every disagreement between a state of the specification and an observation; normally none.

    `read_bits` gives the exact granules of a bitmap (node, name) if it can; it is asked only after a difference.
    """

    def judge_bits(place: tuple[str, str], size: int, bitmap: Bitmap[Bits], found: SeenBitmap) -> list[Finding]:
        return _judge_bits(space, size, place, bitmap, found, read_bits)

    return judge_with(space, state, seen, judge_bits)


def judge_with(space: Counting[S], state: State[S], seen: Observation, judge_bits: JudgeBits[S]) -> list[Finding]:
    """The same on any sets; `judge_bits` judges the bits of one bitmap of a disk of so many bytes."""
    findings: list[Finding] = []
    for on, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            seen_bitmap = seen.bitmaps.get((on, name))
            if seen_bitmap is None:
                findings.append(_missing_bitmap(on, name, bitmap))
            else:
                findings += _judge_flags(f"{on}/{name}", bitmap, seen_bitmap)
                findings += judge_bits((on, name), node.size, bitmap, seen_bitmap)
        if seen.successors is not None:
            findings += _judge_successors(
                space, on, node.size, list(node.bitmaps.values()), seen.successors.get(on, ())
            )
    known = {(on, name) for on, node in state.nodes.items() for name in node.bitmaps}
    for on, name in sorted(seen.bitmaps.keys() - known):
        findings.append(Finding(Verdict.DIVERGES, "ONE-HEIR", f"{on}/{name}", "no such bitmap", "a bitmap"))
    findings += _judge_jobs(space, state, seen.jobs)
    if seen.in_flight is not None:
        expected = {(on, write) for on, node in state.nodes.items() for write in node.writes}
        if expected != seen.in_flight:
            findings.append(
                Finding(Verdict.DIVERGES, "", "writes in flight", _listed(expected), _listed(seen.in_flight))
            )
    return findings


def _listed(pairs: set[tuple[str, str]] | frozenset[tuple[str, str]]) -> str:
    return ", ".join(f"{on}/{name}" for on, name in sorted(pairs)) or "none"


def _missing_bitmap(on: str, name: str, bitmap: Bitmap[Any]) -> Finding:
    owes = bool(bitmap.marks.owed) or bool(bitmap.successor and bitmap.successor.marks.owed)
    verdict = Verdict.UNSAFE if owes else Verdict.DIVERGES
    return Finding(verdict, "ONE-HEIR", f"{on}/{name}", "a bitmap", "no such bitmap")


def _judge_flags(where: str, bitmap: Bitmap[Any], seen: SeenBitmap) -> list[Finding]:
    pairs = [
        ("granularity", bitmap.granularity, seen.granularity),
        ("recording", recording(bitmap), seen.recording),
        ("busy", busy(bitmap), seen.busy),
    ]
    findings = []
    for what, expected, found in pairs:
        if expected == found:
            continue
        # A bitmap that does not record, and should, loses every write from now on, whoever looks at it when.
        deaf = what == "recording" and expected
        verdict, property = (Verdict.UNSAFE, "NO-LOST-WRITE") if deaf else (Verdict.DIVERGES, "")
        findings.append(Finding(verdict, property, f"{where} {what}", str(expected), str(found)))
    return findings


def _judge_bits(
    space: BitSets, size: int, place: tuple[str, str], bitmap: Bitmap[Bits], seen: SeenBitmap, read_bits: ReadBits
) -> list[Finding]:
    where = "/".join(place)
    may = space.granules(bitmap.marks.dirty, bitmap.granularity, size)
    granules = -(-size // bitmap.granularity)
    if seen.count == may.bit_count() and seen.digest in (None, digest(may, granules)):
        return []
    must = space.granules(bitmap.marks.owed, bitmap.granularity, size)
    found = read_bits(*place)
    if found is None:
        return [_by_count(where, must, may, seen.count)]
    if seen.digest not in (None, digest(found, granules)) or found.bit_count() != seen.count:
        return [Finding(Verdict.DIVERGES, "", f"{where} bits", f"{seen.count} granules as counted and hashed",
                        f"{found.bit_count()} granules as read")]  # fmt: skip
    missing, extra = must & ~found, found & ~may
    findings = []
    if missing:
        findings.append(_bits(Verdict.UNSAFE, "NO-LOST-WRITE", where, must, found, missing=missing))
    if extra:
        findings.append(_bits(Verdict.WASTEFUL, "EXACT", where, may, found, extra=extra))
    return findings


def _bits(
    verdict: Verdict, property: str, where: str, bound: int, found: int, missing: int | None = None,
    extra: int | None = None,
) -> Finding:  # fmt: skip
    least = "at least" if missing is not None else "at most"
    return Finding(
        verdict, property, f"{where} bits", f"{least} granules {ranges(bound)}", f"granules {ranges(found)}",
        missing, extra,
    )  # fmt: skip


def _by_count(where: str, must: int, may: int, count: int) -> Finding:
    """What can be said of bits that cannot be read now: only how many there are, and that they differ."""
    expected = f"{may.bit_count()} granules ({ranges(may)})"
    if count < must.bit_count():
        return Finding(Verdict.UNSAFE, "NO-LOST-WRITE", f"{where} bits", expected, f"{count} granules")
    if count > may.bit_count():
        return Finding(Verdict.WASTEFUL, "EXACT", f"{where} bits", expected, f"{count} granules")
    return Finding(Verdict.DIVERGES, "FROZEN-IS-STILL", f"{where} bits", expected, f"{count} granules, other ones")


def _judge_successors(
    space: Counting[S], on: str, size: int, bitmaps: list[Bitmap[S]], seen: tuple[SeenAnonymous, ...]
) -> list[Finding]:
    expected = sorted(
        (each.granularity, each.successor.enabled,
         space.counted(each.successor.marks.dirty, each.granularity, size))
        for each in bitmaps
        if each.successor is not None
    )  # fmt: skip
    found = sorted((each.granularity, each.recording, each.count) for each in seen)
    if expected == found:
        return []
    if [each[:2] for each in expected] != [each[:2] for each in found]:
        return [Finding(Verdict.DIVERGES, "ONE-HEIR", f"{on} successors", _anonymous(expected), _anonymous(found))]
    lost = any(have[2] < want[2] for want, have in zip(expected, found, strict=True))
    verdict, property = (Verdict.UNSAFE, "NO-LOST-WRITE") if lost else (Verdict.WASTEFUL, "EXACT")
    return [Finding(verdict, property, f"{on} successors", _anonymous(expected), _anonymous(found))]


def _anonymous(listed: list[tuple[int, bool, int]]) -> str:
    each = [f"{count} granules of {size}{'' if on else ', not recording'}" for size, on, count in listed]
    return "; ".join(each) or "none"


def _judge_jobs(space: Counting[S], state: State[S], seen: dict[str, SeenJob]) -> list[Finding]:
    findings = []
    for id, job in state.jobs.items():
        if id not in seen:
            findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", phase_of(job), "no such job"))
            continue
        if seen[id].phase != phase_of(job):
            findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", phase_of(job), seen[id].phase))
        findings += _judge_copied(space, state, id, job, seen[id])
    for id in sorted(seen.keys() - set(state.jobs)):
        findings.append(Finding(Verdict.DIVERGES, "", f"job {id}", "no such job", seen[id].phase))
    return findings


def phase_of(job: Job[Any]) -> str:
    """The phase in the words of an observation."""
    return "paused" if job.paused else job.phase


def _judge_copied(space: Counting[S], state: State[S], id: str, job: Job[S], seen: SeenJob) -> list[Finding]:
    """The target's own record of what was written to it is the job's progress; copies in flight may be either way."""
    if seen.copied is None:
        return []
    found = space.empty
    for offset, length in seen.copied:
        found = found | space.blocks(offset, length)
    least, most = job.scope - job.todo, (job.scope - job.todo) | job.copying
    if least <= found and found <= most:
        return []
    size = state.nodes[job.node].size
    lost, beyond = least - found, found - most
    verdict = Verdict.UNSAFE if lost else Verdict.WASTEFUL if not beyond & job.scope else Verdict.DIVERGES
    clusters = [space.named(each, job.cluster, size) for each in (least, found)]
    return [
        Finding(verdict, "POINT-IN-TIME", f"job {id} copied", f"clusters {clusters[0]}", f"clusters {clusters[1]}")
    ]
