"""What a machine lacks so that a run cannot go on: memory, files, processes, room on a disk."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

ADVICE = {
    errno.EMFILE: "raise the limit of open files (ulimit -n 1024)",
    errno.ENFILE: "the whole machine has too many files open",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or take fewer --jobs",
    errno.ENOMEM: "it needs more memory",
}
"""Errors of the operating system that say so, with what can be done."""


def too_few_files(needed: int) -> str:
    """What to say if this process may not have so many files open, in one line; "" if it may."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY or most >= needed:
        return ""
    return f"{most} files may be open, and {needed} may be needed: raise the limit of open files (ulimit -n {needed})"


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of whoever cannot write because of the place."""

NOT_WRITTEN = (*NO_ROOM, errno.EIO, errno.EBADF)


def lacking(problem: BaseException) -> str:
    """What is lacking, in one line, if this exception, or one that led to it, says so; else ""."""
    for each in chain(problem):
        if isinstance(each, MemoryError):
            return f"there is not enough memory: {ADVICE[errno.ENOMEM]}"
        if isinstance(each, RuntimeError) and "can't start new thread" in str(each):
            return f"no thread can be started: {ADVICE[errno.EAGAIN]}"
        if isinstance(each, OSError) and each.errno in ADVICE and not isinstance(each, ConnectionError):
            return f"{each.strerror}: {ADVICE[each.errno]}"
        if isinstance(each, ImportError) and "failed to map segment" in str(each):
            return f"there is not enough memory: {ADVICE[errno.ENOMEM]}"
        if isinstance(each, ImportError) and "Too many open files" in str(each):
            return f"Too many open files: {ADVICE[errno.EMFILE]}"
    return ""


def not_written(problem: BaseException) -> str:
    """What could not be written, and why, in one line, if that is what this exception, or one before it, says."""
    for each in chain(problem):
        if isinstance(each, OSError) and each.errno in NOT_WRITTEN:
            where = str(each.filename) if each.filename is not None else "what was to be written (standard output?)"
            return f"{where} cannot be written: {why_of(each)}"
    return ""


def why_of(problem: Exception) -> str:
    """Why something cannot be read or written, in the words of the operating system where they are plain."""
    if isinstance(problem, OSError):
        return "it is closed" if problem.errno == errno.EBADF else problem.strerror or str(problem)
    return str(problem)


def chain(problem: BaseException) -> Iterator[BaseException]:
    """An exception, and those that led to it."""
    seen: set[int] = set()
    left: list[BaseException | None] = [problem]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__context__, each.__cause__]
            if isinstance(each, BaseExceptionGroup):
                left += each.exceptions
