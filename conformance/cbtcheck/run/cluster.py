"""Plays the pieces of a run on many machines, by dask.distributed.

The scheduler gives a piece to a worker; if that is lost, to another one. Every machine needs this version of cbtspec,
and what the implementation under test needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from cbtcheck.host.version import VERSION
from cbtcheck.run.piece import Piece, PieceDied, PiecePlayed, play

PATIENCE = "10s"
"""For a scheduler that does not answer."""


class NoCluster(RuntimeError):
    """There is no cluster to play on. The message is one line that says what to do."""


class Cluster:
    """The executor of a cluster: a piece at a time for each thread of its workers."""

    def __init__(self, client: Any, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        self._workers: dict[str, int] = {}
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise NoCluster("the cluster has no workers; start some: dask worker ADDRESS") from None
        self._look()

    def _look(self) -> None:
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        for lost in self._workers.keys() - known.keys():
            self._say(f"worker {lost} is lost; the piece that it played is played again by another one")
        self._workers = {address: each["nthreads"] for address, each in known.items()}

    @property
    def size(self) -> int:
        """The threads of all workers; and says which workers were lost."""
        self._look()
        return max(1, sum(self._workers.values()))

    def submit(self, piece: Piece, wanted: Callable[[], bool]) -> Future[PiecePlayed]:
        """Gives a piece to the scheduler. Pieces that are not wanted any more end with the client."""
        ours: Future[PiecePlayed] = Future()
        theirs = self._client.submit(_play_there, piece, VERSION, pure=False)
        theirs.add_done_callback(lambda done: _pass_on(done, ours))
        return ours


def _play_there(piece: Piece, version: str) -> PiecePlayed:
    """On a worker."""
    from distributed import get_worker

    if version != VERSION:
        raise NoCluster(f"worker {get_worker().address} has cbtspec {VERSION}, and not {version}")
    worker: Any = get_worker()
    key = worker.get_current_task()
    return play(piece, lambda: key in worker.state.tasks and _still_wanted(worker, key))


def _still_wanted(worker: Any, key: str) -> bool:
    """Whether nobody has cancelled it."""
    return bool(worker.state.tasks[key].state != "cancelled")


def _pass_on(done: Any, ours: Future[PiecePlayed]) -> None:
    try:
        ours.set_result(done.result())
    except BaseException as problem:
        if type(problem).__name__ == "KilledWorker":
            problem = PieceDied("each worker that played it was lost")
        if type(problem).__name__ == "FutureCancelledError":
            problem = NoCluster("the scheduler is lost; with --resume, what is done is kept")
        ours.set_exception(problem)


@contextmanager
def cluster(address: str, say: Callable[[str], None]) -> Iterator[Cluster]:
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
        yield Cluster(client, say)
