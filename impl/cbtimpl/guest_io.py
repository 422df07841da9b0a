"""What guests do: write, write zeroes, discard, and writes that are in flight for a while.

Source: qemu-facts.md 3 and 4.4. Each job of the node, oldest first, copies what the write would
change; then the data lands; then the bits are set. If a copy fails the guest write is refused, and the disk never
sees it.
"""

from cbtimpl import arguments
from cbtimpl.backup import BackupJob, Failure
from cbtimpl.errors import CopyFailed, Exists, Invalid, NotFound
from cbtimpl.job_control import JobControl
from cbtimpl.node import GuestWrite, Node


class GuestIO(JobControl):
    """Requests of guests, in bytes. All refuse an unknown node ("not found") and a range off the disk ("invalid")."""

    def write(self, node: str, offset: int, data: bytes) -> None:
        """Write. Refused: "copy failed". Raises `OSError` if the disk fails; the bits are set all the same."""
        arguments.numbers(offset=offset)
        content = arguments.content(data)
        source = self.find_node(node)
        self.carry_out(source, self.request(source, offset, len(content), content))

    def zeroes(self, node: str, offset: int, length: int) -> None:
        """Make a range read as zeroes: a write like any other."""
        arguments.numbers(offset=offset, length=length)
        source = self.find_node(node)
        self.carry_out(source, self.request(source, offset, length, None))

    def discard(self, node: str, offset: int, length: int) -> None:
        """Discard: a write of zeroes; swallowed while a job is on the node (qemu-facts.md 3.2)."""
        arguments.numbers(offset=offset, length=length)
        source = self.find_node(node)
        request = self.request(source, offset, length, None)
        if not self.swallows_discards(source):
            self.carry_out(source, request)

    def swallows_discards(self, node: Node) -> bool:
        """Whether discards succeed without effect: the job's filter does not pass them on."""
        return bool(self.jobs_on(node))

    def begin_write(
        self, node: str, identifier: str, offset: int, data: bytes | None = None, length: int | None = None
    ) -> None:
        """Begin a write of `data` (or, without it, of `length` bytes of zeroes): copy before write is done here.

        Refused: "exists" (the identifier is in flight on that node), "copy failed".
        """
        arguments.text("identifier", identifier)
        if (data is None) == (length is None):
            raise Invalid("A write has either 'data' or, for zeroes, a 'length'")
        content = None if data is None else arguments.content(data)
        arguments.numbers(offset=offset, length=length if content is None else len(content))
        source = self.find_node(node)
        request = self.request(source, offset, length if content is None else len(content), content)
        if identifier in source.writes:
            raise Exists(f"Write '{identifier}' is already in flight")
        self.before_write(source, request)
        source.begin(identifier, request)

    def end_write(
        self, node: str, identifier: str, error: int | None = None, land: bool | None = None
    ) -> OSError | None:
        """End a write in flight; returns the error that its guest sees, and raises none.

        `error`: an errno, the disk failed; `land` says whether the data is there then (default: no).
        The bits are set in each bitmap that records now. Refused: "not found", "invalid".
        """
        source = self.find_node(node)
        failed = arguments.io_error(error)
        lands = failed is None if land is None else arguments.flag("land", land)
        if failed is None and not lands:
            raise Invalid("A write that did not fail has landed")
        if arguments.text("identifier", identifier) not in source.writes:
            raise NotFound(f"Write '{identifier}' not found")
        return source.end(identifier, failed, lands)

    def request(self, node: Node, offset: int, length: int | None, data: bytes | None) -> GuestWrite:
        """A write that lies on the node, which may be written to."""
        self.check_writable(node)
        start, taken = arguments.on_disk(offset, length, node.size)
        return GuestWrite(start, taken, data)

    def carry_out(self, node: Node, request: GuestWrite) -> None:
        """A whole write: copy, land, record. One of no bytes is a success without effect."""
        if request.length == 0:
            return
        self.before_write(node, request)
        error = node.carry_out(request)
        if error is not None:
            raise error

    def before_write(self, node: Node, request: GuestWrite) -> None:
        """Wait for copies in flight of the same clusters, then copy before write, job by job."""
        if request.length == 0:
            return
        try:
            for job in self.copying_jobs(node):
                self.wait_for_copy(job, request)
                if self.is_alive(job):
                    self.check_copied(job, self.copy_first(job, request))
        finally:
            self.settle()

    def copying_jobs(self, node: Node) -> list[BackupJob]:
        """Who copies before a write, and in which order: all jobs of the node, oldest first."""
        return self.jobs_on(node)

    def wait_for_copy(self, job: BackupJob, request: GuestWrite) -> None:
        """Let a copy in flight end that shares a cluster with the write (qemu-facts.md 4.4 b)."""
        if self.is_alive(job) and job.blocks(request.offset, request.length):
            self.after_copy(job, job.end_copy())

    def copy_first(self, job: BackupJob, request: GuestWrite) -> Failure | None:
        """Copy before write, for one job."""
        return job.copy_before_write(request.offset, request.length)

    def check_copied(self, job: BackupJob, failure: Failure | None) -> None:
        """Refuse the guest write whose old data could not be saved (qemu-facts.md 4.4 c)."""
        if failure is not None:
            raise CopyFailed(
                f"Job '{job.id}' could not copy before the write ({failure.side}): {failure.error.strerror}",
                failure.error,
            )
