"""A tracker that is deliberately coarser than it is asked to be, and its adapter: safe, but wasteful.

Whatever the granularity, it remembers pieces of 64 KiB, as a driver does that has to make do with little memory. It
reports them in granules of the size that was asked for. So no write is ever lost, but more is copied than need be.

    cbtspec check exec -- python3 adapter.py        wasteful, exit code 1
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

PIECE = 65536
"""The size in bytes of what it remembers; of a bitmap with larger granules, those."""

HELLO = {
    "protocol": 1, "name": "coarse", "version": "1", "language": "Python", "capabilities": ["core", "bitmaps"],
    "copies": "suite", "granularities": [4096, 512, 65536], "clusters": [4096], "batch": True,
    "largest_disk": 1 << 50, "max_granules": 1 << 50, "max_dirty": 1 << 16,
}  # fmt: skip


class Refused(Exception):
    """The request cannot be done; nothing has changed. Its argument is the kind."""


@dataclass
class Bitmap:
    """`dirty` and `successor` are numbers of pieces; a successor is there while a job has the bitmap frozen."""

    size: int
    granularity: int
    enabled: bool
    dirty: set[int] = field(default_factory=set)
    successor: set[int] | None = None
    job: str | None = None

    @property
    def piece(self) -> int:
        """The size in bytes of a piece of this bitmap."""
        return max(PIECE, self.granularity)

    def pieces(self, offset: int, length: int) -> range:
        """The pieces that a range of bytes touches. The last granule of another bitmap may end behind the disk."""
        end = min(offset + length, self.size)
        return range(offset // self.piece, -(-end // self.piece) if length else offset // self.piece)

    def extents(self, pieces: set[int]) -> list[list[int]]:
        """Pieces as [offset, length], cut off where the last granule ends."""
        end = -(-self.size // self.granularity) * self.granularity
        return [[n * self.piece, min(self.piece, end - n * self.piece)] for n in sorted(pieces)]


class Tracker:
    """Disks, which are nothing but sizes here, and their bitmaps by (node, name)."""

    def __init__(self) -> None:
        self.disks: dict[str, int] = {}
        self.bitmaps: dict[tuple[str, str], Bitmap] = {}

    def bitmap(self, node: str, name: str, free: bool = True) -> Bitmap:
        """The bitmap; nobody may be using it if it is to be `free`."""
        if (node, name) not in self.bitmaps:
            raise Refused("not found")
        if free and self.bitmaps[node, name].job is not None:
            raise Refused("busy")
        return self.bitmaps[node, name]

    def do(self, r: dict[str, Any]) -> dict[str, Any]:
        """Does a request, and gives what belongs in the reply. Raises `Refused`."""
        match r["do"]:
            case "hello":
                return HELLO
            case "reset":
                self.disks = {disk["name"]: disk["size"] for disk in r["disks"]}
                self.bitmaps = {}
            case "observe" if r["what"] == "state":
                return {"bitmaps": [self.seen(*place) for place in self.bitmaps]}
            case "add-bitmap":
                self.add(r["node"], r["name"], r["granularity"], r["enabled"])
            case "remove-bitmap":
                self.bitmap(r["node"], r["name"])
                del self.bitmaps[r["node"], r["name"]]
            case "clear-bitmap":
                self.bitmap(r["node"], r["name"]).dirty.clear()
            case "enable-bitmap" | "disable-bitmap":
                self.bitmap(r["node"], r["name"]).enabled = r["do"] == "enable-bitmap"
            case "merge-bitmaps":
                self.merge(r["node"], r["target"], [(each["node"], each["name"]) for each in r["sources"]])
            case "write":
                self.write(r["node"], r["offset"], r["length"])
            case "start-backup":
                self.start(r["job"], r["node"], r["bitmap"])
            case "end-backup":
                self.end(r["job"], r["success"])
            case "bye":
                pass
            case _:
                raise Refused("unsupported")
        return {}

    def seen(self, node: str, name: str) -> dict[str, Any]:
        """A bitmap as `observe` shows it."""
        bitmap = self.bitmaps[node, name]
        return {"node": node, "name": name, "granularity": bitmap.granularity, "recording": bitmap.enabled,
                "busy": bitmap.job is not None, "dirty": bitmap.extents(bitmap.dirty)}  # fmt: skip

    def add(self, node: str, name: str, granularity: int, enabled: bool) -> None:
        """A new bitmap, clean."""
        if node not in self.disks:
            raise Refused("not found")
        if (node, name) in self.bitmaps:
            raise Refused("exists")
        self.bitmaps[node, name] = Bitmap(self.disks[node], granularity, enabled)

    def merge(self, node: str, name: str, sources: list[tuple[str, str]]) -> None:
        """All sources or none."""
        target = self.bitmap(node, name, free=False)
        for source in sources:
            self.bitmap(*source, free=False)
            self.bitmap(node, name)
            if self.bitmap(*source).size != target.size:
                raise Refused("size mismatch")
        for source in sources:
            taken = self.bitmaps[source]
            target.dirty |= {n for extent in taken.extents(taken.dirty) for n in target.pieces(*extent)}

    def write(self, node: str, offset: int, length: int) -> None:
        """A guest write: each bitmap that records has it, in its successor if it has one."""
        if node not in self.disks:
            raise Refused("not found")
        for (node_name, _), bitmap in self.bitmaps.items():
            if node_name == node and bitmap.enabled:
                recorder = bitmap.dirty if bitmap.successor is None else bitmap.successor
                recorder.update(bitmap.pieces(offset, length))

    def start(self, job: str, node: str, name: str | None) -> None:
        """A backup freezes a bitmap, or none."""
        if node not in self.disks:
            raise Refused("not found")
        if name is not None:
            bitmap = self.bitmap(node, name)
            bitmap.job, bitmap.successor = job, set()

    def end(self, job: str, success: bool) -> None:
        """The successor takes the bitmap's place; after a failure with all that the bitmap had."""
        for bitmap in self.bitmaps.values():
            if bitmap.job == job and bitmap.successor is not None:
                bitmap.dirty = bitmap.successor if success else bitmap.dirty | bitmap.successor
                bitmap.job = bitmap.successor = None


def main() -> None:
    """Answers requests until `bye`, or the end of the input."""
    tracker = Tracker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = tracker.do(request)
        except Refused as refusal:
            reply = {"error": refusal.args[0]}
        print(json.dumps({"seq": request["seq"], **reply}), flush=True)
        if request["do"] == "bye":
            return


if __name__ == "__main__":
    main()
