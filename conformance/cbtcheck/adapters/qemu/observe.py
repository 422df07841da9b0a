"""What QEMU shows: named bitmaps with their digests, anonymous ones, and jobs.

Anonymous bitmaps are listed newest first. A job makes its bitmap's successor and then its own work list (the copy
bitmap), which since QEMU 9.1 is not on the disk's node any more: so the list is taken apart from its front.
"""

from __future__ import annotations

from typing import Any

from cbtcheck.adapter import Observation, SeenAnonymous, SeenBitmap, SeenImage, SeenJob
from cbtcheck.adapters.qemu.daemon import QmpRefused
from cbtcheck.adapters.qemu.gate import GatedJob
from cbtcheck.adapters.qemu.stage import Stage

PHASES = {"running": "running", "paused": "paused", "waiting": "waiting", "pending": "pending"}


async def observe(
    stage: Stage, exact: frozenset[tuple[str, str]] | None, images: dict[str, SeenImage] | None = None
) -> Observation:
    """Everything in one go: the list of nodes, and the digests that are wanted of bitmaps that should be there.

    `images` are what is seen of files, where disks lie in images.
    """
    names = sorted(stage.bitmaps if exact is None else stage.bitmaps & exact)
    digests = [
        ("x-debug-block-dirty-bitmap-sha256", {"node": stage.node(node_name), "name": name})
        for node_name, name in names
    ]
    asked = stage.session.daemon.execute_many([("query-named-block-nodes", {"flat": True}), *digests])
    listed, *hashes = await stage.patiently(asked, "query-named-block-nodes")
    known = {place: found["sha256"] for place, found in zip(names, hashes, strict=True)
             if not isinstance(found, QmpRefused)}  # fmt: skip
    nodes = {node["node-name"]: node.get("dirty-bitmaps", []) for node in listed}
    bitmaps: dict[tuple[str, str], SeenBitmap] = {}
    successors: dict[str, tuple[SeenAnonymous, ...]] = {}
    for node_name, source in stage.sources.items():
        entries = nodes.get(source.node, [])
        for each in entries:
            if "name" in each:
                place = (node_name, each["name"])
                bitmaps[place] = seen_bitmap(each, known.get(place), with_trust=images is not None)
        jobs = [job for job in stage.living() if job.node == node_name]
        successors[node_name] = successors_among([each for each in entries if "name" not in each], jobs)
    jobs_seen = {job.job_id: seen_job(job) for job in stage.living()}
    return Observation(bitmaps, jobs_seen, successors, frozenset(stage.writes), images)


def seen_bitmap(entry: dict[str, Any], digest: str | None, with_trust: bool = False) -> SeenBitmap:
    """A named bitmap of the list; its count is in bytes there."""
    granularity = entry["granularity"]
    trust = (entry["persistent"], entry.get("inconsistent", False)) if with_trust else (None, None)
    count = entry["count"] // granularity
    return SeenBitmap(granularity, entry["recording"], entry["busy"], count, digest, None, *trust)


def successors_among(anonymous: list[dict[str, Any]], jobs: list[GatedJob]) -> tuple[SeenAnonymous, ...]:
    """The anonymous bitmaps without the work lists of the jobs, which are given oldest first."""
    with_bitmap = sum(job.has_bitmap for job in jobs)
    rest = list(anonymous)
    if len(rest) >= with_bitmap + len(jobs):
        kept = []
        for job in reversed(jobs):
            rest.pop(0)
            if job.has_bitmap:
                kept.append(rest.pop(0))
        rest = kept + rest
    return tuple(
        SeenAnonymous(each["granularity"], each["recording"], each["count"] // each["granularity"]) for each in rest
    )


def seen_job(job: GatedJob) -> SeenJob:
    """A job, with what its target has received."""
    phase = "paused" if job.status == "paused" else PHASES.get(job.status, job.status)
    return SeenJob(phase, tuple((start, end - start) for start, end in job.copied))
