"""Guards (see `guard.py`) for many programs, one after the other or together: forked from one process, not started.

A Python that starts for each costs some 40 ms of a processor, a fork two or three.
"""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
ANSWERS = 60.0
"""Seconds that the process that makes guards may be too busy to take a request."""


class Guards:
    """The process that makes guards; it is started when it is needed first, and ends with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asking: socket.socket | None = None
        atexit.register(self.close)

    def start(
        self, command: Sequence[str], directory: Path, environment: dict[str, str], streams: tuple[int, int, int],
        control: int, status: int,
    ) -> None:  # fmt: skip
        """Starts a program under a guard, which has these descriptors. `OSError` if there is no process to be had."""
        request = {"command": list(command), "directory": str(directory), "environment": environment}
        said = json.dumps(request).encode()  # what is no UTF-8 in the environment comes back as it was
        asking = self._there()
        socket.send_fds(asking, [len(said).to_bytes(4, "big")], [*streams, control, status])
        asking.sendall(said)

    def close(self) -> None:
        """Ends it. The guards that it has made go on until they have nothing to guard, or their pipe is closed."""
        if self._asking is not None:
            self._asking.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ANSWERS)
        self._process = self._asking = None

    def _there(self) -> socket.socket:
        """A process that makes guards, started if there is none, or somebody has killed it."""
        if self._process is None or self._process.poll() is not None or self._asking is None:
            self.close()
            self._asking, theirs = socket.socketpair()
            self._asking.settimeout(ANSWERS)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(GUARD), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    start_new_session=True, cwd="/",
                )  # fmt: skip
        return self._asking
