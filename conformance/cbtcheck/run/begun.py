"""Which item a worker has begun: written down in a file, since whoever is killed cannot tell it any more."""

from __future__ import annotations

import os
import struct
from contextlib import suppress

PLACE = struct.Struct("=qq")


class Begun:
    """The place of the last item that was begun by a worker, in the file of that worker in the run's directory."""

    def __init__(self, home: str, hired: int) -> None:
        self.path = os.path.join(home, f"begun-{hired}")
        self._file = -1

    def note(self, place: tuple[int, int]) -> None:
        """Before an item is played. Raises `OSError` if it cannot be written."""
        if self._file < 0:
            self._file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.pwrite(self._file, PLACE.pack(*place), 0)

    def last(self) -> tuple[int, int] | None:
        """What was noted last, by whichever process; None before the first item."""
        with suppress(OSError, struct.error), open(self.path, "rb") as file:
            phase, number = PLACE.unpack(file.read())
            return phase, number
        return None
