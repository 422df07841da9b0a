"""A disk in memory, and a request to it that is settled whenever, and however, the caller likes.

Offsets, lengths and sizes are bytes. Everything belongs to the event loop of the server that serves the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from . import wire
from .content import Flat, Sparse, content_of

RequestKind = Literal["read", "write", "zeroes", "trim", "flush"]

KINDS: Final[dict[int, RequestKind]] = {
    wire.COMMAND_READ: "read",
    wire.COMMAND_WRITE: "write",
    wire.COMMAND_WRITE_ZEROES: "zeroes",
    wire.COMMAND_TRIM: "trim",
    wire.COMMAND_FLUSH: "flush",
}
_PENDING: Final = 0
_SETTLED: Final = 1
_DEAD: Final = 2


class Peer(Protocol):
    """What a request has to know of the connection that it came over."""

    def settled(self, cookie: int, kind: RequestKind) -> None:
        """The request of that cookie is pending no longer."""

    def reply(self, cookie: int, error_number: int, data: bytes) -> None:
        """Send one reply; error number 0 is success."""


class Request:
    """One request of a peer: pending until `complete` or `fail` settles it, or its connection dies.

    ``offset`` and ``length`` are bytes within the disk; ``data`` is a write's payload, else empty;
    ``sequence`` counts the requests of the whole server in order of arrival, from 1. Settling twice
    raises ``RuntimeError``; settling a dead request does nothing.
    """

    __slots__ = (
        "_connection", "_cookie", "_state", "data", "disk", "forced", "kind", "landed", "length", "offset",
        "sequence",
    )  # fmt: skip

    def __init__(
        self, connection: Peer, disk: Disk, kind: RequestKind, cookie: int,
        offset: int, length: int, data: bytes, sequence: int, forced: bool = False,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._cookie = cookie
        self._state = _PENDING
        self.disk = disk
        self.kind = kind
        self.offset = offset
        self.length = length
        self.data = data
        self.sequence = sequence
        self.landed = False
        self.forced = forced
        """Whether it has to be stable before it is answered (the flag FUA)."""

    def __repr__(self) -> str:
        state = ("pending", "settled", "dead")[self._state]
        return (
            f"<{self.kind} {self.disk.name} {self.offset}+{self.length} #{self.sequence} {state}"
            f"{' landed' if self.landed else ''}>"
        )

    @property
    def pending(self) -> bool:
        """True until the request is settled or dead."""
        return self._state == _PENDING

    @property
    def dead(self) -> bool:
        """True if the peer went away before the request was settled."""
        return self._state == _DEAD

    def land(self) -> None:
        """Let the effect reach ``disk.content`` now, without a reply; at most once, later calls do nothing.

        No effect for reads and flushes, nor on a request that is settled or dead.
        """
        if self.landed or self._state != _PENDING:
            return
        self.landed = True
        if self.kind == "write":
            self.disk.content.write(self.offset, self.data)
        elif self.kind in ("zeroes", "trim"):
            self.disk.content.zero(self.offset, self.length)

    def complete(self) -> None:
        """Land, unless it has landed already, and reply success; a read gets the content as of now."""
        self.land()
        if self._settle():
            self._connection.reply(self._cookie, 0, self._answer())

    def fail(self, error_number: int, land: bool = False) -> None:
        """Reply an error (an ``errno`` value > 0); with ``land`` the effect lands all the same."""
        if error_number <= 0:
            raise ValueError(f"error number {error_number} is not an error")
        if land:
            self.land()
        if self._settle():
            self._connection.reply(self._cookie, error_number, b"")

    def _answer(self) -> bytes:
        if self.kind != "read":
            return b""
        return self.disk.content.read(self.offset, self.length)

    def _settle(self) -> bool:
        """Leave the pending state; False if the request is dead."""
        if self._state == _PENDING:
            self._state = _SETTLED
            self._connection.settled(self._cookie, self.kind)
            return True
        if self._state == _SETTLED:
            raise RuntimeError(f"request settled twice: {self!r}")
        return False

    def die(self) -> None:
        """For the server: the peer went away."""
        self._state = _DEAD


class Disk:
    """One exported disk: its content, who handles its requests, and how many there have been."""

    __slots__ = ("content", "counts", "handler", "name", "on_dead", "sector")

    def __init__(self, name: str, size: int, sector: int = 1) -> None:
        self.name = name
        self.sector = sector
        """The smallest unit in bytes that peers are told to read and write."""
        self.content: Flat | Sparse = content_of(size)
        self.handler: Callable[[Request], None] | None = None
        """Called with each request as it arrives; None completes each at once."""
        self.on_dead: Callable[[Request], None] | None = None
        """Called with each request that was pending when its connection died."""
        self.counts: dict[RequestKind, int] = dict.fromkeys(KINDS.values(), 0)
        """Requests that arrived so far, by kind; out-of-range ones are not counted."""

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.content.size
