"""A guest's disk: an NBD client that keeps any number of requests in flight.

Contract: each request is sent by the call itself, in one write to the socket, and returns a future that
resolves when its reply arrives, in whatever order replies come. A future fails with `NbdError` on an error
reply and with `NbdDisconnected` when the connection is lost first. Everything belongs to one event loop.
Offsets and lengths are bytes; the server checks ranges.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from typing import Any, Final, cast

from . import wire

_NO_EXTENTS: Final = b""


class NbdError(OSError):
    """The server refused one request; ``errno`` says why."""

    def __init__(self, error_number: int) -> None:
        super().__init__(error_number, os.strerror(error_number))


class NbdDisconnected(ConnectionError):
    """The connection ended before the reply came, or before the request could be sent."""


class NbdRefused(ConnectionError):
    """The server has not got the export or a context that was asked for, or speaks another protocol."""


class _Call:
    """A request in flight: its future and what has arrived of its reply."""

    __slots__ = ("command", "data", "error_number", "extents", "future", "offset")

    def __init__(self, command: int, offset: int, future: "asyncio.Future[Any]", data: bytearray | None) -> None:
        self.command = command
        self.offset = offset
        self.future = future
        self.data = data
        self.error_number = 0
        self.extents: dict[int, bytes] | None = None


class DiskClient(asyncio.BufferedProtocol):
    """One connection to one export; make it with `connect`. ``size`` is the export's size in bytes."""

    def __init__(self) -> None:
        """Not for callers: use `connect`."""
        self.size = 0
        self._contexts: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(1 << 16)
        self._filled = 0
        self._calls: dict[int, _Call] = {}
        self._next_cookie = 1
        self._transmitting = False
        self._awaited = 0
        self._arrival: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()

    # --- life ---

    @classmethod
    async def connect(cls, path: str, export: str, contexts: Sequence[str] = ()) -> "DiskClient":
        """Open an export over a unix socket, with the metadata contexts that `block_status` will ask about.

        ``OSError`` if nobody listens; `NbdRefused` if the export or a context is not there;
        `NbdDisconnected` if the server hangs up.
        """
        _, client = await asyncio.get_running_loop().create_unix_connection(cls, path)
        try:
            await client._handshake(export, contexts)
        except BaseException:
            client._abort()
            raise
        return client

    @property
    def closed(self) -> bool:
        """True once the connection is gone."""
        return self._transport is None

    def sockets(self) -> list[socket.socket]:
        """Its one socket, to ask the kernel about; none once the connection is gone."""
        return [] if self._transport is None else [self._transport.get_extra_info("socket")]

    async def close(self) -> None:
        """Say goodbye and wait until the connection is gone; what is in flight fails. Idempotent."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(wire.REQUEST.pack(wire.REQUEST_MAGIC, 0, wire.COMMAND_DISCONNECT, 0, 0, 0))
            self._transport.close()
        await asyncio.shield(self._gone)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: BaseException | None) -> None:
        """asyncio's callback: whatever is in flight fails."""
        self._transport = None
        calls, self._calls = self._calls, {}
        waiting = [call.future for call in calls.values()]
        if self._arrival is not None:
            waiting.append(self._arrival)
        for future in waiting:
            if not future.done():
                future.set_exception(NbdDisconnected("the NBD connection was lost"))
                # Marks it as seen: a daemon's death is reported once, not once per request in flight.
                future.exception()
        if not self._gone.done():
            self._gone.set_result(None)

    # --- requests ---

    def write(self, offset: int, data: bytes) -> "asyncio.Future[None]":
        """Write ``data`` (1 byte to 32 MiB) at ``offset``."""
        return self._call(wire.COMMAND_WRITE, 0, offset, len(data), data)

    def zeroes(self, offset: int, length: int, may_trim: bool = False) -> "asyncio.Future[None]":
        """Make the range read as zeroes; the server may release its storage only if ``may_trim``."""
        flags = 0 if may_trim else wire.COMMAND_FLAG_NO_HOLE
        return self._call(wire.COMMAND_WRITE_ZEROES, flags, offset, length)

    def trim(self, offset: int, length: int) -> "asyncio.Future[None]":
        """Discard the range; what it reads as afterwards is the server's choice."""
        return self._call(wire.COMMAND_TRIM, 0, offset, length)

    def read(self, offset: int, length: int) -> "asyncio.Future[bytes]":
        """Read ``length`` bytes (1 to 32 MiB)."""
        return self._call(wire.COMMAND_READ, 0, offset, length)

    def flush(self) -> "asyncio.Future[None]":
        """Make what was written stable."""
        return self._call(wire.COMMAND_FLUSH, 0, 0, 0)

    async def block_status(self, context: str, offset: int, length: int) -> list[tuple[int, int]]:
        """The status of the whole range as (length, flags), neighbours with equal flags joined.

        ``KeyError`` if the context was not asked for in `connect`; `NbdError`, `NbdDisconnected` as usual.
        """
        context_id = self._contexts[context]
        extents: list[tuple[int, int]] = []
        end = offset + length
        while offset < end:
            reply = await self._call(wire.COMMAND_BLOCK_STATUS, 0, offset, min(end - offset, 1 << 31))
            described = offset
            for extent_length, flags in wire.EXTENT.iter_unpack(reply.get(context_id, _NO_EXTENTS)):
                # The last extent may reach beyond what was asked.
                _append_extent(extents, min(extent_length, end - described), flags)
                described = min(described + extent_length, end)
            if described == offset:
                raise NbdError(errno.EIO)  # no progress: the server described nothing
            offset = described
        return extents

    def _call(self, command: int, flags: int, offset: int, length: int, data: bytes = b"") -> "asyncio.Future[Any]":
        transport = self._transport
        if transport is None or transport.is_closing():
            raise NbdDisconnected("the NBD connection is closed")
        cookie = self._next_cookie
        self._next_cookie = cookie + 1
        future: asyncio.Future[Any] = self._loop.create_future()
        room = bytearray(length) if command == wire.COMMAND_READ else None
        self._calls[cookie] = _Call(command, offset, future, room)
        header = wire.REQUEST.pack(wire.REQUEST_MAGIC, flags, command, cookie, offset, length)
        transport.write(header + data if data else header)
        return future

    # --- replies ---

    def get_buffer(self, hint: int) -> memoryview:
        """asyncio's callback: where the next bytes go."""
        if self._filled == len(self._buffer):
            self._buffer.extend(bytes(len(self._buffer)))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """asyncio's callback: bytes have arrived."""
        self._filled += count
        if not self._transmitting:
            if self._arrival is not None and self._filled >= self._awaited and not self._arrival.done():
                self._arrival.set_result(None)
            return
        start = 0
        while (taken := self._parse_reply(start, self._filled)) > 0:
            start += taken
        if taken < 0:
            self._abort()  # not NBD any more
        self._discard(start)

    def _discard(self, count: int) -> None:
        if count:
            remaining = self._filled - count
            self._buffer[:remaining] = self._buffer[count : self._filled]
            self._filled = remaining

    def _parse_reply(self, start: int, end: int) -> int:
        """Take one reply; how many bytes it had, 0 if it is incomplete, -1 if it is nonsense."""
        if end - start < wire.SIMPLE_REPLY.size:
            return 0
        magic, error_number, cookie = wire.SIMPLE_REPLY.unpack_from(self._buffer, start)
        if magic != wire.SIMPLE_REPLY_MAGIC:
            return self._parse_chunk(start, end) if magic == wire.STRUCTURED_REPLY_MAGIC else -1
        call = self._calls.get(cookie)
        if call is None:
            return -1
        size = wire.SIMPLE_REPLY.size
        if call.data is not None and not error_number:
            length = len(call.data)
            if end - start < size + length:
                return 0
            call.data[:] = memoryview(self._buffer)[start + size : start + size + length]
            size += length
        call.error_number = error_number
        self._finish(cookie, call)
        return int(size)

    def _parse_chunk(self, start: int, end: int) -> int:
        header = wire.STRUCTURED_REPLY
        if end - start < header.size:
            return 0
        _, flags, kind, cookie, length = header.unpack_from(self._buffer, start)
        call = self._calls.get(cookie)
        if call is None or length > wire.MAXIMUM_PAYLOAD + wire.CHUNK_OFFSET.size:
            return -1
        total = int(header.size + length)
        if end - start < total:
            return 0
        payload = bytes(memoryview(self._buffer)[start + header.size : start + total])
        if not _take_chunk(call, kind, payload):
            return -1
        if flags & wire.CHUNK_FLAG_DONE:
            self._finish(cookie, call)
        return total

    def _finish(self, cookie: int, call: _Call) -> None:
        del self._calls[cookie]
        future = call.future
        if future.done():
            return  # the caller cancelled it
        if call.error_number:
            future.set_exception(NbdError(call.error_number))
        elif call.data is not None:
            future.set_result(bytes(call.data))
        else:
            future.set_result(call.extents or {} if call.command == wire.COMMAND_BLOCK_STATUS else None)

    # --- handshake ---

    async def _take(self, count: int) -> bytes:
        if self._filled < count:
            if self._transport is None:
                raise NbdDisconnected("the server hung up during the handshake")
            self._awaited, self._arrival = count, self._loop.create_future()
            await self._arrival
            self._arrival = None
        data = bytes(self._buffer[:count])
        self._discard(count)
        return data

    def _send(self, data: bytes) -> None:
        if self._transport is None:
            raise NbdDisconnected("the server hung up during the handshake")
        self._transport.write(data)

    async def _handshake(self, export: str, contexts: Sequence[str]) -> None:
        magic, option_magic, flags = wire.GREETING.unpack(await self._take(wire.GREETING.size))
        if (magic, option_magic) != (wire.INITIAL_MAGIC, wire.OPTION_MAGIC):
            raise NbdRefused("the server does not speak newstyle NBD")
        if not flags & wire.HANDSHAKE_FIXED_NEWSTYLE:
            raise NbdRefused("the server does not speak fixed newstyle NBD")
        self._send(wire.CLIENT_FLAGS.pack(flags & (wire.HANDSHAKE_FIXED_NEWSTYLE | wire.HANDSHAKE_NO_ZEROES)))
        if contexts:
            await self._option(wire.OPTION_STRUCTURED_REPLY, b"")
            await self._ask_contexts(export, contexts)
        await self._go(export)
        self._transmitting = True

    async def _ask_contexts(self, export: str, contexts: Sequence[str]) -> None:
        queries = b"".join(map(wire.counted_text, contexts))
        data = wire.counted_text(export) + wire.LENGTH_PREFIX.pack(len(contexts)) + queries
        for kind, body in await self._option(wire.OPTION_SET_META_CONTEXT, data):
            if kind == wire.REPLY_META_CONTEXT and len(body) >= wire.LENGTH_PREFIX.size:
                (context_id,) = wire.LENGTH_PREFIX.unpack_from(body)
                self._contexts[body[wire.LENGTH_PREFIX.size :].decode()] = context_id
        missing = [context for context in contexts if context not in self._contexts]
        if missing:
            raise NbdRefused(f"export {export!r} has no context {', '.join(missing)}")

    async def _go(self, export: str) -> None:
        data = wire.counted_text(export) + wire.COUNT_16.pack(0)
        for kind, body in await self._option(wire.OPTION_GO, data):
            is_export = kind == wire.REPLY_INFO and len(body) == wire.INFO_EXPORT_BODY.size
            if is_export and wire.COUNT_16.unpack_from(body)[0] == wire.INFO_EXPORT:
                self.size = wire.INFO_EXPORT_BODY.unpack(body)[1]

    async def _option(self, option: int, data: bytes) -> list[tuple[int, bytes]]:
        """Ask for an option; the replies (type, data) before the acknowledgement."""
        self._send(wire.option_request(option, data))
        replies: list[tuple[int, bytes]] = []
        while True:
            header = wire.OPTION_REPLY_HEADER.unpack(await self._take(wire.OPTION_REPLY_HEADER.size))
            magic, answered, kind, length = header
            if magic != wire.OPTION_REPLY_MAGIC or answered != option or length > wire.MAXIMUM_OPTION_LENGTH:
                raise NbdRefused("the server does not speak fixed newstyle NBD")
            body = await self._take(length)
            if kind == wire.REPLY_ACKNOWLEDGE:
                return replies
            if kind & wire.REPLY_ERROR_BIT:
                raise NbdRefused(f"option {option} was refused: {body.decode(errors='replace') or hex(kind)}")
            replies.append((kind, body))


