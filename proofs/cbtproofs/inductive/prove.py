"""Both provers on everything that is to be proved: what holds, what does not, and whether they agree.

They must agree obligation by obligation: in which there are, and in the verdict of each. Whether the proofs say
anything is in `vacuity`.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cbtproofs.inductive import generic_block, universal_disk
from cbtproofs.inductive.script import OPAQUE, GaveUp, Item, Obligation, Played, Prove, Script
from cbtproofs.inductive.script import Prover as OnOnePath
from cbtproofs.inductive.stage import Scene, scenes
from cbtproofs.inductive.vacuity import Seen

Prover = Callable[[Script], list[Obligation]]
PROVERS = ("universal disk", "generic block")


def provers(names: Iterable[str] = PROVERS, own: generic_block.Solver | None = None) -> dict[str, Prover]:
    """The provers by name; each run gets a Z3 of its own."""
    solver = own or generic_block.Solver()
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
    """What has been proved so far.

    `obligations` and `paths` are by theorem. `seconds` are CPU seconds by prover; `spent` are those by prover and
    theorem, and what was spent for no theorem (states, assumptions and commands) is under "". `solver` are the CPU
    seconds that Z3 itself had: a part of those of the generic block.
    """

    obligations: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    spent: dict[str, dict[str, float]] = field(default_factory=dict)
    solver: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    disagreements: list[tuple[Scene, str]] = field(default_factory=list)
    vacuous: list[Scene] = field(default_factory=list)
    unknown: list[tuple[Scene, str]] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)


def prove(
    names: Iterable[str] = PROVERS, listed: Iterable[Scene] | None = None, only: str | None = None
) -> Iterator[Proved]:
    """Proves everything, or the listed scenes, or `only` one theorem.

    Gives what has been proved so far after each scene: the same object. That the specification comes to an end is
    always proved.
    """
    proved, solver = Proved(), generic_block.Solver()
    known = provers(names, solver)
    for scene in scenes() if listed is None else listed:
        found: list[list[Obligation]] = []
        for name, prover in known.items():
            seen, spent = proved.seen.setdefault(name, Seen()), proved.spent.setdefault(name, defaultdict(float))
            started = time.process_time()
            try:
                found.append(prover(_watched(scene, only, seen, spent)))
            except GaveUp as problem:
                proved.unknown.append((scene, f"{name}: {problem}"))
                found.append([])
            proved.seconds[name] = proved.seconds.get(name, 0.0) + time.process_time() - started
            proved.failures += [Failure(scene, each, name) for each in found[-1] if each.counterexample is not None]
        first = found[0]
        proved.obligations.update(each.id for each in first)
        proved.paths.update(property_id for property_id, _ in {(each.id, each.path) for each in first})
        if not first:
            proved.vacuous.append(scene)
        proved.disagreements += [(scene, each) for other in found[1:] for each in differences(first, other)]
        proved.solver = solver.seconds
        yield proved


def _watched(scene: Scene, only: str | None, seen: Seen, spent: dict[str, float]) -> Script:
    """The script of a scene; on a path that is possible to its end, what has happened is noted."""

    def script(prover: OnOnePath) -> Iterator[Item]:
        played = []
        before = time.process_time()
        for item in scene.script(prover):
            if isinstance(item, Played):
                played.append(item)
            theorem = item.id if isinstance(item, Prove) else ""
            if only in (None, theorem) or not theorem:
                yield item
            now = time.process_time()
            spent[theorem] += now - before
            before = now
        for each in played:
            seen.note(scene.command, each.before, each.done)

    return script


def differences(one: list[Obligation], other: list[Obligation]) -> Iterator[str]:
    """Where two provers disagree: an obligation that only one has, or of which they say different things."""
    said, said_too = (
        {(each.id, each.path, each.where): each.counterexample is None for each in found} for found in (one, other)
    )
    for key in sorted(said.keys() | said_too.keys()):
        if said.get(key) != said_too.get(key):
            yield f"{key[0]}, {key[2]}: {said.get(key, 'nothing')} and {said_too.get(key, 'nothing')}"
    if len(one) != len(other):
        yield f"{len(one)} obligations and {len(other)}"


def holds(proved: Proved) -> bool:
    """Whether everything was proved, by all provers alike, and nothing of it is about nothing."""
    wrong = proved.failures or proved.disagreements or proved.vacuous or proved.unknown
    return not wrong and proved.obligations[OPAQUE] > 0
