"""QEMU's standard output as a terminal: then it prints by lines, and not when its buffer is full.

What `qemu-io` in its monitor has to say goes there, and not to whoever asked.
"""

from __future__ import annotations

import os
import pty
from contextlib import suppress

MOST = 1 << 16
"""Bytes of the end that are kept."""


class Terminal:
    """A terminal for a child: `inside` is the child's end, to be closed when it has been started."""

    def __init__(self) -> None:
        self._outside, self.inside = pty.openpty()
        os.set_blocking(self._outside, False)
        self._kept = b""

    def started(self) -> None:
        """The child has its end."""
        os.close(self.inside)

    def news(self) -> str:
        """What was printed since last asked."""
        found = b""
        with suppress(OSError):  # nothing there, or the child is gone
            while data := os.read(self._outside, 1 << 16):
                found += data
        self._kept = (self._kept + found)[-MOST:]
        return found.decode(errors="replace")

    @property
    def text(self) -> str:
        """The end of all that was printed."""
        self.news()
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        """The child is gone."""
        self.news()
        os.close(self._outside)
