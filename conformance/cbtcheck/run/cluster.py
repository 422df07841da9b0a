"""Plays the tasks of a run on many machines, by dask.distributed.

The scheduler gives a task to a worker of the cluster; if that is lost, to another one. Every machine needs this
version of cbtspec, and what the implementation under test needs. A worker's threads play in a process each.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from cbtcheck.host.version import VERSION
from cbtcheck.run.messages import Answer, Greeting, Task
from cbtcheck.run.worker import Worker, WorkerDied

PATIENCE = "10s"
"""For a scheduler that does not answer."""


class NoCluster(RuntimeError):
    """There is no cluster to play on. The message is one line that says what to do."""


class Cluster:
    """The executor of a cluster: a task at a time for each thread of its workers."""

    def __init__(self, client: Any, greeting: Greeting, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        self._greeting = pickle.dumps(greeting)
        self._workers: dict[str, int] = {}
        self._under_way: set[Any] = set()
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise NoCluster("the cluster has no workers; start some: dask worker ADDRESS") from None
        self._look()

    def _look(self) -> None:
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        for lost in self._workers.keys() - known.keys():
            self._say(f"worker {lost} is lost; what it played is played again by another one")
        self._workers = {address: each["nthreads"] for address, each in known.items()}

    @property
    def size(self) -> int:
        """The threads of all workers; and says which workers were lost."""
        self._look()
        return max(1, sum(self._workers.values()))

    def submit(self, task: Task) -> Future[Answer]:
        """Gives a task to the scheduler."""
        ours: Future[Answer] = Future()
        theirs = self._client.submit(_play_there, self._greeting, task, VERSION, pure=False)
        self._under_way.add(theirs)  # or the scheduler would forget it
        theirs.add_done_callback(lambda done: self._pass_on(done, ours))
        return ours

    def _pass_on(self, done: Any, ours: Future[Answer]) -> None:
        self._under_way.discard(done)
        if not ours.set_running_or_notify_cancel():
            return
        try:
            ours.set_result(done.result())
        except BaseException as problem:
            if type(problem).__name__ == "KilledWorker":
                problem = WorkerDied("each worker that played it was lost")
            if type(problem).__name__ in ("FutureCancelledError", "CancelledError"):
                problem = NoCluster("the scheduler is lost; with --resume, what is done is kept")
            ours.set_exception(problem)

    def halt(self) -> None:
        """What is under way is not wanted any more: what came of it so far is lost."""
        self._client.cancel([*self._under_way])

    def close(self, patience: float) -> None:
        """Ends the processes that have played."""
        self._client.run(_end_all)


_idle: dict[bytes, list[Worker]] = {}
"""The processes on this machine that wait for a task, by what they were greeted with."""

_lock = threading.Lock()


def _play_there(greeting: bytes, task: Task, version: str) -> Answer:
    """On a worker of the cluster, in one of its threads."""
    from distributed import get_worker

    there: Any = get_worker()
    if version != VERSION:
        raise NoCluster(f"worker {there.address} has cbtspec {VERSION}, and not {version}")
    key = there.get_current_task()
    worker = _free(greeting)
    try:
        answer = worker.ask(task, lambda: key in there.state.tasks and there.state.tasks[key].state != "cancelled")
    except BaseException:
        worker.close(0)
        raise
    with _lock:
        _idle.setdefault(greeting, []).append(worker)
    return answer


def _free(greeting: bytes) -> Worker:
    """A process for this run. Those of other runs end."""
    with _lock:
        others = [each for other in _idle.keys() - {greeting} for each in _idle.pop(other)]
        free = _idle[greeting].pop() if _idle.get(greeting) else None
    for each in others:
        each.close()
    return free or Worker(pickle.loads(greeting))


def _end_all() -> None:
    with _lock:
        workers = [each for listed in _idle.values() for each in listed]
        _idle.clear()
    for each in workers:
        each.close()


@contextmanager
def cluster(address: str, greeting: Greeting, say: Callable[[str], None]) -> Iterator[Cluster]:
    """The cluster of the scheduler at this address. Raises `NoCluster`."""
    try:
        from distributed import Client
    except ImportError:
        raise NoCluster("--cluster needs dask.distributed; install it: pip install 'cbtspec[cluster]'") from None
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as problem:
        raise NoCluster(f"no scheduler answers at {address}: {str(problem).splitlines()[0]}") from None
    with client:
        yield Cluster(client, greeting, say)
