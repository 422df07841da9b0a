"""Ctrl-C is a `KeyboardInterrupt`, wherever the command is just then; one that is lost there comes again.

No exception leaves a destructor, a generator that is thrown away, or a comparison that a library in C asks for:
Python drops it, perhaps prints it under "Exception ignored in", and goes on as if nobody had pressed Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from cbtcheck.host.lacking import chain

SOON = 0.05
"""Seconds until it is looked whether the interrupt is still on its way out of the command."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """What Ctrl-C and SIGTERM do while a command works. Raises `KeyboardInterrupt`."""
    signal.setitimer(signal.ITIMER_REAL, SOON, SOON)
    raise KeyboardInterrupt


def watch() -> None:
    """From now on an interrupt that is lost comes again, until Ctrl-C means something else, and is not printed."""
    usual = sys.unraisablehook

    def hook(lost: sys.UnraisableHookArgs, /) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            usual(lost)

    sys.unraisablehook = hook
    signal.signal(signal.SIGALRM, _look)


def _look(number: int, frame: FrameType | None) -> None:
    """Whoever tidies up because of it is not disturbed; else whoever answers to Ctrl-C now is told."""
    handled = sys.exc_info()[1]
    if handled is None or not any(isinstance(each, KeyboardInterrupt) for each in chain(handled)):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.raise_signal(signal.SIGINT)
