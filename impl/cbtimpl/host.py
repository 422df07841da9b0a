"""The reference implementation's front door: nodes, bitmaps, backup jobs, transactions and guest I/O in one object.

The parts, in reading order: `state` (what there is), `operator_commands` (bitmaps), `job_start`, `job_control`,
`draining`, `transactions`, `images`, `guest_io`. To see the state: `nodes[…].bitmaps[…]`, `nodes[…].writes`,
`jobs[…]`, `ended`, or all of it as plain values with `observation.describe`.
"""

from cbtimpl.actions import Backup
from cbtimpl.guest_io import GuestIO
from cbtimpl.images import Images
from cbtimpl.storage import Disk


class Host(Images, GuestIO):
    """A machine with disks. Each command either takes effect, or raises `Refused` and has changed nothing."""

    def backup(
        self,
        job: str,
        node: str,
        target: Disk,
        sync: str,
        bitmap: str | None = None,
        bitmap_mode: str | None = None,
        cluster: int = 65536,
        auto_finalize: bool = True,
        on_source_error: str = "report",
        on_target_error: str = "report",
    ) -> None:
        """Start a backup job that copies `node` to `target` in clusters of `cluster` bytes.

        `sync`: "full" | "incremental" | "bitmap"; `bitmap_mode`: None | "on-success" | "never" | "always";
        the policies: "report" | "ignore" | "stop". Waits for what is in flight on the node.
        Refused, in the order of qemu-facts.md 4.1: "not found", "invalid", "busy", "size mismatch", "exists".
        """
        self.start(
            Backup(
                job,
                node,
                target,
                sync,
                bitmap,
                bitmap_mode,
                cluster,
                auto_finalize,
                on_source_error,
                on_target_error,
            )
        )
