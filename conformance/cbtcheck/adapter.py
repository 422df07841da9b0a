"""What the suite asks of an implementation: the interface between a scenario and anything that tracks blocks.

An adapter performs one command at a time and then says what can be seen. The environment is the adapter's too: it
holds, lets go and fails the I/O of jobs and guests. It need not make everything happen exactly as asked (a real
implementation copies the next cluster, not the one that a scenario would like): `Performed.trace` says what *did*
happen, in order, in the specification's own commands, and the specification follows that.
"""

from __future__ import annotations

import functools
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cbtmodel.commands import Command
from cbtmodel.image import Event
from cbtmodel.node import State

from cbtcheck.content import Content

DIED = re.compile(r"^crash\b|\bdied\b|\bsignal \d+|\bwas killed by\b|\bexited with\b|\bexit (status|code) -?\d+")
"""How the message begins, or what is in it, if an implementation has crashed."""


PERSISTENCE = "persistence"
"""Claims disks that lie in images: bitmaps that are stored, images that are closed, opened and left by a crash."""


LARGEST_UNCLAIMED = 64 << 20
"""Bytes: whoever does not claim larger disks is asked for none, and for the content of none that is larger."""

MOST_UNCLAIMED = 1 << 20
"""Granules of a bitmap, clusters of a disk, and what one command marks of them, if no more is claimed."""

LONGEST_NAME = 1023
"""Bytes of a name: a longer one is refused."""


class AdapterBroken(Exception):
    """The implementation crashed, hangs, or answers garbage: a verdict, not an error of the suite.

    `output` is what is left of what it printed. `died`: it is gone, by a signal or of itself, as far as the message
    says so; what has died need not die again to be a failure.
    """

    def __init__(self, what: str, output: str = "") -> None:
        super().__init__(what)
        self.output = output
        self.died = bool(DIED.search(what))


class AdapterUnusable(Exception):
    """The implementation cannot be started at all; the message names the next step, in one line."""


FEATURES_OF_VERSION_1 = frozenset(
    {"refusals", "content", "disabled", "zeroes", "discard", "ignored-discard", "failed-write", "failed-copy",
     "never", "always", "error-policies", "manual-finalize", "grouped", "read"}
)  # fmt: skip
"""Those that whoever claims nothing in particular is taken to have."""

FEATURES = FEATURES_OF_VERSION_1 | {PERSISTENCE}
"""What only some commands of a name need; docs/use/adapter-protocol.md says what each means."""


