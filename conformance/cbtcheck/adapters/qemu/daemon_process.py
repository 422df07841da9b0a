"""The process of a ``qemu-storage-daemon``, what it prints, and how it ended.

It ends with the process that started it (on Linux), and Ctrl-C in the terminal does not reach it.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import socket
import sys
from typing import Final

from cbtcheck.host.printed_output import Kept

_OUTPUT_LIMIT: Final = 64 << 10
_PR_SET_PDEATHSIG: Final = 1
# Loaded before any fork: between fork and exec the child should do as little as possible.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class DaemonProcess(asyncio.SubprocessProtocol):
    """Keeps the tail of the child's output; ``died`` gets the exit status when all of it has arrived."""

    def __init__(self) -> None:
        self.died: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.output = Kept(_OUTPUT_LIMIT)
        self.pid = 0
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For the event loop: it runs."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """For the event loop: it printed something."""
        self.output.add(data)

    def connection_lost(self, error: BaseException | None) -> None:
        """For the event loop: it is gone, and all that it printed has arrived."""
        assert self._transport is not None
        status = self._transport.get_returncode()
        if not self.died.done():
            self.died.set_result(-signal.SIGKILL if status is None else status)

    def close(self) -> None:
        """Free what the event loop keeps for a child that is gone."""
        if self._transport is not None:
            self._transport.close()

    def send_signal(self, number: int) -> None:
        """Signal the child; no effect once it is gone."""
        if self._transport is not None and self._transport.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.send_signal(number)


async def spawn(binary: str, directory: str, connection: socket.socket) -> DaemonProcess:
    """Starts ``binary`` in ``directory``, its monitor on ``connection``. `OSError` if it cannot be started."""
    number = connection.fileno()
    arguments = ["--chardev", f"socket,id=m,fd={number}", "--monitor", "chardev=m"]
    _, process = await asyncio.get_running_loop().subprocess_exec(
        DaemonProcess, binary, *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=directory, pass_fds=(number,),
        # Ctrl-C in the terminal is for us: we stop the daemon in our own order.
        process_group=0,
        preexec_fn=functools.partial(_die_with_parent, os.getpid()),
    )  # fmt: skip
    return process


def _die_with_parent(parent: int) -> None:
    """In the child, before exec: ask the kernel to kill it when its parent dies."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before we asked
