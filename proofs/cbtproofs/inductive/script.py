"""The words in which a script speaks to a prover, and a prover of what it found. Nothing here knows what a set is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from cbtmodel.claims import Fact, Inclusion
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.table import Table

from cbtproofs.inductive.counterexample import Counterexample, Has, counterexample
from cbtproofs.inductive.opaque import LooksInside
from cbtproofs.inductive.paths import Impossible, Path

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


@dataclass(frozen=True)
class Assume:
    """This may be relied on from here on."""

    claim: Claim


@dataclass(frozen=True)
class Prove:
    """This must follow; `id` is that of the theorem."""

    id: str
    claim: Claim


NOTHING: State[Any] = State(None, Table())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Played:
    """What has been played, for whoever has to show it: the state before, and what came of the command."""

    before: State[Any] = NOTHING
    done: Step[Any] = field(default_factory=lambda: Step(NOTHING))


Item: TypeAlias = Assume | Prove | Played
Script: TypeAlias = Callable[[Prover], Iterator[Item]]


@dataclass(frozen=True)
class Obligation:
    """One thing that was to be proved on one path; `counterexample` is None if it holds."""

    id: str
    path: tuple[int, ...]
    where: str
    counterexample: Counterexample | None = None


class Findings:
    """What a prover finds on one path: a list of obligations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listed: list[Obligation] = []
        self.played = Played()

    def heard(self, items: Iterator[Item]) -> Iterator[Assume | Prove]:
        """What a script says, item by item, without what another run has proved that came the same way.

        If the specification raises something, it has looked inside a set or is broken: that ends the path.
        """
        try:
            for item in items:
                if isinstance(item, Played):
                    self.played = item
                elif isinstance(item, Assume) or not self.path.known:
                    yield item
        except (Impossible, GaveUp):
            raise
        except LooksInside as error:
            self._opaque(f"the specification looks inside a set: {error}", Counterexample())
        except Exception as error:
            where = f"the specification fails: {type(error).__name__}"
            self._opaque(where, Counterexample(note=str(error)))
        else:
            self._opaque("comes to its end", None)

    def _opaque(self, where: str, wrong: Counterexample | None) -> None:
        self.listed.append(Obligation(OPAQUE, self.path.taken, where, wrong))

    def add(self, item: Prove, holds: bool, has: Has | None = None) -> None:
        """Something holds or not. `has` shows a block of which it does not: it says whether that is in a set."""
        wrong = None if holds else counterexample(self.played.before, self.played.done.state, has)
        self.listed.append(Obligation(item.id, self.path.taken, item.claim.where, wrong))
