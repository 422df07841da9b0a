"""A progress line on stderr: one that moves in a terminal, and in a log a plain one at most every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

EVERY = 10.0


class ProgressLine:
    """Called with the phase, how much is done, and of how much (0 if nobody knows)."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.status: Status | None = None
        self.last = clock()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.status = self.console.status("starting")
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """So much of this phase is done."""
        now = self.clock()
        if self.status is not None:
            if now - self.last >= 0.1 or done == total:
                self.last = now
                self.status.update(Text(progress_text(phase, done, total)))
        elif now - self.last >= EVERY:
            self.last = now
            self.console.print(Text(progress_text(phase, done, total)), soft_wrap=True)


def progress_text(phase: str, done: int, total: int) -> str:
    """Such as `drawn 1,200 of 2,000`."""
    return f"{phase} {done:,} of {total:,}" if total > 0 else f"{phase} {done:,}"
