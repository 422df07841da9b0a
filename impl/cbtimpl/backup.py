"""One backup job: what it has to copy, how it copies, and what becomes of its bitmap.

Source: qemu-facts.md 4.3, 4.4, 4.6 and 4.7. Each cluster is at any time in one place: on the work list `work`,
in flight, in `copied`, or never selected. The content of a cluster on the work list is still that of the job's
start, because guest writes copy it first. `host` decides when jobs start and end; this class never ends itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from cbtimpl import granules
from cbtimpl.bitmap import Bitmap
from cbtimpl.bits import GranuleSet
from cbtimpl.node import Node
from cbtimpl.storage import Disk

Side = Literal["source", "target"]
Run = tuple[int, int]

REQUEST = 2**20
"""Bytes: no single read or write of a copy is longer."""


@dataclass(frozen=True)
class Failure:
    """An I/O error of a copy, and the side that it came from."""

    side: Side
    error: OSError


@dataclass(frozen=True)
class Piece:
    """Content that was read: `data` None is `length` bytes of zeroes."""

    offset: int
    length: int
    data: bytes | None


@dataclass
class CopyInFlight:
    """Clusters that were read and are not yet written; `runs` as `(first, past)` clusters."""

    runs: list[Run]
    pieces: list[Piece]


@dataclass
class Group:
    """Jobs that end together. A job that stands alone is a group of one (qemu-facts.md 5)."""

    members: list["BackupJob"] = field(default_factory=list)

    def ready(self) -> bool:
        """Whether nobody has anything left to copy."""
        return all(member.stage == "waiting" for member in self.members)

    def finalizes_itself(self) -> bool:
        """Whether no member waits for the operator's finalize."""
        return all(member.auto_finalize for member in self.members)


