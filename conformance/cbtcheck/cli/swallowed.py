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

LOOP_IS_CLOSED = "Event loop is closed"
"""What asyncio says, with a traceback, of a transport that an interrupt has torn: it is deleted after its loop."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """What Ctrl-C does while a command works. Raises `KeyboardInterrupt`."""
    signal.setitimer(signal.ITIMER_REAL, SOON, SOON)
    raise KeyboardInterrupt


def watch() -> None:
    """From now on an interrupt that is lost comes again, until Ctrl-C means something else, and is not printed.

    SIGTERM does what Ctrl-C does. `asyncio.run` has its own way with Ctrl-C, so that no task is torn, if it finds
    Python's handler: what it takes for that is ours. Who catches an interrupt and goes on calls `interrupts.taken`.
    """
    usual = sys.unraisablehook

    def hook(lost: sys.UnraisableHookArgs, /) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, SOON, SOON)
        elif str(lost.exc_value) != LOOP_IS_CLOSED:
            usual(lost)

    sys.unraisablehook = hook
    signal.signal(signal.SIGALRM, _look)
    signal.default_int_handler = interrupt  # type: ignore[assignment]
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def _look(number: int, frame: FrameType | None) -> None:
    """Whoever tidies up because of it is not disturbed; else whoever answers to Ctrl-C now is told."""
    handled = sys.exc_info()[1]
    if handled is None or not any(isinstance(each, KeyboardInterrupt) for each in chain(handled)):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.raise_signal(signal.SIGINT)

