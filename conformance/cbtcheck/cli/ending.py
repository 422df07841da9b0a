"""How `cbtspec` ends: whatever happens, its exit code is one of those that are documented.

A Python traceback would exit with 1, which means *wasteful*: so what nobody has foreseen is caught here, shown, and
called what it is, with a code of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from cbtcheck.cli.signals import INTERNAL, INTERRUPTED, OUTPUT, USAGE, obey
from cbtcheck.host.lacking import lacking, not_written, why_of
from cbtcheck.host.printable import plain

DEFECT = (
    "cbtspec: this is a defect of cbtspec itself, and says nothing of what was checked. Please report it with all "
    "of the above."
)


def run() -> int:
    """Runs the command line; returns the exit code."""
    try:
        _open_streams()
        code, told = _ended()
        _turn_deaf()  # what is left takes no time, and an interrupt would spoil the exit code
    except KeyboardInterrupt:  # after the command has ended, or while its end is explained
        code, told = INTERRUPTED, False
        with suppress(KeyboardInterrupt):
            _turn_deaf()
        _turn_deaf()
    return _flushed(code, told)


def _ended() -> tuple[int, bool]:
    """Runs the command; gives its exit code, and whether it was said that output cannot be written."""
    try:
        return _run(), False
    except KeyboardInterrupt:
        return INTERRUPTED, False
    except SystemExit as end:
        return _code_of(end), False
    except BaseException as problem:
        code = _explained(problem)
        return code, code == OUTPUT


def _turn_deaf() -> None:
    """Ctrl-C and SIGTERM do nothing any more, and one that was lost does not come again."""
    obey(signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _run() -> int:
    if sys.argv[1:] == ["--version"]:
        from cbtcheck.host.version import VERSION

        print(f"cbtspec {VERSION}")
        return 0
    from cbtcheck.cli.command import main as command
    from cbtcheck.cli.swallowed import watch

    watch()
    command(prog_name="cbtspec")
    return 0


def _open_streams() -> None:
    """Standard streams that are closed: their numbers are taken, else the next file that is opened would be one.

    Whoever reads from the input, or writes to the output, is told so by the operating system (`EBADF`): a file that
    was opened the other way round is as good as closed. Nobody can be told that stderr is: that leads nowhere.
    """
    for number, name, mode, how in (
        (0, "stdin", "r", os.O_WRONLY), (1, "stdout", "w", os.O_RDONLY), (2, "stderr", "w", os.O_WRONLY),
    ):  # fmt: skip
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, how)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def _code_of(end: SystemExit) -> int:
    """A code that is no number would be 1, which means something else."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    _say(str(end.code))
    return INTERNAL


def _explained(problem: BaseException) -> int:
    """Says what has happened; returns the exit code."""
    if isinstance(problem, BrokenPipeError):
        return USAGE  # nobody reads, so there is nobody to tell
    what = lacking(problem)
    if what:
        _say(f"cbtspec: {plain(what)}")
        return USAGE
    what = not_written(problem)
    if what:
        _say(f"cbtspec: {plain(what)}")
        return OUTPUT
    try:
        import traceback

        shown = "".join(traceback.format_exception(problem))
    except Exception as other:  # not even that can be had: then modules were not found because of the same
        _say(f"cbtspec: {plain(lacking(other) or f'{problem!r}, and then {other!r}')}")
        return USAGE if lacking(other) else INTERNAL
    _say(shown + DEFECT)
    return INTERNAL


def _say(text: str) -> None:
    """On stderr, if there is anybody."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr)


def _flushed(code: int, told: bool) -> int:
    """Hands over what is still buffered. What cannot be written is no success, and no reason to fail at exit.

    `told`: it was said already.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or USAGE
            _lead_nowhere(stream.fileno())
        except (OSError, ValueError) as problem:
            if stream is sys.stdout and not told:
                _say(f"cbtspec: standard output cannot be written: {why_of(problem)}")
            code = code or OUTPUT
            _lead_nowhere(stream.fileno())
    return code


def _lead_nowhere(number: int) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, number)
    os.close(descriptor)
