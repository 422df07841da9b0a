"""The reference implementation behind the adapter protocol: what there is to claim, in both kinds.

`python faithful.py [suite] [read] [batch] [only=core,bitmaps] [forgets] [doubts] [skips] [large] [misplaces]
[KEY=JSON]...`: with `suite` the suite makes the copies. Then a backup is a job of the host that never finalizes by
itself: it freezes the bitmap, and ends as the suite says. `forgets`: what is frozen is shown as clean. `doubts`:
nothing is certain to have happened; `skips`: every third thing that is asked for has not, and that is not certain.
`large`: disks may be of any size; `misplaces`: what is copied from beyond 4 GiB is what lies 4 GiB before. KEY=JSON
is part of hello.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import msgspec
from cbtcheck.adapter import POISON
from cbtcheck.adapters.driving import Driver
from cbtcheck.adapters.mistakes.places import CopiedFrom4GiBBefore
from cbtcheck.adapters.small_disks import FlatDisk
from cbtcheck.adapters.sparse_disk import SparseDisk
from cbtcheck.content import Content, in_runs, part_of
from cbtcheck.scenario.scenario import command_from_data, command_to_data
from cbtimpl import Host
from cbtmodel import commands as c

WORDS = sys.argv[1:]
SUITE = "suite" in WORDS
READS = "read" in WORDS
ONLY = [word.removeprefix("only=").split(",") for word in WORDS if word.startswith("only=")]
LARGE = {"largest_disk": 1 << 45, "largest_content": 1 << 45} if "large" in WORDS else {}
NEW_DISK = SparseDisk if "large" in WORDS else FlatDisk
MORE = {
    name: msgspec.json.decode(value)
    for name, _, value in (word.partition("=") for word in WORDS)
    if value and name != "only"
}
Extents = list[tuple[int, int]]


class Faithful:
    """Answers requests."""

    def __init__(self) -> None:
        self.swallows, self.count = False, 0
        self.reset([])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply, without its number."""
        do = request.pop("do")
        match do:
            case "hello":
                return self.hello()
            case "reset":
                return self.reset(request["disks"])
            case "observe":
                return self.observe(request["what"], request.get("name", ""))
            case "read":
                then = part_of(self.starts[request["job"]][1], request["offset"], request["length"])
                return {"content": runs(then)}
            case "end-backup":
                return self.end_backup(request["job"], request["success"], request["left"])
            case "bye":
                return {}
        fill = request.pop("fill", 0)
        return self.command(command_from_data({"do": do, **request}, "request"), fill)

    def hello(self) -> dict[str, Any]:
        """Everything is claimed."""
        claimed = ONLY[0] if ONLY else ["full", *(["read"] if READS else [])]
        return {
            "protocol": 1, "name": "faithful", "version": "1", "capabilities": claimed,
            "copies": "suite" if SUITE else "adapter", "granularities": [4096, 512, 8192, 65536],
            "clusters": [4096, 512, 16384, 65536], "batch": "batch" in WORDS, **LARGE, **MORE,
        }  # fmt: skip

    def reset(self, disks: list[dict[str, Any]]) -> dict[str, Any]:
        """A new host."""
        self.starts: dict[str, tuple[c.StartBackup, Content]] = {}
        made: dict[str, FlatDisk] = {disk["name"]: NEW_DISK(disk["size"], 0) for disk in disks}
        self.driver = Driver(Host(), made, lambda size: NEW_DISK(size, POISON))
        self.host = self.driver.host
        if "misplaces" in WORDS:
            self.host.job_class = CopiedFrom4GiBBefore
        self.host.swallows_discards = lambda node: self.swallows  # type: ignore[method-assign]
        return {}

    def command(self, asked: Any, fill: int) -> dict[str, Any]:
        """A command, and what came of it."""
        self.count += 1
        if "skips" in WORDS and self.count % 3 == 0:
            return {"error": "internal", "definite": False}
        self.swallows = isinstance(asked, c.Write) and asked.result == "ignored"
        if self.swallows and asked.kind != "discard":
            return {"trace": []}
        given = held(asked) if SUITE else asked
        driven = self.driver.perform(given, lambda _, length: bytes([fill]) * length)
        answers = [(asked if each.command == given else each.command, each) for each in driven.trace]
        if SUITE:
            self.note_starts(asked)
        reply: dict[str, Any] = {}
        if [command for command, _ in answers] == [asked]:
            reply = refusal(answers[0][1])
        else:
            reply["trace"] = [{**command_to_data(command), **refusal(each)} for command, each in answers]
        if reply == {} and "doubts" in WORDS:
            reply = {"error": "internal", "definite": False}
        if driven.ended and not SUITE:
            reply["ended"] = [{"job": job, "outcome": outcome} for job, outcome in driven.ended]
        return reply

    def note_starts(self, asked: Any) -> None:
        """The content at the start of each job that there is now."""
        for start in asked.actions if isinstance(asked, c.Transaction) else (asked,):
            if isinstance(start, c.StartBackup) and start.job in self.host.jobs and start.job not in self.starts:
                self.starts[start.job] = start, self.driver.disks[start.node].all()

    def end_backup(self, job: str, success: bool, left: Extents) -> dict[str, Any]:
        """What the suite has copied is copied, so that the host's job has the same left; then it ends."""
        if job not in self.starts:
            return {"error": "not found"}
        self.count += 1
        if "skips" in WORDS and self.count % 3 == 0:
            return {"error": "internal", "definite": False}
        start, _ = self.starts.pop(job)
        size = self.driver.disks[start.node].size
        for offset in range(0, size, start.cluster):
            past = min(offset + start.cluster, size)
            if success or not any(first < past and offset < first + count for first, count in left):
                self.driver.perform(c.Copy(job, offset, past - offset), lambda _, length: bytes(length))
        self.driver.perform(c.FinalizeJob(job) if success else c.CancelJob(job), lambda _, length: bytes(length))
        return {}

    # What can be seen

    def observe(self, what: str, name: str) -> dict[str, Any]:
        """Everything."""
        if what == "disk":
            return {"content": runs(self.driver.disks[name].all())}
        if what == "target":
            return {"content": runs(self.driver.targets[name].all())}
        bitmaps, successors, writes = [], [], []
        for node_name, node in self.host.nodes.items():
            for called, each in node.bitmaps.items():
                bitmaps.append({"node": node_name, "name": called, "busy": each.busy, **shown(each)})
                if each.busy and "forgets" in WORDS:
                    bitmaps[-1]["dirty"] = []
                if each.successor is not None:
                    successors.append({"node": node_name, **shown(each.successor)})
            writes += [{"node": node_name, "write": write_id} for write_id in node.writes]
        seen = {"bitmaps": bitmaps, "successors": successors, "writes": writes}
        if not SUITE:
            targets = self.driver.targets
            seen["jobs"] = [
                {"job": job_id, "phase": job.phase, "copied": targets[job_id].written}
                for job_id, job in self.host.jobs.items()
            ]
        return seen


