"""A process that plays items for another one, as it is seen from there.

It is no process of `multiprocessing`: a cluster's workers may not have any, a pool of them is broken as a whole when
one dies, and they live on when whoever has started them is killed. This one ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from cbtcheck.host.pace import Patience
from cbtcheck.run.messages import Answer, Greeting, Task

LOOK_UP = 0.2
"""Seconds after which it is looked whether a task is still wanted."""

PATIENCE = 10.0
"""Seconds that a worker has to end; then it is killed."""

HALT = bytes(8)
"""A message of no bytes: it is to end its scenario, and say what it has."""


class WorkerDied(RuntimeError):
    """The process that played a task has died: `how` is its exit status or signal, `code` as `Popen` has it."""

    def __init__(self, how: str, code: int = 0) -> None:
        super().__init__(how, code)
        self.how, self.code = how, code

    def __str__(self) -> str:
        return self.how


class NotWanted(RuntimeError):
    """A task is not wanted any more, or the worker that plays it has been closed."""


class Worker:
    """A process that plays one task after the other, on an adapter of its own."""

    def __init__(self, greeting: Greeting) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from cbtcheck.run.worker_process import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._writing = threading.Lock()
        self._closed = False
        self._tell(greeting)

    def ask(self, task: Task, wanted: Callable[[], bool] = lambda: True) -> Answer:
        """Has a task played. Raises `WorkerDied`, and `NotWanted` when the task is not `wanted` any more."""
        self._tell(task)
        head = self._read(8, wanted)
        answer: Answer = pickle.loads(self._read(int.from_bytes(head, "big"), wanted))
        return answer

    def halt(self) -> None:
        """It is to end the scenario that it plays, and to answer with what it has."""
        self._write(HALT)

    def finish(self) -> None:
        """It is to end its scenario, and then itself."""
        assert self._process.stdin is not None
        with self._writing, contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self, patience: float = PATIENCE) -> None:
        """Ends it, after so many seconds with force. Whoever waits for an answer in another thread is told."""
        self.finish()
        assert self._process.stdout is not None
        waiting = Patience(patience)
        while self._process.poll() is None and not waiting.expired():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(waiting.step())
        self._closed = True  # a selector in another thread does not notice that what it waits for is closed
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _tell(self, message: Any) -> None:
        data = pickle.dumps(message)
        self._write(len(data).to_bytes(8, "big") + data)

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with self._writing, contextlib.suppress(OSError, ValueError):  # how it has died, is said when it is asked
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self, size: int, wanted: Callable[[], bool]) -> bytes:
        assert self._process.stdout is not None
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while len(data) < size:
                if self._closed or not wanted():
                    raise NotWanted
                if selector.select(LOOK_UP):
                    chunk = self._some(size - len(data))
                    if not chunk:
                        raise NotWanted if self._closed else self._died()
                    data += chunk
        return bytes(data)

    def _some(self, most: int) -> bytes:
        """What has come; nothing if it has died, or was closed."""
        assert self._process.stdout is not None
        try:
            return os.read(self._process.stdout.fileno(), min(most, 1 << 20))
        except (OSError, ValueError):
            return b""

    def _died(self) -> WorkerDied:
        code = self._process.wait()
        return WorkerDied(f"killed by signal {-code}" if code < 0 else f"exit status {code}", code)
