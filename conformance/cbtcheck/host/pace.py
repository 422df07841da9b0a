"""Deadlines that strike a hang, and never a machine that is slow or busy.

A deadline of ten seconds means ten seconds of a machine that is idle and not too slow. Where many processes share a
few cores, one that is not at fault gets a part of them only, and time counts for it as much less. How much less is
measured, again and again while somebody waits: this process does a little work, and compares how long that took with
the processor time that it was given for it.
"""

from __future__ import annotations

import time
from typing import Protocol

SAMPLE = 0.01
"""Seconds of processor time that a measurement takes: several turns of a scheduler, on a busy machine."""

ROUNDS = 300
"""Rounds of `_work` in a sample on a machine that counts as slow from there on; common ones do 500 to 900."""

NOTHING = 1.5
"""A slowdown up to here is none: so deadlines are exact where nothing is in the way."""

MOST = 50.0
"""A deadline is never stretched further than this many times: then it is a hang for whoever waits, in any case."""

PARTS = 8
"""So often the machine is measured during a deadline, at least."""

TINY = 1e-9
"""Sums of floating-point numbers miss by less than this part."""


class Machine(Protocol):
    """A clock, and how much slower than it should be this machine is just now."""

    def now(self) -> float:
        """Seconds, from any beginning, that never go back."""

    def slowdown(self) -> float:
        """How many times longer than on an idle machine of common speed a process takes now; 1 at least."""


class ThisMachine:
    """The machine that this process runs on."""

    def now(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def slowdown(self) -> float:
        """Measured now, which takes `SAMPLE` seconds of processor time of this thread."""
        begun, given = time.monotonic(), time.thread_time()
        rounds, took = 0, 0.0
        while took < SAMPLE:
            _work()
            rounds += 1
            took = time.thread_time() - given
        waited = (time.monotonic() - begun) / took
        found = waited * max(1.0, ROUNDS / rounds * (took / SAMPLE))
        return 1.0 if found < NOTHING else found


def _work() -> int:
    return sum(range(1000))


class Patience:
    """How long something may take, in seconds of an idle machine.

    Wait for your event for at most `step()` seconds, and if it did not come, ask `expired()`:

        patience = Patience(10)
        while not await gate.wait(patience.step()):
            if patience.expired():
                raise …

    It never expires sooner than after so many real seconds, nor later than after `MOST` times as many, counted in
    steps. What this process did not see does not count: if it was stopped itself (or its whole machine) for an hour
    during a step, that is one step. It is over, too, when that `within` which it lies is.
    """

    def __init__(self, seconds: float, machine: Machine | None = None, within: Patience | None = None) -> None:
        self.seconds = seconds
        self._within = within
        self._machine = machine or ThisMachine()
        self._begun = self._since = self._machine.now()
        self._part = max(seconds, 0.0) / PARTS
        self._left = float(seconds)
        self._most = seconds * MOST
        self._unmeasured = 0.0
        self._slowdown = 1.0
        self._paused = False

    def step(self) -> float:
        """For how many seconds to wait before `expired` is asked again; 0 at least."""
        own = max(0.0, self._part - self._unmeasured)
        return own if self._within is None else min(own, self._within.step())

    def expired(self) -> bool:
        """Whether the time is over. May measure the machine, which takes a moment (see `SAMPLE`)."""
        own = self._expired()
        return own if self._within is None else self._within.expired() or own

    def _expired(self) -> bool:
        self._count()
        if self._unmeasured >= self._part * (1 - TINY):
            now = min(max(1.0, self._machine.slowdown()), MOST)
            # What was in the way at the beginning of this part, or is now, counts for all of it.
            self._left -= self._unmeasured / max(now, self._slowdown)
            self._most -= self._unmeasured
            self._unmeasured, self._slowdown = 0.0, now
            self._since = self._machine.now()
        return min(self._left, self._most) <= self.seconds * TINY

    def pause(self) -> None:
        """Time does not count from now on, until `go_on`."""
        if not self._paused:
            self._expired()
            self._paused = True

    def go_on(self) -> None:
        """Time counts again."""
        if self._paused:
            self._since = self._machine.now()
            self._paused = False

    @property
    def left(self) -> float:
        """The seconds of an idle machine that are left, as far as they are counted; 0 at least."""
        return max(0.0, self._left - self._unmeasured / self._slowdown)

    @property
    def stretched(self) -> str:
        """What to say, after the deadline, of one that was stretched much; else nothing."""
        took = self._machine.now() - self._begun
        return f", stretched to {took:.0f} s on this busy machine" if took > self.seconds * NOTHING + 1 else ""

    def _count(self) -> None:
        if self._paused:
            return
        now = self._machine.now()
        self._unmeasured += min(now - self._since, max(0.0, self._part - self._unmeasured))
        self._since = now
