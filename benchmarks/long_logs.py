"""Long logs of a backup tool that does as it should, and of guests that write all the time: what `verify` is for.

Each disk gets a full backup and two bitmaps in one transaction; then, by turns of `--every` events, an increment with
the one, and sometimes: a failed one that is repeated, both merged into a temporary bitmap that is looked at and
removed, or a new full backup, with the other bitmap cleared in the same transaction. Before each increment the
bitmaps are looked at, with their counts. Seven of ten writes go to a hot region, two are sequential, one is anywhere
on the 128 GiB. What is logged happened at its `begin`; most of it has an end that overlaps what comes later.

`trace` is our own format, `qmp` the log of the monitor, in which no guest write is. `verify.py` measures with these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pyroaring import BitMap64

SIZE, BLOCK, GRANULARITY = 1 << 37, 4096, 65536
HOT = 1 << 31
SEED, IN_FLIGHT = 20160121, 32
Line = dict[str, Any]


@dataclass
class Disk:
    """A disk with the two bitmaps of a tool, as granules; `since` is what was written since a job froze `inc`."""

    name: str
    random: Random
    inc: BitMap64 = field(default_factory=BitMap64)
    diff: BitMap64 = field(default_factory=BitMap64)
    since: BitMap64 | None = None
    there: bool = False
    _next: int = HOT

    def write(self) -> int:
        """The offset of one more guest write."""
        kind = self.random.random()
        if kind < 0.7:
            offset = self.random.randrange(HOT // BLOCK) * BLOCK
        elif kind < 0.9:
            offset = self._next = (self._next + BLOCK) % SIZE
        else:
            offset = self.random.randrange(SIZE // BLOCK) * BLOCK
        if self.there:
            granule = offset // GRANULARITY
            self.diff.add(granule)
            (self.inc if self.since is None else self.since).add(granule)
        return offset

    def see(self, **more: BitMap64) -> Line:
        """A look at all bitmaps, with their counts."""
        busy, inc = self.since is not None, self.inc
        told = {"inc": inc, "diff": self.diff, **more}
        return {"see": "bitmaps", "node": self.name, "all": True, "bitmaps": {
            name: {"granularity": GRANULARITY, "recording": name != "tmp", "busy": busy and name == "inc",
                   "count": self._bytes(each)} for name, each in told.items()}}  # fmt: skip

    @staticmethod
    def _bytes(granules: BitMap64) -> int:
        return len(granules) * GRANULARITY

    def tool(self) -> Iterator[Line | None]:
        """What a tool does, one step at a time; None where it waits."""
        node = {"node": self.name}
        add: list[Line] = [{"do": "add-bitmap", **node, "name": name, "granularity": GRANULARITY}
                           for name in ("inc", "diff")]  # fmt: skip
        number = 0
        while True:
            job = f"{self.name}-{number}"
            full = {"do": "start-backup", "job": job, **node, "sync": "full"}
            self.diff, self.there = BitMap64(), True
            yield {"do": "transaction", "actions": [*([] if number else add), *(
                [{"do": "clear-bitmap", **node, "name": "diff"}] if number else []), full]}  # fmt: skip
            yield {"ended": {job: "completed"}}
            for number in range(number + 1, number + 30):  # noqa: B020
                job = f"{self.name}-{number}"
                yield self.see()
                self.since = BitMap64()
                yield {"do": "start-backup", "job": job, **node, "sync": "incremental", "bitmap": "inc"}
                failed = number % 9 == 0
                self.inc, self.since = (self.inc | self.since if failed else self.since), None
                yield {"ended": {job: "failed" if failed else "completed"}}
                if number % 5:
                    yield None
                    continue
                bitmap = {**node, "name": "tmp"}
                yield {"do": "add-bitmap", **bitmap, "granularity": GRANULARITY, "enabled": False}
                merged = self.inc | self.diff
                sources = [{**node, "name": "inc"}, {**node, "name": "diff"}]
                yield {"do": "merge-bitmaps", **node, "target": "tmp", "sources": sources}
                yield self.see(tmp=merged)
                yield {"do": "remove-bitmap", **bitmap}
            number += 1


def trace(events: int, disks: int = 1, every: int = 10_000, points: bool = False) -> Iterator[str]:
    """A trace of so many events; time goes on by one with each."""
    random = Random(SEED)
    listed = [Disk(f"disk{number}", random) for number in range(disks)]
    tools = [each.tool() for each in listed]
    head = {"format": "cbtspec-trace", "version": 1, "block": BLOCK, "disks": {each.name: SIZE for each in listed},
            "copies": "unknown"}  # fmt: skip
    yield json.dumps(head) + "\n"
    turn, pause = 0, max(1, every // 4)
    for now in range(1, events):
        step = None
        if now % pause == 0 or now <= disks:
            step = next(tools[turn % disks])
            turn += 1
        if step is not None:
            when = {"at": now} if points else {"begin": now, "end": now + 2}
            yield json.dumps(step | when, separators=(",", ":")) + "\n"
            continue
        disk = listed[now % disks]
        end = f'"at":{now}' if points else f'"begin":{now},"end":{now + random.randint(1, 2 * IN_FLIGHT)}'
        yield f'{{"do":"write","node":"{disk.name}","offset":{disk.write()},"length":{BLOCK},{end}}}\n'


QMP = {"add-bitmap": "block-dirty-bitmap-add", "clear-bitmap": "block-dirty-bitmap-clear",
       "remove-bitmap": "block-dirty-bitmap-remove", "merge-bitmaps": "block-dirty-bitmap-merge",
       "start-backup": "blockdev-backup", "transaction": "transaction"}  # fmt: skip


def qmp(messages: int, disks: int = 1, every: int = 10_000) -> Iterator[str]:
    """A monitor's log of so many messages, roughly: what the tools do, with as many guest writes between as above."""
    random, number = Random(SEED), 0
    listed = [Disk(f"disk{each}", random) for each in range(disks)]
    tools = [each.tool() for each in listed]
    yield _line({"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 0}}, "capabilities": []}})
    yield _line({"execute": "qmp_capabilities", "id": 0}) + _line({"return": {}, "id": 0})
    while number < messages:
        at = number % disks
        for _ in range(every // 4):
            listed[at].write()
        step = next(tools[at])
        number += 1
        if step is None:
            continue
        if "ended" in step:
            [(job, outcome)] = step["ended"].items()
            told = {"device": job, "type": "backup", "len": SIZE, "offset": SIZE, "speed": 0}
            told |= {"error": "No space left on device"} if outcome == "failed" else {}
            when = {"timestamp": {"seconds": number, "microseconds": 0}}
            yield _line({**when, "event": "BLOCK_JOB_COMPLETED", "data": told})
        elif "see" in step:
            shown = [{"name": name, "persistent": False, **told} for name, told in step["bitmaps"].items()]
            node = {"node-name": step["node"], "image": {"virtual-size": SIZE}, "dirty-bitmaps": shown}
            yield _line({"execute": "query-named-block-nodes", "id": number})
            yield _line({"return": [node], "id": number})
        else:
            execute, arguments = _command(step)
            yield _line({"execute": execute, "arguments": arguments, "id": number})
            yield _line({"return": {}, "id": number})


def _command(step: Line) -> tuple[str, Line]:
    """What a step is in words of QMP: the command, and its arguments."""
    given = {name: value for name, value in step.items() if name != "do"}
    match step["do"]:
        case "transaction":
            actions = [dict(zip(("type", "data"), _command(each), strict=True)) for each in step["actions"]]
            given = {"actions": actions}
        case "start-backup":
            given = {"job-id": step["job"], "device": step["node"], "target": f"{step['job']}-target", **given}
            given |= {"bitmap-mode": "on-success"} if "bitmap" in step else {}
            del given["job"], given["node"]
        case "merge-bitmaps":
            given["bitmaps"] = given.pop("sources")
        case "add-bitmap":
            given["disabled"] = not given.pop("enabled", True)
    return QMP[step["do"]], given


def _line(message: Line) -> str:
    return json.dumps(message) + "\n"
