"""The proxy between a tool and QEMU, whose both sides are compared byte by byte. QEMU is one of ours here."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cbtcheck.judging.proxy import Asked, CutOff, Instead, Proxy

GREETING = b'{"QMP": {"version": {}, "capabilities": ["oob"]}}\r\n'
IDS: list[Any] = [None, True, 1, 1.5, "", "1", [1, [2]], {"a": {"b": None}}, "ä\u2028", "\\\"}{", 10**30]

Tool = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Watched:
    """A director that changes nothing, unless it is told to."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.replies: list[tuple[str | None, Any]] = []
        self.events: list[str] = []
        self.instead: dict[str, Instead] = {}
        self.cut_at = ""

    async def command(self, connection: int, message: dict[str, Any], raw: bytes) -> Instead | None:
        name = str(message.get("execute", message.get("exec-oob")))
        self.commands.append(name)
        await asyncio.sleep(0)
        if name == self.cut_at:
            raise CutOff
        return self.instead.get(name)

    async def reply(self, connection: int, asked: Asked | None, message: dict[str, Any], raw: bytes) -> None:
        self.replies.append((None if asked is None else asked.name, message.get("id")))

    async def event(self, connection: int, message: dict[str, Any], raw: bytes) -> None:
        self.events.append(message["event"])


class Qemu:
    """Keeps what it hears, and says what it is told to, in pieces of any size."""

    def __init__(self, says: bytes, seed: int = 0) -> None:
        self.heard, self._says, self._random = bytearray(), says, Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking = asyncio.ensure_future(self._speak(writer))
        while data := await reader.read(1 << 16):
            self.heard += data
        await speaking
        writer.close()

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        for piece in pieces(self._says, self._random):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)


def pieces(data: bytes, random: Random) -> list[bytes]:
    found = []
    while data:
        size = random.choice((1, 2, 7, 100, 5000))
        found.append(data[:size])
        data = data[size:]
    return found


async def between(folder: Path, qemu: Qemu, director: Watched, tool: Tool) -> Proxy:
    server = await asyncio.start_unix_server(qemu.serve, folder / "qemu")
    proxy = Proxy(str(folder / "qemu"), director)
    await proxy.listen(folder / "tool")
    reader, writer = await asyncio.open_unix_connection(folder / "tool")
    try:
        await tool(reader, writer)
    finally:
        writer.close()
        await proxy.close()
        server.close()
    return proxy


def command(name: str, **more: Any) -> bytes:
    return json.dumps({"execute": name, **more}, ensure_ascii=False).encode()


@pytest.mark.parametrize("seed", range(5))
def test_both_sides_are_the_same_byte_by_byte(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    sent = bytearray(b" \n")
    said = bytearray(GREETING)
    for number, message_id in enumerate(IDS * 3):
        sent += command(f"c{number}", id=message_id, arguments={"x": "}" * random.randrange(200)})
        sent += random.choice((b"", b"\r\n"))
        said += b'{"event": "E%d", "data": {}}\r\n' % number
        said += json.dumps({"return": {}, "id": message_id}).encode() + b"\r\n"
    sent += b'not JSON \xff\x00 {"exec-oob": "urgent", "id": 7}{"broken": '
    said += b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\r\n{"half'
    heard = bytearray()

    async def tool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces(bytes(sent), random):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
        while data := await reader.read(1 << 16):
            heard.extend(data)

    qemu, director = Qemu(bytes(said), seed), Watched()
    proxy = asyncio.run(between(tmp_path, qemu, director, tool))
    assert bytes(qemu.heard) == bytes(sent)
    assert bytes(heard) == bytes(said)
    assert proxy.passed == [len(sent), len(said)]
    assert director.commands == [*(f"c{number}" for number in range(len(IDS) * 3)), "urgent"]
    assert director.events == [f"E{number}" for number in range(len(IDS) * 3)]


def test_replies_find_their_commands_whatever_their_ids_are(tmp_path: Path) -> None:
    named = [(f"c{number}", message_id) for number, message_id in enumerate([1, True, "1", 1.0, [1], {"a": 1}, None])]

    async def tool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(command(name, id=message_id) for name, message_id in named) + command("last"))
        while len(director.commands) < len(named) + 1:
            await asyncio.sleep(0)
        answers = [json.dumps({"return": {}, "id": message_id}).encode() for _, message_id in reversed(named)]
        told.set_result(b"".join([b'{"return": {}}', *answers]))
        writer.write_eof()
        await reader.read()

    async def run() -> None:
        global told
        told = asyncio.get_running_loop().create_future()

        class Late(Qemu):
            async def _speak(self, writer: asyncio.StreamWriter) -> None:
                writer.write(await told)

        await between(tmp_path, Late(b""), director, tool)

    director = Watched()
    asyncio.run(run())
    assert director.replies == [("last", None), *reversed(named)]


told: "asyncio.Future[bytes]"


class Answering(Qemu):
    """Answers two commands when it has heard both, in their order."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.heard.endswith(command("three")):
            self.heard += await reader.read(1 << 16)
        writer.write(DONE + DONE)
        await reader.read()
        writer.close()


DONE = b'{"return": {}}\r\n'


@pytest.mark.parametrize("together", [True, False])
def test_what_it_is_told_to_change_is_changed_and_nothing_else(tmp_path: Path, together: bool) -> None:
    """An answer that is ours comes when QEMU has answered all commands before: a tool without ids counts on that."""
    heard = bytearray()

    async def tool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listed = [command(name) for name in ("one", "two", "three")]
        for each in [b"".join(listed)] if together else listed:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write_eof()
        heard.extend(await reader.read())

    qemu, director = Answering(b""), Watched()
    director.instead = {"one": Instead(to_qemu=b"{}"), "two": Instead(to_tool=b"[error]")}
    asyncio.run(between(tmp_path, qemu, director, tool))
    assert bytes(qemu.heard) == b"{}" + command("three")
    assert bytes(heard) == DONE + b"[error]" + DONE, "and between QEMU's lines"
    assert [name for name, _ in director.replies] == ["one", "three"]


def test_a_connection_is_cut_off_where_the_director_says_so(tmp_path: Path) -> None:
    heard = bytearray()

    async def tool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(command("one") + command("two") + command("three"))
        heard.extend(await reader.read())

    qemu, director = Qemu(GREETING), Watched()
    director.cut_at = "two"
    asyncio.run(between(tmp_path, qemu, director, tool))
    assert bytes(qemu.heard) == command("one")
    assert GREETING.startswith(bytes(heard))
