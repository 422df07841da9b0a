"""Every way in which a piece of the specification can run: what is not decided yet is decided when it is looked at.

A flag, a phase or a mode of an arbitrary legal state is `Undecided` until the specification looks at it; then the run
splits. So all control states are covered, and only distinctions that matter are enumerated. A *path* is one such
run: the list of its decisions. The specification is run again for each path, from where its paths part from others:
what has been decided since is taken back (`Path.mark`, `Path.go_back`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from cbtproofs.inductive.opaque import Opaque

T = TypeVar("T")


class Impossible(Exception):
    """This path does not exist: what was assumed contradicts itself."""


class Undecidable(Exception):
    """Something had to be decided where nothing may be."""


@dataclass(frozen=True)
class Mark:
    """Where a path was: what had been decided."""

    taken: tuple[int, ...]
    untaken: tuple[tuple[int, ...], ...]
    given: tuple[int, ...]
    learned: int


class Path:
    """One run: the decisions that it was given, and those that it came upon."""

    def __init__(self, given: tuple[int, ...] = ()) -> None:
        self._given = given
        self._sealed = False
        self._learned: list[tuple[Undecided | Fog, Any]] = []
        self.taken: tuple[int, ...] = ()
        self.untaken: tuple[tuple[int, ...], ...] = ()

    def learn(self, about: Undecided | Fog, known: Any) -> None:
        """Something has become known of a value: `known`, in place of what was."""
        self._learned.append((about, about.known))
        about.known = known

    def mark(self) -> Mark:
        """Where the path is now."""
        return Mark(self.taken, self.untaken, self._given, len(self._learned))

    def go_back(self, to: Mark, given: tuple[int, ...] | None = None) -> None:
        """Takes back what was decided since. With `given` these decisions are to be taken from there on."""
        while len(self._learned) > to.learned:
            about, known = self._learned.pop()
            about.known = known
        self.taken, self._sealed = to.taken, False
        self.untaken, self._given = (to.untaken, to.given) if given is None else ((), given)

    @property
    def known_until(self) -> int:
        """How many decisions another run has taken alike: it has proved all that comes before the last of them."""
        return len(self._given)

    def decide(self, options: Sequence[int]) -> int:
        """One of the options; the others become paths of their own."""
        if self._sealed:
            raise Undecidable
        if len(self.taken) < len(self._given):
            choice = self._given[len(self.taken)]
        else:
            choice = options[0]
            self.untaken += tuple((*self.taken, other) for other in options[1:])
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


def every_path(run: Callable[[Path], T], path: Path | None = None) -> Iterator[T]:
    """Runs again and again, until every decision has been taken in every way. Impossible paths give nothing.

    The runs go on from where the `path` is, and leave it there. When a run is over nothing can be decided on its path
    any more.
    """
    path, whole = (Path(), True) if path is None else (path, False)
    start = path.mark()
    waiting: list[tuple[int, ...]] = [start.taken]
    while waiting:
        path.go_back(start, waiting.pop())
        with suppress(Impossible):
            found = run(path)
            path.close()
            yield found
        waiting += path.untaken
    path.go_back(start)
    if whole:
        path.close()


class Undecided:
    """A value of a finite kind that is not known yet: the path splits when it is compared, or its truth is asked."""

    __slots__ = ("_path", "known")

    def __init__(self, path: Path, options: tuple[Any, ...]) -> None:
        self._path, self.known = path, options

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Undecided):
            return other is self or other == self.value()
        if other not in self.known:
            return False
        if len(self.known) > 1:
            rest = tuple(each for each in self.known if each != other)
            self._path.learn(self, (other,) if self._path.decide((1, 0)) else rest)
        return bool(self.known == (other,))

    def __bool__(self) -> bool:
        return bool(self.value())

    __hash__ = None  # type: ignore[assignment]

    def value(self) -> Any:
        """The value, decided now."""
        while len(self.known) > 1:
            if self == self.known[0]:
                break
        return self.known[0]

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.known))


class Fog(Opaque):
    """A set of which nothing is known but whether it is empty, and that only once it was asked.

    The sets of bitmaps and jobs that are not what a proof is about; see `obligations`.
    """

    __slots__ = ("_path", "known")

    def __init__(self, path: Path, empty: bool | None = None) -> None:
        self._path, self.known = path, empty

    def __or__(self, other: Any) -> Fog:
        return Fog(self._path)

    __ror__ = __or__
    __rsub__ = __or__

    def __and__(self, other: Any) -> Fog:
        return Fog(self._path, self.known or None)

    __rand__ = __and__

    def __sub__(self, other: Any) -> Fog:
        return Fog(self._path, True if other is self else self.known or None)

    def __bool__(self) -> bool:
        if self.known is None:
            self._path.learn(self, bool(self._path.decide((0, 1))))
        return not self.known
