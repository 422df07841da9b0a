"""A process that plays one shard of a run, on an adapter of its own.

It ends when it is told to, and when nobody is there any more to tell it anything: then the process that it works for
is dead, however that came.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.adapters import Opening
from cbtcheck.follow.play import last_words
from cbtcheck.host import temporary
from cbtcheck.host.lacking import lacking, not_written
from cbtcheck.run.begun import Begun
from cbtcheck.run.course import Course, Options
from cbtcheck.run.messages import (
    CannotBegin,
    Confirmed,
    Defect,
    FromWorker,
    Introduction,
    Order,
    Played,
    Stopped,
    ToWorker,
)
from cbtcheck.run.part import PHASES, Part
from cbtcheck.run.report import LedgerResult
from cbtcheck.run.shard import Shard
from cbtcheck.run.start import ProcessDied, begin
from cbtcheck.search.tour.coverage import Edge

HANDFUL, EVERY = 16, 0.2
"""Parts are handed over when there are so many, or when so many seconds have passed."""

GRACE = 10.0
"""Seconds that a worker has for its last scenario, when the process that it works for is dead."""


ENDED_WITH_ANOTHER = 2
"""Exit status of a worker if who draws for it was killed: as if it had been killed itself."""


class Foreman:
    """The other end: the process that a worker works for."""

    def __init__(self, connection: Connection, confirms: bool = False) -> None:
        self._connection = connection
        self.once = self.confirm_once if confirms else self.wait_until_confirmed
        self._confirmed = threading.Event()
        self._results: list[LedgerResult] = []
        self._parts: list[Part] = []
        self._handed_over = time.monotonic()
        self._phase = ""
        self._told: set[Edge] = set()
        self._planning = False
        self.stop, self.enough, self.dead = threading.Event(), threading.Event(), threading.Event()

    def listen(self) -> None:
        """Takes orders until there is nobody who gives them."""
        while True:
            try:
                order: ToWorker = self._connection.recv()
            except (OSError, EOFError):
                break
            match order:
                case Confirmed(results):
                    self._results = results
                    self._confirmed.set()
                case Order.ENOUGH:
                    self.enough.set()
                case Order.STOP:
                    self.halt()
                    _thread.interrupt_main(signal.SIGTERM)  # which is `obey`, in the other thread
        self.dead.set()
        self.halt()
        time.sleep(GRACE)
        os._exit(1)  # it hangs somewhere

    def halt(self) -> None:
        """Whatever the worker does or waits for, it ends."""
        self.stop.set()
        self._confirmed.set()

    def obey(self) -> None:
        """The same, in the worker's own thread: at once if nothing can be torn."""
        self.halt()
        if self._planning:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Meanwhile `obey` raises `KeyboardInterrupt`."""
        self._planning = True
        try:
            if self.stop.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._planning = False

    def tell(self, message: FromWorker) -> None:
        """Sends what was not handed over yet, and this. If nobody is there any more, it is time to stop."""
        parts, self._parts = self._parts, []
        self._handed_over = time.monotonic()
        try:
            if parts:
                self._connection.send(Played(parts))
            self._connection.send(message)
        except OSError:
            self.halt()

    def take(self, part: Part) -> None:
        """A part, which is handed over with others. Edges are told once in each phase."""
        if part.phase != self._phase:
            self._phase = part.phase
            self._told = set()  # a phase that ends early does not count in full
        part.edges -= self._told
        self._told |= part.edges
        self._parts.append(part)
        if len(self._parts) >= HANDFUL or time.monotonic() - self._handed_over > EVERY:
            parts, self._parts = self._parts, []
            self.tell(Played(parts))

    def confirm_once(self, confirm: Callable[[], list[LedgerResult]]) -> list[LedgerResult]:
        """Confirms the ledger, and tells the others."""
        results = confirm()
        self.tell(Confirmed(results))
        return results

    def wait_until_confirmed(self, confirm: Callable[[], list[LedgerResult]]) -> list[LedgerResult]:
        """What came of the ledger, from whoever confirms it."""
        self._confirmed.wait()
        return self._results


def work(
    opening: Opening, options: Options, shard: Shard, home: str, connection: Connection, begun: Begun, confirms: bool
) -> None:  # fmt: skip
    """Plays a shard. `home` is the directory for what is temporary; it is removed if nobody else can do it.

    Every item is noted in `begun`. Whoever `confirms` the ledger does it for all, who are told what came of it.
    """
    foreman = Foreman(connection, confirms)
    begin(lambda number, frame: foreman.obey())
    lock = temporary.join(home)
    tempfile.tempdir = home
    threading.Thread(target=foreman.listen, daemon=True).start()
    try:
        adapter = opening.open()
    except (AdapterUnusable, AdapterBroken, LookupError) as problem:
        why = str(problem.args[0]) if problem.args else str(problem)
        broken = isinstance(problem, AdapterBroken)
        if isinstance(problem, AdapterBroken):
            why = last_words(problem)
        foreman.tell(CannotBegin(why, isinstance(problem, LookupError), broken))
        return
    try:
        interrupted = _play(adapter, options, shard, foreman, begun)
        exhausted = adapter.exhausted
    except ProcessDied as died:
        if died.defect:
            raise
        raise SystemExit(ENDED_WITH_ANOTHER) from None
    except Exception as problem:
        why = lacking(problem) or not_written(problem)
        foreman.tell(CannotBegin(why, unknown=False, broken=False) if why else Defect(traceback.format_exc()))
        return
    finally:
        with contextlib.suppress(AdapterBroken):
            adapter.close()
    foreman.tell(Stopped(interrupted, exhausted))
    if foreman.dead.is_set():
        temporary.leave(home, lock)


def _play(adapter: Adapter, options: Options, shard: Shard, foreman: Foreman, begun: Begun) -> bool:
    """Plays a shard on this adapter; whether it was interrupted."""
    is_set = foreman.stop.is_set

    def note(phase: str, number: int, of: int) -> None:
        begun.note((PHASES.index(phase), number))

    try:
        with foreman.at_once():
            course = Course(
                adapter, options, note, is_set, foreman.take, foreman.enough.is_set, shard, foreman.once
            )  # fmt: skip
            scope = course.scope if shard.index == 0 else None
    except KeyboardInterrupt:
        return True
    foreman.tell(Introduction(adapter.name, adapter.version, adapter.capabilities, scope))
    try:
        course.run()
    except KeyboardInterrupt:
        return True
    return False
