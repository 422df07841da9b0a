"""Waiting for what will happen: as long as it takes on this machine, and only a hang is an error.

The seconds are those of an idle machine (see `cbtcheck.host.pace`), and far more than anything here needs.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, AnyStr

from cbtcheck.host.pace import Patience

LONG = 120.0
MOMENT = 0.01
Finished = subprocess.CompletedProcess[Any]


def eventually(happens: Callable[[], object], what: str = "it", seconds: float = LONG) -> None:
    """Waits until something is true. Raises `AssertionError` if it never is."""
    patience = Patience(seconds)
    while not happens():
        assert not patience.expired(), f"{what} never happens"
        time.sleep(MOMENT)


def finished(process: subprocess.Popen[AnyStr], said: AnyStr | None = None, seconds: float = LONG) -> tuple[Any, Any]:
    """Sends a process its input, and waits for its end: what it wrote to both outputs. One that hangs is killed."""
    patience = Patience(seconds)
    while True:
        try:
            return process.communicate(said, timeout=patience.step() + MOMENT)
        except subprocess.TimeoutExpired:
            said = None  # `communicate` goes on where it was
            if patience.expired():
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"{process.args} hangs; it has said {out!r} and {err!r}") from None


def run(command: Sequence[Any], said: Any = None, seconds: float = LONG, **more: Any) -> Finished:
    """`subprocess.run` with output captured, for what ends by itself; one that hangs is killed, and an error."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    streams["stdin"] = subprocess.DEVNULL if said is None else subprocess.PIPE
    with subprocess.Popen(list(command), **streams) as process:
        out, err = finished(process, said, seconds)
        return subprocess.CompletedProcess(command, process.returncode, out, err)
