"""Drawn scenarios as a stream: Hypothesis draws in a process of its own while the suite plays.

Drawing depends on the specification only, so it need not wait for the implementation, nor the other way round. The
same seed gives the same stream. The process ends with the suite, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario import Scenario

BATCH = 200
"""Scenarios that are drawn from one seed; the next batch has the next seed."""

HANDFUL = 4
"""Scenarios that are handed over at once."""


def deal(capabilities: Capabilities, seed: int, steps: int, home: str, connection: Connection) -> None:
    """Draws scenarios for ever, and sends them in handfuls; the process ends when nobody takes them any more.

    `home` is a directory for whatever Hypothesis wants to store.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = home
    from cbtcheck.machine import draw_scenarios

    hand: list[Scenario] = []
    seen: set[int] = set()

    def done(scenario: Scenario) -> None:
        key = hash((tuple(scenario.disks.items()), scenario.commands))
        if key in seen:
            return
        seen.add(key)
        hand.append(scenario)
        if len(hand) == HANDFUL:
            try:
                connection.send(hand)
            except OSError:
                os._exit(0)  # raised through Hypothesis, it would be a failure to explain
            hand.clear()

    while True:
        draw_scenarios(capabilities, done, seed=seed, examples=BATCH, steps=steps)
        seed += 1
        seen.clear()


@contextmanager
def dealer(capabilities: Capabilities, seed: int, steps: int) -> Iterator[Iterator[Scenario]]:
    """The stream of scenarios for these capabilities, each of up to `steps` commands."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    home = tempfile.TemporaryDirectory(prefix="cbtspec-draw-")
    arguments = (capabilities, seed, steps, home.name, theirs)
    process = context.Process(target=deal, args=arguments, daemon=True)
    process.start()
    theirs.close()

    def stream() -> Iterator[Scenario]:
        while True:
            try:
                yield from ours.recv()
            except EOFError:
                raise RuntimeError("the process that draws scenarios has died") from None

    try:
        yield stream()
    finally:
        ours.close()
        process.join(2)
        if process.is_alive():
            process.kill()
            process.join()
        home.cleanup()
