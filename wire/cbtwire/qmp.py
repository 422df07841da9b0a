"""The specification's commands as QMP commands, and QEMU's refusals as the specification's kinds of refusal.

Source of the texts: QEMU 7.2, blockdev.c, block/monitor/bitmap-qmp-cmds.c, block/dirty-bitmap.c, job.c, jobs's QAPI.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel.commands import Action, Command
from cbtmodel.traits import verb

Qmp = tuple[str, dict[str, Any]]
NodeName = Callable[[str], str]
BackupPlaces = Callable[[c.StartBackup], dict[str, Any]]

CLUSTER = 65536
"""What QEMU copies in: 64 KiB, if the target does not report larger clusters (block/backup.c)."""

KINDS_OF_REFUSALS: tuple[tuple[str, str], ...] = (
    (r"is currently in use by another operation", "busy"),
    (r"Bitmap already exists|already in use", "exists"),
    (r"are of different sizes|are incompatible and can't be merged", "size mismatch"),
    (r"cannot accept command verb|already paused|was not paused", "wrong phase"),
    (r"Transaction aborted using Abort action", "aborted"),
    (r"Granularity must be|expects uint|name cannot be empty|name too long", "invalid"),
    (r"must provide a valid bitmap name|[Bb]itmap sync mode|Invalid job ID", "invalid"),
    (r"support [Tt]ransaction property|Invalid parameter|is missing|does not accept value", "invalid"),
    (r"not found|could not be found|Cannot find device=", "not found"),
)


def kind_of_refusal(text: str) -> str:
    """The specification's kind for QEMU's text, or "?"."""
    for pattern, kind in KINDS_OF_REFUSALS:
        if re.search(pattern, text):
            return kind
    return "?"


def to_qmp(command: Command | Action, node: NodeName, places: BackupPlaces) -> Qmp | None:
    """The QMP command; None for what is not an operator's command, which no monitor knows.

    `node` gives QEMU's name of a disk, `places` a backup's target and filter. Defaults are left out: the monitor
    takes about 4 microseconds for every byte that it reads.
    """
    if isinstance(command, c.OnBitmap):
        return f"block-dirty-bitmap-{verb(type(command))}", {"node": node(command.node), "name": command.name}
    if isinstance(command, c.OnJob):
        return f"job-{verb(type(command))}", {"id": command.job}
    match command:
        case c.AddBitmap(node_name, name, granularity, enabled):
            data: dict[str, Any] = {"node": node(node_name), "name": name, "granularity": granularity}
            return "block-dirty-bitmap-add", data if enabled else data | {"disabled": True}
        case c.MergeBitmaps(node_name, target, sources):
            bitmaps = [s.name if s.node == node_name else {"node": node(s.node), "name": s.name} for s in sources]
            return "block-dirty-bitmap-merge", {"node": node(node_name), "target": target, "bitmaps": bitmaps}
        case c.StartBackup():
            return "blockdev-backup", backup_arguments(command, node(command.node), places(command))
        case c.Transaction(actions, grouped):
            listed = [as_action(each, node, places) for each in actions]
            properties = {"properties": {"completion-mode": "grouped"}} if grouped else {}
            return "transaction", {"actions": listed} | properties
        case c.Abort() | c.Write() | c.BeginWrite() | c.EndWrite() | c.Copy() | c.BeginCopy() | c.EndCopy():
            return None
        case _:
            assert_never(command)


def as_action(action: Action, node: NodeName, places: BackupPlaces) -> dict[str, Any]:
    """An action of a transaction."""
    if isinstance(action, c.Abort):
        return {"type": "abort", "data": {}}
    qmp = to_qmp(action, node, places)
    assert qmp is not None
    return {"type": qmp[0], "data": qmp[1]}


def backup_arguments(command: c.StartBackup, device: str, places: dict[str, Any]) -> dict[str, Any]:
    """The arguments of blockdev-backup: one worker and one cluster at a time, so that order is reproducible."""
    arguments = {
        "device": device, "job-id": command.job, "sync": command.sync,
        "x-perf": {"max-workers": 1, "max-chunk": CLUSTER}, **places,
    }  # fmt: skip
    if command.bitmap is not None:
        arguments["bitmap"] = command.bitmap
    if command.bitmap_mode is not None:
        arguments["bitmap-mode"] = command.bitmap_mode
    if not command.auto_finalize:
        arguments["auto-finalize"] = False
    if command.on_source_error != "report":
        arguments["on-source-error"] = command.on_source_error
    if command.on_target_error != "report":
        arguments["on-target-error"] = command.on_target_error
    return arguments


def backups_in(command: Command | Action) -> list[c.StartBackup]:
    """The backups that a command starts."""
    if isinstance(command, c.StartBackup):
        return [command]
    if isinstance(command, c.Transaction):
        return [each for each in command.actions if isinstance(each, c.StartBackup)]
    return []
