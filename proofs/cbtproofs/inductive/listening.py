"""How a prover listens to scripts: along all their paths, each from where it parts from the others.

A script is run again for each path. What several scripts begin with, an arbitrary state of a cast and what may be
relied on there, is run for all of them once.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cbtmodel.claims import Fact, Inclusion

from cbtproofs.inductive.counterexample import Counterexample, Has, counterexample
from cbtproofs.inductive.opaque import LooksInside
from cbtproofs.inductive.paths import Fog, Impossible, Path, every_path
from cbtproofs.inductive.script import (
    OPAQUE,
    Assume,
    Claim,
    GaveUp,
    Item,
    Obligation,
    Play,
    Played,
    Prove,
    ProveEach,
    Prover,
    Script,
)


class World(Prover):
    """A prover on a path: what it has learned so far, and what follows from that.

    What its attributes hold is never changed: what becomes known is put in its place. So all can be put back.
    """

    def saved(self) -> dict[str, Any]:
        """All that is known now."""
        return vars(self).copy()

    def restore(self, saved: dict[str, Any]) -> None:
        """Forgets what has become known since."""
        vars(self).update(saved)

    @abstractmethod
    def learn(self, claim: Claim) -> None:
        """From now on a claim is so. Raises `Impossible` if it cannot be."""

    @abstractmethod
    def doubt(self, claim: Claim) -> Has | None:
        """A block of which a claim is not so: says what it is in. None if it follows."""


@dataclass
class Watch:
    """What is to be noted besides. `only` the theorem of this ID is proved, if there is one.

    `spent` are seconds by theorem; for none of them under "". They tell shares: a clock of CPU time is a system call,
    and there are two for each theorem on each path. `note` is told of each command on a path that is
    possible to its end.
    """

    only: str | None = None
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    note: Callable[[Played], None] = lambda played: None


@dataclass
class Heard:
    """What came of one script: obligations, or why there is no verdict."""

    listed: list[Obligation] = field(default_factory=list)
    gave_up: str = ""


def on_all_paths(world: World, script: Script, watch: Watch | None = None) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths from here on, each with its verdict."""
    start, watched = world.saved(), watch or Watch()

    def run(path: Path) -> list[Obligation]:
        world.restore(start)
        return _on_one_path(world, script(world), watched)

    found = [each for listed in every_path(run, world.path) for each in listed]
    world.restore(start)
    return found


def _on_one_path(world: World, items: Iterator[Item], watch: Watch) -> list[Obligation]:
    """What is to be proved on one path, without what another run has proved that came the same way.

    If the specification raises something, it has looked inside a set or is broken: that ends the path.
    """
    path, listed, played, last = world.path, list[Obligation](), list[Played](), ""
    known, before = path.known_until, time.perf_counter()
    try:
        for item in items:
            theorem = item.id if isinstance(item, Prove | ProveEach) else ""
            if theorem != last:
                now = time.perf_counter()
                watch.spent[last] += now - before
                before, last = now, theorem
            if isinstance(item, Played):
                played.append(item)
            elif isinstance(item, Assume):
                if not foggy(item.claim):
                    world.learn(item.claim)
            else:
                asked = watch.only in (None, theorem)
                for claim in item.claims if isinstance(item, ProveEach) else (item.claim,):
                    if asked and len(path.taken) >= known and not foggy(claim):
                        has = world.doubt(claim)
                        wrong = None if has is None else _shown(claim, played, has)
                        listed.append(Obligation(theorem, path.taken, claim.where, wrong))
    except (Impossible, GaveUp):
        raise
    except Exception as error:
        listed.append(tripped(path, error))
    else:
        listed.append(Obligation(OPAQUE, path.taken, "comes to its end"))
    for each in played:
        watch.note(each)
    watch.spent[last] += time.perf_counter() - before
    return listed


def foggy(claim: Claim) -> bool:
    """Whether a claim is about sets of which nothing is known: then it says nothing."""
    return type(claim) is Inclusion and (type(claim.small) is Fog or type(claim.large) is Fog)


def _shown(claim: Claim, played: list[Played], has: Has) -> Counterexample:
    """What is to be seen of a claim that fails: of a fact there is no block."""
    last = played[-1] if played else Played()
    return counterexample(last.before, last.done.state, None if isinstance(claim, Fact) else has)


def tripped(path: Path, error: Exception) -> Obligation:
    """The specification has raised something."""
    if isinstance(error, LooksInside):
        return Obligation(OPAQUE, path.taken, f"the specification looks inside a set: {error}", Counterexample())
    where = f"the specification fails: {type(error).__name__}"
    return Obligation(OPAQUE, path.taken, where, Counterexample(note=str(error)))


def together(world: World, plays: Sequence[Play], watches: Sequence[Watch]) -> list[Heard]:
    """What comes of scripts that begin alike: the same as of each alone, but what they begin with is run once."""
    found, opening = [Heard() for _ in plays], plays[0].opening

    def listen(state: Any, numbers: Sequence[int]) -> None:
        for number in numbers:
            try:
                found[number].listed += on_all_paths(world, plays[number].after(state), watches[number])
            except GaveUp as problem:
                found[number].gave_up = str(problem)

    state, start = opening.state(world), world.saved()
    at_sight = [number for number, play in enumerate(plays) if play.at_sight(world.path, state)]
    world.restore(start)
    listen(state, at_sight)
    others = [number for number in range(len(plays)) if number not in at_sight]

    def run(path: Path) -> None:
        world.restore(start)
        before = time.perf_counter()
        try:
            for claim in opening.claims(opening.of, state):
                if not foggy(claim):
                    world.learn(claim)
        except Impossible:
            raise
        except Exception as error:
            for number in others:
                if isinstance(error, GaveUp):
                    found[number].gave_up = str(error)
                else:
                    found[number].listed.append(tripped(path, error))
            return
        watches[0].spent[""] += time.perf_counter() - before
        listen(state, others)

    for _ in every_path(run, world.path):
        pass
    return found
