#!/usr/bin/env python3
"""An adapter as it was written for version 1 of the protocol: `examples/python-minimal`, never to be changed again.

It knows every request that it can get, with its members, and exits with code 1 at any other.
"""

import json
import sys

bitmaps, jobs = {}, {}  # bitmaps by disk and name; the bitmap that each job has frozen


class Bitmap:
    """The numbers of its dirty granules, and those of its successor while a backup has it frozen."""

    def __init__(self, granularity):
        self.unit, self.dirty, self.successor = granularity, set(), None

    def record(self, offset, length):
        """A guest write: every granule that it touches, even in part."""
        first, past = offset // self.unit, -(-(offset + length) // self.unit)
        (self.dirty if self.successor is None else self.successor).update(range(first, past) if length else ())


KNOWN = {
    "hello": "protocol suite", "reset": "block disks", "observe": "what", "bye": "",
    "add-bitmap": "node name granularity enabled", "write": "node offset length kind result fill",
    "start-backup": "job node sync bitmap bitmap_mode cluster auto_finalize on_source_error on_target_error",
    "end-backup": "job success left",
}  # fmt: skip


def handle(do, node=None, name=None, bitmap=None, job=None, **more):
    """Does what a request asks for, and returns the reply."""
    if do == "hello":
        return {"protocol": 1, "name": "minimal", "version": "1.0", "language": "Python", "capabilities": ["core"],
                "copies": "suite", "granularities": [4096, 512], "clusters": [4096],
                "largest_disk": 1 << 50, "max_granules": 1 << 50, "max_dirty": 1 << 16}
    if do == "reset":
        bitmaps.clear()
        bitmaps.update({disk["name"]: {} for disk in more["disks"]})
    elif do == "observe":
        return {"bitmaps": [{"node": node, "name": name, "recording": True, "busy": each.successor is not None,
                             "granularity": each.unit, "dirty": [[i * each.unit, each.unit] for i in each.dirty]}
                            for node, named in bitmaps.items() for name, each in named.items()]}
    elif do == "end-backup":
        ended = jobs.pop(job)
        ended.dirty = ended.successor if more["success"] else ended.dirty | ended.successor
        ended.successor = None
    elif do != "bye" and (node not in bitmaps or (bitmap is not None and bitmap not in bitmaps[node])):
        return {"error": "not found"}
    elif do == "add-bitmap":
        if name in bitmaps[node]:
            return {"error": "exists"}
        bitmaps[node][name] = Bitmap(more["granularity"])
    elif do == "write":
        for each in bitmaps[node].values():
            each.record(more["offset"], more["length"])
    elif do == "start-backup":
        frozen = Bitmap(512) if bitmap is None else bitmaps[node][bitmap]
        if frozen.successor is not None:
            return {"error": "busy"}
        frozen.successor, jobs[job] = set(), frozen
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if list(request) != ["seq", "do", *KNOWN.get(request["do"], "nothing of that name").split()]:
        sys.exit(f"a request that was not there in version 1: {line}")
    print(json.dumps({"seq": request.pop("seq"), **handle(**request)}), flush=True)
    if request["do"] == "bye":
        break
