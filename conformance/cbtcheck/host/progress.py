"""How far a run is, on stderr: a bar with a time to go in a terminal, and in a log a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

EVERY = 30.0
"""Seconds between two lines of a log, at least."""


class ProgressLine:
    """Called with the phase, how much is done, and of how much (0 if nobody knows).

    The time to go is that of the phase, from the pace of its last part; each phase has its own bar in the same place.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.phase = ""
        self.last = clock()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn()
            self.bar = Progress(*columns, console=self.console, transient=True, get_time=self.clock)
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """So much of this phase is done."""
        now = self.clock()
        if self.bar is not None:
            self._move(self.bar, phase, done, total, now)
        elif now - self.last >= EVERY:
            self.last = now
            self.console.print(Text(progress_text(phase, done, total)), soft_wrap=True)

    def _move(self, bar: Progress, phase: str, done: int, total: int, now: float) -> None:
        if self.task is None or phase != self.phase:
            if self.task is not None:
                bar.remove_task(self.task)
            self.phase, self.last = phase, now
            self.task = bar.add_task(progress_text(phase, done, total), total=total or None, completed=done)
        elif now - self.last >= 0.1 or done == total:
            self.last = now
            bar.update(self.task, description=progress_text(phase, done, total), total=total or None, completed=done)


def progress_text(phase: str, done: int, total: int) -> str:
    """Such as `drawn 1,200 of 2,000`."""
    return f"{phase} {done:,} of {total:,}" if total > 0 else f"{phase} {done:,}"
