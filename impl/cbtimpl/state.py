"""What a host holds, and how commands find it. The other parts of `host` build on this.

The classes that are made are attributes, so that a subclass can make others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cbtimpl import arguments
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.errors import Busy, Exists, Inconsistent, Invalid, NotFound, ReadOnly
from cbtimpl.node import Node
from cbtimpl.storage import Disk, MemoryDisk


class JobEnd(NamedTuple):
    """A job that is gone: "completed", "failed" or "cancelled"."""

    job: str
    outcome: str


class DrainedWrite(NamedTuple):
    """A write in flight that a command waited for, and the error that its guest sees."""

    node: str
    identifier: str
    error: OSError | None


def nothing() -> None:
    """No step to take."""


@dataclass(frozen=True)
class Step:
    """A command that took effect: how to undo it, and what is left to do once its transaction is accepted."""

    undo: Callable[[], None] = nothing
    commit: Callable[[], None] = nothing


class State:
    """Nodes by name, jobs by id (oldest first), and what has ended since somebody asked."""

    node_class: type[Node] = Node
    bitmap_class: type[Bitmap] = Bitmap
    job_class: type[BackupJob] = BackupJob

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.jobs: dict[str, BackupJob] = {}
        self.ended: list[JobEnd] = []
        self.drained: list[DrainedWrite] = []

    def add_node(self, name: str, size: int, disk: Disk | None = None) -> Node:
        """Add a node of `size` bytes; without `disk`, with an empty one in memory.

        Refused: "exists"; "invalid" (the disk is not of that size).
        """
        if not arguments.text("name", name):
            raise Invalid("Invalid node-name: ''")
        arguments.number("size", size)
        if name in self.nodes:
            raise Exists(f"Duplicate nodes with node-name='{name}'")
        made = MemoryDisk(size) if disk is None else arguments.disk("disk", disk)
        if made.size != size:
            raise Invalid(f"The disk has {made.size} bytes, not {size}")
        self.nodes[name] = self.node_class(name, made)
        return self.nodes[name]

    def take_ended(self) -> list[JobEnd]:
        """The jobs that ended since the last call, in the order of their end."""
        taken, self.ended = self.ended, []
        return taken

    def take_drained(self) -> list[DrainedWrite]:
        """The writes in flight that commands ended since the last call."""
        taken, self.drained = self.drained, []
        return taken

    def find_node(self, name: str) -> Node:
        """A node, as commands on its bitmaps look it up (qemu-facts.md 2)."""
        if arguments.text("node", name) not in self.nodes:
            raise NotFound(f"Node '{name}' not found")
        return self.nodes[name]

    def find_device(self, name: str) -> Node:
        """A node, as bitmap-add and backup look it up: another text (qemu-facts.md 2)."""
        if name not in self.nodes:
            raise NotFound(f"Cannot find device='{name}' nor node-name='{name}'")
        return self.nodes[name]

    def find_bitmap(self, node: str, name: str) -> Bitmap:
        """A bitmap of a node."""
        bitmaps = self.find_node(node).bitmaps
        if name not in bitmaps:
            raise NotFound(f"Dirty bitmap '{name}' not found")
        return bitmaps[name]

    def find_job(self, job: str) -> BackupJob:
        """A job."""
        if arguments.text("job", job) not in self.jobs:
            raise NotFound("Job not found")
        return self.jobs[job]

    def jobs_on(self, node: Node) -> list[BackupJob]:
        """The jobs whose source is that node, oldest first."""
        return [job for job in self.jobs.values() if job.node is node]

    def is_alive(self, job: BackupJob) -> bool:
        """Whether the job has not ended."""
        return self.jobs.get(job.id) is job

    def check_not_busy(self, bitmap: Bitmap) -> None:
        """Refuse what another operation uses."""
        if bitmap.busy:
            raise Busy(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")

    def check_not_read_only(self, bitmap: Bitmap) -> None:
        """Refuse to change what could not be stored."""
        if bitmap.read_only:
            raise ReadOnly(f"Bitmap '{bitmap.name}' is readonly and cannot be modified")

    def check_consistent(self, bitmap: Bitmap) -> None:
        """Refuse what is not to be trusted."""
        if bitmap.inconsistent:
            raise Inconsistent(f"Bitmap '{bitmap.name}' is inconsistent and cannot be used")

    def check_writable(self, node: Node) -> None:
        """Refuse guests' writes to what is only read."""
        if node.read_only:
            raise ReadOnly(f"Node '{node.name}' is read-only")
