"""Holds what was seen against what the specification says, bitmap by bitmap, job by job.

This is the verdict rule of the suite, the oracle and traces; that of bits is in `bits`. What was not looked at is not
judged. States may be on any sets that the space can compare (`sets.comparing`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap, Successor, busy, recording
from cbtmodel.blocks import S
from cbtmodel.node import State

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenJob
from cbtcheck.follow.bits import agree, judge_bits
from cbtcheck.follow.seen import Place, Shown
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import Granules

ReadBits = Callable[[str, str], int | None]
Heir = tuple[int, bool, int]
"""An anonymous bitmap: its granularity in bytes, whether it records, how many granules are dirty."""


def judge(
    space: Comparing[S], state: State[S], seen: Observation, read_bits: ReadBits | None = None,
    shown: Shown | None = None, but: Container[Place] = (),
) -> list[Finding]:  # fmt: skip
    """Every disagreement between a state and a complete observation; normally none.

    `read_bits` gives the exact granules of a bitmap (node, name) if it can; it is asked only after a difference.
    `shown` is what earlier observations have shown; what this one shows is added. Bitmaps in `but` are left out.
    """
    findings: list[Finding] = []
    bitmaps, jobs = {each for each in seen.bitmaps if each not in but}, {*seen.jobs}
    for node_name, node in state.nodes.items():
        for name in node.bitmaps:
            place = node_name, name
            if place in but:
                continue
            findings += judge_bitmap(space, state, place, seen.bitmaps.get(place), read_bits, shown)
            bitmaps.discard(place)
        if seen.successors is not None:
            findings += judge_successors(space, state, node_name, seen.successors.get(node_name, ()))
    for place in sorted(bitmaps):
        findings += judge_bitmap(space, state, place, seen.bitmaps[place])
    for job_id in (*state.jobs, *sorted(jobs.difference(state.jobs))):
        findings += judge_job(space, state, job_id, seen.jobs.get(job_id))
    return findings + ([] if seen.in_flight is None else judge_in_flight(state, seen.in_flight))


# Bitmaps


def judge_bitmap(
    space: Comparing[S], state: State[S], place: Place, seen: SeenBitmap | None, read_bits: ReadBits | None = None,
    shown: Shown | None = None, unjudged: list[str] | None = None, with_size: bool = False,
) -> list[Finding]:  # fmt: skip
    """The bitmap of this (node, name) as it was seen; None: it was looked for, and is not there.

    What nothing can be said of is added to `unjudged`, with the reason. `with_size`: texts name the granularity.
    """
    node_name, name = place
    node = state.nodes.get(node_name)
    bitmap = None if node is None else node.bitmaps.get(name)
    if node is None or bitmap is None:
        nobody = Finding(Verdict.DIVERGES, "ONE-HEIR", f"{node_name}/{name}", "no such bitmap", "a bitmap")
        return [] if seen is None else [nobody]
    if seen is None:
        verdict = Verdict.UNSAFE if _owes(space, bitmap, node.size) else Verdict.DIVERGES
        return [Finding(verdict, "ONE-HEIR", f"{node_name}/{name}", "a bitmap", "no such bitmap")]
    findings = _judge_flags(place, bitmap, seen)
    if not agree(space, bitmap, node.size, seen):
        size, granularity = node.size, bitmap.granularity

        def read() -> Granules | None:
            word = None if read_bits is None else read_bits(node_name, name)
            return None if word is None else Granules.from_word(word, granularity, size)

        number = 0 if shown is None else shown.number(place)
        unit = f"granules of {granularity}" if with_size else "granules"
        wrong = judge_bits(space, f"{node_name}/{name} bits", size, bitmap, seen, read, number, unjudged, unit)
        if wrong:
            return findings + wrong
    if shown is not None:
        shown.keep(place, seen)
    return findings


def _owes(space: Comparing[S], bitmap: Bitmap[S], size: int) -> bool:
    """Whether anything is owed for certain."""
    listed = [bitmap.marks, *([bitmap.successor.marks] if bitmap.successor else [])]
    granule = bitmap.granularity
    return any(space.number(each.owed, granule) or space.at_least(each.owed, granule, size) for each in listed)


def _judge_flags(place: Place, bitmap: Bitmap[Any], seen: SeenBitmap) -> list[Finding]:
    findings = []
    for what, expected, found in (
        ("granularity", bitmap.granularity, seen.granularity),
        ("recording", recording(bitmap), seen.recording),
        ("busy", busy(bitmap), seen.busy),
    ):
        if found is None or expected == found:
            continue
        # A bitmap that does not record, and should, loses every write from now on, whoever looks at it when.
        deaf = what == "recording" and expected
        verdict, broken = (Verdict.UNSAFE, "NO-LOST-WRITE") if deaf else (Verdict.DIVERGES, "")
        findings.append(Finding(verdict, broken, f"{'/'.join(place)} {what}", str(expected), str(found)))
    return findings


def judge_successors(
    space: Comparing[S], state: State[S], node: str, seen: tuple[SeenAnonymous, ...]
) -> list[Finding]:  # fmt: skip
    """All anonymous bitmaps of a disk; which belongs to which bitmap cannot be seen."""
    size = state.nodes[node].size
    frozen = [(each, each.successor) for each in state.nodes[node].bitmaps.values() if each.successor is not None]
    if not frozen and not seen:
        return []
    expected = sorted(
        (each.granularity, heir.enabled, space.counted(heir.marks.dirty, each.granularity, size))
        for each, heir in frozen
    )
    found = sorted((each.granularity, each.recording, each.count) for each in seen)
    if expected == found:
        return []
    if space.alignment > 1:
        expected = _as_padded(space, size, frozen, expected, found)
        if expected == found:
            return []
    if [each[:2] for each in expected] != [each[:2] for each in found]:
        return [Finding(Verdict.DIVERGES, "ONE-HEIR", f"{node} successors", _anonymous(expected), _anonymous(found))]
    lost = any(have[2] < want[2] for want, have in zip(expected, found, strict=True))
    verdict, broken = (Verdict.UNSAFE, "NO-LOST-WRITE") if lost else (Verdict.WASTEFUL, "EXACT")
    return [Finding(verdict, broken, f"{node} successors", _anonymous(expected), _anonymous(found))]


def _as_padded(
    space: Comparing[S], size: int, frozen: list[tuple[Bitmap[S], Successor[S]]], least: list[Heir], found: list[Heir]
) -> list[Heir]:  # fmt: skip
    """What is nearest to `found` of what may be expected, if writes may have been padded or not."""
    most = sorted(
        (each.granularity, heir.enabled, space.counted(space.padded(heir.marks.dirty, each.granularity, size),
                                                       each.granularity, size))
        for each, heir in frozen
    )  # fmt: skip
    if [each[:2] for each in least] != [each[:2] for each in found]:
        return least
    three = zip(least, most, found, strict=True)
    return [(*low[:2], min(max(seen[2], low[2]), high[2])) for low, high, seen in three]


def _anonymous(listed: list[Heir]) -> str:
    each = [f"{count} granules of {size}{'' if node else ', not recording'}" for size, node, count in listed]
    return "; ".join(each) or "none"


# Jobs, and writes in flight


def judge_job(space: Comparing[S], state: State[S], job_id: str, seen: SeenJob | None) -> list[Finding]:
    """The job with this id as it was seen; None: it was looked for, and is not there."""
    job = state.jobs.get(job_id)
    if job is None:
        there = "a job" if seen is None or seen.phase is None else seen.phase
        return [] if seen is None else [Finding(Verdict.DIVERGES, "", f"job {job_id}", "no such job", there)]
    if seen is None:
        return [Finding(Verdict.DIVERGES, "", f"job {job_id}", phase_of(job), "no such job")]
    findings = []
    if seen.phase not in (None, phase_of(job)):
        findings.append(Finding(Verdict.DIVERGES, "", f"job {job_id}", phase_of(job), f"{seen.phase}"))
    return findings if seen.copied is None else findings + _judge_copied(space, state, job_id, job, seen.copied)


def phase_of(job: Job[Any]) -> str:
    """The phase in the words of an observation."""
    return "paused" if job.paused else job.phase


def _judge_copied(
    space: Comparing[S], state: State[S], job_id: str, job: Job[S], copied: Iterable[tuple[int, int]]
) -> list[Finding]:
    """The target's own record of what was written to it is the job's progress; copies in flight may be either way."""
    found = space.empty
    for offset, length in copied:
        found = found | space.blocks(offset, length)
    least, most = job.scope - job.todo, (job.scope - job.todo) | job.copying
    if least <= found and found <= most:
        return []
    size = state.nodes[job.node].size
    lost, beyond = least - found, found - most
    verdict = Verdict.UNSAFE if lost else Verdict.WASTEFUL if not beyond & job.scope else Verdict.DIVERGES
    clusters = [space.at_most(each, job.cluster, size).named() for each in (least, found)]
    return [
        Finding(
            verdict, "POINT-IN-TIME", f"job {job_id} copied", f"clusters {clusters[0]}", f"clusters {clusters[1]}"
        )
    ]


def judge_in_flight(state: State[S], seen: frozenset[tuple[str, str]]) -> list[Finding]:
    """All guest writes in flight, as (node, id)."""
    expected = {(node_name, write) for node_name, node in state.nodes.items() for write in node.writes}
    if expected == seen:
        return []
    return [Finding(Verdict.DIVERGES, "", "writes in flight", _listed(expected), _listed(seen))]


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{node}/{name}" for node, name in sorted(pairs)) or "none"
