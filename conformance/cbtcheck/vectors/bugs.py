"""The real bugs that vectors catch: what was wrong, and a public page where one is known.

The ids are those of the seeded mistakes and of the ledger. A link leads to a page that was
read; where there is none, the title has the words by which the change can be found in the project's history.
"""

from __future__ import annotations

from cbtcheck.run.ledger.ledger import entries
from cbtcheck.vectors.format import Bug

BUGS: dict[str, tuple[str, str]] = {
    "B1": (
        "veeamsnap: on newer kernels the map of changed blocks is always zeroes",
        "https://github.com/veeam/veeamsnap/issues/33",
    ),
    "B2": (
        "blksnap: the block size for change tracking is computed wrongly for disks of several terabytes",
        "https://github.com/veeam/blksnap/issues/46",
    ),
    "C1": (
        "Ceph librbd: fast diff does not treat all objects that exist as dirty",
        "https://github.com/ceph/ceph/pull/4603",
    ),
    "C2": (
        "Ceph librbd: an object that is dirty in one snapshot and in the next is not handled properly",
        "https://github.com/ceph/ceph/pull/4593",
    ),
    "C4": (
        "Ceph librbd: a diff of an unaligned range reports incorrect offsets",
        "https://github.com/ceph/ceph/pull/44483",
    ),
    "D2": (
        "dattobd: changed blocks are reported and their data is not copied",
        "https://github.com/datto/dattobd/issues/29",
    ),
    "F1": (
        "Firecracker: taking a diff snapshot is not transactional; after a failure dirty pages are forgotten",
        "https://github.com/firecracker-microvm/firecracker/issues/4545",
    ),
    "K1": (
        "Velero: what to copy when the delta cannot be had",
        "https://github.com/velero-io/velero/issues/10295",
    ),
    "M3": (
        "Linux md: flush writes before starting a recovery",
        "https://review.tizen.org/git/?p=profile/common/platform/kernel/linux-artik7.git;a=commit;"
        "h=133d4527eab8d199a62eee6bd433f0776842df2e",
    ),
    "Q5": ("QEMU: hbitmap_reset rounds outwards ('util/hbitmap: strict hbitmap_reset', 4.2)", ""),
    "Q6": ("QEMU: copy offloading copies again what was copied ('backup: Copy only dirty areas', 4.1)", ""),
    "Q8": ("QEMU: a backup's last cluster ('block/backup: fix backup_cow_with_offload for last cluster', 4.1)", ""),
    "Q9": ("QEMU: discard cleans dirty bits ('block: Fix dirty bitmap in bdrv_co_discard', 2.4)", ""),
    "Q16": (
        "QEMU: commands accept bitmaps that are in use, as sources of a merge even until 4.0",
        "https://go.mail-archive.com/qemu-devel@nongnu.org/msg600831.html",
    ),
    "Q23": ("QEMU: mirror must reset dirty bits before it reads, not after", ""),
    "Q24": (
        "QEMU: writes between a mirror's last look at its bitmap and its end are lost",
        "https://qemu-android.googlesource.com/qemu-android/+/176c36997fd4a94a7b919468d8967e0ad81fdf9c",
    ),
    "Q32": ("QEMU: a merge with an empty bitmap loses the other ('hbitmap: Fix merge when b is empty', 4.2)", ""),
    "Q33": ("QEMU: a merge that fails reports success ('block_dirty_bitmap_merge(): fix error path', 7.1)", ""),
    "R2": (
        "DRBD: writes during the exchange of bitmaps might not be mirrored (fixed in 9.0.26)",
        "https://lists.linbit.com/pipermail/drbd-user/2020-December/025804.html",
    ),
    "V2": (
        "VMware ESXi 6.0: I/O during snapshot consolidation is missing in change tracking (KB 2136854)",
        "https://knowledge.broadcom.com/external/article/317933/backing-up-a-changed-block-tracking-enab.html",
    ),
    "Z1": (
        "OpenZFS: only one of two signs of being dirty is looked at, and data are taken for holes",
        "https://github.com/openzfs/zfs/pull/15571",
    ),
    "Z2": (
        "OpenZFS: new holes are not sent by an incremental send",
        "https://github.com/openzfs/zfs/issues/4996",
    ),
}
"""By id: what was wrong, and where one can read about it; "" where no public page has been seen."""


def bug(bug_id: str) -> Bug | None:
    """The bug of an id; None if the id is empty. `KeyError` for an id that nobody knows."""
    known = {entry.id: (f"{entry.implementation}: {entry.title}", "") for entry in entries()} | BUGS
    return Bug(bug_id, *known[bug_id]) if bug_id else None
