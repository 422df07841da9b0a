"""Who plays tasks for a run in several processes."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from cbtcheck.adapters import Opening
from cbtcheck.run.messages import Answer, Greeting, Task
from cbtcheck.run.options import Options
from cbtcheck.run.worker import Worker


class Executor(Protocol):
    """Plays tasks, `size` at a time. A task whose process dies ends with `WorkerDied`."""

    @property
    def size(self) -> int:
        """How many it plays at a time now, at least 1."""

    def submit(self, task: Task) -> Future[Answer]:
        """Begins to play a task, or queues it."""

    def halt(self) -> None:
        """Whoever plays ends its scenario, and answers with what it has."""

    def close(self, patience: float) -> None:
        """Ends all processes, after so many seconds with force."""


def greeting(opening: Opening, options: Options, home: str = "") -> Greeting:
    """What a worker is told first. What failed before is in the items themselves."""
    return Greeting(opening, replace(options, before=None), home)


class Processes:
    """The executor of this machine: `size` processes, each of which is started when it is needed."""

    def __init__(self, size: int, greeting: Greeting) -> None:
        self.size, self._greeting = size, greeting
        self._threads = ThreadPoolExecutor(size)
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []

    def submit(self, task: Task) -> Future[Answer]:
        """Begins to play a task, or queues it until a process is free."""
        return self._threads.submit(self._play, task)

    def _play(self, task: Task) -> Answer:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = Worker(self._greeting)
                self._workers.append(worker)
        try:
            answer = worker.ask(task)
        except BaseException:
            with self._lock, suppress(ValueError):  # `close` may have been there before
                self._workers.remove(worker)
            worker.close(0)
            raise
        with self._lock:
            self._idle.append(worker)
        return answer

    def halt(self) -> None:
        """Whoever plays ends its scenario, and answers with what it has."""
        with self._lock:
            busy = [each for each in self._workers if each not in self._idle]
        for each in busy:
            each.halt()

    def close(self, patience: float) -> None:
        """Ends all processes, after so many seconds with force."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while True:
            with self._lock:
                if not self._workers:
                    break
                workers = [*self._workers]
            for each in workers:
                each.finish()
            for each in workers:
                each.close(patience)
                with self._lock, suppress(ValueError):
                    self._workers.remove(each)
        self._threads.shutdown()
