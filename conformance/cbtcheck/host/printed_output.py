"""What a program has printed: how much of it is kept, and which lines of it say why it has died."""

from __future__ import annotations

import re

WHY = re.compile(
    r"assert|\berror\b|sanitizer|panic|fatal|abort|traceback|exception|segmentation|terminate called|backtrace"
    r"|out of memory|signal \d|corrupt",
    re.IGNORECASE,
)
"""In a line that says why a program has died."""

LINES = 3
"""So many lines are shown."""


class Kept:
    """The beginning and the end of an output of any length, `limit` bytes of each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._first, self._last, self._left_out = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        """The next bytes."""
        room = self._limit - len(self._first)
        self._first += data[:room] if room > 0 else b""
        self._last += data[max(0, room) :]
        if len(self._last) > 2 * self._limit:
            self._left_out += len(self._last) - self._limit
            del self._last[: -self._limit]

    @property
    def text(self) -> str:
        """What is kept; where something is missing, it says so."""
        gap = f"\n[{self._left_out} bytes are left out]\n".encode() if self._left_out else b""
        return bytes(self._first + gap + self._last).decode(errors="replace")


def telling_lines(output: str) -> list[str]:
    """The lines that say why, the first of them first; else the first line, and the last ones. Each once."""
    lines = [*dict.fromkeys(each.strip() for each in output.splitlines() if each.strip())]
    for number, each in enumerate(lines):
        if WHY.search(each):
            return lines[number : number + LINES]
    return lines if len(lines) <= LINES else [lines[0], *lines[1 - LINES :]]
