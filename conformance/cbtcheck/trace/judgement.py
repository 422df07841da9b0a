"""Holds what a trace shows of bitmaps and jobs against a world, by the verdict rule of `cbtcheck.follow.judge`.

What is added here: a trace need not tell how far jobs are, nor the beginning of everything that is seen; and it tells
of bits in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cbtmodel.table import Table

from cbtcheck.adapter import Observation, SeenBitmap, SeenJob
from cbtcheck.follow.bits import Limits, judge_count, limits
from cbtcheck.follow.judge import judge_bitmap, judge_job
from cbtcheck.follow.judge_images import judge_trust
from cbtcheck.scenario.images import Files
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.between import Between, BetweenSets
from cbtcheck.sets.granules import Granules
from cbtcheck.sets.numbers import Numbers
from cbtcheck.trace.events import Look, LookAtJobs, ToldBitmap
from cbtcheck.trace.world import Traced


@dataclass
class Judged:
    """What came of a look: the disagreements, and what could not be judged, with the reason.

    `anything`: there was something in it that was judged.
    """

    findings: list[Finding] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    anything: bool = False


def judge(space: BetweenSets, world: Traced, seen: Look | LookAtJobs) -> Judged:
    """Everything in which a world and what was seen disagree."""
    judged = Judged()
    if isinstance(seen, LookAtJobs):
        _judge_jobs(space, world, seen, judged)
        return judged
    node = world.state.nodes.get(seen.node)
    if node is None:
        judged.unjudged.append("bitmaps of a node whose size is not known")
        return judged
    settled: frozenset[str] = frozenset()
    if world.files is not None:
        settled = _judge_trust(space, world, world.files, seen, judged)
    judged.anything = seen.all and seen.node not in world.strange
    missing = sorted(node.bitmaps.keys() - seen.bitmaps.keys()) if seen.all else ()
    for name in (*seen.bitmaps, *missing):
        if name in settled:
            judged.anything = True
            continue
        told, bitmap = seen.bitmaps.get(name), node.bitmaps.get(name)
        if told is not None and told.busy and {(seen.node, name), (None, name)} & world.used:
            told = replace(told, busy=None)
        if bitmap is None and seen.node in world.strange:
            judged.unjudged.append("bitmaps whose beginning is not in the trace")
            continue
        judged.anything = True
        granularity = space.inner.block if bitmap is None else bitmap.granularity
        found = None if told is None else in_granules(told, granularity, node.size)
        judged.findings += judge_bitmap(
            space, world.state, (seen.node, name), found, unjudged=judged.unjudged, with_size=True
        )
        if told is not None and bitmap is not None and not judged.findings:
            within = limits(space, bitmap, node.size, unit=f"granules of {granularity}")
            judged.findings += _judge_form(f"{seen.node}/{name} bits", told, within)
    return judged


def _judge_trust(
    space: BetweenSets, world: Traced, files: Files[Between], seen: Look, judged: Judged
) -> frozenset[str]:
    """Whether bitmaps are trusted that should be, and no others; and those of which there is no more to judge."""
    node = world.state.nodes[seen.node]
    looked_at = {name: each for name, each in node.bitmaps.items() if seen.all or name in seen.bitmaps}
    alone = replace(world.state, nodes=Table({seen.node: replace(node, bitmaps=Table(looked_at))}))
    found = {}
    for name, told in seen.bitmaps.items():
        there = node.bitmaps.get(name)
        granularity = told.granularity or (space.inner.block if there is None else there.granularity)
        found[seen.node, name] = in_granules(told, granularity, node.size)
    findings, settled = judge_trust(space, alone, files, Observation(found, {}))
    judged.findings += findings
    distrusted = {name for name in looked_at if files.worth(seen.node, name) == "inconsistent"}
    shown = {name for name, told in seen.bitmaps.items() if told.inconsistent}
    return frozenset({name for _, name in settled} | distrusted | shown)


def in_granules(told: ToldBitmap, granularity: int, size: int) -> SeenBitmap:
    """What is told in bytes, in granules of a disk of `size` bytes."""
    bits = None
    if told.dirty is not None:
        bits = Granules(granules_of(told.dirty, granularity, size), granularity, size)
    count = None if told.count is None else told.count // granularity
    return SeenBitmap(
        told.granularity, told.recording, told.busy, count, told.digest, bits, told.persistent, told.inconsistent
    )


def granules_of(dirty: tuple[tuple[int, int], ...], granularity: int, size: int) -> Numbers:
    """The granules of a disk of `size` bytes that extents touch."""
    found, past = Numbers(), -(-size // granularity)
    for offset, length in dirty:
        if length:
            found.add_range(offset // granularity, min((offset + length - 1) // granularity + 1, past))
    return found


def _judge_form(where: str, told: ToldBitmap, within: Limits) -> list[Finding]:
    """What no bitmap can have: parts of granules, and granules beyond the end of the disk."""
    granularity, end = within.may.granularity, within.may.total * within.may.granularity
    if told.count is not None and told.count % granularity:
        wrong = Finding(Verdict.DIVERGES, "", where, f"whole {within.unit}", f"{told.count} bytes")
        return judge_count(where, within, -(-told.count // granularity)) or [wrong]
    last = max((offset + length for offset, length in told.dirty or () if length), default=0)
    if last > end:
        return [Finding(Verdict.WASTEFUL, "EXACT", where, f"nothing beyond {end} bytes", f"dirty up to {last} bytes")]
    return []


def _judge_jobs(space: BetweenSets, world: Traced, seen: LookAtJobs, judged: Judged) -> None:
    """Phases are judged where the copies are seen; where not, a job may be further than anybody knows."""
    jobs = world.state.jobs
    for job_id, phase in seen.jobs.items():
        if job_id not in jobs and (seen.untracked or any(end[0] == job_id for end in world.due)):
            continue
        judged.anything = True
        unseen = job_id in jobs and jobs[job_id].todo.more
        judged.findings += judge_job(space, world.state, job_id, SeenJob(None if unseen else phase))
    judged.anything = judged.anything or (seen.all and (bool(jobs) or not seen.untracked))
    for job_id in sorted(jobs.keys() - seen.jobs.keys()) if seen.all else ():
        judged.findings += judge_job(space, world.state, job_id, None)
