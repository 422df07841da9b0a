"""Every way in which a piece of the specification can run: what is not decided yet is decided when it is looked at.

A flag, a phase or a mode of an arbitrary legal state is `Undecided` until the specification looks at it; then the run
splits. So all control states are covered, and only distinctions that matter are enumerated. A *path* is one such
run: the list of its decisions. The specification is run again for each path, from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from cbtproofs.inductive.opaque import Opaque

T = TypeVar("T")


class Impossible(Exception):
    """This path does not exist: what was assumed contradicts itself."""


class Undecidable(Exception):
    """Something had to be decided where nothing may be."""


class Path:
    """One run: the decisions that it was given, and those that it came upon."""

    def __init__(self, given: tuple[int, ...] = ()) -> None:
        self._given = given
        self._sealed = False
        self.taken: tuple[int, ...] = ()
        self.untaken: list[tuple[int, ...]] = []

    @property
    def known(self) -> bool:
        """Whether another run has come this way: it had the same decisions, so it has proved the same by now."""
        return len(self.taken) < len(self._given)

    def decide(self, options: Sequence[int]) -> int:
        """One of the options; the others become paths of their own."""
        if self._sealed:
            raise Undecidable
        if len(self.taken) < len(self._given):
            choice = self._given[len(self.taken)]
        else:
            choice = options[0]
            self.untaken += [(*self.taken, other) for other in options[1:]]
        self.taken = (*self.taken, choice)
        return choice

    def close(self) -> None:
        """The run is over."""
        self._sealed = True

    @contextmanager
    def undecided(self) -> Iterator[None]:
        """Nothing is decided meanwhile: whoever would have to decide raises `Undecidable`."""
        self._sealed = True
        try:
            yield
        finally:
            self._sealed = False


def every_path(run: Callable[[Path], T]) -> Iterator[T]:
    """Runs again and again, until every decision has been taken in every way. Impossible paths give nothing.

    When a run is over nothing can be decided on its path any more.
    """
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        path = Path(waiting.pop())
        with suppress(Impossible):
            found = run(path)
            path.close()
            yield found
        waiting += path.untaken


class Undecided:
    """A value of a finite kind that is not known yet: the path splits when it is compared, or its truth is asked."""

    __slots__ = ("_options", "_path")

    def __init__(self, path: Path, options: tuple[Any, ...]) -> None:
        self._path, self._options = path, options

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Undecided):
            return other is self or other == self.value()
        if other not in self._options:
            return False
        if len(self._options) > 1:
            rest = tuple(each for each in self._options if each != other)
            self._options = (other,) if self._path.decide((1, 0)) else rest
        return self._options == (other,)

    def __bool__(self) -> bool:
        return bool(self.value())

    __hash__ = None  # type: ignore[assignment]

    def value(self) -> Any:
        """The value, decided now."""
        while len(self._options) > 1:
            if self == self._options[0]:
                break
        return self._options[0]

    def __repr__(self) -> str:
        return " or ".join(map(repr, self._options))


class Fog(Opaque):
    """A set of which nothing is known but whether it is empty, and that only once it was asked.

    The sets of bitmaps and jobs that are not what a proof is about; see `obligations`.
    """

    __slots__ = ("_empty", "_path")

    def __init__(self, path: Path, empty: bool | None = None) -> None:
        self._path, self._empty = path, empty

    def __or__(self, other: Any) -> Fog:
        return Fog(self._path)

    __ror__ = __or__
    __rsub__ = __or__

    def __and__(self, other: Any) -> Fog:
        return Fog(self._path, self._empty or None)

    __rand__ = __and__

    def __sub__(self, other: Any) -> Fog:
        return Fog(self._path, True if other is self else self._empty or None)

    def __bool__(self) -> bool:
        if self._empty is None:
            self._empty = bool(self._path.decide((0, 1)))
        return not self._empty
