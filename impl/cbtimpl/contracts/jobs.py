"""Copy jobs to be put under contract: the implementation's own class, between two disks that hold nothing.

The disks fail when the contract says so. Where a contract is not about the requests themselves, `read` and `write`
are replaced, which have contracts of their own. Non-goal: contracts.
"""

from collections.abc import Iterator

from cbtimpl.backup import BackupJob, CopyInFlight, Failure, Group, Piece, Run
from cbtimpl.bits import GranuleSet
from cbtimpl.contracts.arithmetic import LARGEST
from cbtimpl.contracts.registry import SUBJECT
from cbtimpl.contracts.stores import watched, watching
from cbtimpl.node import Node
from cbtimpl.storage import Disk


class Stub(Disk):
    """A disk that holds nothing. `certain`: none of its requests fails; `known` of its first bytes are zeroes."""

    def __init__(self, size: int, certain: bool = False, known: int = 0, broken: bool = False) -> None:
        self.size = size
        self.certain = certain
        self.known = known
        self.broken = broken
        self.requests: list[tuple[str, int, int]] = []

    def ask(self, kind: str, offset: int, length: int) -> None:
        """Take note of a request, and fail if told so."""
        self.requests.append((kind, offset, length))
        if self.broken:
            raise OSError(5, "broken")

    def read(self, offset: int, length: int) -> bytes:
        """Nothing."""
        self.ask("read", offset, length)
        return b""

    def write(self, offset: int, data: bytes) -> None:
        """Nothing."""
        self.ask("write", offset, len(data))

    def zero(self, offset: int, length: int) -> None:
        """Nothing."""
        self.ask("zero", offset, length)

    def hole(self, offset: int, length: int) -> int:
        """As far as is known."""
        return min(max(self.known - offset, 0), length)

    def never_fails(self) -> bool:
        """As it was told."""
        return self.certain


def a_job(
    sets: type[GranuleSet],
    size: int = LARGEST,
    cluster: int = 512,
    sync: str = "full",
    mode: str | None = None,
    reads_until: int = LARGEST,
    writes: bool = True,
) -> BackupJob:
    """A job without a bitmap. Reads of clusters from `reads_until` on fail, and all writes unless `writes`."""

    class Tried(SUBJECT.job):  # type: ignore[name-defined, misc]
        set_class = sets

        def read(self, first: int, past: int) -> Iterator[Piece]:
            if past > reads_until:
                raise OSError(5, "the source fails")
            yield Piece(first * self.cluster, (past - first) * self.cluster, None)

        def write(self, pieces: list[Piece]) -> Failure | None:
            return None if writes else Failure("target", OSError(5, "the target fails"))

    return job_of(Tried, Stub(size), Stub(size), cluster, sync, mode)


def job_of(
    kind: type[BackupJob], source: Stub, target: Stub, cluster: int, sync: str = "full", mode: str | None = None
) -> BackupJob:
    """A job of that class from one disk to the other."""
    return kind("job", Node("n", source), target, sync, None, mode, cluster, True, "report", "report", Group())


def a_job_seen_by(
    cluster: int, to_do: bool, done: bool, flying: Run | None = None, reads: bool = True, writes: bool = True
) -> BackupJob:
    """A job in any state, seen by the cluster of that number: is it on the list, is it in `copied`?"""
    job = a_job(watching(cluster), reads_until=LARGEST if reads else 0, writes=writes)
    job.work = watched(512, LARGEST, cluster, to_do, False)
    job.copied = watched(512, LARGEST, cluster, done, False)
    job.in_flight = None if flying is None else CopyInFlight([flying], [])
    return job