def _take_chunk(call: _Call, kind: int, payload: bytes) -> bool:
    """Put one structured chunk where it belongs; False if it does not fit its request."""
    if kind == wire.CHUNK_NONE:
        return not payload
    if kind & wire.CHUNK_ERROR_BIT:
        if len(payload) < wire.CHUNK_ERROR.size:
            return False
        call.error_number = wire.CHUNK_ERROR.unpack_from(payload)[0] or errno.EIO
        return True
    if kind == wire.CHUNK_BLOCK_STATUS:
        (context_id,) = wire.CHUNK_CONTEXT.unpack_from(payload)
        call.extents = call.extents or {}
        call.extents[context_id] = payload[wire.CHUNK_CONTEXT.size :]
        return (len(payload) - wire.CHUNK_CONTEXT.size) % wire.EXTENT.size == 0
    return kind in (wire.CHUNK_OFFSET_DATA, wire.CHUNK_OFFSET_HOLE) and _take_read_chunk(call, kind, payload)


def _take_read_chunk(call: _Call, kind: int, payload: bytes) -> bool:
    if call.data is None or len(payload) < wire.CHUNK_OFFSET.size:
        return False
    if kind == wire.CHUNK_OFFSET_DATA:
        (offset,) = wire.CHUNK_OFFSET.unpack_from(payload)
        data = payload[wire.CHUNK_OFFSET.size :]
    else:
        offset, length = wire.CHUNK_HOLE.unpack(payload)
        data = bytes(min(length, len(call.data)))
    start = offset - call.offset
    if start < 0 or start + len(data) > len(call.data):
        return False
    call.data[start : start + len(data)] = data
    return True


def _append_extent(extents: list[tuple[int, int]], length: int, flags: int) -> None:
    if length <= 0:
        return
    if extents and extents[-1][1] == flags:
        extents[-1] = (extents[-1][0] + length, flags)
    else:
        extents.append((length, flags))
