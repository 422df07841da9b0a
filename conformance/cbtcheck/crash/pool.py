"""Several processes do the tasks of a run, each with a daemon (or program) of its own."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractAsyncContextManager
from types import FrameType

from cbtcheck.adapters.qemu.daemon import DaemonDied, DaemonMissing, DaemonTooOld
from cbtcheck.crash.crew import AnyTask
from cbtcheck.crash.players import Who
from cbtcheck.crash.program import ProgramBroken, ProgramMissing
from cbtcheck.crash.tasks import Cast, Done, Task
from cbtcheck.host.child.guard import PR_SET_PDEATHSIG, prctl
from cbtcheck.run.start import begin, held_back

AHEAD = 2
"""So many tasks wait for a process, so that none has to wait for a task."""
PROBLEMS = (DaemonDied, DaemonMissing, DaemonTooOld, ProgramBroken, ProgramMissing, OSError)
"""What may keep a task from its end, and is no defect of the suite; `TimeoutError` is one of the last."""


class ProcessKilled(RuntimeError):
    """A process of the run was killed, so that there is no result. The message is one line."""


class Pool:
    """So many processes, which make directories for themselves in this one. Use it as a context manager."""

    def __init__(self, who: Who, directory: str, jobs: int) -> None:
        self._jobs = jobs
        self._pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), _begin, (who, directory, os.getpid())
        )

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends them all; at once, if something went wrong."""
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()  # nobody waits for what they do
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def each(self, tasks: Iterator[AnyTask]) -> AsyncGenerator[tuple[AnyTask, Done], None]:
        """As in `Crew`. Raises `ProcessKilled`."""
        waiting: deque[tuple[AnyTask, Future[Done]]] = deque()
        more = True
        try:
            while more or waiting:
                while more and len(waiting) < self._jobs + AHEAD:
                    task = next(tasks, None)
                    if task is None:
                        more = False
                        break
                    with held_back():
                        waiting.append((task, self._pool.submit(_done, task)))
                if waiting:
                    task, future = waiting.popleft()
                    yield task, await asyncio.wrap_future(future)
        except BrokenProcessPool:
            raise ProcessKilled("a process of this run was killed (out of memory?)") from None
        finally:
            for _, future in waiting:
                future.cancel()


# In a process of the pool


class _Worker:
    """Does tasks, and keeps the daemon (or program) between them."""

    def __init__(self, who: Who, directory: str) -> None:
        self._who, self._directory = who, os.path.join(directory, f"{os.getpid()}")
        self._runner = asyncio.Runner()
        self._life: AbstractAsyncContextManager[Cast] | None = None
        self._cast: Cast | None = None

    def done(self, task: Task) -> Done:
        """What comes of a task."""
        return self._runner.run(self._done(task))

    async def _done(self, task: Task) -> Done:
        done = Done()
        try:
            if self._cast is None:
                os.makedirs(self._directory, exist_ok=True)
                self._life = self._who.playing(self._directory)
                self._cast = await self._life.__aenter__()
            await self._cast.do(task, done)
        except PROBLEMS as problem:
            await self._end()
            done.problem = problem
        return done

    def close(self) -> None:
        """Ends what it has started."""
        self._runner.run(self._end())
        self._runner.close()

    async def _end(self) -> None:
        life, cast = self._life, self._cast
        self._life = self._cast = None
        if life is not None and cast is not None:
            await life.__aexit__(None, None, None)

    def killed(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: nobody waits for this process any more."""
        if self._cast is not None:
            self._cast.kill()
        os._exit(128 + number)


_worker: _Worker | None = None


def _begin(who: Who, directory: str, parent: int) -> None:
    """Ctrl-C is for the process that has started this one, and it does not outlive that."""
    global _worker
    _worker = _Worker(who, directory)
    begin(_worker.killed)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    atexit.register(_worker.close)


def _done(task: Task) -> Done:
    assert _worker is not None
    return _worker.done(task)
