#!/usr/bin/env python3
"""CRASH-8: a snapshot, or a reopening read-only, while an incremental backup has a persistent bitmap.

    snapshot_during_backup.py [QEMU-STORAGE-DAEMON [QEMU-IMG [QEMU-IO]]]

Makes images in a temporary directory, and prints for each of three ways what the bitmap has in memory, what is in the
image after QEMU has ended, and whether that is a lost write. Exit code 0: no way loses one; 1: some way does.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DAEMON, QEMU_IMG, QEMU_IO = (
    sys.argv[place] if len(sys.argv) > place else name
    for place, name in enumerate(("qemu-storage-daemon", "qemu-img", "qemu-io"), 1)
)
DISK = {"driver": "qcow2", "node-name": "disk", "file": "file"}
GRANULES = 3
"""Of 64 KiB, that are written: two before the backup begins, one meanwhile."""


class Monitor:
    """A daemon, and the QMP connection to it."""

    def __init__(self, place: Path) -> None:
        where = place / "qmp"
        self.process = subprocess.Popen(
            [DAEMON, "--chardev", f"socket,id=c,path={where},server=on,wait=off", "--monitor", "c"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        connection = socket.socket(socket.AF_UNIX)
        while connection.connect_ex(str(where)):
            if self.process.poll() is not None:
                sys.exit(f"{DAEMON} has ended")
            time.sleep(0.02)
        # Two files: one for both ("rw") forgets what it has read ahead when it is written to.
        self._answers, self._commands = connection.makefile("r"), connection.makefile("w")
        self._answers.readline()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """The result of a command; ends the program if it is refused."""
        answer = self.answer(command, **arguments)
        if "error" in answer:
            sys.exit(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def answer(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._commands.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._commands.flush()
        while True:
            answer: dict[str, Any] = json.loads(self._answers.readline())
            if "event" not in answer:
                return answer

    def bitmap(self) -> dict[str, Any]:
        """The bitmap of the disk, as the daemon shows it."""
        nodes = self.execute("query-named-block-nodes")
        found: dict[str, Any] = next(each for each in nodes if each["node-name"] == "disk")["dirty-bitmaps"][0]
        return found

    def end(self) -> None:
        """A proper end."""
        self.execute("quit")
        self.process.wait()


def image(place: Path, name: str) -> str:
    """A new image."""
    path = str(place / name)
    subprocess.run([QEMU_IMG, "create", "-q", "-f", "qcow2", path, "4M"], check=True)
    return path


def write(place: Path, offset: int) -> None:
    """The guest writes one granule."""
    at = f"nbd+unix:///disk?socket={place / 'nbd'}"
    subprocess.run([QEMU_IO, "-f", "raw", "-c", f"write -q {offset} 64k", at], check=True)


def loses(place: Path, way: str, completes: bool) -> bool:
    """Plays it, prints what is seen, and says whether a write is lost."""
    path, target = image(place, "disk.qcow2"), image(place, "target.qcow2")
    qmp = Monitor(place)
    qmp.execute("blockdev-add", **{"driver": "file", "node-name": "file", "filename": path})
    qmp.execute("blockdev-add", **DISK)
    qmp.execute("block-dirty-bitmap-add", node="disk", name="b", persistent=True)
    qmp.execute("nbd-server-start", addr={"type": "unix", "data": {"path": str(place / "nbd")}})
    export = {"type": "nbd", "id": "e", "node-name": "disk", "name": "disk", "writable": True}
    qmp.execute("block-export-add", **export)
    write(place, 0)
    write(place, 1 << 20)
    qmp.execute("blockdev-add", **{"driver": "qcow2", "node-name": "target",
                                   "file": {"driver": "file", "filename": target}})  # fmt: skip
    qmp.execute("blockdev-backup", **{"job-id": "j", "device": "disk", "target": "target", "sync": "incremental",
                                      "bitmap": "b", "auto-finalize": False})  # fmt: skip
    while qmp.execute("query-jobs")[0]["status"] != "pending":
        time.sleep(0.02)
    write(place, 2 << 20)
    if way == "blockdev-snapshot":
        overlay = {"driver": "file", "filename": image(place, "overlay.qcow2")}
        qmp.execute("blockdev-add", **{"driver": "qcow2", "node-name": "overlay", "backing": None, "file": overlay})
        qmp.execute("blockdev-snapshot", node="disk", overlay="overlay")
    else:
        qmp.execute("block-export-del", id="e", mode="hard")
        while qmp.execute("query-block-exports"):
            time.sleep(0.02)
        qmp.execute("blockdev-reopen", options=[DISK | {"read-only": True}])
    qmp.execute("job-finalize" if completes else "job-cancel", id="j")
    while qmp.execute("query-jobs"):
        time.sleep(0.02)
    memory = qmp.bitmap()
    qmp.end()
    qmp = Monitor(place)
    qmp.execute("blockdev-add", **{"driver": "file", "node-name": "file", "filename": path, "read-only": True})
    qmp.execute("blockdev-add", **DISK | {"read-only": True})
    stored = qmp.bitmap()
    qmp.end()
    lost = not stored.get("inconsistent") and stored["count"] < memory["count"] + (1 << 17) * completes
    print(f"{way}, and the backup is {'completed' if completes else 'cancelled'}:")
    for where, seen in (("in memory", memory), ("in the image", stored)):
        worth = "inconsistent" if seen.get("inconsistent") else "valid"
        print(f"  {where:<13} {seen['count'] >> 16} granules dirty, {worth}, recording: {seen['recording']}")
    print(f"  {'LOST WRITE: the granule at 2 MiB is in no file' if lost else 'nothing is lost'}")
    return lost


def main() -> int:
    """Plays all three ways."""
    found = []
    for way, completes in (("blockdev-snapshot", False), ("blockdev-snapshot", True), ("blockdev-reopen", False)):
        place = Path(tempfile.mkdtemp(prefix="crash-8-"))
        try:
            found.append(loses(place, way, completes))
        finally:
            shutil.rmtree(place)
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
