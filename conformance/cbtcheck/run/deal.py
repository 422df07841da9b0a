"""Drawn scenarios as a stream: Hypothesis draws in a process of its own while the suite plays.

Drawing depends on the specification only, so it need not wait for the implementation, nor the other way round. They
are drawn in batches, and what is in a batch depends on the seed and the batch's number only: whoever deals it, and
whatever else is dealt. The process ends with the suite, however that ends.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from itertools import count
from multiprocessing.connection import Connection

from cbtcheck.adapter import AdapterUnusable, Capabilities
from cbtcheck.host import temporary
from cbtcheck.host.lacking import lacking, not_written
from cbtcheck.run.start import ProcessDied, begin, start
from cbtcheck.run.wanted import exercises
from cbtcheck.scenario.scenario import Scenario

BATCH = 25
"""Different scenarios in a batch."""

CROWDED = 5
"""Every so many batches have crowded scenarios, with more of everything."""

TRIES = 30
"""How many scenarios are drawn from one seed at most. Some come twice, and some may not be wanted."""

SEEDS = 20
"""How many seeds a batch has at most; one that is not full then stays so, since hardly anything is wanted."""

HANDFUL = 4
"""Scenarios that are handed over at once."""

LOOK_UP = 0.1
"""Seconds after which whoever waits for a scenario may do something else."""

NOTHING_YET = -1
"""The number that comes when none has been drawn for so long."""

Dealt = tuple[int, Scenario | None]
"""A scenario and its number among all that are drawn; without one, a batch is over that was not full."""


Draws = Callable[[int, int], Iterator[Dealt]]
"""Gives the drawn scenarios from the first of a batch, by its number, up to a number that is not one of them."""


class _Enough(BaseException):
    """Ends Hypothesis' run; for an `Exception` it would look for an explanation."""


def batch(capabilities: Capabilities, seed: int, number: int, steps: int, only: str | None = None) -> list[Scenario]:
    """The scenarios of a batch: different ones of up to `steps` commands, each of which exercises `only`.

    They are crowded in every fifth batch. In the others a seed draws what it drew before there were crowded ones.
    """
    from cbtcheck.search.machine import draw_scenarios

    found: dict[object, Scenario] = {}

    def done(scenario: Scenario) -> None:
        if exercises(scenario, only):
            found.setdefault((tuple(scenario.disks.items()), scenario.commands), scenario)
        if len(found) == BATCH:
            raise _Enough

    crowded = number % CROWDED == CROWDED - 1
    for attempt in range(SEEDS):
        digest = hashlib.sha256(f"{seed} {number} {attempt}".encode()).digest()
        try:
            draw_scenarios(
                capabilities, done, seed=int.from_bytes(digest[:8]), examples=TRIES, steps=steps, crowded=crowded
            )
        except _Enough:
            break
    return list(found.values())


def deal(
    capabilities: Capabilities, seed: int, steps: int, only: str | None, home: str, connection: Connection
) -> None:  # fmt: skip
    """Draws the batches in order, for ever, and sends them in handfuls; ends when nobody takes them any more.

    `home` is a directory for whatever Hypothesis wants to store.
    """
    begin(signal.SIG_DFL)
    temporary.join(home)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = home
    try:
        _deal(capabilities, seed, steps, only, connection)
    except Exception as problem:
        why = lacking(problem) or not_written(problem)
        if not why:
            raise
        connection.send(why)


def _deal(capabilities: Capabilities, seed: int, steps: int, only: str | None, connection: Connection) -> None:
    for number in count():
        first = number * BATCH
        dealt: list[Dealt] = [*enumerate(batch(capabilities, seed, number, steps, only), first)]
        if len(dealt) < BATCH:
            dealt.append((first + BATCH - 1, None))
        for begun in range(0, len(dealt), HANDFUL):
            try:
                connection.send(dealt[begun : begun + HANDFUL])
            except OSError:
                return


@contextmanager
def dealer(
    capabilities: Capabilities, seed: int, steps: int, only: str | None = None
) -> Iterator[Iterator[Dealt]]:
    """The stream of the scenarios for these capabilities, each of up to `steps` commands, in their order."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    home = temporary.make("draw-")
    arguments = (capabilities, seed, steps, only, home, theirs)
    process = context.Process(target=deal, args=arguments, daemon=True)
    start(process)
    theirs.close()

    def stream() -> Iterator[Dealt]:
        while True:
            try:
                while not ours.poll(LOOK_UP):
                    yield NOTHING_YET, None
                dealt = ours.recv()
            except (EOFError, ConnectionError):
                raise ProcessDied.of("the process that draws scenarios", process) from None
            if isinstance(dealt, str):
                raise AdapterUnusable(dealt)
            yield from dealt

    try:
        yield stream()
    finally:
        ours.close()
        process.join(2)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()  # its file descriptors are not to wait for the garbage collector
        temporary.remove(home)


def drawn_here(capabilities: Capabilities, seed: int, steps: int, only: str | None) -> Draws:
    """Draws in this process, when it is asked for; in any order."""

    @lru_cache(1)
    def drawn(number: int) -> list[Scenario]:
        return batch(capabilities, seed, number, steps, only)

    return lambda first, stop: ((n, each) for n, each in enumerate(drawn(first // BATCH), first) if n < stop)


class Ahead:
    """Draws in a process of its own, ahead of whoever plays: batch by batch, in order. It begins when asked."""

    def __init__(self, dealer: Callable[[], AbstractContextManager[Iterator[Dealt]]]) -> None:
        self._dealer, self._open = dealer, ExitStack()
        self._stream: Iterator[Dealt] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, first: int, stop: int) -> Iterator[Dealt]:
        """The next batch, whose first scenario has this number."""
        if self._stream is None:
            self._stream = self._open.enter_context(self._dealer())
        for number, scenario in self._stream:
            if number < stop:
                yield number, scenario
            if number >= min(first + BATCH, stop) - 1:
                return
