"""A real QEMU that opens images, as simple as it can be: one command at a time over its standard input."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any


class Daemon:
    """A `qemu-storage-daemon`, while it lasts."""

    def __init__(self, binary: str) -> None:
        self.binary = binary

    def __enter__(self) -> Daemon:
        command = [self.binary, "--chardev", "stdio,id=m", "--monitor", "chardev=m"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.do("qmp_capabilities")
        return self

    def __exit__(self, kind: object, value: object, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def do(self, command: str, **arguments: Any) -> Any:
        """What it returns, or the text of its refusal in a dictionary."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if "error" in answer:
                return {"refused": answer["error"]["desc"]}
            if "return" in answer:
                return answer["return"]

    def open(self, path: Path, read_only: bool = True) -> str:
        """Opens an image as node `n`; "", or why not."""
        file = {"driver": "file", "filename": str(path)}
        answer = self.do("blockdev-add", driver="qcow2", **{"node-name": "n", "read-only": read_only}, file=file)
        return str(answer.get("refused", ""))

    def bitmaps(self) -> list[dict[str, Any]]:
        """Those of node `n`."""
        nodes = self.do("query-named-block-nodes", flat=True)
        return next(each.get("dirty-bitmaps", []) for each in nodes if each["node-name"] == "n")

    def close(self) -> None:
        """Closes node `n`."""
        self.do("blockdev-del", **{"node-name": "n"})
