"""What QEMU's replies to queries show, and what they say of disks: `query-named-block-nodes` and the like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtcheck.trace.events import Look, LookAtJobs, Sight, ToldBitmap
from cbtcheck.trace.places import Places

NODES = ("query-named-block-nodes", "query-block")
QUERIES = (*NODES, "query-jobs", "query-block-jobs", "x-debug-block-dirty-bitmap-sha256")
PHASES = {"running": "running", "paused": "paused", "waiting": "waiting", "pending": "pending"}
OVER = ("concluded", "null")
PERIPHERAL = "/machine/peripheral/"


def nodes(query: str, reply: Any) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Every node that a reply shows: its name, those of its device, and what is said of it."""
    for each in reply if isinstance(reply, list) else ():
        if not isinstance(each, dict):
            continue
        inserted = each.get("inserted") if query == "query-block" else each
        if isinstance(inserted, dict) and isinstance(inserted.get("node-name"), str):
            yield inserted["node-name"], tuple(_devices(each)) if query == "query-block" else (), inserted


def _devices(shown: dict[str, Any]) -> Iterator[str]:
    """What a block device is called: by its drive id, by its path in the tree of devices, and by that one's id."""
    drive, path = shown.get("device"), shown.get("qdev")
    if isinstance(drive, str) and drive:
        yield drive
    if isinstance(path, str) and path:
        yield path
        if path.startswith(PERIPHERAL):
            yield path.removeprefix(PERIPHERAL).split("/")[0]


FILTERS = frozenset({"backup-top", "copy-before-write", "commit_top", "mirror_top", "copy-on-read", "throttle"})
"""Drivers of nodes that are in front of a disk, and are none themselves; most of them come and go with a job."""


def learn_places(places: Places, query: str, reply: Any, line: int) -> None:
    """Remembers sizes, clusters and names. What was seen first is kept, but for what a device stands for."""
    for name, devices, node in nodes(query, reply):
        places.others.add(name)
        image, file = node.get("image"), node.get("file")
        if isinstance(file, str) and file:
            places.files.setdefault(name, file)
        if isinstance(image, dict):
            size, cluster = image.get("virtual-size"), image.get("cluster-size")
            if type(size) is int and 0 < size <= 1 << 60:
                places.sizes.setdefault(name, size)
                places.last_sizes[name] = size
            if type(cluster) is int and cluster > 0:
                places.clusters.setdefault(name, cluster)
        for device in devices:
            if node.get("drv") not in FILTERS:
                places.stands_for(device, name, line)


def sizes(query: str, reply: Any) -> Iterator[tuple[str, int]]:
    """The nodes that a reply shows with their sizes in bytes."""
    for name, _, node in nodes(query, reply):
        image = node.get("image")
        size = image.get("virtual-size") if isinstance(image, dict) else None
        if type(size) is int and 0 < size <= 1 << 60:
            yield name, size


def with_bitmaps(query: str, reply: Any) -> Iterator[str]:
    """The nodes that have a bitmap with a name."""
    for name, _, node in nodes(query, reply):
        listed = node.get("dirty-bitmaps")
        if isinstance(listed, list) and any(isinstance(each, dict) and "name" in each for each in listed):
            yield name


def sights(query: str, arguments: Any, reply: Any, places: Places) -> Iterator[Sight]:
    """What a reply shows of bitmaps and jobs."""
    if query in NODES:
        seen: set[str] = set()
        for name, _, node in nodes(query, reply):
            listed = node.get("dirty-bitmaps", [])
            if name not in seen and isinstance(listed, list):
                seen.add(name)
                yield Look(name, dict(_bitmaps(listed)), True, True)
    elif query in ("query-jobs", "query-block-jobs"):
        yield LookAtJobs(dict(_jobs(query, reply)), True, True)
    elif isinstance(arguments, dict) and isinstance(reply, dict):
        node_name, bitmap, digest = arguments.get("node"), arguments.get("name"), reply.get("sha256")
        if isinstance(node_name, str) and isinstance(bitmap, str) and isinstance(digest, str):
            yield Look(places.node(node_name), {bitmap: ToldBitmap(digest=digest)}, False, True)


def _bitmaps(listed: list[Any]) -> Iterator[tuple[str, ToldBitmap]]:
    """The named ones. Those without a name are of jobs; of those that are inconsistent nothing is judged."""
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        if each.get("inconsistent"):
            yield each["name"], ToldBitmap()
            continue
        granularity, count = each.get("granularity"), each.get("count")
        recording, busy = each.get("recording"), each.get("busy")
        yield each["name"], ToldBitmap(
            granularity if type(granularity) is int and granularity >= 512 else None,
            recording if isinstance(recording, bool) else None,
            busy if isinstance(busy, bool) else None,
            None,
            count if type(count) is int else None,
        )


def _jobs(query: str, reply: Any) -> Iterator[tuple[str, str | None]]:
    for each in reply if isinstance(reply, list) else ():
        if not isinstance(each, dict) or each.get("type") != "backup":
            continue
        job_id = each.get("id" if query == "query-jobs" else "device")
        status = each.get("status")
        if isinstance(job_id, str) and status not in OVER:
            yield job_id, PHASES.get(status) if isinstance(status, str) else None
