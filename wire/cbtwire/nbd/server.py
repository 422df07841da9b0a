"""Disks in memory, served over NBD, whose every request is under the caller's control.

Contract: one `DiskServer` listens on one unix socket and serves any number of `Disk`s by name. A request
that arrives becomes a `Request`; it is handed, synchronously and in order of arrival, to the disk's
``handler``, which may settle it at once or keep it for as long as it likes. Requests settle in any order.
A disk's ``content`` changes only when a request *lands*. A peer that breaks the protocol loses its
connection; nothing that a peer sends raises into the event loop. Everything belongs to one event loop.
Offsets, lengths and sizes are bytes.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Final, cast

from . import wire
from .disk import KINDS, Disk, Request, RequestKind

_EXPORT_FLAGS: Final = (
    wire.FLAG_HAS_FLAGS
    | wire.FLAG_SEND_FLUSH
    | wire.FLAG_SEND_FUA
    | wire.FLAG_SEND_TRIM
    | wire.FLAG_SEND_WRITE_ZEROES
)


class DiskServer:
    """A listening unix socket that serves disks by name."""

    def __init__(self, socket_path: str) -> None:
        """Not for callers: use `start`."""
        self.socket_path = socket_path
        self.disks: dict[str, Disk] = {}
        self.sequence = 0
        self.answered = 0
        """Requests other than flushes that were settled so far."""
        self.handler_error: BaseException | None = None
        """The first exception that a handler raised; its request was answered EIO unless already settled."""
        self.connections: set[_Connection] = set()
        self._listener: asyncio.AbstractServer | None = None

    @classmethod
    async def start(cls, socket_path: str) -> "DiskServer":
        """Listen on a fresh unix socket. ``OSError`` if the path is taken, too long or not writable."""
        server = cls(socket_path)
        loop = asyncio.get_running_loop()
        server._listener = await loop.create_unix_server(lambda: _Connection(server), socket_path)
        return server

    def add_export(self, name: str, size: int, sector: int = 1) -> Disk:
        """Serve a new, zeroed disk of ``size`` bytes (> 0). ``ValueError`` if the name is taken.

        Peers that ask are told to keep to multiples of ``sector`` bytes, a power of two of at most 64 KiB.
        """
        if name in self.disks:
            raise ValueError(f"an export named {name!r} exists already")
        if size <= 0:
            raise ValueError(f"size {size} is not positive")
        disk = self.disks[name] = Disk(name, size, sector)
        return disk

    def remove_export(self, name: str) -> None:
        """Stop offering a disk to new connections; those that are open keep it. ``KeyError`` if unknown."""
        del self.disks[name]

    def sockets(self) -> list[socket.socket]:
        """The sockets of all connections, to ask the kernel about; the listening one is not among them."""
        return [each for connection in tuple(self.connections) for each in connection.sockets()]

    async def close(self) -> None:
        """Stop listening, drop every connection (pending requests die), remove the socket. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        for connection in tuple(self.connections):
            connection.abort()
        await listener.wait_closed()
        # connection_lost is a callback of the loop: let those of the aborted connections run.
        while self.connections:
            await asyncio.sleep(0)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket_path)


class _Malformed(Exception):
    """The peer broke the protocol: its connection is not worth keeping."""


