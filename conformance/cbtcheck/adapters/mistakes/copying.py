"""Mistakes in what a backup copies, and when."""

from __future__ import annotations

from cbtimpl import Host, granules
from cbtimpl.backup import BackupJob, CopyInFlight, Failure, Run
from cbtimpl.bits import GranuleSet
from cbtimpl.draining import Outcomes
from cbtimpl.guest_io import GuestIO
from cbtimpl.node import GuestWrite, Node

from cbtcheck.adapters.mistakes.registry import mistake
from cbtcheck.scenario.verdict import Verdict


@mistake("copies-again", "Q6", Verdict.UNSAFE, 3)
class CopiesAgain(BackupJob):
    """Copy-before-write copies all that a write touches, also what was copied before it changed."""

    def before_write(self, offset: int, length: int) -> list[Run]:
        """Every selected cluster of the range, copied or not."""
        selected = self.work.copy()
        selected.merge(self.copied)
        return list(selected.runs(*self.clusters(offset, length)))


@mistake("no-copy-before-write", "", Verdict.UNSAFE, 2)
class NoCopyBeforeWrite(BackupJob):
    """A guest write does not wait for the old content to be saved."""

    def before_write(self, offset: int, length: int) -> list[Run]:
        """Nothing."""
        return []


@mistake("saves-whole-clusters-only", "", Verdict.UNSAFE, 2)
class SavesWholeClustersOnly(BackupJob):
    """Copy-before-write rounds inwards: a cluster that is overwritten in part is not saved first."""

    def before_write(self, offset: int, length: int) -> list[Run]:
        """Rounded inwards."""
        return list(self.work.runs(*granules.inside(offset, length, self.cluster, self.node.size)))


@mistake("first-job-saves", "", Verdict.UNSAFE, 2)
class FirstJobSaves(Host):
    """Of several jobs on a disk only the oldest copies before a write."""

    def copying_jobs(self, node: Node) -> list[BackupJob]:
        """The oldest."""
        return GuestIO.copying_jobs(self, node)[:1]


@mistake("write-passes-failed-copy", "", Verdict.DIVERGES, 2)
class WritePassesFailedCopy(Host):
    """When copy-before-write fails, the guest write goes on, and the old content is nowhere."""

    def check_copied(self, job: BackupJob, failure: Failure | None) -> None:
        """Never refuses."""


@mistake("reads-too-late", "Q23", Verdict.UNSAFE, 3)
class ReadsTooLate(BackupJob):
    """A cluster is taken off the work list before it is read, and guest writes in between are not held back."""

    def begin_copy(self, runs: list[Run]) -> Failure | None:
        """Takes the clusters, and reads nothing."""
        for first, past in runs:
            self.work.remove(first, past)
        self.in_flight = CopyInFlight(runs, [])
        return None

    def end_copy(self, failure: Failure | None = None) -> Failure | None:
        """Reads now."""
        copy = self.in_flight
        if copy is not None and failure is None:
            try:
                copy.pieces = [piece for first, past in copy.runs for piece in self.read(first, past)]
            except OSError as error:
                failure = Failure("source", error)
        return super().end_copy(failure)

    def blocks(self, offset: int, length: int) -> bool:
        """Nobody waits."""
        return False


@mistake("scope-rounds-inwards", "C1", Verdict.UNSAFE, 3)
class ScopeRoundsInwards(BackupJob):
    """Only clusters that are dirty from end to end are selected."""

    def clusters_of(self, dirty: GranuleSet) -> GranuleSet:
        """Rounded inwards."""
        selected = self.set_class(self.cluster, self.node.size)
        for offset, length in dirty.extents():
            selected.add(*granules.inside(offset, length, self.cluster, self.node.size))
        return selected


@mistake("granules-are-clusters", "D2", Verdict.UNSAFE, 3)
class GranulesAreClusters(BackupJob):
    """The number of a dirty granule is taken for the number of a cluster: other places are copied."""

    def clusters_of(self, dirty: GranuleSet) -> GranuleSet:
        """The same numbers."""
        selected = self.set_class(self.cluster, self.node.size)
        last = granules.count(self.node.size, self.cluster)
        for first, past in dirty.runs():
            selected.add(min(first, last), min(past, last))
        return selected


@mistake("tail-not-copied", "Q8", Verdict.UNSAFE, 2)
class TailNotCopied(BackupJob):
    """The disk has size / cluster clusters, rounded down: a partial last one is never copied."""

    def first_work(self) -> GranuleSet:
        """Without the partial last cluster."""
        selected = super().first_work()
        selected.remove(self.node.size // self.cluster, granules.count(self.node.size, self.cluster))
        return selected


@mistake("unknown-means-clean", "K1", Verdict.UNSAFE, 4)
class UnknownMeansClean(BackupJob):
    """A bitmap that does not record has no answer to what changed; that is taken for: nothing."""

    def first_work(self) -> GranuleSet:
        """Empty for a disabled bitmap."""
        if self.bitmap is not None and not self.bitmap.enabled and self.sync != "full":
            return self.set_class(self.cluster, self.node.size)
        return super().first_work()


@mistake("target-error-is-success", "", Verdict.UNSAFE, 3)
class TargetErrorIsSuccess(BackupJob):
    """An error of the target is logged, and the cluster counts as copied."""

    def end_copy(self, failure: Failure | None = None) -> Failure | None:
        """Forgives the target."""
        copy = self.in_flight
        failed = super().end_copy(failure)
        if copy is None or failed is None or failed.side == "source":
            return failed
        for first, past in copy.runs:
            self.work.remove(first, past)
            self.copied.add(first, past)
        return None


@mistake("failed-cluster-forgotten", "K1", Verdict.UNSAFE, 3)
class FailedClusterForgotten(BackupJob):
    """What could not be copied is not put back on the work list, so that a retry copies nothing."""

    def put_back(self, runs: list[Run]) -> None:
        """Nothing."""


@mistake("start-without-drain", "M3", Verdict.UNSAFE, 3)
class StartWithoutDrain(Host):
    """A job starts while writes are in flight: they are neither in its bitmap nor held back by it."""

    def drain_for_backup(self, node: Node) -> Outcomes:
        """Nothing is waited for."""
        return []


@mistake("in-flight-not-recorded", "V2", Verdict.UNSAFE, 3)
class InFlightNotRecorded(Node):
    """A write that began before a job and is drained by its start lands, and nobody takes note of it."""

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Lands only."""
        write: GuestWrite = self.writes.pop(identifier)
        return (self.land(write) or error) if land else error
