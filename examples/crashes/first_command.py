#!/usr/bin/env python3
"""A QEMU that never answers the first command of its monitor: counts them.

    first_command.py [QEMU-STORAGE-DAEMON [STARTS [AT-A-TIME]]]

Starts the daemon so many times (300), one or some of them at a time. Each has two monitors; the first command is sent
to the second of them as soon as it can be reached. One that has said nothing for ten seconds is asked on its first
monitor, too. Exit code 0: all have answered; 1: some have not.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DAEMON = sys.argv[1] if len(sys.argv) > 1 else "qemu-storage-daemon"
STARTS, AT_A_TIME = (int(sys.argv[place]) if len(sys.argv) > place else most for place, most in ((2, 300), (3, 1)))
SECONDS = 10.0
COMMAND = b'{"execute": "qmp_capabilities"}\n'


def answers(path: Path) -> bool:
    """Whether a monitor answers its first command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        stream = connection.makefile("rb")
        try:
            greeting = stream.readline()
            connection.sendall(COMMAND)
            return greeting.startswith(b'{"QMP"') and b"return" in stream.readline()
        except TimeoutError:
            return False


def silent(number: int) -> str:
    """What is to be said of one start; nothing if it answers."""
    with tempfile.TemporaryDirectory(prefix="first-") as place:
        paths = [Path(place) / "one", Path(place) / "other"]
        listening = [socket.socket(socket.AF_UNIX) for _ in paths]
        words = [DAEMON]
        for each, path in zip(listening, paths, strict=True):
            each.bind(str(path))
            each.listen()
            words += ["--chardev", f"socket,id={path.name},fd={each.fileno()},server=on,wait=off"]
            words += ["--monitor", f"chardev={path.name}"]
        process = subprocess.Popen(words, pass_fds=[each.fileno() for each in listening])
        for each in listening:
            each.close()
        try:
            if answers(paths[1]):
                return ""
            return f"start {number}: silent; its other monitor {'answers' if answers(paths[0]) else 'is silent, too'}"
        finally:
            process.kill()
            process.wait()


def main() -> int:
    """All of them."""
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        found = [said for said in threads.map(silent, range(1, STARTS + 1)) if said]
    print("\n".join([*found, f"{len(found)} of {STARTS} starts never answered"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