def held(command: Any) -> Any:
    """The same, with backups that do not end by themselves, nor together."""
    if isinstance(command, c.StartBackup):
        return replace(command, auto_finalize=False)
    if isinstance(command, c.Transaction):
        grouped = command.grouped and not all(isinstance(each, c.StartBackup) for each in command.actions)
        return c.Transaction(tuple(map(held, command.actions)), grouped)
    return command


def refusal(answer: Any) -> dict[str, Any]:
    """The error of an answer, if it is one."""
    return {"error": answer.refusal, "text": answer.text} if answer.refusal else {}


def shown(bitmap: Any) -> dict[str, Any]:
    """What all bitmaps show."""
    unit = bitmap.granularity
    dirty = [(first * unit, (past - first) * unit) for first, past in bitmap.bits.runs()]
    return {"granularity": unit, "recording": bitmap.recording, "dirty": dirty}


def runs(content: Content) -> Extents:
    """Runs of equal bytes."""
    return [*in_runs(content).pairs()]


def main() -> None:
    """Answers until `bye`."""
    faithful = Faithful()
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        seq, do = request.pop("seq"), request["do"]
        sys.stdout.buffer.write(msgspec.json.encode({"seq": seq, **faithful.answer(request)}) + b"\n")
        sys.stdout.buffer.flush()
        if do == "bye":
            break


if __name__ == "__main__":
    main()