class BackupJob:
    """A backup of `node` to `target` in clusters of `cluster` bytes."""

    set_class: type[GranuleSet] = GranuleSet

    def __init__(
        self,
        job: str,
        node: Node,
        target: Disk,
        sync: str,
        bitmap: Bitmap | None,
        bitmap_mode: str | None,
        cluster: int,
        auto_finalize: bool,
        on_source_error: str,
        on_target_error: str,
        group: Group,
    ) -> None:
        self.id = job
        self.node = node
        self.target = target
        self.sync = sync
        self.bitmap = bitmap
        self.bitmap_mode = bitmap_mode
        self.cluster = cluster
        self.auto_finalize = auto_finalize
        self.on_source_error = on_source_error
        self.on_target_error = on_target_error
        self.group = group
        self.stage: Literal["running", "waiting", "pending"] = "running"
        self.paused = False
        self.in_flight: CopyInFlight | None = None
        self.copied = self.set_class(cluster, node.size)
        self.work = self.set_class(cluster, node.size)

    # Beginning

    def start(self) -> None:
        """Freeze the bitmap and select the clusters. The caller has drained the node."""
        if self.bitmap is not None:
            self.bitmap.freeze(self.id)
        self.work = self.first_work()
        self.group.members.append(self)

    def withdraw(self) -> None:
        """Undo a start whose transaction is refused: the bitmap is as if there had been no job."""
        if self.bitmap is not None:
            self.bitmap.thaw()
        self.group.members.remove(self)

    def first_work(self) -> GranuleSet:
        """The clusters to copy: all, or each that shares a byte with a dirty granule (qemu-facts.md 4.3)."""
        if self.sync == "full" or self.bitmap is None:
            return self.set_class.full(self.cluster, self.node.size)
        return self.clusters_of(self.bitmap.bits)

    def clusters_of(self, dirty: GranuleSet) -> GranuleSet:
        """Dirty granules as clusters, rounded outwards."""
        selected = self.set_class(self.cluster, self.node.size)
        selected.merge(dirty)
        return selected

    # Phases

    @property
    def phase(self) -> str:
        """ "running", "paused" (running but paused), "waiting" (for its group) or "pending" (for finalize)."""
        return "paused" if self.stage == "running" and self.paused else self.stage

    def has_finished(self) -> bool:
        """Whether a running job may go on to "waiting". A paused one does not, whatever emptied its list."""
        return self.phase == "running" and self.in_flight is None and self.work.is_empty()

    def fails_on(self, failure: Failure) -> bool:
        """What the policy of that side says: True if the job fails; "stop" pauses it, "ignore" does nothing."""
        policy = self.on_source_error if failure.side == "source" else self.on_target_error
        if policy == "stop":
            self.paused = True
        return policy == "report"

    # Copying

    def clusters(self, offset: int, length: int) -> Run:
        """The clusters that share a byte with the range, as `(first, past)`: rounded outwards."""
        return granules.covering(offset, length, self.cluster, self.node.size)

    def wanted(self, offset: int, length: int) -> list[Run]:
        """Runs of the range's clusters that are still on the work list."""
        first, past = self.clusters(offset, length)
        return list(self.work.runs(first, past))

    def chunk_end(self, first: int, past: int) -> int:
        """How far from cluster `first` one step goes: one cluster, or a stretch of zeroes where nothing can fail."""
        source = self.node.disk
        if not (source.never_fails() and self.target.never_fails()):
            return first + 1
        offset, length = granules.span(first, past, self.cluster, self.node.size)
        hole = source.hole(offset, length)
        return past if hole == length else max(first + 1, first + hole // self.cluster)

    def chunks(self, runs: list[Run]) -> Iterator[Run]:
        """The steps in which runs are copied, so that an error leaves single clusters behind."""
        for first, past in runs:
            while first < past:
                end = self.chunk_end(first, past)
                yield first, end
                first = end

    def next_chunk(self, cluster: int) -> Run | None:
        """The next step at or after `cluster`; None if no such cluster is on the work list."""
        first = self.work.next(cluster)
        if first is None:
            return None
        past = self.work.run_end(first, granules.count(self.node.size, self.cluster))
        return first, self.chunk_end(first, past)

    def begin_copy(self, runs: list[Run]) -> Failure | None:
        """Take clusters off the work list and read them; on an error they go back on it."""
        for first, past in runs:
            self.work.remove(first, past)
        try:
            pieces = [piece for first, past in runs for piece in self.read(first, past)]
        except OSError as error:
            self.put_back(runs)
            return Failure("source", error)
        self.in_flight = CopyInFlight(runs, pieces)
        return None

    def end_copy(self, failure: Failure | None = None) -> Failure | None:
        """Write what is in flight; on an error, the caller's or the target's, all of it goes back on the list."""
        copy, self.in_flight = self.in_flight, None
        if copy is None:
            return None
        failure = failure or self.write(copy.pieces)
        if failure is None:
            for first, past in copy.runs:
                self.copied.add(first, past)
        else:
            self.put_back(copy.runs)
        return failure

    def put_back(self, runs: list[Run]) -> None:
        """Clusters that were not copied are on the work list again (qemu-facts.md 4.7)."""
        for first, past in runs:
            self.work.add(first, past)

    def copy_chunk(self, first: int, past: int) -> Failure | None:
        """Read and write one step's clusters, beside what may be in flight."""
        in_flight, self.in_flight = self.in_flight, None
        try:
            return self.begin_copy([(first, past)]) or self.end_copy()
        finally:
            self.in_flight = in_flight

    def read(self, first: int, past: int) -> Iterator[Piece]:
        """The content of clusters, clipped to the disk; known zeroes are not read."""
        source = self.node.disk
        offset, length = granules.span(first, past, self.cluster, self.node.size)
        end = offset + length
        while offset < end:
            hole = source.hole(offset, end - offset) if source.never_fails() else 0
            length = hole or min(REQUEST, end - offset)
            yield Piece(offset, length, None if hole else source.read(offset, length))
            offset += length

    def write(self, pieces: list[Piece]) -> Failure | None:
        """Put content on the target."""
        try:
            for piece in pieces:
                if piece.data is None:
                    self.target.zero(piece.offset, piece.length)
                else:
                    self.target.write(piece.offset, piece.data)
        except OSError as error:
            return Failure("target", error)
        return None

    # Guest writes

    def blocks(self, offset: int, length: int) -> bool:
        """Whether a guest write must wait for the copy in flight: they share a cluster (qemu-facts.md 4.4)."""
        if self.in_flight is None:
            return False
        first, past = self.clusters(offset, length)
        return any(start < past and first < end for start, end in self.in_flight.runs)

    def before_write(self, offset: int, length: int) -> list[Run]:
        """The clusters that copy before write must copy: the write's, as far as they are on the work list."""
        return self.wanted(offset, length)

    def copy_before_write(self, offset: int, length: int) -> Failure | None:
        """Copy what the write would change, paused or not; stops at the first error."""
        for first, past in self.chunks(self.before_write(offset, length)):
            failure = self.copy_chunk(first, past)
            if failure is not None:
                return failure
        return None

    # Ending

    def synchronises(self, success: bool) -> bool:
        """Whether the bitmap abdicates at an end like this, instead of reclaiming (qemu-facts.md 4.6)."""
        return self.bitmap_mode != "never" and (success or self.bitmap_mode == "always")

    def keeps_leftovers(self, success: bool) -> bool:
        """Whether what was not copied must be marked in the bitmap that goes on."""
        return not success and self.bitmap_mode == "always"

    def leftovers(self) -> GranuleSet:
        """The clusters that were not copied, in the bitmap's granules, rounded outwards."""
        assert self.bitmap is not None, "a job without a bitmap leaves nothing over"
        left = self.set_class(self.bitmap.granularity, self.node.size)
        left.merge(self.work)
        return left

    def finish(self, success: bool) -> None:
        """Hand the bitmap back, as the table of qemu-facts.md 4.6 has it. Nothing is in flight any more."""
        if self.bitmap is None or self.bitmap.name is None:
            return
        name = self.bitmap.name
        heir = self.bitmap.abdicate() if self.synchronises(success) else self.bitmap.reclaim()
        if self.keeps_leftovers(success):
            heir.bits.merge(self.leftovers())
        self.node.bitmaps[name] = heir
