"""How the processes of a run are started: Ctrl-C and SIGTERM are for whom they work for, from their first moment on.

A terminal sends Ctrl-C to all processes, also to one that imports modules and has said nothing of signals yet: it
would end with a traceback. So both are blocked when it is started, which it inherits, until it has said.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object] | signal.Handlers


class ProcessDied(RuntimeError):
    """A process of the run has died, so that there is no result. The message is one line.

    `defect`: because of a mistake of the suite, which it has shown on stderr; else somebody has killed it.
    """

    def __init__(self, who: str, how: str, defect: bool = False) -> None:
        super().__init__(f"{who} has died ({how}): there is no result")
        self.defect = defect

    @classmethod
    def of(cls, who: str, process: BaseProcess) -> ProcessDied:
        """A process that was started with `start`."""
        process.join(1)
        code = process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return cls(who, how, defect=code == 1)


class DeadlyItem(RuntimeError):
    """An item of the run has ended the process that played it twice. The message is one line that names the item."""


class DefectInProcess(RuntimeError):
    """A process of the run has met a mistake of the suite; the message is its traceback."""


def start(process: BaseProcess) -> None:
    """Starts a process that calls `begin` first of all."""
    with held_back():
        process.start()


@contextmanager
def held_back() -> Iterator[None]:
    """Meanwhile processes may be started that call `begin` first of all."""
    resource_tracker.ensure_running()  # it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(at_sigterm: Handler) -> None:
    """In that process: Ctrl-C is for others, and this is what SIGTERM does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, at_sigterm)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
