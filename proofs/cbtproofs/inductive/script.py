"""The words in which a script speaks to a prover, and a prover of what it found. Nothing here knows what a set is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from cbtmodel.claims import Fact, Inclusion
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.table import Table

from cbtproofs.inductive.counterexample import Counterexample
from cbtproofs.inductive.paths import Path

OPAQUE = "OPAQUE"
"""The theorem that the specification comes to an end without looking inside a set: one obligation on each path."""

Claim: TypeAlias = Inclusion[Any] | Fact


class Prover(Protocol):
    """What a script needs: the decisions of the path it is on, and sets."""

    path: Path
    space: Any

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A set of which nothing is known yet."""


class GaveUp(Exception):
    """A prover cannot say whether an obligation holds."""


class Assume(NamedTuple):
    """This may be relied on from here on."""

    claim: Claim


class Prove(NamedTuple):
    """This must follow; `id` is that of the theorem."""

    id: str
    claim: Claim


class ProveEach(NamedTuple):
    """All of these must follow, one after the other."""

    id: str
    claims: Iterable[Claim]


NOTHING: State[Any] = State(None, Table())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Played:
    """What has been played, for whoever has to show it: the state before, and what came of the command."""

    before: State[Any] = NOTHING
    done: Step[Any] = field(default_factory=lambda: Step(NOTHING))


Item: TypeAlias = Assume | Prove | ProveEach | Played
Script: TypeAlias = Callable[[Prover], Iterator[Item]]


@dataclass(frozen=True)
class Opening:
    """What scripts begin with: an arbitrary state of a cast or the like (`of`), and what may be relied on there."""

    of: Any
    made: Callable[[Any, Prover], Any]
    claims: Callable[[Any, Any], Iterator[Claim]]

    def state(self, prover: Prover) -> Any:
        """An arbitrary one."""
        return self.made(self.of, prover)

    def assumed(self, state: Any) -> Iterator[Assume]:
        """What may be relied on."""
        return map(Assume, self.claims(self.of, state))


def never(path: Path, state: Any) -> bool:
    """Nothing is seen without what may be relied on."""
    return False


@dataclass(frozen=True)
class Play:
    """A script that begins with an opening. If what follows is known `at_sight`, nothing need be relied on for it."""

    opening: Opening
    rest: Callable[[Prover, Any], Iterator[Item]]
    at_sight: Callable[[Path, Any], bool] = never

    def __call__(self, prover: Prover) -> Iterator[Item]:
        """The whole script."""
        state = self.opening.state(prover)
        if not self.at_sight(prover.path, state):
            yield from self.opening.assumed(state)
        yield from self.rest(prover, state)

    def after(self, state: Any) -> Script:
        """What follows the opening."""
        return lambda prover: self.rest(prover, state)


class Obligation(NamedTuple):
    """One thing that was to be proved on one path; `counterexample` is None if it holds."""

    id: str
    path: tuple[int, ...]
    where: str
    counterexample: Counterexample | None = None
