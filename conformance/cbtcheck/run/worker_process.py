"""The process that plays items: it is greeted and given tasks on stdin, and answers each on its standard output.

stdin stays open as long as somebody wants it; at its end this process ends its scenario, and then itself. What
anything else prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import sys
import tempfile
import threading
import time
import traceback
from typing import Any, BinaryIO

from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.follow.play import last_words
from cbtcheck.host import temporary
from cbtcheck.host.lacking import lacking, not_written
from cbtcheck.run.course import Course
from cbtcheck.run.messages import Answer, CannotBegin, Defect, Greeting, Introduction, Played, Task
from cbtcheck.run.part import Part
from cbtcheck.run.start import begin
from cbtcheck.search.tour.coverage import Edge

GRACE = 10.0
"""Seconds for its last scenario, when the process that it works for is dead."""


class Orders:
    """What it is told, while it plays too: `stop` is set when it is to end its scenario."""

    def __init__(self, told: BinaryIO) -> None:
        self._told = told
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        greeting: Greeting | None = self._next()
        if greeting is None:
            raise SystemExit(1)
        self.greeting = greeting
        threading.Thread(target=self._listen, daemon=True).start()

    def next_task(self) -> Task | None:
        """The next task; None if there will be none."""
        return self._tasks.get()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                message = self._next()
                if message is None:
                    self.stop.set()
                else:
                    self._tasks.put(message)
        self.stop.set()
        self._tasks.put(None)
        time.sleep(GRACE)
        os._exit(1)  # it hangs somewhere

    def _next(self) -> Any:
        """The next message; None is the order to halt. Raises `EOFError` if nobody is there any more."""
        head = self._told.read(8)
        if len(head) < 8:
            raise EOFError
        size = int.from_bytes(head, "big")
        return pickle.loads(self._told.read(size)) if size else None


def main() -> None:
    """Plays what stdin says."""
    begin(signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    try:
        orders = Orders(sys.stdin.buffer)
    except EOFError:
        return
    with contextlib.ExitStack() as stack:
        home = orders.greeting.home or stack.enter_context(temporary.directory())
        lock = temporary.join(home)
        tempfile.tempdir = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = home
        _serve(orders, answers)
        temporary.leave(home, lock)


def _serve(orders: Orders, answers: BinaryIO) -> None:
    """Answers each task, until there are no more."""
    adapter: Adapter | None = None
    try:
        while (task := orders.next_task()) is not None:
            answer: Answer
            try:
                if adapter is None:
                    adapter = orders.greeting.opening.open()
                    player = ItemPlayer(adapter, orders)
                answer = player.play(task)
            except LookupError as problem:
                answer = _cannot_begin(problem) if adapter is None else Defect(traceback.format_exc())
            except (AdapterUnusable, AdapterBroken) as problem:
                answer = _cannot_begin(problem)
            except Exception as problem:
                why = lacking(problem) or not_written(problem)
                answer = CannotBegin(why, unknown=False) if why else Defect(traceback.format_exc())
            data = pickle.dumps(answer)
            with contextlib.suppress(BrokenPipeError):
                answers.write(len(data).to_bytes(8, "big") + data)
                answers.flush()
    finally:
        if adapter is not None:
            with contextlib.suppress(AdapterBroken):
                adapter.close()


def _cannot_begin(problem: Exception) -> CannotBegin:
    if isinstance(problem, AdapterBroken):
        return CannotBegin(last_words(problem), unknown=False, broken=True)
    said = str(problem.args[0]) if problem.args else str(problem)
    return CannotBegin(said, unknown=isinstance(problem, LookupError))


class ItemPlayer:
    """Plays the items of tasks on an adapter."""

    def __init__(self, adapter: Adapter, orders: Orders) -> None:
        self._parts: list[list[Part]] = []
        self._told: set[Edge] = set()
        self._introduction = Introduction(adapter.name, adapter.version, adapter.capabilities)
        self._course = Course(adapter, orders.greeting.options, lambda *_: None, orders.stop.is_set, self._take)

    def play(self, task: Task) -> Played:
        """Plays a task, whose items are of one phase."""
        self._parts, self._told = [], set()
        try:
            for item in task.items:
                self._parts.append([])
                self._course.play_item(item, task.known)
        except KeyboardInterrupt:
            return Played(self._introduction, self._parts, interrupted=True)
        return Played(self._introduction, self._parts, interrupted=False)

    def _take(self, part: Part) -> None:
        """An edge is told once in a task; in another one it is told again, since that may not count."""
        part.edges -= self._told
        self._told |= part.edges
        self._parts[-1].append(part)
