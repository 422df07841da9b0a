"""The implementation as a walk has it: a state that can be copied, told apart, moved on, and looked into.

Every guest write writes bytes that were never there before, different ones to each block, zeroes and discards
included. So whether two places hold the same bytes says whether one is a copy of the other, and of the right block.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Self

from cbtcheck.adapters.driving import Answer, Driven, Driver
from cbtcheck.adapters.qcow2_store import Qcow2Store
from cbtcheck.adapters.reference_images import happen, put_into_images
from cbtcheck.adapters.small_disks import FlatDisk
from cbtimpl import Host
from cbtimpl.backup import BackupJob
from cbtmodel.image import Event

from cbtproofs.explorer.few_blocks import BLOCK, Blocks, FewBlocks
from cbtproofs.refinement.abstraction import Data
from cbtproofs.refinement.concrete import copy_of, identity_of
from cbtproofs.refinement.failing import Failing, FailingStorage, Given, what_happened

UNTOUCHED = 0xEE
"""What every byte of a fresh target is."""

SMALLEST_CLUSTER = 9
"""Of an image, as a power of two."""

ZEROES = 1 << 15
SPACE = FewBlocks()


def fresh(version: int, offset: int, length: int) -> bytes:
    """The bytes of a version of a range: no two versions of a block, and no two blocks, have equal bytes."""
    first, past = offset // BLOCK, -(-(offset + length) // BLOCK)
    whole = b"".join(
        bytes((1, version & 0xFF, version >> 8 & 0xFF, block)) * (BLOCK // 4) for block in range(first, past)
    )
    return whole[offset - first * BLOCK :][:length]


class FreshDisk(FlatDisk):
    """A disk on which zeroes are fresh bytes, too: it matters which request was last, not what it wrote."""

    def __init__(self, size: int, number: int) -> None:
        super().__init__(size, 0)
        self.content[:] = fresh((1 << 16) - 1 - number, 0, size)
        self.zeroed = ZEROES

    def zero(self, offset: int, length: int) -> None:
        """Fresh bytes."""
        self.zeroed += 1
        self.write(offset, fresh(self.zeroed, offset, length))


def new_target(size: int) -> FlatDisk:
    """A target that nobody has written to."""
    return FlatDisk(size, UNTOUCHED)


class Subject:
    """A host with its environment, and the content of each job's disk as it was when the job started.

    `image`: what makes the image of a disk if it lies in one, open for writing at the beginning, with clusters as
    small as they can be. `stores` are the images.
    """

    def __init__(
        self, host: Callable[[], Host], disks: dict[str, int], image: type[Qcow2Store] | None = None
    ) -> None:
        made: dict[str, FlatDisk] = {name: FreshDisk(size, i) for i, (name, size) in enumerate(disks.items())}
        self.driver = Driver(host(), made, new_target)
        self.storages: dict[str, FailingStorage] = {}
        self.stores: dict[str, Qcow2Store] = {}
        if image is not None:
            self.storages = {name: FailingStorage() for name in disks}
            self.stores = {name: image(self.storages[name], disks[name], SMALLEST_CLUSTER) for name in disks}
        put_into_images(self.driver, self.stores)
        self.starts: dict[str, bytes] = {}
        self.version = 0

    @property
    def host(self) -> Host:
        """The implementation."""
        return self.driver.host

    def copy(self) -> Self:
        """A subject that shares nothing with this one."""
        copied: Self = copy_of(self)
        return copied

    def perform(self, asked: Given) -> tuple[Driven, dict[str, Blocks]]:
        """Moves on. Also returns, for each job that ended, which blocks are on its target as they were at its start.

        No guest write lands between a job's start and the end of the command that starts it: so what is on the disk
        after that command is what was there at the start.
        """
        self.version += 1
        if isinstance(asked, Failing):
            driven = self._fails(asked)
        elif isinstance(asked, Event):
            driven = happen(self.driver, self.stores, asked)
        else:
            driven = self.driver.perform(asked, lambda offset, length: fresh(self.version, offset, length))
        jobs = self.host.jobs
        for job_id, job in jobs.items():
            if job_id not in self.starts:
                self.starts[job_id] = self._content(job.node.name)
        right = {job_id: self._right(job_id) for job_id, _ in driven.ended}
        self._forget(jobs)
        return driven, right

    def _fails(self, failing: Failing) -> Driven:
        """What has happened is told by what is left of the file, and by how it is open."""
        node = failing.event.node
        storage, store = self.storages[node], self.stores[node]
        before = store.seen()
        storage.fails_at(failing)
        try:
            return happen(self.driver, self.stores, failing.event)
        except OSError:
            opened = self.host.nodes.get(node)
            happened = what_happened(failing.event, before, store.seen(), opened is not None and opened.read_only)
            return Driven((Answer(happened),), tuple(self.host.take_ended()))
        finally:
            storage.works_again()

    def _right(self, job_id: str) -> Blocks:
        target = self.driver.targets[job_id]
        begun = self.starts.get(job_id)
        if begun is not None:
            return equal_blocks(target.content, begun)
        # It has started and ended in this very command, on the only disk whose content it could have copied.
        on_disks = [equal_blocks(target.content, self._content(node)) for node in self.driver.disks]
        return frozenset().union(*on_disks)

    def _forget(self, jobs: dict[str, BackupJob]) -> None:
        self.host.take_drained()
        self.starts = {job_id: content for job_id, content in self.starts.items() if job_id in jobs}
        self.driver.targets = {job_id: each for job_id, each in self.driver.targets.items() if job_id in jobs}
        for disk in (*self.driver.disks.values(), *self.driver.targets.values()):
            disk.written.clear()

    def _content(self, node: str) -> bytes:
        return bytes(self.driver.disks[node].content)

    def data(self, job_id: str) -> Data[Blocks]:
        """What the data of a job say."""
        job, begun = self.host.jobs[job_id], self.starts[job_id]
        target = self.driver.targets[job_id].content
        in_flight: Blocks = frozenset()
        for piece in job.in_flight.pieces if job.in_flight is not None else ():
            there = begun[piece.offset : piece.offset + piece.length]
            same = equal_blocks(there, bytes(piece.length) if piece.data is None else piece.data)
            in_flight |= {piece.offset // BLOCK + block for block in same}
        untouched = equal_blocks(target, bytes((UNTOUCHED,)) * len(begun))
        unchanged = equal_blocks(self._content(job.node.name), begun)
        return Data(unchanged, equal_blocks(target, begun), in_flight, SPACE.everything(len(begun)) - untouched)

    def identity(self) -> bytes:
        """What tells this state from others: everything that can influence what happens later, and what data show.

        Left out are the bytes themselves. A step does not look at them, it only moves them; so all that can be said
        later about a job's data depends on which of its blocks are the start's now. All else is something else.
        """
        of_jobs = [self.data(job_id) for job_id in self.host.jobs]
        data = [tuple(map(word, (each.unchanged, each.right, each.in_flight, each.touched))) for each in of_jobs]
        return identity_of(self.host) + marshal.dumps(data, 2)


def word(blocks: Blocks) -> int:
    """A set of blocks as a bit vector."""
    return sum(1 << block for block in blocks)


def equal_blocks(one: bytes | bytearray, other: bytes | bytearray) -> Blocks:
    """The blocks in which two contents of the same length are equal."""
    if one == other:
        return frozenset(range(-(-len(one) // BLOCK)))
    places = range(0, len(one), BLOCK)
    return frozenset(at // BLOCK for at in places if one[at : at + BLOCK] == other[at : at + BLOCK])
