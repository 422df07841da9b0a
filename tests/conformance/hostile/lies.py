"""Adapters that keep to the protocol and do not tell the truth, or do not know it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from tracker import Adapter, Copying, Extents, Refused, extents

REFUSALS = ("not found", "exists", "busy")


class Right(Adapter):
    """is right: the measure for all others"""


class RightAndCopies(Copying):
    """is right, makes backups itself, and shows the data"""


# What it says of itself


class NewerProtocol(Adapter):
    """speaks version 2 of the protocol"""

    more = {"protocol": 2}


class UnknownCapability(Adapter):
    """claims a capability that the protocol does not know"""

    capabilities = ("core", "snapshots")


class NoCapabilities(Adapter):
    """claims nothing"""

    capabilities = ()


class NoGranularities(Adapter):
    """claims no granularity at all"""

    more = {"granularities": []}


class ImpossibleGranularity(Adapter):
    """claims granularities that are no powers of two"""

    more = {"granularities": [1000]}


class ClaimsTooMuch(Adapter):
    """claims capabilities, and answers `unsupported` when they are asked for"""

    capabilities = ("core", "bitmaps", "transactions")


class ChangesItsMind(Adapter):
    """dies at the third write; started anew it claims other capabilities"""

    def hello(self) -> dict[str, Any]:
        again = Path(os.environ["HOSTILE_STATE"], "was-here")
        said = super().hello()
        if again.exists():
            return {**said, "capabilities": ["core", "bitmaps"], "granularities": [512]}
        again.touch()
        return said

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.is_the_moment(request):
            os._exit(1)
        super().reply(request, answer)


# Always the same answer


class SaysDone(Adapter):
    """says `done` to everything, also to what must be refused"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        said = super().answer(request)
        return {} if said.get("error") in REFUSALS else said


class SaysDoneAndDoesNothing(Adapter):
    """says `done` to everything, and that there is nothing"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] in ("hello", "reset"):
            return super().answer(request)
        return {"bitmaps": []} if request["do"] == "observe" else {}


class RefusesAll(Adapter):
    """refuses everything that changes something"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] in ("hello", "reset", "observe", "bye"):
            return super().answer(request)
        return {"error": "busy", "text": "try again later"}


class FailsAtAll(Adapter):
    """answers every command with an internal error"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] in ("hello", "reset", "observe", "bye"):
            return super().answer(request)
        return {"error": "internal", "text": "NullPointerException"}


class NothingCanBeMadeToHappen(Adapter):
    """says of every write that it could not be made to happen, so that there is nothing to judge"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] in ("hello", "reset", "observe", "bye"):
            return super().answer(request)
        return {"trace": []}


class Replays(Adapter):
    """says what a right adapter has said in an earlier run, which is in a file"""

    def main(self) -> None:
        with Path(os.environ["HOSTILE_STATE"], "recorded").open() as file:
            self.recorded = {said["seq"]: said for said in map(json.loads, file)}
        super().main()

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        said = self.recorded.get(request["seq"], {"seq": request["seq"]})
        self.say(self.encoded(said) + b"\n")


