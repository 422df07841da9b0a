"""Both provers on everything that is to be proved: what holds, what does not, and whether they agree.

They must agree obligation by obligation: in which there are, and in the verdict of each.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cbtproofs.inductive import generic_block, universal_disk
from cbtproofs.inductive.script import Obligation, Script
from cbtproofs.inductive.stage import Scene, scenes

Prover = Callable[[Script], list[Obligation]]
PROVERS = ("universal disk", "generic block")


def provers(names: Iterable[str] = PROVERS) -> dict[str, Prover]:
    """The provers by name; each run gets a Z3 of its own."""
    solver = generic_block.Solver()
    known: dict[str, Prover] = {
        "universal disk": universal_disk.obligations,
        "generic block": lambda script: generic_block.obligations(script, solver),
    }
    return {name: known[name] for name in names}


@dataclass(frozen=True)
class Failure:
    """An obligation that does not hold, where it comes from, and who says so."""

    scene: Scene
    obligation: Obligation
    prover: str


@dataclass
class Proved:
    """What has been proved so far. `obligations` by theorem; `seconds` by prover."""

    obligations: Counter[str] = field(default_factory=Counter)
    paths: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    disagreements: list[tuple[Scene, str]] = field(default_factory=list)
    vacuous: list[Scene] = field(default_factory=list)


def prove(names: Iterable[str] = PROVERS, listed: Iterable[Scene] | None = None) -> Iterator[Proved]:
    """Proves everything, or the listed scenes. Gives what has been proved so far after each: the same object."""
    proved, known = Proved(), provers(names)
    for scene in scenes() if listed is None else listed:
        found: list[list[Obligation]] = []
        for name, prover in known.items():
            started = time.process_time()
            found.append(prover(scene.script))
            proved.seconds[name] = proved.seconds.get(name, 0.0) + time.process_time() - started
            proved.failures += [Failure(scene, each, name) for each in found[-1] if each.counterexample is not None]
        first = found[0]
        proved.obligations.update(each.id for each in first)
        proved.paths += len({each.path for each in first})
        if not first:
            proved.vacuous.append(scene)
        proved.disagreements += [(scene, each) for other in found[1:] for each in _differences(first, other)]
        yield proved


def _differences(one: list[Obligation], other: list[Obligation]) -> Iterator[str]:
    """Where two provers disagree: an obligation that only one has, or of which they say different things."""
    said, said_too = (
        {(each.id, each.path, each.where): each.counterexample is None for each in found} for found in (one, other)
    )
    for key in sorted(said.keys() | said_too.keys()):
        if said.get(key) != said_too.get(key):
            yield f"{key[0]}, {key[2]}: {said.get(key, 'nothing')} and {said_too.get(key, 'nothing')}"
    if len(one) != len(other):
        yield f"{len(one)} obligations and {len(other)}"
