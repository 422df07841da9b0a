"""What QEMU is told of an image: the nodes that it consists of, as options of `blockdev-add`.

QEMU's monitor takes a command byte by byte, some 4 microseconds each, which is most of what a look at an image costs.
So what is the default is left out, and paths are those in the daemon's directory.
"""

from __future__ import annotations

import os
from typing import Any

from cbtcheck.adapters.qemu.daemon import Command


def file_options(socket: str, export: str, unmaps: bool) -> dict[str, Any]:
    """The storage: an export of the server at this socket, which lies in the daemon's directory."""
    server = {"type": "unix", "path": os.path.basename(socket)}
    return {"driver": "nbd", "server": server, "export": export} | _discard(unmaps)


def image_options(
    name: str, file: str | dict[str, Any], unmaps: bool, read_only: bool, base: str | None
) -> dict[str, Any]:
    """The image on a node, or on a file of these options, which goes with it; `base` is the backing file's node."""
    return {
        "driver": "qcow2", "node-name": name, "file": file, "read-only": read_only, "backing": base,
    } | _discard(unmaps)  # fmt: skip


def deletion(name: str) -> Command:
    """The command that closes a node."""
    return "blockdev-del", {"node-name": name}


def _discard(unmaps: bool) -> dict[str, str]:
    return {"discard": "unmap"} if unmaps else {}