class Records(Adapter):
    """is right, and writes what it says into a file"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        with Path(os.environ["HOSTILE_STATE"], "recorded").open("ab") as file:
            file.write(self.encoded({"seq": request["seq"], **answer}) + b"\n")
        super().reply(request, answer)


# Lost and found


class ResetsItself(Adapter):
    """forgets everything at the third write"""

    def write(self, *args: Any, **fields: Any) -> dict[str, Any]:
        said = super().write(*args, **fields)
        if self.writes % 3 == 0:
            self.reset([{"name": name, "size": size} for name, size in self.sizes.items()])
        return said


class ForgetsABitmap(Adapter):
    """loses a bitmap when its backup ends"""

    def end_backup(self, job: str, success: bool, left: Extents) -> dict[str, Any]:
        lost = self.jobs[job]
        said = super().end_backup(job, success, left)
        self.bitmaps = {
            node: {name: each for name, each in bitmaps.items() if each is not lost}
            for node, bitmaps in self.bitmaps.items()
        }
        return said


class WorksOnce(Adapter):
    """is right until it is reset, and keeps its bitmaps then"""

    def reset(self, disks: list[dict[str, Any]], block: int = 512) -> dict[str, Any]:
        kept = dict(getattr(self, "bitmaps", {}))
        super().reset(disks, block)
        for node in self.bitmaps:
            self.bitmaps[node] = kept.get(node, {})
        return {}


class LosesTheLastGranule(Adapter):
    """rounds the end of a write down: the last granule that it touches in part is lost"""

    def write(self, node: str, offset: int, length: int, *args: Any, **fields: Any) -> dict[str, Any]:
        unit = min((each.granularity for each in self.node(node).values()), default=512)
        if length > unit:
            length -= (offset + length) % unit
        return super().write(node, offset, length, *args, **fields)


class LosesWritesDuringABackup(Adapter):
    """has no successors: what is written during a backup is recorded in the bitmap, and cleared with it"""

    def end_backup(self, job: str, success: bool, left: Extents) -> dict[str, Any]:
        bitmap = self.jobs.pop(job)
        if bitmap is not None:
            bitmap.successor = None
            if success:
                bitmap.dirty = set()
        return {}


class ForgetsAfterAFailure(Adapter):
    """takes a backup that has failed for one that has not"""

    def end_backup(self, job: str, success: bool, left: Extents) -> dict[str, Any]:
        return super().end_backup(job, True, left)


class CoarserThanItSays(Adapter):
    """marks two granules for every one: safe, and wasteful"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        bitmap = self.bitmaps[node][name]
        last = -(-self.sizes[node] // bitmap.granularity) - 1
        doubled = {min(number ^ each, last) for number in bitmap.dirty for each in (0, 1)}
        return {**super().seen(node, name), "dirty": extents(doubled, bitmap.granularity)}


class MarksEverything(Adapter):
    """says that everything is dirty, always"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        bitmap = self.bitmaps[node][name]
        every = set(range(-(-self.sizes[node] // bitmap.granularity)))
        return {**super().seen(node, name), "dirty": extents(every, bitmap.granularity)}


class BeyondTheDisk(Adapter):
    """says that granules are dirty which the disk does not have"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        said = super().seen(node, name)
        return {**said, "dirty": [*said["dirty"], [1 << 40, said["granularity"]]]}


class PartsOfGranules(Adapter):
    """says the bytes that were written, not the granules"""

    def seen(self, node: str, name: str) -> dict[str, Any]:
        said = super().seen(node, name)
        return {**said, "dirty": [[offset + 1, length - 1] for offset, length in said["dirty"]]}


class SaysItTwice(Adapter):
    """says every bitmap twice, and differently"""

    def observe(self, what: str, name: str = "") -> dict[str, Any]:
        bitmaps = super().observe(what)["bitmaps"]
        return {"bitmaps": [*bitmaps, *({**each, "dirty": []} for each in bitmaps)]}


class ThrowsDice(Adapter):
    """loses every fifth write or so, by chance"""

    def write(self, *args: Any, **fields: Any) -> dict[str, Any]:
        if random.random() < 0.2:
            return {}
        return super().write(*args, **fields)


class RefusesAndDoesIt(Adapter):
    """adds the bitmap whose name is taken, clean, and refuses to"""

    def add_bitmap(self, node: str, name: str, granularity: int, enabled: bool) -> dict[str, Any]:
        taken = name in self.node(node)
        self.bitmaps[node].pop(name, None)
        super().add_bitmap(node, name, granularity, enabled)
        if taken:
            raise Refused("exists")
        return {}


class NeverSure(Adapter):
    """does everything rightly, and says each time that it may not have"""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        said = super().answer(request)
        if request["do"] in ("hello", "reset", "observe", "bye") or "error" in said:
            return said
        return {"error": "internal", "definite": False}


class NotSureAndHalfDone(Adapter):
    """records half of every longer write, and says that it may have happened"""

    def write(self, node: str, offset: int, length: int, *args: Any, **fields: Any) -> dict[str, Any]:
        super().write(node, offset, length if length < 8192 else length // 2, *args, **fields)
        return {} if length < 8192 else {"error": "internal", "definite": False}


# Backups that are none


class CopiesTooLate(Copying):
    """has no copy-before-write: the target gets what is there when it is copied"""

    def write(self, node: str, *args: Any, **fields: Any) -> dict[str, Any]:
        away = {job_id: job for job_id, job in self.running.items() if job.node == node}
        self.running = {job_id: job for job_id, job in self.running.items() if job.node != node}
        super().write(node, *args, **fields)
        self.running |= away
        return self.ended()


class CancelledIsCompleted(Copying):
    """says of a backup that was cancelled that it has completed"""

    def cancel_job(self, job: str) -> dict[str, Any]:
        super().cancel_job(job)
        return {"ended": [{"job": job, "outcome": "completed"}]}


class ChangesAnotherHistory(Adapter):
    """says that something else has happened than what it was asked for: a discard of the whole disk"""

    def write(self, node: str, *args: Any, **fields: Any) -> dict[str, Any]:
        super().write(node, *args, **fields)
        discard = {
            "do": "write", "node": node, "offset": 0, "length": self.sizes[node], "kind": "discard",
            "result": "ignored", "fill": 1,
        }  # fmt: skip
        return {"trace": [discard]}
