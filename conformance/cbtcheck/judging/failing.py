"""How the target of a backup is made to fail: QEMU's own `blkdebug` goes on top of it.

A target is a node, which `blockdev-add` has added; or a file, which `drive-backup` opens, and mostly makes. With EIO
every write of some sectors fails, with ENOSPC every write. One that failed only once could go by unseen: QEMU copies
again, without an event, what failed while a drain has paused the job.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cbtcheck.judging.conversation import backups_started
from cbtcheck.judging.plan import GRANULE, SECTOR, PlannedDisk
from cbtcheck.judging.storage import empty_qcow2

Message = dict[str, Any]
ERRNO = {"target-EIO": 5, "target-ENOSPC": 28}


def failing_node(message: Message, kind: str, sectors: list[int]) -> Message:
    """The `blockdev-add` of a target, changed so that the target fails."""
    image = dict(message["arguments"])
    name = image.pop("node-name")
    return message | {"arguments": {"node-name": name, **_failing(image, kind, sectors)}}


def failing_files(message: Message, kind: str, sectors: list[int], disks: Sequence[PlannedDisk]) -> Message:
    """A command with `drive-backup` in it, changed so that the targets fail. What QEMU would make is made here."""
    changed = copy.deepcopy(message)
    for backup in drive_backups(changed, disks):
        path, disk = Path(backup["target"]), source(backup, disks)
        driver = backup.pop("format", disk.format)
        if backup.get("mode") != "existing":
            with suppress(OSError):  # then QEMU cannot open it, and says so
                path.write_bytes(empty_qcow2(disk.size) if driver == "qcow2" else bytes(disk.size))
        image = {"driver": driver, "file": {"driver": "file", "filename": str(path)}}
        backup |= {"mode": "existing", "target": "json:" + json.dumps(_failing(image, kind, sectors))}
    return changed


def drive_backups(message: Message, disks: Sequence[PlannedDisk]) -> Iterator[Message]:
    """The arguments of each `drive-backup` in a command whose target can be made to fail: an image in a file."""
    for backup in backups_started(str(message.get("execute")), message.get("arguments"), ("drive-backup",)):
        if _is_known(backup) and any(_is_of(backup, disk) for disk in disks):
            yield backup


def source(backup: Message, disks: Sequence[PlannedDisk]) -> PlannedDisk:
    """The disk that is backed up. `StopIteration` if it is none of the guest's."""
    return next(disk for disk in disks if _is_of(backup, disk))


def late_sectors(sizes: Sequence[int]) -> list[int]:
    """A sector near the end of each disk, in the last granule that is whole: there the guest writes often."""
    return sorted({(size // GRANULE - 1) * GRANULE // SECTOR for size in sizes})


def _is_of(backup: Message, disk: PlannedDisk) -> bool:
    return backup.get("device") in (disk.name, f"drive-{disk.name}")


def _is_known(backup: Message) -> bool:
    """Whether it is known which image QEMU opens, and of which format."""
    target, driver, mode = (backup.get(each) for each in ("target", "format", "mode"))
    if not isinstance(target, str) or not target.startswith("/"):
        return False
    return driver is not None if mode == "existing" else driver in (None, "raw", "qcow2")


def _failing(image: Message, kind: str, sectors: list[int]) -> Message:
    rule: Message = {"event": "none", "errno": ERRNO[kind]}
    rules = [rule | {"sector": each} for each in sectors] if kind == "target-EIO" else [rule]
    return {"driver": "blkdebug", "image": image, "inject-error": rules}
