"""The tool's commands: run by a shell, watched by the guard, ended at their deadline, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cbtcheck.host.child.guards import Guards
from cbtcheck.host.printed_output import Kept
from cbtcheck.judging.waiting import comes

SHOWN = 16 << 10
"""Characters that are kept of what a command prints."""

GUARD_ENDS = 15.0
"""Seconds that the guard has to end all."""


@dataclass(frozen=True)
class Ended:
    """How a command has ended. `code`: its exit code, negative for a signal; None if it had to be killed.

    `late`: it did not end by its deadline. `left`: names of processes that it had left running.
    """

    code: int | None
    output: str
    late: bool = False
    left: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """It says that it has done what it was asked for."""
        return self.code == 0

    def __str__(self) -> str:
        if self.late:
            return "did not end"
        if self.code is None:
            return "was killed"
        return f"ended by signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


GUARDS = Guards()


class Running:
    """A command that runs."""

    def __init__(self, control: int, output: asyncio.StreamReader, status: asyncio.StreamReader) -> None:
        self._control, self._output, self._status = control, output, status
        self._kept = Kept(SHOWN)
        self._exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._left: tuple[str, ...] = ()
        self._reading = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._hear())]
        self._killed = False

    @classmethod
    async def start(cls, command: str, directory: Path, environment: dict[str, str]) -> Running:
        """Runs it by `/bin/sh -c`. `OSError` if no process can be started."""
        orders, control = os.pipe()
        status, told = os.pipe()
        output, printed = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            words = ["/bin/sh", "-c", command]
            GUARDS.start(words, directory, os.environ | environment, (nothing, printed, printed), orders, told)
        except BaseException:
            for each in (control, status, output):
                os.close(each)
            raise
        finally:
            for each in (orders, told, printed, nothing):
                os.close(each)
        return cls(control, await _reader(output), await _reader(status))

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not with exit code 0."""
        return self._exited.done() and self._exited.result() != 0

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self._order(b"t")

    def kill(self) -> None:
        """Kills it, and all that it has started."""
        self._killed = True
        self._order(b"k")

    async def ended(self, deadline: float) -> Ended:
        """Waits for its end, at most until its deadline; then nothing of it is left."""
        late, code = True, None
        try:
            if await comes(self._exited, deadline):
                late, code = False, self._exited.result()
        finally:
            self._order(b"k")
            with suppress(OSError):
                os.close(self._control)
                self._control = -1
        await comes(asyncio.gather(*self._reading), GUARD_ENDS)
        for each in self._reading:
            each.cancel()
        killed = self._killed and code is not None and code < 0
        return Ended(None if killed else code, self._kept.text, late, self._left)

    def _order(self, order: bytes) -> None:
        if self._control >= 0:
            with suppress(OSError):
                os.write(self._control, order)

    async def _read(self) -> None:
        while data := await self._output.read(1 << 16):
            self._kept.add(data)

    async def _hear(self) -> None:
        while line := await self._status.readline():
            word, *rest = line.decode(errors="replace").split()
            if word == "exited" and not self._exited.done():
                self._exited.set_result(int(rest[0]))
            elif word == "gone":
                self._left = tuple(rest)
                if not self._exited.done():
                    self._exited.set_result(-9)
            elif word == "cannot" and not self._exited.done():
                self._exited.set_result(127)
        if not self._exited.done():
            self._exited.set_result(-9)


async def _reader(number: int) -> asyncio.StreamReader:
    """A pipe, to be read to its end."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(number, "rb", 0))
    return reader
