"""Cuts a stream of bytes into QMP messages without losing or changing a byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cbtcheck.trace import quoted
from cbtcheck.trace.logged import Braces

LONGEST = 16 << 20
"""Bytes that are kept of a message that does not end; then they are passed on unread."""


@dataclass(frozen=True)
class Piece:
    """Bytes as they came, and the message in them: None if there is none, or it is no JSON object."""

    raw: bytes
    message: dict[str, Any] | None = None


class Splitter:
    """Takes bytes, and gives pieces: put together they are the same bytes."""

    def __init__(self) -> None:
        self._braces: Braces | None = None
        self._kept = bytearray()
        self._given_up = False

    def take(self, data: bytes) -> list[Piece]:
        """The pieces that are complete now."""
        found: list[Piece] = []
        while data:
            if self._braces is None:
                begin = data.find(b"{")
                if begin < 0:
                    found.append(Piece(data))
                    break
                if begin:
                    found.append(Piece(data[:begin]))
                data, self._braces = data[begin:], Braces()
            end = self._braces.close(data.decode("latin-1"))
            self._kept += data if end is None else data[:end]
            if end is None and len(self._kept) <= LONGEST:
                break
            raw, whole = bytes(self._kept), end is not None and not self._given_up
            self._kept.clear()
            found.append(Piece(raw, _parsed(raw) if whole else None))
            self._given_up = end is None
            if end is None:
                break
            data, self._braces = data[end:], None
        return found

    def rest(self) -> bytes:
        """What has come of a message that is not complete."""
        raw = bytes(self._kept)
        self._kept.clear()
        return raw


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        found = quoted.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