class _Connection(asyncio.BufferedProtocol):
    """One peer: the handshake, then the splitting of its byte stream into requests."""

    def __init__(self, server: DiskServer) -> None:
        self.server = server
        self.pending: dict[int, Request] = {}
        self._disk: Disk | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(1 << 16)
        self._filled = 0
        self._no_zeroes = False
        self._outgoing: list[bytes] | None = None
        # What parses the next bytes: given their start and end, it returns how many it took, 0 for "not yet".
        self._parse: Callable[[int, int], int] = self._parse_client_flags

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # Nobody waits for a drain here: the peer reads its replies, or it is dropped with them.
        self.server.connections.add(self)
        flags = wire.HANDSHAKE_FIXED_NEWSTYLE | wire.HANDSHAKE_NO_ZEROES
        self._transport.write(wire.GREETING.pack(wire.INITIAL_MAGIC, wire.OPTION_MAGIC, flags))

    def connection_lost(self, error: BaseException | None) -> None:
        self._transport = None
        self.server.connections.discard(self)
        dead, self.pending = list(self.pending.values()), {}
        for request in dead:
            request.die()
        for request in dead:
            if request.disk.on_dead is not None:
                request.disk.on_dead(request)

    def sockets(self) -> list[socket.socket]:
        """Its one socket; none once it is gone."""
        return [] if self._transport is None else [self._transport.get_extra_info("socket")]

    def abort(self) -> None:
        """Drop the connection without ceremony."""
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, hint: int) -> memoryview:
        if self._filled == len(self._buffer):
            # Only a request longer than the buffer gets here; `_parse` has already bounded its length.
            self._buffer.extend(bytes(len(self._buffer)))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        self._filled += count
        self._outgoing = []
        try:
            self._consume()
        except _Malformed:
            self.abort()
        # All replies that this batch of requests provoked leave in one system call.
        outgoing, self._outgoing = self._outgoing, None
        if outgoing and self._transport is not None:
            self._transport.write(b"".join(outgoing))

    def _consume(self) -> None:
        start, end = 0, self._filled
        while start < end:
            taken = self._parse(start, end)
            if taken == 0:
                break
            start += taken
        if start:
            remaining = end - start
            self._buffer[:remaining] = self._buffer[start:end]
            self._filled = remaining

    def _send(self, data: bytes) -> None:
        if self._outgoing is not None:
            self._outgoing.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def settled(self, cookie: int, kind: RequestKind) -> None:
        """A request is pending no longer."""
        self.pending.pop(cookie, None)
        if kind != "flush":
            self.server.answered += 1

    def reply(self, cookie: int, error_number: int, data: bytes) -> None:
        """Send one simple reply."""
        self._send(wire.SIMPLE_REPLY.pack(wire.SIMPLE_REPLY_MAGIC, error_number, cookie) + data)

    # --- handshake ---

    def _parse_client_flags(self, start: int, end: int) -> int:
        if end - start < wire.CLIENT_FLAGS.size:
            return 0
        (flags,) = wire.CLIENT_FLAGS.unpack_from(self._buffer, start)
        if flags & ~(wire.HANDSHAKE_FIXED_NEWSTYLE | wire.HANDSHAKE_NO_ZEROES):
            raise _Malformed
        self._no_zeroes = bool(flags & wire.HANDSHAKE_NO_ZEROES)
        self._parse = self._parse_option
        return wire.CLIENT_FLAGS.size

    def _parse_option(self, start: int, end: int) -> int:
        header = wire.OPTION_HEADER
        if end - start < header.size:
            return 0
        magic, option, length = header.unpack_from(self._buffer, start)
        if magic != wire.OPTION_MAGIC or length > wire.MAXIMUM_OPTION_LENGTH:
            raise _Malformed
        if end - start < header.size + length:
            return 0
        body = start + header.size
        self._answer_option(option, bytes(self._buffer[body : body + length]))
        return int(header.size + length)

    def _answer_option(self, option: int, data: bytes) -> None:
        if option in (wire.OPTION_GO, wire.OPTION_INFO):
            self._answer_go(option, data)
        elif option == wire.OPTION_EXPORT_NAME:
            self._answer_export_name(data)
        elif option == wire.OPTION_LIST:
            for name in self.server.disks:
                self._send(wire.option_reply(option, wire.REPLY_SERVER, wire.counted_text(name)))
            self._send(wire.option_reply(option, wire.REPLY_ACKNOWLEDGE))
        elif option == wire.OPTION_ABORT:
            raise _Malformed  # not broken, but over: the peer expects nothing but the end
        else:
            self._send(wire.option_reply(option, wire.REPLY_ERROR_UNSUPPORTED))

    def _answer_go(self, option: int, data: bytes) -> None:
        try:
            name, wanted = wire.parse_go(data)
        except ValueError:
            self._send(wire.option_reply(option, wire.REPLY_ERROR_INVALID))
            return
        disk = self.server.disks.get(name)
        if disk is None:
            self._send(wire.option_reply(option, wire.REPLY_ERROR_UNKNOWN, f"no export {name!r}".encode()))
            return
        export = wire.INFO_EXPORT_BODY.pack(wire.INFO_EXPORT, disk.size, _EXPORT_FLAGS)
        self._send(wire.option_reply(option, wire.REPLY_INFO, export))
        if wire.INFO_BLOCK_SIZE in wanted:
            # A minimum of 1 keeps the peer from reading around small writes, which would be I/O of its own.
            sizes = wire.INFO_BLOCK_SIZE_BODY.pack(
                wire.INFO_BLOCK_SIZE, disk.sector, max(4096, disk.sector), wire.MAXIMUM_PAYLOAD
            )
            self._send(wire.option_reply(option, wire.REPLY_INFO, sizes))
        self._send(wire.option_reply(option, wire.REPLY_ACKNOWLEDGE))
        if option == wire.OPTION_GO:
            self._begin_transmission(disk)

    def _answer_export_name(self, data: bytes) -> None:
        disk = self.server.disks.get(data.decode(errors="replace"))
        if disk is None:
            raise _Malformed  # this option knows no refusal
        padding = b"" if self._no_zeroes else bytes(124)
        self._send(wire.EXPORT_NAME_ANSWER.pack(disk.size, _EXPORT_FLAGS) + padding)
        self._begin_transmission(disk)

    def _begin_transmission(self, disk: Disk) -> None:
        self._disk = disk
        self._parse = self._parse_request

    # --- transmission ---

    def _parse_request(self, start: int, end: int) -> int:
        header_size = wire.REQUEST.size
        if end - start < header_size:
            return 0
        magic, flags, command, cookie, offset, length = wire.REQUEST.unpack_from(self._buffer, start)
        if magic != wire.REQUEST_MAGIC or command == wire.COMMAND_DISCONNECT or cookie in self.pending:
            raise _Malformed
        if command != wire.COMMAND_WRITE:
            self._receive(command, cookie, offset, length, b"", flags)
            return int(header_size)
        if length > wire.MAXIMUM_PAYLOAD:
            raise _Malformed
        total = header_size + length
        if end - start < total:
            return 0
        data = bytes(memoryview(self._buffer)[start + header_size : start + total])
        self._receive(command, cookie, offset, length, data, flags)
        return int(total)

    def _receive(self, command: int, cookie: int, offset: int, length: int, data: bytes, flags: int) -> None:
        disk = cast(Disk, self._disk)
        kind = KINDS.get(command)
        if kind is None or offset + length > disk.size or (length == 0 and kind != "flush"):
            self.reply(cookie, errno.EINVAL, b"")
            return
        server = self.server
        server.sequence += 1
        disk.counts[kind] += 1
        forced = bool(flags & wire.COMMAND_FLAG_FUA)
        request = Request(self, disk, kind, cookie, offset, length, data, server.sequence, forced)
        self.pending[cookie] = request
        handler = disk.handler
        if handler is None:
            request.complete()
            return
        try:
            handler(request)
        except Exception as error:
            # Kept for the owner to find: an exception must neither kill the loop nor pass unnoticed.
            server.handler_error = server.handler_error or error
            if request.pending:
                request.fail(errno.EIO)
