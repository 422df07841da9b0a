"""The requests that reach an image's storage, in the order in which they came; and one that fails, if wanted."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Final, Protocol

from cbtwire.nbd.content import Growing

TRIMS: Final = ("zeroed", "kept", "none")
"""What a trim does to what was there; with *none* QEMU is not told to send any."""


@dataclass(frozen=True, slots=True)
class Event:
    """A request that changed the storage: `kind` is *write*, *zeroes*, *trim* or *flush*; `data` is what it left.

    A trim that leaves what was there has no data. `failed` ones changed nothing: their flush is none, either.
    """

    kind: str
    offset: int = 0
    length: int = 0
    data: bytes = b""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """The request of this number (from 1, reads among them) fails, and with `for_ever` all that follow."""

    number: int
    error: int = errno.EIO
    for_ever: bool = False

    def __str__(self) -> str:
        how = "this request and all that follow fail" if self.for_ever else "this request fails, once"
        return f"{how}, with {errno.errorcode[self.error]}"


class Asked(Protocol):
    """A request as it comes over NBD, or from whoever writes an image by himself."""

    landed: bool

    @property
    def kind(self) -> str:
        """One of read, write, zeroes, trim, flush."""

    @property
    def offset(self) -> int:
        """Where, in bytes."""

    @property
    def length(self) -> int:
        """How many bytes."""

    @property
    def data(self) -> bytes:
        """Of a write."""

    @property
    def forced(self) -> bool:
        """It has to be stable before it is answered."""

    def complete(self) -> None:
        """It is done, and answered."""

    def fail(self, error_number: int) -> None:
        """It has failed."""


@dataclass(slots=True)
class Recorder:
    """Answers each request at once, and keeps a record of it. `storage` is what the file has now."""

    storage: Growing
    trims: str = "zeroed"
    fault: Fault | None = None
    events: list[Event] = field(default_factory=list)
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    """Every request, reads too: kind, offset, length."""
    failures: int = 0
    first_failure: int = -1
    """How many events there were before the first request failed."""

    def handle(self, request: Asked) -> None:
        """For the server: a request has arrived."""
        self.asked.append((request.kind, request.offset, request.length))
        if self._fails():
            assert self.fault is not None
            if self.failures == 0:
                self.first_failure = len(self.events)
            self.failures += 1
            if request.kind != "read":
                self.events.append(Event(request.kind, request.offset, request.length, failed=True))
            request.fail(self.fault.error)
            return
        if request.kind == "trim" and self.trims == "kept":
            self.events.append(Event("trim", request.offset, request.length))
            request.landed = True
        elif request.kind in ("write", "zeroes", "trim"):
            data = request.data if request.kind == "write" else bytes(request.length)
            self.events.append(Event(request.kind, request.offset, request.length, data))
        if request.kind == "flush" or request.forced:
            self.events.append(Event("flush"))
        request.complete()

    def heal(self) -> None:
        """Nothing fails any more."""
        self.fault = None

    def _fails(self) -> bool:
        fault, number = self.fault, len(self.asked)
        return fault is not None and (number == fault.number or (fault.for_ever and number > fault.number))


def unreachable(request: Asked) -> None:
    """For the server: what a process asks for that is dead, as far as its storage is concerned."""
    request.fail(errno.EIO)
