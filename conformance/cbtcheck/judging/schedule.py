"""A schedule: what the guest writes and what fails, and at which points of the conversation.

A point is written as `RUN/KIND/NAME/NUMBER`: the run of the tool ("1" the full backup, "2" the first increment, "2a"
that again after a failure), what happens there, of which command or event, and the how-manieth of these in this run.

- `2/start`: before the run begins
- `2/before/transaction/1`: the command is there, and QEMU does not have it yet
- `2/reply/transaction/1`: QEMU has answered, and the tool does not have the answer yet
- `2/event/JOB_STATUS_CHANGE:concluded/1`: the event is there, and the tool does not have it yet
- `2/copying/transaction/1`: as `reply`, of a command that has started a backup, while the disk holds back its reads
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cbtcheck.host.lacking import why_of

Operation = Literal["write", "zeroes", "discard"]
FaultKind = Literal[
    "error", "source-EIO", "target-EIO", "target-ENOSPC", "cancel", "TERM", "KILL", "emulator-killed", "closed",
    "slow", "restart",
]  # fmt: skip

FAULTS: dict[str, str] = {
    "error": "an error in place of the reply; QEMU never gets the command",
    "source-EIO": "the disk fails to read (EIO), once the backup has started",
    "target-EIO": "the target fails to take a write (EIO)",
    "target-ENOSPC": "the target has no room (ENOSPC)",
    "cancel": "somebody cancels the job",
    "TERM": "the tool gets SIGTERM",
    "KILL": "the tool is killed",
    "emulator-killed": "QEMU is killed, and started again",
    "closed": "the socket is closed",
    "slow": "the disk takes a second to answer",
    "restart": "QEMU is shut down in good order, and started again",
}
"""The kinds of faults, and what they are."""

FORMAT = 1


class Write(msgspec.Struct, frozen=True, omit_defaults=True):
    """A write of the guest: offset and length are bytes, multiples of 512."""

    at: str
    disk: str
    offset: int
    length: int
    op: Operation = "write"


class Fault(msgspec.Struct, frozen=True):
    """Something that fails."""

    at: str
    kind: FaultKind


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the guest writes, in order where several are at one point, and what fails. `name` says what it is for."""

    name: str
    increments: int = 2
    writes: tuple[Write, ...] = ()
    faults: tuple[Fault, ...] = ()
    format: int = FORMAT


class ScheduleProblem(Exception):
    """A file that is no schedule; the message is one line."""


@dataclass(frozen=True)
class Point:
    """A point of the conversation."""

    run: str
    kind: str
    name: str = ""
    number: int = 1

    def __str__(self) -> str:
        return f"{self.run}/{self.kind}" + (f"/{self.name}/{self.number}" if self.name else "")


def parsed(text: str) -> Point:
    """A point as `str` writes it. `ValueError`."""
    parts = text.split("/")
    if len(parts) == 2:
        return Point(parts[0], parts[1])
    run, kind, *middle, number = parts
    return Point(run, kind, "/".join(middle), int(number))


def in_words(text: str) -> str:
    """A point for people."""
    point = parsed(text)
    nth = "" if point.number == 1 else f" (number {point.number})"
    match point.kind:
        case "start":
            return f"before run {point.run} of the tool begins"
        case "before":
            return f"run {point.run}: before {point.name}{nth}"
        case "reply":
            return f"run {point.run}: between {point.name}{nth} and its reply"
        case "copying":
            return f"run {point.run}: while the backup that {point.name}{nth} started copies"
        case _:
            return f"run {point.run}: at {point.name}{nth}"


def write_schedule(schedule: Schedule, path: Path) -> None:
    """Writes a file that `read_schedule` reads. Raises `OSError`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(schedule), indent=2) + b"\n")


def read_schedule(path: Path) -> Schedule:
    """The schedule in a file. `ScheduleProblem`."""
    try:
        schedule = msgspec.json.decode(path.read_bytes(), type=Schedule)
    except OSError as problem:
        raise ScheduleProblem(f"{path} cannot be read: {why_of(problem)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ScheduleProblem(f"{path} is no schedule: {problem}") from None
    if schedule.format != FORMAT:
        raise ScheduleProblem(f"{path}: a schedule of format {schedule.format}, and only {FORMAT} is known")
    for at in [*(each.at for each in schedule.writes), *(each.at for each in schedule.faults)]:
        try:
            parsed(at)
        except ValueError:
            raise ScheduleProblem(f"{path}: {at!r} is no point (as in 2/before/transaction/1)") from None
    return schedule