@dataclass(frozen=True)
class Capabilities:
    """What an implementation claims. What it does not claim is skipped, and reported as skipped.

    `commands` are names of the specification's commands, as in a scenario file. `clusters` and `granularities` are
    in bytes: the sizes that jobs may have, and those that are worth drawing. `picks_clusters`: a `Copy` copies what
    it names; otherwise the implementation chooses and the trace tells. `disks` are layouts (sizes in bytes by name).
    `features` is what it claims besides commands (see `claims`). Granularities outside of the two bounds are never
    asked for, clusters other than `clusters` only if `any_cluster`. `tails`: a disk may end within a granule or a
    cluster. `suite_copies`: the suite itself runs the jobs and makes the copies. `max_writes`: how many guest writes
    of a disk may be in flight at once. `largest_disk`: bytes of the largest disk that is ever asked for;
    `largest_content`: of the largest whose content is, and that of targets of its backups.
    `most_granules`: how many granules a bitmap may have. `most_clusters`: how many clusters a disk may have for a
    job. `most_marked`: how many granules or clusters one command may mark. `most_copied`: how many clusters one
    backup may copy. `longest_write`: bytes of a guest write.
    `longest_name`: bytes of the longest name, in UTF-8; `ascii_names`: names have no characters beyond ASCII.
    `alignment`: it may record a guest write as if that began and ended at multiples of so many bytes, a power of two
    that is no larger than a cluster; 1: it pads nothing. `sector`: the size of a disk is a multiple of so many bytes.
    `by_default`: which of these limits nobody has claimed, so
    that the suite's own hold.
    """

    commands: frozenset[str]
    clusters: tuple[int, ...]
    granularities: tuple[int, ...]
    picks_clusters: bool = True
    max_jobs: int = 3
    disks: tuple[dict[str, int], ...] = ()
    features: frozenset[str] = FEATURES_OF_VERSION_1
    smallest_granularity: int = 512
    largest_granularity: int = 1 << 31
    any_cluster: bool = True
    max_disks: int = 64
    tails: bool = True
    suite_copies: bool = False
    max_writes: int = 300
    largest_disk: int = LARGEST_UNCLAIMED
    largest_content: int = LARGEST_UNCLAIMED
    most_granules: int = MOST_UNCLAIMED
    most_clusters: int = MOST_UNCLAIMED
    most_marked: int = MOST_UNCLAIMED
    most_copied: int = (1 << 63) - 1
    longest_write: int = (1 << 63) - 1
    longest_name: int = LONGEST_NAME
    ascii_names: bool = False
    alignment: int = 1
    sector: int = 1
    by_default: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command was answered.

    `refusal` is a kind of `cbtmodel.refusal`, "" if it was accepted, "?" if the refusal could not be recognised;
    `text` is the implementation's own wording. Not `definite`: the command may have happened, or may not.
    """

    refusal: str = ""
    text: str = ""
    definite: bool = True


ACCEPTED = Reply()


@dataclass(frozen=True, slots=True)
class Performed:
    """What happened: commands with their replies, in order, and the jobs that ended with their outcomes.

    An empty trace says that the environment could not make the command happen here; it is counted, not judged. Of
    jobs that a crash has taken along nothing is said.
    """

    trace: tuple[tuple[Command | Event, Reply], ...]
    ended: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SeenBitmap:
    """A named bitmap as it was seen, by whomever; what is None was not looked at.

    Its granularity in bytes and its flags; of its bits a set, a count, a digest, or nothing: `bits` are the granules
    (`follow.sets.granules.Granules`), `count` is how many there are, `digest` is as below. `persistent`: it is to be
    stored. `inconsistent`: it says openly that it is not to be trusted.
    """

    granularity: int | None = None
    recording: bool | None = None
    busy: bool | None = None
    count: int | None = None
    digest: str | None = None
    bits: Any = None
    persistent: bool | None = None
    inconsistent: bool | None = None


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """A bitmap in an image. `bits` are its granules, as a bit vector or a set; None if they were not looked at."""

    granularity: int
    enabled: bool
    in_use: bool
    bits: Any = None


@dataclass(frozen=True, slots=True)
class SeenImage:
    """The image of a disk: how it is open ("rw", "ro", or "" if it is closed), and what is in its file.

    `entries` are None if nobody looked. Those of a file whose last writer knows nothing of bitmaps are none.
    """

    open: str
    entries: dict[str, SeenEntry] | None = None


@dataclass(frozen=True, slots=True)
class SeenAnonymous:
    """An anonymous bitmap of a node: a successor, if it is not a job's own work list. `count` is in granules."""

    granularity: int
    recording: bool
    count: int


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job: `phase` is running, paused, waiting or pending; None if that was not looked at.

    `copied` are the (offset, length) ranges in bytes that have reached its target; None if that cannot be seen.
    """

    phase: str | None
    copied: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that can be seen after a step.

    Bitmaps by (node, name); what is None is not shown by this implementation. `in_flight` are guest writes by
    (node, id). `images` are by the names of their disks, if these lie in images.
    """

    bitmaps: dict[tuple[str, str], SeenBitmap]
    jobs: dict[str, SeenJob]
    successors: dict[str, tuple[SeenAnonymous, ...]] | None = None
    in_flight: frozenset[tuple[str, str]] | None = None
    images: dict[str, SeenImage] | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """What a performance may know besides the command.

    `before` is the specification's state: for scheduling, and to find an order of concurrent things that explains all
    replies; never for an answer. `fill` is the byte (1 to 237, never `POISON`) that guest writes of this step are of.
    """

    before: State[Any]
    fill: int


