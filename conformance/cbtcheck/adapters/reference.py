"""The built-in reference implementation, as an adapter.

Its disks are in memory; the errors that a scenario asks for are real `OSError`s of these disks. How commands become
calls is in `cbtcheck.adapters.driving`, which the proof of refinement shares.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from cbtimpl import Host
from cbtimpl.bits import GranuleSet
from cbtmodel.commands import Command, Write
from cbtmodel.image import Event

from cbtcheck.adapter import (
    FEATURES,
    POISON,
    Adapter,
    AdapterBroken,
    AdapterUnusable,
    Capabilities,
    Hint,
    Observation,
    Performed,
    Reply,
    SeenAnonymous,
    SeenBitmap,
    SeenJob,
    digest,
)
from cbtcheck.adapters.driving import Driven, Driver
from cbtcheck.adapters.reference_images import ReferenceImages
from cbtcheck.adapters.small_disks import FlatDisk
from cbtcheck.adapters.sparse_disk import SparseDisk
from cbtcheck.content import LARGEST_FLAT, Content
from cbtcheck.host.version import VERSION
from cbtcheck.scenario.scenario import KINDS, LARGEST_DISK

KIB = 1024
LAYOUTS: tuple[dict[str, int], ...] = (
    {"disk0": 32 * KIB},
    {"disk0": 32 * KIB, "disk1": 32 * KIB},
    {"disk0": 20 * KIB + 1536},
    {"disk0": 20 * KIB + 1536, "disk1": 32 * KIB},
)

SMALL = 64
"""Granules of a small bitmap."""


class ReferenceAdapter(Adapter):
    """Drives a `cbtimpl.Host`, or a variant of it with a seeded mistake."""

    name = "reference"
    capabilities = Capabilities(
        commands=frozenset(KINDS),
        clusters=(4096, 512, 16 * KIB),
        granularities=(4096, 512, 8192, 64 * KIB),
        max_jobs=33,
        features=FEATURES,
        disks=LAYOUTS,
        largest_disk=LARGEST_DISK,
        largest_content=LARGEST_DISK,
        most_granules=LARGEST_DISK // 512,
        most_clusters=LARGEST_DISK // 512,
        most_marked=1 << 32,
    )

    def __init__(self, host: Callable[[], Host] = Host, mistake: str = "") -> None:
        self._new_host = host
        self._mistake = mistake
        self._images = ReferenceImages()
        self.reset({})

    @property
    def version(self) -> str:
        """The package's version, and the mistake that is seeded."""
        return f"cbtimpl {VERSION}" + (f" with the seeded mistake '{self._mistake}'" if self._mistake else "")

    def reset(self, disks: dict[str, int]) -> None:
        """A new host."""
        self._in_images = False
        made = {name: _disk(size, 0) for name, size in disks.items()}
        self._most = max(disks.values(), default=0) + 1  # what is longer than any disk is refused for that already
        self._driver = Driver(self._new_host(), made, lambda size: _disk(size, POISON))
        self._host = self._driver.host
        self._host.swallows_discards = lambda node: self._swallows_discards  # type: ignore[method-assign]

    def reset_in_images(self, disks: dict[str, int]) -> None:
        """A new host, and a file for the bitmaps of each disk."""
        self.reset(disks)
        self._in_images = True
        try:
            self._images.begin(self._driver)
        except OSError as problem:
            raise _no_room(problem) from None

    def happen(self, event: Event, hint: Hint) -> Performed:
        """What happens to an image; whatever else is raised than a refusal is a crash."""
        try:
            return _performed(self._images.happen(self._driver, event))
        except OSError as problem:
            raise _no_room(problem) from None
        except Exception as crash:
            raise AdapterBroken(f"{type(crash).__name__}: {crash}") from crash

    def perform(self, command: Command, hint: Hint) -> Performed:
        """Makes the command happen; whatever the host raises but refusals and I/O errors is a crash.

        Whether a discard takes effect is the environment's affair (a node may be opened to ignore them): it does if
        the command says so. Nothing makes another write one without effect.
        """
        self._swallows_discards = isinstance(command, Write) and command.result == "ignored"
        if isinstance(command, Write) and command.result == "ignored" and command.kind != "discard":
            return Performed(())
        try:
            driven = self._driver.perform(command, lambda _, length: bytes([hint.fill]) * min(length, self._most))
        except Exception as crash:
            raise AdapterBroken(f"{type(crash).__name__}: {crash}") from crash
        return _performed(driven)

    # Observing

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """Everything the host shows."""
        bitmaps: dict[tuple[str, str], SeenBitmap] = {}
        successors: dict[str, tuple[SeenAnonymous, ...]] = {}
        for node_name, node in self._host.nodes.items():
            anonymous = []
            for name, each in node.bitmaps.items():
                bits = word(each.bits)
                granules = -(-node.disk.size // each.granularity)
                stored = (each.persistent, each.inconsistent) if self._in_images else (None, None)
                bitmaps[node_name, name] = SeenBitmap(
                    each.granularity, each.recording, each.busy, bits.bit_count(), digest(bits, granules), None,
                    *stored,
                )  # fmt: skip
                if each.successor is not None:
                    heir = each.successor
                    anonymous.append(SeenAnonymous(heir.granularity, heir.recording, heir.bits.count()))
            successors[node_name] = tuple(anonymous)
        targets = self._driver.targets
        jobs = {job_id: SeenJob(job.phase, tuple(targets[job_id].written)) for job_id, job in self._host.jobs.items()}
        in_flight = frozenset(
            (node_name, write_id) for node_name, node in self._host.nodes.items() for write_id in node.writes
        )
        images = self._images.seen(self._host) if self._in_images else None
        return Observation(bitmaps, jobs, successors, in_flight, images)

    def bits(self, node: str, name: str) -> int | None:
        """The granules of a bitmap."""
        return word(self._host.nodes[node].bitmaps[name].bits)

    def disk(self, node: str) -> Content:
        """The content of a disk."""
        return self._driver.disks[node].all()

    def target(self, job: str) -> Content:
        """The content of a job's target."""
        return self._driver.targets[job].all()

    def close(self) -> None:
        """Removes the files of images."""
        self._images.close()


def _no_room(problem: OSError) -> AdapterUnusable:
    """The images are the reference's own affair: that they cannot be kept says nothing of it."""
    return AdapterUnusable(f"its images cannot be kept in {tempfile.gettempdir()}: {problem.strerror or problem}")


def _performed(driven: Driven) -> Performed:
    return Performed(tuple((each.command, Reply(each.refusal, each.text)) for each in driven.trace), driven.ended)


def _disk(size: int, filler: int) -> FlatDisk:
    return FlatDisk(size, filler) if size <= LARGEST_FLAT else SparseDisk(size, filler)


def word(bits: GranuleSet) -> int:
    """A set of granules as a bit vector."""
    if bits.size <= SMALL * bits.granularity:  # then one by one is quicker than run by run
        return sum([1 << granule for granule in bits.granules()])
    return sum(((1 << (past - first)) - 1) << first for first, past in bits.runs())
