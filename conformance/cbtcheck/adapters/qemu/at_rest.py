"""Whether a process is at rest: all its threads sleep, and nothing that it sent is on its way to us.

That is the fence on which the adapter decides. QEMU at rest, with a command unanswered, waits for something that we
hold; QEMU not at rest may still answer, however slow the machine is. No clock can tell the two apart. The kernel can:
a thread that has something to do is not asleep, from the very moment at which the data for it were sent.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from collections.abc import Callable, Iterable

from cbtcheck.host.child.guard import processor_seconds

LOOK_AGAIN = 0.01
"""Seconds between two looks where the kernel does not tell: then whoever is silent so long counts as at rest."""

ROUNDS = 4
"""Rounds of the event loop in which what has arrived is taken in: a line, its reader, whoever waits for it."""

Threads = tuple[tuple[str, bytes], ...]


class Process:
    """A child whose rest can be told, by its id and by the sockets on which it can send us something."""

    def __init__(self, pid: int, sockets: Callable[[], Iterable[socket.socket]]) -> None:
        self._tasks = f"/proc/{pid}/task"
        self._pid = pid
        self._sockets = sockets
        self._files: dict[str, int] = {}
        self.told = sys.platform == "linux" and self._threads() != ()
        """Whether the kernel tells; otherwise the rest is guessed from `LOOK_AGAIN` seconds of silence."""

    async def at_rest(self) -> bool:
        """Whether it sleeps now, with nothing on its way. Whatever has arrived until then has been taken in.

        False also if it is gone. True says that it will do nothing more until something is sent to it.
        """
        if not self.told:
            await asyncio.sleep(LOOK_AGAIN)
            return not self._on_the_way()
        before = self._threads()
        if not _asleep(before):
            return False
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        if self._on_the_way() or self._threads() != before:
            return False
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        return self._threads() == before

    def processor_seconds(self) -> float:
        """How many seconds of a processor it has used; 0 where the kernel does not tell, or it is gone."""
        return processor_seconds(self._pid)

    def _threads(self) -> Threads:
        """Each thread's state, and how often it was switched: equal twice if none has run in between."""
        try:
            found = tuple([(name, os.pread(file, 4096, 0)) for name, file in self._files.items()])
            if not found or _number_of_threads(found[0][1]) != len(found):
                self._open()
                found = tuple([(name, os.pread(file, 4096, 0)) for name, file in self._files.items()])
            return tuple([(name, _state(status)) for name, status in found])
        except (OSError, ValueError):  # it has ended, or a thread has
            self.close()
            return ()

    def _open(self) -> None:
        self.close()
        for thread in os.listdir(self._tasks):
            self._files[thread] = os.open(f"{self._tasks}/{thread}/status", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Closes what is open of it. May be called twice, and it can be asked again afterwards."""
        files, self._files = self._files, {}
        for each in files.values():
            os.close(each)

    def _on_the_way(self) -> bool:
        """Whether bytes from it have arrived that nobody has read."""
        poll = select.poll()
        for each in self._sockets():
            if each.fileno() >= 0:
                poll.register(each.fileno(), select.POLLIN)
        return any(event & select.POLLIN for _, event in poll.poll(0))


def _number_of_threads(status: bytes) -> int:
    start = status.index(b"\nThreads:\t") + 10
    return int(status[start : status.index(b"\n", start)])


def _state(status: bytes) -> bytes:
    state = status.index(b"State:\t") + 7
    return status[state : state + 1] + status[status.rindex(b"\nvoluntary_ctxt") :]


def _asleep(threads: Threads) -> bool:
    return bool(threads) and all(state[:1] == b"S" for _, state in threads)