class Adapter(ABC):
    """An implementation under test."""

    name: str = ""
    capabilities: Capabilities
    batches: bool = False
    """Whether `perform_many` is quicker than one by one; then known defects must not hang on single guest writes."""

    exhausted: bool = False
    """Whether it has been waited for so often that the run should end."""

    @property
    @abstractmethod
    def version(self) -> str:
        """The implementation and its version, for people."""

    @abstractmethod
    def reset(self, disks: dict[str, int]) -> None:
        """Forgets everything: fresh disks, all zeroes, of these sizes in bytes, with no bitmaps and no jobs."""

    def reset_in_images(self, disks: dict[str, int]) -> None:
        """As `reset`, each disk in an image of its own, open for writing. Only if `persistence` is claimed."""
        raise NotImplementedError(f"the adapter {self.name} has no images")

    @abstractmethod
    def perform(self, command: Command, hint: Hint) -> Performed:
        """Makes the command happen, or lets the implementation refuse it. Raises `AdapterBroken`."""

    def happen(self, event: Event, hint: Hint) -> Performed:
        """The same of what happens to images. Only if `persistence` is claimed."""
        raise NotImplementedError(f"the adapter {self.name} has no images")

    @abstractmethod
    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """What can be seen now. Raises `AdapterBroken`.

        `exact` are the bitmaps (node, name) whose digests are wanted, None for all; of the others the counts do.
        """

    def finish(self) -> None:  # noqa: B027
        """The scenario is over: lets everything go, ends every job. Raises `AdapterBroken` if that cannot be done."""

    @abstractmethod
    def bits(self, node: str, name: str) -> int | None:
        """The exact granules of a bitmap (bit i is granule i), to explain a difference; None if it cannot be read."""

    def perform_many(self, commands: Sequence[Command], hints: Sequence[Hint]) -> list[Performed]:
        """Performs whole guest writes that follow each other, with nothing looked at in between.

        The hints' states are those before the first. Adapters that override it say so in `batches`.
        """
        return [self.perform(command, hint) for command, hint in zip(commands, hints, strict=True)]

    @abstractmethod
    def disk(self, node: str) -> Content | None:
        """The content of a disk; None if it cannot be read. It may be in runs, whatever its size."""

    @abstractmethod
    def target(self, job: str) -> Content | None:
        """The content of the target of a job that has just ended; asked for once. None if it cannot be read.

        A target is `POISON` wherever the job has not written.
        """

    def close(self) -> None:  # noqa: B027
        """Stops the implementation; nothing is left behind. May be called twice."""


POISON = 0xEE
"""What every byte of a fresh target is, so that a write outside the job's scope is seen."""


MOST_REMEMBERED = 1 << 12
"""Granules: the digests of bitmaps up to here are remembered, since most steps leave most bits as they were."""


def digest(granules: int, count: int) -> str:
    """The SHA-256 of the bits of a bitmap of `count` granules, as QEMU's x-debug-block-dirty-bitmap-sha256 has it.

    It hashes little-endian 64-bit words, the lowest bit first, at least one word. `ValueError` if a bit lies beyond.
    """
    return (_remembered if count <= MOST_REMEMBERED else _hashed)(granules, count)


def _hashed(granules: int, count: int) -> str:
    if granules < 0 or granules >> count:
        raise ValueError(f"bits beyond the {count} granules")
    return hashlib.sha256(granules.to_bytes(8 * max(1, -(-count // 64)), "little")).hexdigest()


_remembered = functools.lru_cache(1 << 12)(_hashed)
