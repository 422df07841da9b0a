"""The state of a host as plain values: to compare, to print, to send. Looking changes nothing.

Sets of granules and clusters are lists of runs `(first, past)`, so that a wholly dirty 16 TiB disk is one pair.
"""

from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.bits import GranuleSet
from cbtimpl.state import State

Value = None | bool | int | str | list["Value"] | list[tuple[int, int]] | dict[str, "Value"]


def runs(bits: GranuleSet) -> list[tuple[int, int]]:
    """The maximal runs of a set, ascending."""
    return list(bits.runs())


def describe_bitmap(bitmap: Bitmap) -> dict[str, Value]:
    """A bitmap: what QEMU reports, its bits, and its successor's."""
    return {
        "granularity": bitmap.granularity,
        "recording": bitmap.recording,
        "busy": bitmap.busy,
        "enabled": bitmap.enabled,
        "bits": runs(bitmap.bits),
        "successor": None if bitmap.successor is None else runs(bitmap.successor.bits),
    }


def describe_job(job: BackupJob) -> dict[str, Value]:
    """A job: `work`, `in_flight` and `copied` are disjoint runs of clusters."""
    return {
        "node": job.node.name,
        "phase": job.phase,
        "cluster": job.cluster,
        "bitmap": None if job.bitmap is None else job.bitmap.name,
        "work": runs(job.work),
        "in_flight": [] if job.in_flight is None else list(job.in_flight.runs),
        "copied": runs(job.copied),
        "group": ", ".join(member.id for member in job.group.members),
    }


def describe(host: State) -> dict[str, Value]:
    """Everything but the content of disks, and what has ended."""
    nodes: dict[str, Value] = {}
    for name, node in host.nodes.items():
        bitmaps: dict[str, Value] = {key: describe_bitmap(bitmap) for key, bitmap in node.bitmaps.items()}
        writes: dict[str, Value] = {key: [(write.offset, write.length)] for key, write in node.writes.items()}
        nodes[name] = {"size": node.size, "bitmaps": bitmaps, "writes": writes}
    jobs: dict[str, Value] = {name: describe_job(job) for name, job in host.jobs.items()}
    return {"nodes": nodes, "jobs": jobs}
