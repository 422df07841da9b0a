"""Those who do the tasks of a run: one after the other here, or several at a time in processes (`pool`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Protocol, TypeVar

from cbtcheck.crash.tasks import Cast, Done, Task

AnyTask = TypeVar("AnyTask", bound=Task)


class Crew(Protocol):
    """Does tasks."""

    def each(self, tasks: Iterator[AnyTask]) -> AsyncGenerator[tuple[AnyTask, Done], None]:
        """What comes of each, in their order. A task may be asked for before it is known what came of the last ones.

        What keeps a task from its end is in what came of it. Close it, if it is left early.
        """


class Alone:
    """Does them in this process."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    async def each(self, tasks: Iterator[AnyTask]) -> AsyncGenerator[tuple[AnyTask, Done], None]:
        """As in `Crew`; each task is done before the next one is asked for."""
        for task in tasks:
            done = Done()
            try:
                await self._cast.do(task, done)
            except BaseException as problem:  # an interrupt, too: what was found until then counts
                done.problem = problem
            yield task, done
