"""Draining: what a command waits for before it takes effect.

Source: qemu-facts.md 2.7 and 3.5. Writes in flight end and are recorded; copies in flight end.
Jobs themselves are held still meanwhile, as QEMU's are: what a copy's end means for its job is dealt with
after the command.
"""

from cbtimpl.backup import BackupJob, Failure
from cbtimpl.job_control import JobControl
from cbtimpl.node import Node
from cbtimpl.state import DrainedWrite

Outcomes = list[tuple[BackupJob, Failure | None]]


class Draining(JobControl):
    """Drain for a job's start and for a transaction."""

    def anything_in_flight(self) -> bool:
        """Whether a drain of everything would change something."""
        return any(node.writes for node in self.nodes.values()) or any(
            job.in_flight is not None for job in self.jobs.values()
        )

    def drain_for_backup(self, node: Node) -> Outcomes:
        """A job's start waits for its source."""
        return self.drain([node], self.jobs_on(node))

    def drain_for_transaction(self) -> Outcomes:
        """A transaction waits for all nodes and all jobs."""
        return self.drain(list(self.nodes.values()), list(self.jobs.values()))

    def drain(self, nodes: list[Node], jobs: list[BackupJob]) -> Outcomes:
        """End what is in flight, oldest first; what a real disk says to it is kept for later."""
        for node in nodes:
            for identifier in list(node.writes):
                self.drained.append(DrainedWrite(node.name, identifier, node.end(identifier)))
        return [(job, job.end_copy()) for job in jobs if job.in_flight is not None]

    def after_drain(self, outcomes: Outcomes) -> None:
        """Deal with the copies that a drain ended, and let jobs go on."""
        for job, failure in outcomes:
            self.after_copy(job, failure)
        self.settle()
