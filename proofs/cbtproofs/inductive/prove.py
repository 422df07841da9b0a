"""Both provers on everything that is to be proved: what holds, what does not, and whether they agree.

They must agree obligation by obligation: in which there are, and in the verdict of each. Whether the proofs say
anything is in `vacuity`.
"""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from cbtproofs.inductive import generic_block, universal_disk
from cbtproofs.inductive.generic_block import GenericBlock, Solver
from cbtproofs.inductive.listening import Heard, Watch, World, on_all_paths, together
from cbtproofs.inductive.paths import Path
from cbtproofs.inductive.script import OPAQUE, GaveUp, Obligation, Play, Played, Script
from cbtproofs.inductive.stage import Scene, scenes
from cbtproofs.inductive.universal_disk import UniversalDisk
from cbtproofs.inductive.vacuity import Seen

Prover = Callable[[Script], list[Obligation]]
PROVERS = ("universal disk", "generic block")


def provers(names: Iterable[str] = PROVERS, own: Solver | None = None) -> dict[str, Prover]:
    """The provers by name; each run gets a Z3 of its own."""
    solver = own or Solver()
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
    scenes: int = 0

    def add(self, scene: Scene, said: dict[str, Heard]) -> None:
        """What each prover has to say of a scene."""
        self.scenes += 1
        for name, heard in said.items():
            if heard.gave_up:
                self.unknown.append((scene, f"{name}: {heard.gave_up}"))
            self.failures += [Failure(scene, each, name) for each in heard.listed if each.counterexample is not None]
        first, *others = (heard.listed for heard in said.values())
        self.obligations.update(each.id for each in first)
        self.paths.update(property_id for property_id, _ in {(each.id, each.path) for each in first})
        if not first:
            self.vacuous.append(scene)
        self.disagreements += [(scene, each) for other in others for each in differences(first, other)]

    def without_scripts(self) -> None:
        """Forgets the scripts of scenes, which no other process can be sent."""
        self.failures = [replace(each, scene=each.scene.without_script()) for each in self.failures]
        self.disagreements = [(scene.without_script(), words) for scene, words in self.disagreements]
        self.unknown = [(scene.without_script(), words) for scene, words in self.unknown]
        self.vacuous = [scene.without_script() for scene in self.vacuous]

    def merge(self, other: Proved) -> None:
        """What has been proved elsewhere comes after what has been proved here."""
        self.obligations.update(other.obligations)
        self.paths.update(other.paths)
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            spent = self.spent.setdefault(name, defaultdict(float))
            for property_id, each in other.spent[name].items():
                spent[property_id] += each
            self.seen.setdefault(name, Seen()).things |= other.seen[name].things
        self.solver += other.solver
        self.failures += other.failures
        self.disagreements += other.disagreements
        self.vacuous += other.vacuous
        self.unknown += other.unknown
        self.scenes += other.scenes


def prove(
    names: Iterable[str] = PROVERS,
    listed: Iterable[Scene] | None = None,
    only: str | None = None,
    apart: bool = True,
) -> Iterator[Proved]:
    """Proves everything, or the listed scenes, or `only` one theorem.

    Gives what has been proved so far after some scenes, after each if they are proved `apart`: the same object. That
    the specification comes to an end is always proved.
    """
    proved, given, known = Proved(), scenes() if listed is None else listed, tuple(names)
    for few in ([each] for each in given) if apart else batches(given):
        proved.merge(prove_together(known, few, only))
        yield proved


def prove_together(names: Iterable[str], few: list[Scene], only: str | None = None) -> Proved:
    """Proves one scene, or several that begin alike."""
    proved, heard = Proved(), dict[str, list[Heard]]()
    for name in names:
        started, began = time.process_time(), time.perf_counter()
        watches = [_watch(each, only, name, proved) for each in few]
        world = UniversalDisk(Path()) if name == "universal disk" else GenericBlock(Path(), Solver())
        with no_garbage_collected():
            heard[name] = _heard(world, few, watches)
        proved.seconds[name] = time.process_time() - started
        busy = proved.seconds[name] / (time.perf_counter() - began)
        proved.spent[name] = defaultdict(float, {each: busy * spent for each, spent in proved.spent[name].items()})
        proved.solver += world.solver.seconds if isinstance(world, GenericBlock) else 0
    for number, scene in enumerate(few):
        proved.add(scene, {name: said[number] for name, said in heard.items()})
    return proved


@contextmanager
def no_garbage_collected() -> Iterator[None]:
    """Meanwhile Python does not look for cycles: that would be a third of the time, for next to none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def batches(listed: Iterable[Scene]) -> list[list[Scene]]:
    """The scenes, those together that begin alike."""
    alike: dict[Any, list[Scene]] = {}
    for number, scene in enumerate(listed):
        key = scene.script.opening if isinstance(scene.script, Play) else number
        alike.setdefault(key, []).append(scene)
    return list(alike.values())


def _heard(world: World, few: list[Scene], watches: list[Watch]) -> list[Heard]:
    try:
        if len(few) > 1:
            return together(world, [each.script for each in few if isinstance(each.script, Play)], watches)
        return [Heard(on_all_paths(world, few[0].script, watches[0]))]
    except GaveUp as problem:
        return [Heard(gave_up=str(problem)) for _ in few]


def _watch(scene: Scene, only: str | None, name: str, proved: Proved) -> Watch:
    seen = proved.seen.setdefault(name, Seen())
    noted: set[Any] = set()

    def note(played: Played) -> None:
        done = played.done
        what = tuple(each.outcome for each in done.ended) if done.refusal is None else done.refusal.kind
        if what not in noted:  # nothing else of it differs from path to path
            noted.add(what)
            seen.note(scene.command, played.before, done)

    return Watch(only, proved.spent.setdefault(name, defaultdict(float)), note)


def differences(one: list[Obligation], other: list[Obligation]) -> Iterator[str]:
    """Where two provers disagree: an obligation that only one has, or of which they say different things."""
    if one == other and all(each.counterexample is None for each in one):
        return
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
