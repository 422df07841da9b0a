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


def taken() -> None:
    """Who has caught a `KeyboardInterrupt` and goes on says so: it does not come again (`cbtcheck.cli.swallowed`)."""
    signal.setitimer(signal.ITIMER_REAL, 0)


class Interrupts:
    """Called, it says whether there was an interrupt. Usually that is looked at where nothing is torn."""

    def __init__(self) -> None:
        self.pressed = False
        self._long_work = False

    def __call__(self) -> bool:
        """Whether there was one."""
        return self.pressed

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Meanwhile an interrupt is a `KeyboardInterrupt`, for work that takes long and can be left anywhere."""
        self._long_work = True
        try:
            if self.pressed:
                raise KeyboardInterrupt
            yield
        finally:
            self._long_work = False

    def press(self) -> None:
        """There is one."""
        self.pressed = True
        if self._long_work:
            raise KeyboardInterrupt


@contextmanager
def interrupts(*signals: signal.Signals) -> Iterator[Interrupts]:
    """These signals are obeyed where nothing is torn; a second one at once. Gives: was there one?"""
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {each: signal.getsignal(each) for each in signals}

    def as_before() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def press(number: int, frame: object) -> None:
        as_before()
        found.press()

    for each in signals:
        signal.signal(each, press)
    try:
        yield found
    finally:
        as_before()
