"""Refinement: the implementation and the specification walk the same graph, edge by edge, and agree on every edge.

The walk is breadth first over pairs of states, from the pair of initial states; from each pair every command of an
alphabet. On each edge must agree: the reply (accepted, or the kind of the refusal), the jobs that ended with their
outcomes, and the states after it: the abstraction of the implementation's is the specification's without its ghosts.
Where real data are evidence of a ghost, they must not contradict it. Since both are deterministic, a walk without a
disagreement shows by induction that no history over this alphabet, however long, makes a difference.

Two pairs are one if the implementation's states have the same identity (`Subject.identity`: not merely the same
abstraction) and the specification's the same ghosts `intact` and `good`. `scope` is determined by these, and no step
looks at what is owed or causes, which are the proofs' affair.

Where the implementation decides what happens (see `driving`), the specification follows the trace.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from cbtcheck.adapters.driving import Driven
from cbtimpl import Host
from cbtmodel.backup import Ended
from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.properties import Inclusion
from cbtmodel.step import step

from cbtproofs.explorer.few_blocks import Blocks, FewBlocks
from cbtproofs.refinement.abstraction import abstraction, evidence, misfits, without_ghosts
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.worlds import World, worlds

Model = State[Blocks]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Disagreement:
    """The first edge on which the two part: the commands that lead there, the last one over it, and what differs."""

    world: World
    path: tuple[Command, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Walked:
    """What a walk has seen.

    `pairs` of states, `concrete` states of the implementation, `abstract` ones of the specification without ghosts;
    `edges`, each a command in a pair; `otherwise`: those on which the implementation had something else happen.
    """

    world: World
    pairs: int
    concrete: int
    abstract: frozenset[Model]
    edges: int
    otherwise: int
    disagreement: Disagreement | None


@dataclass(frozen=True, slots=True)
class Edge:
    """What came of a command: both states, the identity of the concrete one, and what differs, normally nothing."""

    command: Command
    subject: Subject
    identity: bytes
    model: Model
    differences: list[str]


class Walk:
    """A walk through a world. `host` makes the implementation, or a variant of it."""

    def __init__(self, world: World, host: Callable[[], Host] = Host) -> None:
        self.world = world
        self.host = host
        self.space = FewBlocks()
        self.known: set[bytes] = set()
        self.stands_for: dict[bytes, Model] = {}
        self.abstract: dict[Model, Model] = {}
        self.came_from: list[tuple[int, Command] | None] = []
        self.edges = self.otherwise = 0
        self.disagreement: Disagreement | None = None

    def run(self, progress: Progress | None = None) -> Walked:
        """Walks until nothing new is found, or to the first disagreement. `progress` is told pairs and edges."""
        for _ in self.levels(progress):
            pass
        return self.walked()

    def levels(self, progress: Progress | None = None) -> Iterator[int]:
        """The same, one level of the graph after the other; yields how far all of it has been walked, in commands."""
        subject, model = self.first(), self.world.initial(self.space)
        identity = subject.identity()
        if self.part((), self.compared(subject, identity, model)):
            return
        frontier: list[tuple[int, Subject, bytes, Model]] = [(0, subject, identity, model)]
        self.discover(identity, model, None)
        depth = 0
        while frontier:
            discovered = []
            for number, subject, identity, model in frontier:
                for edge in self.edges_from(subject, identity, model):
                    if self.part((*self.path(number), edge.command), edge.differences):
                        return
                    if self.discover(edge.identity, edge.model, (number, edge.command)):
                        discovered.append((len(self.known) - 1, edge.subject, edge.identity, edge.model))
                if progress is not None:
                    progress(len(self.known), self.edges)
            frontier = discovered
            depth += 1
            yield depth

    def first(self) -> Subject:
        """The implementation, with nothing done to it."""
        return Subject(self.host, self.world.sizes)

    def part(self, path: tuple[Command, ...], differences: Sequence[str]) -> bool:
        """Whether the two part here."""
        if differences:
            self.disagreement = Disagreement(self.world, path, tuple(differences))
        return bool(differences)

    def walked(self) -> Walked:
        """What has been seen so far."""
        numbers = len(self.known), len(self.stands_for), frozenset(self.abstract), self.edges, self.otherwise
        return Walked(self.world, *numbers, self.disagreement)

    def discover(self, identity: bytes, model: Model, came_from: tuple[int, Command] | None) -> bool:
        """Whether the pair is new; then it is numbered and known."""
        pair = pair_of(identity, model)
        if pair in self.known:
            return False
        self.known.add(pair)
        self.came_from.append(came_from)
        return True

    def path(self, number: int) -> tuple[Command, ...]:
        """The commands that lead to a pair, as few as possible."""
        commands = []
        step_there = self.came_from[number]
        while step_there is not None:
            number, command = step_there
            commands.append(command)
            step_there = self.came_from[number]
        return tuple(reversed(commands))

    def edges_from(self, subject: Subject, identity: bytes, model: Model) -> Iterator[Edge]:
        """Every command of the alphabet. A copy that a command has not changed serves for the next one, too."""
        copy: Subject | None = None
        for command in self.world.commands:
            copy = copy or subject.copy()
            edge = self.edge(copy, identity, model, command)
            yield edge
            if edge.identity != identity or edge.model is not model:
                copy = None

    def edge(self, subject: Subject, identity: bytes, model: Model, command: Command) -> Edge:
        """One command, on both."""
        self.edges += 1
        try:
            driven, right = subject.perform(command)
            identity_after = subject.identity()
        except Exception as crash:
            return Edge(command, subject, b"", model, [f"it crashes: {type(crash).__name__}: {crash}"])
        self.otherwise += [each.command for each in driven.trace] != [command]
        after, ended, differences = follow(model, driven)
        for end in ended:
            delivered = Inclusion(
                f"{end.job_id}: good, so on its target", end.job.good, right.get(end.job_id, frozenset())
            )
            differences += failing([delivered])
        if after is not model or identity_after != identity:
            differences += self.compared(subject, identity_after, after)
        return Edge(command, subject, identity_after, after, differences)

    def compared(self, subject: Subject, identity: bytes, model: Model) -> list[str]:
        """What differs between two states."""
        stands_for = self.stands_for.get(identity)
        if stands_for is None:
            problems = [*misfits(subject.host)]
            if problems:
                return problems
            made = abstraction(subject.host, self.space)
            stands_for = self.stands_for[identity] = self.abstract.setdefault(made, made)
        bare = without_ghosts(model)
        if bare != stands_for:
            return [*differing(bare, stands_for)]
        if pair_of(identity, model) in self.known:
            return []
        return [
            each
            for job_id, job in model.jobs.items()
            for each in failing(evidence(job_id, job, subject.host.jobs[job_id], subject.data(job_id), self.space))
        ]


def refinement_kills(host: Callable[[], Host], where: Iterable[World] | None = None) -> Disagreement | None:
    """A short disagreement of a variant of the implementation in these worlds, by default the quick ones; or None.

    It is the shortest in its world. All worlds are walked at once, level by level, those next of which least has been
    walked: so it is found soon, whichever world it is in.
    """
    return first_disagreement([Walk(world, host) for world in (worlds("quick") if where is None else where)])


def first_disagreement(walks: Iterable[Walk]) -> Disagreement | None:
    """The first disagreement on any of these walks, taken at once: see `refinement_kills`."""
    walking = [(walk, walk.levels()) for walk in walks]
    while walking:
        next_one = min(walking, key=lambda each: each[0].edges)
        walk, levels = next_one
        if next(levels, None) is None:
            walking.remove(next_one)
        if walk.disagreement is not None:
            return walk.disagreement
    return None


def pair_of(identity: bytes, model: Model) -> bytes:
    """What tells a pair of states from others."""
    ghosts = [
        (job_id, tuple(sorted(job.intact)), tuple(sorted(job.good))) for job_id, job in sorted(model.jobs.items())
    ]
    return identity + marshal.dumps(ghosts, 2)


def follow(model: Model, driven: Driven) -> tuple[Model, tuple[Ended[Blocks], ...], list[str]]:
    """The specification goes where the implementation went: its state, the jobs it ended, and what differs."""
    ended: tuple[Ended[Blocks], ...] = ()
    differences = []
    for answer in driven.trace:
        result = step(model, answer.command)
        model, ended = result.state, ended + result.ended
        expected = "" if result.refusal is None else result.refusal.kind
        if expected != answer.refusal:
            differences.append(f"the reply should be {expected or 'accepted'}, but is {answer.refusal or 'accepted'}")
    expected_ends, ends = (
        sorted(map(" ".join, each)) for each in (((e.job_id, e.outcome) for e in ended), driven.ended)
    )
    if expected_ends != ends:
        wanted, found = (", ".join(each) or "none" for each in (expected_ends, ends))
        differences.append(f"jobs that end should be {wanted}, but are {found}")
    return model, ended, differences


def failing(claims: Iterable[Inclusion[Blocks]]) -> list[str]:
    """The claims that do not hold, in words."""
    return [
        f"{each.where}: not so of blocks {sorted(each.small - each.large)}" for each in claims if not each.holds()
    ]


def differing(expected: Model, seen: Model) -> Iterator[str]:
    """What differs between two states without ghosts, part by part."""
    parts = [parts_of(expected), parts_of(seen)]
    for name in dict.fromkeys((*parts[0], *parts[1])):
        wanted, found = (each.get(name, "nothing") for each in parts)
        if wanted != found:
            yield f"{name} should be {wanted}, but is {found}"


def parts_of(state: Model) -> dict[str, object]:
    """Everything in a state but ghosts, by name."""
    parts: dict[str, object] = {}
    for node_name, node in state.nodes.items():
        parts |= {
            f"{node_name}: write {write_id} in flight": sorted(blocks) for write_id, blocks in node.writes.items()
        }
        for name, bitmap in node.bitmaps.items():
            where = f"{node_name}/{name}"
            parts[f"{where} dirty"] = sorted(bitmap.marks.dirty)
            parts |= {f"{where} {flag}": getattr(bitmap, flag) for flag in ("granularity", "enabled", "leaving")}
            if bitmap.successor is not None:
                parts[f"{where}'s successor dirty"] = sorted(bitmap.successor.marks.dirty)
                parts[f"{where}'s successor enabled"] = bitmap.successor.enabled
    for job_id, job in state.jobs.items():
        for each in fields(job):
            value = getattr(job, each.name)
            parts[f"job {job_id} {each.name}"] = sorted(value) if isinstance(value, frozenset) else value
    return parts
