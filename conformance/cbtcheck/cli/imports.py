"""What a command needs is imported when it is called: help, the version and usage errors need none of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from cbtcheck.scenario.verdict import EXIT_CODES

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def importing() -> Iterator[None]:
    """While modules are imported there is nothing to tidy up, and nothing to say: Ctrl-C and SIGTERM end at once."""
    before = {}
    with suppress(ValueError):  # not the main thread: somebody else's signals
        for number in ENDING:
            before[number] = signal.signal(number, _leave_at_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_CODES["interrupted"])
