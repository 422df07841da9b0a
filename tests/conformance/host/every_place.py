"""Runs a command, and interrupts a copy of it at places of its code: `every_place.py SIGNAL PERCENT WORD…`.

Before the place is passed the process forks; the copy gets the signal, and goes on. How it has ended is printed as
lines of JSON: the place, the exit code, what it said on stderr. A place is a line of code that calls, is called or
returns. It is taken at its first time, if a digest of it says so: the same places on whatever machine.
Places where Ctrl-C ends the process at once, or is ignored, are all alike: fewer of them are taken.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import zlib
from types import FrameType
from typing import Any

from cbtcheck.cli.entry import main

FEWER = {"_leave_at_once": 0.1, "SIG_IGN": 0.3}


def interrupt_at_places(number: int, percent: float, report: int) -> None:
    """From now on. Lines go to `report`, a file descriptor."""
    seen = set()

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        called = getattr(arg, "__name__", "") if event.startswith("c_") else ""
        place = f"{os.path.basename(code.co_filename)}:{frame.f_lineno} {code.co_name} {event} {called}"
        if place in seen:
            return
        seen.add(place)
        handler = getattr(signal.getsignal(number), "__name__", "?")
        if zlib.crc32(place.encode()) % 10_000 >= percent * 100 * FEWER.get(handler, 1):
            return
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(said.fileno(), 2)
                sys.setprofile(None)
                signal.raise_signal(number)
                return
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            line = {"place": place, "handler": handler, "code": ended, "said": said.read().decode(errors="replace")}
        os.write(report, json.dumps(line).encode() + b"\n")

    sys.setprofile(profile)


def command() -> int:
    """The command; from its first line on it is interrupted."""
    code = main()
    sys.setprofile(None)
    return code


if __name__ == "__main__":
    which, percent = signal.Signals[sys.argv[1]], float(sys.argv[2])
    sys.argv[1:] = sys.argv[3:]
    # Until `main` has said what Ctrl-C does, it is Python's.
    signal.signal(which, lambda number, frame: os._exit(130))
    interrupt_at_places(which, percent, os.dup(1))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(command())
