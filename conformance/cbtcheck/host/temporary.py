"""Temporary directories that say whose they are, so that what a killed run has left is swept by a later one.

Each holds a file that everybody who uses the directory keeps locked (`flock`); the kernel lets go of the lock when
the process ends, however that comes. So a directory is certainly dead if its lock can be had. One without such a
file, or of another user, is left alone.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

PREFIX = "cbtspec-"
LOCK = "in-use"
LONGEST_SOCKET = 107
"""Bytes of the path of a UNIX socket, at most (Linux; on macOS 103)."""


class NoPlace(OSError):
    """The directory that TMPDIR names cannot be used. The message is one line."""

    def __str__(self) -> str:
        return str(self.args[0])


_held: dict[str, int] = {}
"""The open locks of the directories that this process has made."""


def make(purpose: str = "") -> str:
    """Makes a temporary directory of this process, to be given to `remove`; returns its absolute path.

    Raises `NoPlace` if TMPDIR names no directory that can be written to, and `OSError` if it cannot be made.
    """
    sweep(place())
    while True:
        path = os.path.abspath(tempfile.mkdtemp(prefix=PREFIX + purpose))
        try:
            lock = _locked(path, fcntl.LOCK_SH)
        except FileNotFoundError:
            continue
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        if os.path.exists(os.path.join(path, LOCK)):
            if not _held:
                atexit.register(_remove_all)
            _held[path] = lock
            return path
        os.close(lock)  # somebody has swept it before it was locked


def place() -> str:
    """Where it is made: never somewhere else than where TMPDIR says, as `tempfile` would do."""
    wanted = os.environ.get("TMPDIR", "")
    found = tempfile.gettempdir()
    fallen_back = found in ("/tmp", "/var/tmp", "/usr/tmp", os.getcwd())
    if wanted and fallen_back and os.path.realpath(found) != os.path.realpath(wanted):
        raise NoPlace(f"the directory for temporary files, TMPDIR={wanted}, is missing or cannot be written to")
    return found


def remove(path: str) -> None:
    """Removes a directory that `make` made, with all that is in it. May be called twice."""
    shutil.rmtree(path, ignore_errors=True)
    lock = _held.pop(path, -1)
    if lock >= 0:
        os.close(lock)


def _remove_all() -> None:
    """At the end of the process: what an interrupt has kept from being removed."""
    for path in [*_held]:
        remove(path)


@contextlib.contextmanager
def directory(purpose: str = "") -> Iterator[str]:
    """A directory as `make` makes it, while it lasts."""
    path = make(purpose)
    try:
        yield path
    finally:
        remove(path)


def join(path: str) -> int:
    """This process, too, uses a directory that another one has made, until it ends. Returns the open lock."""
    return _locked(path, fcntl.LOCK_SH)


def leave(path: str, lock: int) -> None:
    """It does so no more, and nobody is left who could remove the directory: removes it if nobody else uses it."""
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)


def sweep(place: str) -> list[str]:
    """Removes what dead processes of this user have left in a directory; returns the paths."""
    swept = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for each in entries:
            if each.name.startswith(PREFIX) and _removed_if_dead(each.path):
                swept.append(each.path)
    return swept


def _removed_if_dead(path: str) -> bool:
    """Removes this if it is a directory of ours whose lock nobody holds. Meanwhile we hold it: its maker waits."""
    try:
        it = os.lstat(path)
        if not stat.S_ISDIR(it.st_mode) or it.st_uid != os.geteuid():
            return False
        lock = os.open(os.path.join(path, LOCK), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _locked(path: str, how: int) -> int:
    """The lock of a directory, open; where there are no locks, without one."""
    lock = os.open(os.path.join(path, LOCK), os.O_CREAT | os.O_RDONLY, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, how)
    return lock


def too_long(directory: str, name: str) -> str:
    """Why a socket of this name cannot be in this directory, in one line; "" if it can."""
    over = len(os.fsencode(os.path.join(directory, name))) - LONGEST_SOCKET
    if over <= 0:
        return ""
    return (
        f"the directory for temporary files, {tempfile.gettempdir()}, has a path that is {over} bytes too long for a "
        "UNIX socket: set TMPDIR to a shorter one"
    )
