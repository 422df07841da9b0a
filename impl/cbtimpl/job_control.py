"""What happens to running jobs: copying in steps, pause, resume, cancel, finalize, and the end.

Source: qemu-facts.md 4.5, 4.7 and 5. Real I/O errors drive the error policies and are not raised: the commands
here raise refusals only, and a job that ended is in `ended`.
"""

from cbtimpl import arguments
from cbtimpl.backup import BackupJob, Failure, Group, Run
from cbtimpl.errors import Invalid, WrongPhase
from cbtimpl.state import JobEnd, State


def injected(error: int | None, side: str) -> Failure | None:
    """The I/O error that a caller says happened."""
    word = arguments.choice("side", side, arguments.SIDES)
    failed = arguments.io_error(error)
    return None if failed is None else Failure("source" if word == "source" else "target", failed)


class JobControl(State):
    """Commands on one job by its id; all refuse an unknown one as "not found"."""

    # Copying

    def copy(self, job: str, offset: int, length: int, error: int | None = None, side: str = "source") -> None:
        """Copy the clusters of a byte range that are still on the work list, one after the other.

        With `error`, an errno, all of them fail together on `side`.
        Refused: "wrong phase" (not running, paused, or a copy in flight), "invalid" (nothing there to copy).
        """
        arguments.numbers(offset=offset, length=length)
        failure = injected(error, side)
        target = self.find_job(job)
        runs = self.runs_to_copy(target, offset, length)
        if failure is not None:
            begun = target.begin_copy(runs)
            self.after_copy(target, begun or target.end_copy(failure))
            return
        for first, past in target.chunks(runs):
            self.after_copy(target, target.copy_chunk(first, past))
            if not self.is_alive(target) or target.phase != "running":
                break

    def copy_next(self, job: str, error: int | None = None, side: str = "source") -> None:
        """As `copy`, of the first cluster of the work list."""
        injected(error, side)
        target = self.find_job(job)
        self.check_may_copy(target, "copy")
        first = target.work.next(0)
        if first is None:
            raise Invalid(f"Job '{job}' has nothing to copy")
        self.copy(job, first * target.cluster, 1, error, side)

    def run(self, job: str) -> None:
        """Copy until the job ends, pauses, or waits for others or for finalize.

        Where the policy is "ignore", what fails is tried again as long as something else succeeds.
        """
        target = self.find_job(job)
        self.check_may_copy(target, "run")
        cluster, progress = 0, False
        while self.is_alive(target) and target.phase == "running":
            chunk = target.next_chunk(cluster)
            if chunk is None:
                if not progress:
                    return
                cluster, progress = 0, False
                continue
            failure = target.copy_chunk(*chunk)
            self.after_copy(target, failure)
            cluster = chunk[1]
            progress = progress or failure is None

    def begin_copy(self, job: str, offset: int, length: int) -> list[Run]:
        """Read the range's clusters and keep them in flight; returns them as runs `(first, past)` of clusters.

        If the source fails, its policy decides, and nothing is in flight. Refused: as `copy`.
        """
        arguments.numbers(offset=offset, length=length)
        target = self.find_job(job)
        failure = target.begin_copy(self.runs_to_copy(target, offset, length))
        self.after_copy(target, failure)
        return [] if target.in_flight is None else list(target.in_flight.runs)

    def end_copy(self, job: str, error: int | None = None, side: str = "source") -> None:
        """Write what is in flight; or say that its I/O failed with the errno `error` on `side`.

        A failure puts all of it back on the work list. Refused: "invalid" (nothing in flight).
        """
        failure = injected(error, side)
        target = self.find_job(job)
        if target.in_flight is None:
            raise Invalid(f"Job '{job}' has no copy in flight")
        self.after_copy(target, target.end_copy(failure))

    def check_may_copy(self, job: BackupJob, verb: str) -> None:
        """Copies are for running jobs, one at a time."""
        self.check_phase(job, verb, "running")
        if job.in_flight is not None:
            raise WrongPhase(f"Job '{job.id}' has a copy in flight")

    def runs_to_copy(self, job: BackupJob, offset: int, length: int) -> list[Run]:
        """The runs of a range that a copy is to take."""
        arguments.on_disk(offset, length, job.node.size)
        self.check_may_copy(job, "copy")
        runs = job.wanted(offset, length)
        if not runs:
            raise Invalid(f"Job '{job.id}' has nothing to copy in {length} bytes at {offset}")
        return runs

    # The operator's verbs

    def pause(self, job: str) -> None:
        """No background copies and no end until resumed; copy before write goes on. Refused: "wrong phase"."""
        target = self.find_job(job)
        self.check_phase(target, "pause", "running", "paused")
        if target.paused:
            raise WrongPhase("Job is already paused")
        target.paused = True

    def resume(self, job: str) -> None:
        """Undo a pause, by the operator or by an error policy. Refused: "wrong phase"."""
        target = self.find_job(job)
        self.check_phase(target, "resume", "running", "paused")
        if not target.paused:
            raise WrongPhase("Can't resume a job that was not paused")
        target.paused = False
        self.settle()

    def cancel(self, job: str) -> None:
        """End the job and its group as cancelled, in any phase."""
        self.end_group(self.find_job(job), "cancelled")

    def finalize(self, job: str) -> None:
        """Complete the job and its group. Refused: "wrong phase" (not pending)."""
        target = self.find_job(job)
        self.check_phase(target, "finalize", "pending")
        self.complete_group(target.group)

    def check_phase(self, job: BackupJob, verb: str, *phases: str) -> None:
        """Refuse a verb in another phase than these."""
        if job.phase not in phases:
            raise WrongPhase(f"Job '{job.id}' in state '{job.phase}' cannot accept command verb '{verb}'")

    # What follows

    def after_copy(self, job: BackupJob, failure: Failure | None) -> None:
        """Let the error policy decide about a failed copy; then let go on whoever has finished."""
        if failure is not None and self.is_alive(job) and job.fails_on(failure):
            self.end_group(job, "failed")
        self.settle()

    def settle(self) -> None:
        """Move on each job that has nothing left to copy: to waiting, and with its whole group to the end."""
        for job in list(self.jobs.values()):
            if self.is_alive(job) and job.has_finished():
                job.stage = "waiting"
                if job.group.ready():
                    self.group_is_ready(job.group)

    def group_is_ready(self, group: Group) -> None:
        """All have finished: complete, or wait for finalize if a member asked for that."""
        for member in group.members:
            member.stage = "pending"
        if group.finalizes_itself():
            self.complete_group(group)

    def complete_group(self, group: Group) -> None:
        """End all members with success, oldest first."""
        for member in group.members:
            self.conclude(member, success=True, outcome="completed")

    def end_group(self, culprit: BackupJob, outcome: str) -> None:
        """End all members without success: the culprit with its own outcome first, the others as cancelled.

        A copy in flight ends first, as it would by itself (qemu-facts.md 4.7).
        """
        members = self.sharers(culprit)
        for member in members:
            member.end_copy()
        for member in sorted(members, key=lambda member: member is not culprit):
            self.conclude(member, success=False, outcome=outcome if member is culprit else "cancelled")

    def sharers(self, culprit: BackupJob) -> list[BackupJob]:
        """Who ends when that job fails or is cancelled: its whole group."""
        return list(culprit.group.members)

    def conclude(self, job: BackupJob, success: bool, outcome: str) -> None:
        """Hand the bitmap back and dismiss the job, in one step."""
        job.finish(success)
        del self.jobs[job.id]
        self.ended.append(JobEnd(job.id, outcome))
