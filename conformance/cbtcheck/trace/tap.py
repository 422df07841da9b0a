"""Listens in on QMP: passes on every byte between clients and QEMU unchanged, and writes what `verify` reads.

A message is in the log before it is passed on, so that the log is in the order in which things happened: a command
before QEMU has it, a reply before the client does. Each client has a connection of its own, by number: what all of
them say is one QEMU's history.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cbtcheck.trace.logged import Braces

PIECE = 1 << 16
LONGEST_MESSAGE = 64 << 20
"""The most bytes that are kept of a message that has not ended; of a longer one the log says so."""

Clock = Callable[[], float]


class Log:
    """Writes messages. Once it fails it stays closed, and `failed` says why: what is passed on must not suffer."""

    def __init__(self, file: BinaryIO, warn: Callable[[str], None], clock: Clock = time.time) -> None:
        self.failed: str | None = None
        self._file, self._warn, self._clock = file, warn, clock

    def message(self, connection: int, direction: str, raw: bytes) -> None:
        """One line with the message as it was; one that is no JSON as text that `verify` cannot read."""
        head = f'{{"time":{self._clock():.6f},"direction":"{direction}","connection":{connection},"message":'
        self._write(head.encode() + raw + b"}\n")

    def _write(self, line: bytes) -> None:
        if self.failed is not None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except (OSError, ValueError) as problem:
            self.failed = getattr(problem, "strerror", None) or str(problem)
            self._warn(f"the log cannot be written any more ({self.failed}): going on without it")


class Messages:
    """Cuts a stream of bytes into JSON objects, whether they have ends of line between them or not."""

    def __init__(self) -> None:
        self._braces: Braces | None = None
        self._parts: list[bytes] = []

    def take(self, piece: bytes) -> list[bytes]:
        """The messages that are complete now, each on one line."""
        found = []
        while piece:
            if self._braces is None:
                begin = piece.find(b"{")
                if begin < 0:
                    break
                piece, self._braces = piece[begin:], Braces()
            end = self._braces.close(piece.decode("latin-1"))  # a character for each byte; what counts is ASCII
            self._parts.append(piece[:end])
            if end is not None:
                found.append(self.rest())
                piece = piece[end:]
            elif sum(map(len, self._parts)) > LONGEST_MESSAGE:
                self.rest()
                found.append(json.dumps("a message that is too long to be kept").encode())
                break
            else:
                break
        return found

    def rest(self) -> bytes:
        """What was begun; the next message begins anew."""
        whole, self._parts, self._braces = b"".join(self._parts), [], None
        return _on_one_line(whole)


def _on_one_line(raw: bytes) -> bytes:
    return raw.replace(b"\r", b" ").replace(b"\n", b" ")


class Tap:
    """A socket that leads to QEMU's, by way of a log."""

    def __init__(self, qemu: Path, log: Log, warn: Callable[[str], None]) -> None:
        self._qemu, self._log, self._warn = qemu, log, warn
        self._clients = 0
        self._running: set[asyncio.Task[None]] = set()

    async def listen(self, at: Path, ready: Callable[[], None] = lambda: None) -> None:
        """Serves clients until it is cancelled. `OSError` if it cannot listen there."""
        server = await asyncio.start_unix_server(self._serve, at)
        try:
            ready()
            await server.serve_forever()
        finally:
            server.close()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            with suppress(OSError):
                at.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self._clients += 1
        number = self._clients
        try:
            await self._connect(number, reader, writer)
        except asyncio.CancelledError:  # the tap ends; asyncio would print that of a task that nobody waits for
            pass
        finally:
            writer.close()
            self._running.discard(task)

    async def _connect(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_qemu, to_qemu = await asyncio.open_unix_connection(self._qemu)
        except OSError as problem:
            self._warn(f"client {number}: QEMU's socket {self._qemu} does not answer ({problem.strerror or problem})")
            return
        ways = [
            asyncio.ensure_future(self._pass_on(number, "send", reader, to_qemu)),
            asyncio.ensure_future(self._pass_on(number, "receive", from_qemu, writer)),
        ]
        try:
            await ways[1]  # QEMU closes last: a client that says no more still gets the replies
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_qemu.close()

    async def _pass_on(
        self, number: int, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        messages = Messages()
        with suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                for each in messages.take(piece):
                    self._log.message(number, direction, each)
                writer.write(piece)
                await writer.drain()
        if rest := messages.rest():
            self._log.message(number, direction, rest)
        with suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()
