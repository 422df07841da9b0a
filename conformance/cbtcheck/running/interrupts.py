"""How a run ends early: because somebody wants it to, or because its time is over."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def or_over(interrupted: Callable[[], bool], most_seconds: float | None) -> Callable[[], bool]:
    """Whether the run was interrupted, or has taken so many seconds from now on."""
    if most_seconds is None:
        return interrupted
    ends = time.monotonic() + most_seconds
    return lambda: interrupted() or time.monotonic() > ends


@contextmanager
def interrupts(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """These signals are obeyed where nothing is torn; a second one at once. Gives: was there one?"""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = False
    before = {each: signal.getsignal(each) for each in signals}

    def as_before() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        as_before()

    for each in signals:
        signal.signal(each, press)
    try:
        yield lambda: pressed
    finally:
        as_before()
