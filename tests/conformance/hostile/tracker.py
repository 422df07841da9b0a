"""What the hostile adapters do rightly until they misbehave: two small trackers, and adapters of them.

Standard library only, and little of that: one of these is started for every test, some of them many times over.
"""

from __future__ import annotations

import json
import sys
from typing import Any

POISON = 238
Extents = list[list[int]]


class Refused(Exception):
    """A definite error of one of the protocol's kinds."""


class Bitmap:
    """A bitmap: granule numbers, its own and, while a job has it frozen, its successor's."""

    def __init__(self, granularity: int) -> None:
        self.granularity = granularity
        self.dirty: set[int] = set()
        self.successor: set[int] | None = None

    def record(self, offset: int, length: int) -> None:
        """A guest write of this range, in bytes."""
        into = self.dirty if self.successor is None else self.successor
        into.update(touched(offset, length, self.granularity))

    def release(self, success: bool) -> None:
        """Its job has ended."""
        assert self.successor is not None
        self.dirty = self.successor if success else self.dirty | self.successor
        self.successor = None


def freeze(bitmap: Bitmap | None) -> None:
    """A job takes it, if it has one."""
    if bitmap is not None:
        bitmap.successor = set()


def touched(offset: int, length: int, unit: int) -> range:
    """The numbers of the units that a range in bytes touches."""
    return range(offset // unit, -(-(offset + length) // unit)) if length else range(0)


def extents(numbers: set[int], unit: int) -> Extents:
    """Units as (offset, length) in bytes."""
    return [[number * unit, unit] for number in sorted(numbers)]


def runs(content: bytes) -> Extents:
    """Bytes as runs of equal ones: (byte, how many)."""
    found: Extents = []
    at = 0
    while at < len(content):
        past = at + len(content[at:]) - len(content[at:].lstrip(content[at : at + 1]))
        found.append([content[at], past - at])
        at = past
    return found


class Adapter:
    """A right adapter of a tracker that leaves the copying to the suite."""

    capabilities: tuple[str, ...] = ("core",)
    copies = "suite"
    more: dict[str, Any] = {}

    def __init__(self) -> None:
        self.writes = 0
        self.reset([])

    # The conversation

    def main(self) -> None:
        """Answers requests until `bye`, or until standard input ends."""
        self.start()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            self.writes += request["do"] == "write"
            self.reply(request, self.answer(request))
            if request["do"] == "bye":
                break

    def start(self) -> None:
        """Before the first request."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What there is to say, without the sequence number."""
        match request["do"]:
            case "hello":
                return self.hello()
            case "bye":
                return {}
        named = getattr(self, request["do"].replace("-", "_"), None)
        if named is None:
            return {"error": "unsupported"}
        fields = {name: value for name, value in request.items() if name not in ("do", "seq")}
        try:
            answered: dict[str, Any] = named(**fields)
        except Refused as refused:
            return {"error": str(refused)}
        return answered

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Sends an answer."""
        self.say(self.encoded({"seq": request["seq"], **answer}) + b"\n")

    @staticmethod
    def encoded(reply: dict[str, Any]) -> bytes:
        """A reply as JSON."""
        return json.dumps(reply).encode()

    @staticmethod
    def say(raw: bytes) -> None:
        """Writes bytes to standard output, at once."""
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()

    def is_the_moment(self, request: dict[str, Any]) -> bool:
        """The third guest write since the program was started, where much goes wrong in what follows."""
        return request["do"] == "write" and self.writes == 3

    # The tracker

    def hello(self) -> dict[str, Any]:
        """What it says of itself."""
        return {
            "protocol": 1, "name": type(self).__name__, "version": "1.0", "language": "Python",
            "capabilities": list(self.capabilities), "copies": self.copies,
            "granularities": [4096, 512], "clusters": [4096], **self.more,
        }  # fmt: skip

    def reset(self, disks: list[dict[str, Any]], block: int = 512) -> dict[str, Any]:
        """Fresh disks."""
        self.sizes: dict[str, int] = {disk["name"]: disk["size"] for disk in disks}
        self.bitmaps: dict[str, dict[str, Bitmap]] = {disk["name"]: {} for disk in disks}
        self.jobs: dict[str, Bitmap | None] = {}
        return {}

    def node(self, name: str) -> dict[str, Bitmap]:
        """The bitmaps of a disk."""
        if name not in self.bitmaps:
            raise Refused("not found")
        return self.bitmaps[name]

    def add_bitmap(self, node: str, name: str, granularity: int, enabled: bool) -> dict[str, Any]:
        """A new bitmap, clean."""
        if name in self.node(node):
            raise Refused("exists")
        self.bitmaps[node][name] = Bitmap(granularity)
        return {}

    def write(self, node: str, offset: int, length: int, kind: str, result: str, fill: int) -> dict[str, Any]:
        """A guest write."""
        for each in self.node(node).values():
            each.record(offset, length)
        return {}

    def start_backup(self, job: str, node: str, bitmap: str | None, **rest: Any) -> dict[str, Any]:
        """The bitmap, if there is one, is frozen."""
        self.jobs[job] = self.free(node, bitmap)
        freeze(self.jobs[job])
        return {}

    def free(self, node: str, name: str | None) -> Bitmap | None:
        """The bitmap of that name, which no job uses."""
        bitmaps = self.node(node)
        if name is None:
            return None
        if name not in bitmaps:
            raise Refused("not found")
        if bitmaps[name].successor is not None:
            raise Refused("busy")
        return bitmaps[name]

    def end_backup(self, job: str, success: bool, left: Extents) -> dict[str, Any]:
        """The suite's copying has ended."""
        bitmap = self.jobs.pop(job)
        if bitmap is not None:
            bitmap.release(success)
        return {}

    def observe(self, what: str, name: str = "") -> dict[str, Any]:
        """What can be seen now."""
        return {"bitmaps": [self.seen(node, name) for node, each in self.bitmaps.items() for name in each]}

    def seen(self, node: str, name: str) -> dict[str, Any]:
        """A bitmap, as `observe` shows it."""
        bitmap = self.bitmaps[node][name]
        return {
            "node": node, "name": name, "granularity": bitmap.granularity, "recording": True,
            "busy": bitmap.successor is not None, "dirty": extents(bitmap.dirty, bitmap.granularity),
        }  # fmt: skip


class Job:
    """A backup that copies: the cluster numbers that are left, those that are done, and where they go."""

    def __init__(self, node: str, bitmap: Bitmap | None, cluster: int, todo: set[int], size: int) -> None:
        self.node, self.bitmap, self.cluster = node, bitmap, cluster
        self.todo = todo
        self.copied: set[int] = set()
        self.target = bytearray([POISON]) * size

    def copy(self, clusters: set[int], disk: bytearray) -> None:
        """Copies whole clusters."""
        for number in clusters & self.todo:
            at = slice(number * self.cluster, (number + 1) * self.cluster)
            self.target[at] = disk[at]
            self.todo.discard(number)
            self.copied.add(number)


class Copying(Adapter):
    """A right adapter of a tracker that makes backups itself, and shows the data."""

    capabilities = ("core", "content")
    copies = "adapter"

    def reset(self, disks: list[dict[str, Any]], block: int = 512) -> dict[str, Any]:
        """Fresh disks, all zeroes."""
        self.disks = {disk["name"]: bytearray(disk["size"]) for disk in disks}
        self.running: dict[str, Job] = {}
        self.targets: dict[str, bytearray] = {}
        return super().reset(disks, block)

    def write(self, node: str, offset: int, length: int, kind: str, result: str, fill: int) -> dict[str, Any]:
        """Jobs save what they need; then it is written, and recorded."""
        self.node(node)
        for job in self.running.values():
            if job.node == node:
                job.copy(set(touched(offset, length, job.cluster)), self.disks[node])
        self.disks[node][offset : offset + length] = bytes([fill]) * length
        super().write(node, offset, length, kind, result, fill)
        return self.ended()

    def start_backup(self, job: str, node: str, bitmap: str | None, **rest: Any) -> dict[str, Any]:
        """A job with a fresh target."""
        frozen = self.free(node, bitmap)
        if job in self.running:
            raise Refused("exists")
        freeze(frozen)
        size, cluster = self.sizes[node], rest["cluster"]
        todo = set(range(-(-size // cluster)))
        if rest["sync"] != "full":
            assert frozen is not None
            unit = frozen.granularity
            todo &= {each for number in frozen.dirty for each in touched(number * unit, unit, cluster)}
        self.running[job] = Job(node, frozen, cluster, todo, size)
        return self.ended()

    def copy(self, job: str, offset: int, length: int, result: str) -> dict[str, Any]:
        """Copies what is left of a range."""
        found = self.found(job)
        found.copy(set(touched(offset, length, found.cluster)), self.disks[found.node])
        return self.ended()

    def cancel_job(self, job: str) -> dict[str, Any]:
        """Ends a job without success."""
        self.found(job)
        self.end(job, False)
        return {"ended": [{"job": job, "outcome": "cancelled"}]}

    def found(self, job: str) -> Job:
        """The job of that name."""
        if job not in self.running:
            raise Refused("not found")
        return self.running[job]

    def ended(self) -> dict[str, Any]:
        """Ends the jobs that have nothing left to copy."""
        over = [job_id for job_id, job in self.running.items() if not job.todo]
        for job_id in over:
            self.end(job_id, True)
        return {"ended": [{"job": job_id, "outcome": "completed"} for job_id in over]} if over else {}

    def end(self, job_id: str, success: bool) -> None:
        """Ends a job."""
        job = self.running.pop(job_id)
        self.targets[job_id] = job.target
        if job.bitmap is not None:
            job.bitmap.release(success)

    def observe(self, what: str, name: str = "") -> dict[str, Any]:
        """What can be seen now, or the content of a disk or of a target."""
        if what == "disk":
            return {"content": runs(bytes(self.disks[name]))}
        if what == "target":
            return {"content": runs(bytes(self.targets[name]))}
        jobs = [
            {"job": job_id, "phase": "running", "copied": extents(job.copied, job.cluster)}
            for job_id, job in self.running.items()
        ]
        return {**super().observe(what), "jobs": jobs}
