"""Files are written whole or not at all, and what a run finds never takes the place of what another run has found.

What is written goes into a temporary file beside its place, is brought to the disk, and gets its name last. So a full
disk, a kill or a power cut leaves the file of before, or none: never half of one, and never one of 0 bytes.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

IN_THE_MAKING = ".cbtspec-"
"""How the names of temporary files begin."""

CANNOT_LINK = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES)
"""What file systems say that have no hard links."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, in the place of one that is there.

    Raises `OSError`, which names the file as it was named here; then what was there is there as before.

    Symbolic links are followed. What is no regular file (a terminal, a pipe, /dev/stdout) is written to, and so is a
    file in a directory that takes no new ones.
    """
    try:
        _write_in_place(path, content)
    except OSError as problem:
        problem.filename, problem.filename2 = os.fspath(path), None  # not that of the file in the making
        raise


def _write_in_place(path: Path, content: bytes) -> None:
    place = Path(os.path.realpath(path))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = 0
    if mode and not stat.S_ISREG(mode):
        _write_into(path, content)
        return
    try:
        made = _made(place.parent, content, stat.S_IMODE(mode) if mode else _usual_mode())
    except OSError as problem:
        if mode and problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            _write_into(path, content)
            return
        raise
    try:
        os.replace(made, place)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    _to_disk(place.parent)


def write_new(directory: Path, stem: str, suffix: str, content: bytes, first: int = 1) -> Path:
    """Writes a file that was not there, STEM-N and suffix, with the first N that is free; makes the directory too.

    Whatever has a name already keeps it: a file of another run, also one that runs now, a directory, a broken link.
    A file that has just this content is not written again: the same failure, found again, does not pile up. Raises
    `OSError`; then nothing was left.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = _made(directory, content, _usual_mode())
    try:
        for number in count(first):
            path = directory / f"{stem}-{number}{suffix}"
            if _has(path, content) or _named(made, path):
                break
    finally:
        made.unlink(missing_ok=True)
    _to_disk(directory)
    return path


def _has(path: Path, content: bytes) -> bool:
    """Whether this is a file with just this content."""
    try:
        it = os.lstat(path)
        return stat.S_ISREG(it.st_mode) and it.st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _named(made: Path, path: Path) -> bool:
    """Gives a file this name, if nothing has it; whether it could."""
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    except OSError as problem:
        if problem.errno not in CANNOT_LINK:
            raise
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        os.replace(made, path)
    return True


def _made(directory: Path, content: bytes, mode: int) -> Path:
    """A temporary file with this content, on the disk."""
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=IN_THE_MAKING, suffix=".tmp")
    try:
        try:
            _write_all(descriptor, content)
            with suppress(OSError):
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return Path(name)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _write_into(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def _usual_mode() -> int:
    """The permissions that a new file has. The mask can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _to_disk(directory: Path) -> None:
    """The names in a directory, too, are brought to the disk, where file systems do that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
