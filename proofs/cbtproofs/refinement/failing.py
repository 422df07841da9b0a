"""Requests that fail while an image is opened, closed or reopened: every write and every flush, once or from then on.

The specification says what may be left (`fails` of an event); which of these it is depends on how an implementation
lays out its file. So it is asked of the implementation: the specification follows what is found in the file.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from cbtcheck.adapter import SeenEntry
from cbtcheck.adapters.qcow2_store import MemoryStorage
from cbtcheck.scenario.describe import describe
from cbtmodel.image import Close, Failure, Open, Reopen

from cbtproofs.explorer.image_scopes import Asked

Fallible: TypeAlias = Open | Close | Reopen


@dataclass(frozen=True, slots=True)
class Failing:
    """The `number`-th request of an event fails, from 1 on; with `for_ever` all that follow do, too.

    Where there are fewer requests the event happens, and nothing fails.
    """

    event: Fallible
    number: int
    for_ever: bool = False

    def __str__(self) -> str:
        which = f"request {self.number}{' and all that follow' if self.for_ever else ''}"
        return f"{describe(self.event)}; {which}: input/output error"


Given: TypeAlias = Asked | Failing


class FailingStorage(MemoryStorage):
    """Bytes in memory, of which a request can be made to fail; then nothing of it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.requests, self.first, self.last = 0, 0, 0

    def fails_at(self, failing: Failing) -> None:
        """Counts its requests from now on."""
        self.requests, self.first = 0, failing.number
        self.last = sys.maxsize if failing.for_ever else failing.number

    def works_again(self) -> None:
        """Nothing fails."""
        self.requests, self.first, self.last = 0, 0, 0

    def write(self, offset: int, data: bytes) -> None:
        """All of them, or none."""
        self._request()
        super().write(offset, data)

    def flush(self) -> None:
        """Nothing: it is there."""
        self._request()

    def _request(self) -> None:
        if self.last:
            self.requests += 1
            if self.first <= self.requests <= self.last:
                raise OSError(errno.EIO, os.strerror(errno.EIO))


def what_happened(
    event: Fallible, before: Mapping[str, SeenEntry], after: Mapping[str, SeenEntry], read_only: bool
) -> Fallible:
    """The event as it was, of which a request has failed: by what is in the file, and whether it is only read."""
    way: Failure = "before anything" if before == after else "in use" if after else "not current"
    match event:
        case Open():
            return replace(event, fails=way)
        case Close():
            return replace(event, fails=before == after)
        case Reopen():
            return event if read_only != event.writable else replace(event, fails=way)
        case _:
            assert_never(event)


def every_request(events: tuple[Fallible, ...], most: int) -> tuple[Failing, ...]:
    """Each of the first requests of each event, failing once and for ever."""
    return tuple(
        Failing(event, number, for_ever) for event in events for number in range(1, most + 1)
        for for_ever in (False, True)
    )  # fmt: skip
