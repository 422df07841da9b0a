"""Whether a program has an image open, as QEMU's locks on the file say.

QEMU takes a shared lock on one byte for each permission that it uses (block/file-posix.c: from byte 100 on; reading
is the first, writing the second). Asking takes no lock and opens nothing for writing. Locks do not reach over some
network file systems, and QEMU takes none with `locking=off`.
"""

from __future__ import annotations

import fcntl
import struct
from typing import Final

FIRST_PERMISSION: Final = 100
PERMISSIONS: Final = 64
WRITE: Final = 101
_LOCK: Final = struct.Struct("hhqqi0q")
"""type, whence, start, length, process."""


def held(descriptor: int) -> str:
    """"writing" or "reading" if a program has the file open so, "nobody" if none, "unknown" if it cannot be told."""
    ask = getattr(fcntl, "F_OFD_GETLK", None)
    if ask is None:
        return "unknown"
    try:
        if _locked(descriptor, ask, WRITE, 1):
            return "writing"
        return "reading" if _locked(descriptor, ask, FIRST_PERMISSION, PERMISSIONS) else "nobody"
    except OSError:
        return "unknown"


def _locked(descriptor: int, ask: int, start: int, length: int) -> bool:
    asked = _LOCK.pack(fcntl.F_WRLCK, 0, start, length, 0)
    answer = fcntl.fcntl(descriptor, ask, asked)
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)
