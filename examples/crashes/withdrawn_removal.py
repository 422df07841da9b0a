#!/usr/bin/env python3
"""CRASH-9, CRASH-11: an inconsistent bitmap, whose removal is withdrawn, in a disk that is reopened.

    withdrawn_removal.py [QEMU-STORAGE-DAEMON [QEMU-IMG [QEMU-IO]]]

Makes an image in a temporary directory, leaves its bitmap inconsistent by a crash, removes it in a transaction that
is refused, and prints what QEMU answers from then on. Exit code 0: after a reopening for writing the guest can write;
1: it cannot.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from snapshot_during_backup import DISK, QEMU_IO, Monitor, image


def opened(place: Path, path: str) -> Monitor:
    """A daemon that has the image open for writing."""
    qmp = Monitor(place)
    qmp.execute("blockdev-add", **{"driver": "file", "node-name": "file", "filename": path})
    qmp.execute("blockdev-add", **DISK)
    return qmp


def said(qmp: Monitor, command: str, **arguments: Any) -> None:
    """Prints the answer to a command."""
    answer = qmp.answer(command, **arguments)
    print(f"  {command:<26} {answer['error']['desc'] if 'error' in answer else 'accepted'}")


def left_without_its_entry(place: Path) -> Monitor:
    """A disk with an inconsistent bitmap that is in no file any more."""
    path = image(place, "disk.qcow2")
    qmp = opened(place, path)
    qmp.execute("block-dirty-bitmap-add", node="disk", name="b", persistent=True)
    qmp.end()
    qmp = opened(place, path)
    qmp.process.kill()
    qmp.process.wait()
    (place / "qmp").unlink(missing_ok=True)
    qmp = opened(place, path)
    remove = {"type": "block-dirty-bitmap-remove", "data": {"node": "disk", "name": "b"}}
    said(qmp, "transaction", actions=[remove, {"type": "abort", "data": {}}])
    print(f"  the bitmap                 {'inconsistent' if qmp.bitmap().get('inconsistent') else 'sound'}")
    qmp.execute("blockdev-reopen", options=[DISK | {"read-only": True}])
    return qmp


def main() -> int:
    """Both ways."""
    place = Path(tempfile.mkdtemp(prefix="crash-9-"))
    try:
        print("reopened for reading only:")
        qmp = left_without_its_entry(place)
        said(qmp, "block-dirty-bitmap-remove", node="disk", name="b")
        qmp.end()
        print("reopened for reading only, and for writing again:")
        qmp = left_without_its_entry(place)
        said(qmp, "blockdev-reopen", options=[DISK | {"read-only": False}])
        said(qmp, "block-dirty-bitmap-clear", node="disk", name="b")
        qmp.execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(place / "nbd")}})
        export = {"type": "nbd", "id": "e", "node-name": "disk", "name": "disk", "writable": True}
        qmp.execute("block-export-add", **export)
        at = f"nbd+unix:///disk?socket={place / 'nbd'}"
        written = subprocess.run([QEMU_IO, "-f", "raw", "-c", "write 0 64k", at], capture_output=True, text=True)
        seen = written.stdout + written.stderr
        print(f"  a guest write              {seen.strip().splitlines()[0]}")
        qmp.end()
        return int("failed" in seen)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
