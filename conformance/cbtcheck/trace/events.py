"""What a trace consists of, whatever it was read from: commands, ends of jobs, and what was seen.

Guest writes are kept apart from these, since there are so many (see `verifier`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cbtmodel import image
from cbtmodel.backup import Outcome
from cbtmodel.commands import Command

LONGEST_REASON = 300

NO_REPLY = "commands without a reply in the log"
"""The text of a command that is not definite for this reason."""


class TraceProblem(Exception):
    """A trace cannot be used, or not be judged: `line` and the reason, one line of text whatever is in the trace."""

    def __init__(self, line: int, reason: str) -> None:
        plain = reason if reason.isprintable() else ascii(reason)[1:-1]
        self.line, self.reason = line, plain if len(plain) <= LONGEST_REASON else f"{plain[:LONGEST_REASON]}…"
        super().__init__(f"line {line}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Span:
    """When something happened: at one moment from `begin` to `end`, whichever. `line` is where it is recorded.

    A *point* is known to come after all earlier lines that are points or have ended; two points of the same time
    are in the order of their lines.
    """

    line: int
    begin: float
    end: float
    point: bool

    def over(self, begin: float) -> bool:
        """Whether it has happened before whatever begins then, on a later line."""
        return self.point or self.end < begin


@dataclass(frozen=True, slots=True)
class Given:
    """A command, and how it was answered.

    `refusal` is "" if it was accepted, a kind of `cbtmodel.refusal`, or "?" if that could not be recognised. Not
    `definite`: it may have happened, or not. `ended`: the jobs that ended by it, as far as that is said with it.
    """

    command: Command
    refusal: str = ""
    definite: bool = True
    text: str = ""
    ended: tuple[tuple[str, Outcome], ...] = ()


@dataclass(frozen=True, slots=True)
class OfImages:
    """Something has happened to images, when nothing else was under way; or it was refused. Otherwise as `Given`."""

    event: image.Event
    refusal: str = ""
    text: str = ""
    ended: tuple[tuple[str, Outcome], ...] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """A guest write in flight has ended, if nothing that waits for it has ended it before."""

    node: str
    write: str


@dataclass(frozen=True, slots=True)
class EndOfJobs:
    """Jobs were seen to have ended, by themselves or by a command before."""

    jobs: tuple[tuple[str, Outcome], ...]


@dataclass(frozen=True, slots=True)
class AllCopied:
    """A job was seen to have nothing left to copy: it waits for others, or to be finalized."""

    job: str


@dataclass(frozen=True, slots=True)
class StoppedByError:
    """A job was seen to be paused by its error policy."""

    job: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """From here on nothing is known of a node's bitmaps (None: of any node's), until they are seen.

    `names` are those that are forgotten, None for all. `closed`: the disk was, and what is stored may come back;
    chains go on then (see `doubts`).
    """

    node: str | None
    names: tuple[str, ...] | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Resized:
    """A disk has another size now, in bytes: what is left of it is as it was."""

    node: str
    size: int


@dataclass(frozen=True, slots=True)
class Used:
    """From here on something outside of the specification may use these bitmaps, by (node, name).

    It makes them busy while it does; their bits follow the rules all the same. A node of None: any that has one.
    """

    places: frozenset[tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class ToldBitmap:
    """What is told of a bitmap; None is what was not looked at.

    `dirty` are (offset, length) in bytes, `count` is in bytes, too (so many whole granules); `digest` is as
    `cbtcheck.adapter.digest` has it. `persistent`: it is to be stored; `inconsistent`: openly not to be trusted.
    """

    granularity: int | None = None
    recording: bool | None = None
    busy: bool | None = None
    dirty: tuple[tuple[int, int], ...] | None = None
    count: int | None = None
    digest: str | None = None
    persistent: bool | None = None
    inconsistent: bool | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Bitmaps of a node were looked at. `all`: there were no others.

    `adopt`: bitmaps that nothing is known of are to be believed, and followed from here on.
    """

    node: str
    bitmaps: dict[str, ToldBitmap]
    all: bool = False
    adopt: bool = False


@dataclass(frozen=True, slots=True)
class LookAtJobs:
    """Jobs were looked at, with their phases if these were seen. `all`: there were no others.

    `untracked`: there may be jobs among them of whose beginning nothing is known.
    """

    jobs: dict[str, str | None] = field(default_factory=dict)
    all: bool = False
    untracked: bool = False


Change = Given | OfImages | Landed | EndOfJobs | AllCopied | StoppedByError | Forgotten | Resized | Used
"""What can change the state."""

Sight = Look | LookAtJobs
"""What cannot."""

Event = Change | Sight
