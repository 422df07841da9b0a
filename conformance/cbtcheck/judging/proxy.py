"""The socket that the tool speaks to: everything goes on to QEMU and back, byte by byte, past a director.

The director is asked at each message, before it is passed on. What it does not change is passed on as it came. Each
connection of the tool is one to QEMU: QEMU serves one at a time, as it does without us.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cbtcheck.judging.splitter import Splitter

T = TypeVar("T")
PIECE = 1 << 16


class CutOff(Exception):
    """The connection is to be closed at this message."""


@dataclass(frozen=True)
class Instead:
    """What goes on in place of a command: to QEMU, or as an answer to the tool without QEMU."""

    to_qemu: bytes = b""
    to_tool: bytes = b""


@dataclass(frozen=True)
class Asked:
    """A command that waits for its reply. `answer`: what the tool gets without QEMU, once its turn has come."""

    name: str
    arguments: Any
    has_id: bool
    id: Any
    number: int
    answer: bytes = b""


class Director(Protocol):
    """Is asked at each message. Each of these may raise `CutOff`."""

    async def command(self, connection: int, message: dict[str, Any], raw: bytes) -> Instead | None:
        """A command of the tool; None: it goes on as it is."""

    async def reply(self, connection: int, asked: Asked | None, message: dict[str, Any], raw: bytes) -> None:
        """A reply, and what it answers, or a greeting."""

    async def event(self, connection: int, message: dict[str, Any], raw: bytes) -> None:
        """An event."""


class Proxy:
    """Listens for the tool."""

    def __init__(self, qemu: str, director: Director) -> None:
        self._qemu, self._director = qemu, director
        self._server: asyncio.AbstractServer | None = None
        self._at: Path | None = None
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: set[asyncio.Task[Any]] = set()
        self.passed = [0, 0]
        """Bytes that were passed on to QEMU, and to the tool."""

    async def listen(self, at: Path | socket.socket) -> None:
        """Serves the tool there, and nowhere else: at a path, or at a socket that listens already."""
        if self._server is not None:
            self._server.close()
        if isinstance(at, Path):
            self._at = at
            self._server = await asyncio.start_unix_server(self._serve, at)
        else:
            self._server = await asyncio.start_unix_server(self._serve, sock=at)

    async def quiet(self) -> None:
        """Waits until the director is through with all that it was asked."""
        while self._asked:
            await asyncio.gather(*self._asked, return_exceptions=True)

    async def _direct(self, asked: Coroutine[Any, Any, T]) -> T:
        """Asks the director. It goes on to its end, whatever becomes of the connection meanwhile."""
        task = asyncio.ensure_future(asked)
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.quiet()
        if self._at is not None:
            self._at.unlink(missing_ok=True)

    async def _serve(self, from_tool: asyncio.StreamReader, to_tool: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections += 1
        number = self._connections
        try:
            from_qemu, to_qemu = await asyncio.open_unix_connection(self._qemu)
        except OSError:
            to_tool.close()
            self._tasks.discard(task)
            return
        waiting: list[Asked] = []
        there = asyncio.ensure_future(self._to_qemu(number, from_tool, to_qemu, to_tool, waiting))
        back = asyncio.ensure_future(self._to_tool(number, from_qemu, to_tool, waiting))
        try:
            # QEMU closes last: a tool that says no more still gets its replies.
            done, _ = await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            if there in done and not there.exception():
                await asyncio.wait([back])
        except asyncio.CancelledError:
            pass
        finally:
            for way in (there, back):
                way.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            for writer in (to_qemu, to_tool):
                writer.close()
                # Cancelled once more, it is as closed; asyncio would print that of a task that nobody waits for.
                with suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()
            self._tasks.discard(task)

    async def _to_qemu(
        self, number: int, reader: asyncio.StreamReader, to_qemu: asyncio.StreamWriter,
        to_tool: asyncio.StreamWriter, waiting: list[Asked],
    ) -> None:  # fmt: skip
        splitter, count = Splitter(), 0
        while data := await reader.read(PIECE):
            for piece in splitter.take(data):
                instead = None
                name = piece.message and piece.message.get("execute", piece.message.get("exec-oob"))
                if piece.message is not None and isinstance(name, str):
                    instead = await self._direct(self._director.command(number, piece.message, piece.raw))
                    count += 1
                    said, answer = piece.message, b"" if instead is None else instead.to_tool
                    asked = Asked(name, said.get("arguments"), "id" in said, said.get("id"), count, answer)
                    if answer and "execute" not in said:
                        await self._pass_on(1, to_tool, answer)  # out of band: it overtakes what is under way
                    else:
                        waiting.append(asked)
                if instead is not None and instead.to_tool:
                    await self._answer(to_tool, waiting)
                else:
                    await self._pass_on(0, to_qemu, piece.raw if instead is None else instead.to_qemu)
        await self._pass_on(0, to_qemu, splitter.rest())
        with suppress(OSError):
            to_qemu.write_eof()

    async def _to_tool(
        self, number: int, reader: asyncio.StreamReader, to_tool: asyncio.StreamWriter, waiting: list[Asked]
    ) -> None:
        splitter = Splitter()
        with suppress(ConnectionError):
            while data := await reader.read(PIECE):
                for piece in splitter.take(data):
                    if piece.message is not None:
                        await self._tell(number, piece.message, piece.raw, waiting)
                    await self._pass_on(1, to_tool, piece.raw)
                    if piece.raw.endswith(b"\n"):  # the end of QEMU's line: a tool may read line by line
                        await self._answer(to_tool, waiting)
            await self._pass_on(1, to_tool, splitter.rest())

    async def _answer(self, to_tool: asyncio.StreamWriter, waiting: list[Asked]) -> None:
        """Gives the tool the answers that are ours, as soon as QEMU has answered all that came before."""
        while waiting and waiting[0].answer:
            await self._pass_on(1, to_tool, waiting.pop(0).answer)

    async def _tell(self, number: int, message: dict[str, Any], raw: bytes, waiting: list[Asked]) -> None:
        if isinstance(message.get("event"), str):
            await self._direct(self._director.event(number, message, raw))
            return
        asked = None
        if "return" in message or "error" in message:
            asked = next((each for each in waiting if not each.answer and _answers(message, each)), None)
            if asked is not None:
                waiting.remove(asked)
        await self._direct(self._director.reply(number, asked, message, raw))

    async def _pass_on(self, way: int, writer: asyncio.StreamWriter, raw: bytes) -> None:
        if raw:
            writer.write(raw)
            self.passed[way] += len(raw)
            await writer.drain()


def _answers(message: dict[str, Any], asked: Asked) -> bool:
    """Whether a reply is that of a command: it has the same id, or neither has one. True is not 1 here."""
    if asked.has_id != ("id" in message):
        return False
    return not asked.has_id or (type(message["id"]) is type(asked.id) and message["id"] == asked.id)
