"""A walk through pairs of states, one of the implementation and one of the specification, breadth first.

This is the walk as such, whatever a state of the specification is (`M`): with `walk` that of the disks, with
`image_walk` that of the disks and their images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from cbtcheck.adapters.driving import Driven
from cbtimpl import Host
from cbtmodel.backup import Ended
from cbtmodel.properties import Inclusion

from cbtproofs.explorer.few_blocks import Blocks, FewBlocks
from cbtproofs.refinement.failing import Given
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.worlds import World

M = TypeVar("M")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Disagreement:
    """The first edge on which the two part: the steps that lead there, the last one over it, and what differs."""

    world: World
    path: tuple[Given, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Walked:
    """What a walk has seen.

    `pairs` of states, `concrete` states of the implementation, `abstract` ones of the specification without ghosts;
    `edges`, each a step in a pair; `otherwise`: those on which the implementation had something else happen.
    """

    world: World
    pairs: int
    concrete: int
    abstract: frozenset[Any]
    edges: int
    otherwise: int
    disagreement: Disagreement | None


@dataclass(frozen=True, slots=True)
class Edge(Generic[M]):
    """What came of a step: both states, the identity of the concrete one, and what differs, normally nothing."""

    command: Given
    subject: Subject
    identity: bytes
    model: M
    differences: list[str]


Followed: TypeAlias = tuple[M, tuple[Ended[Blocks], ...], list[str]]
"""Where the specification went, the jobs that ended, and what differs."""


class Walking(ABC, Generic[M]):
    """A walk through a world. `host` makes the implementation, or a variant of it."""

    def __init__(self, world: World, host: Callable[[], Host] = Host) -> None:
        self.world = world
        self.host = host
        self.space = FewBlocks()
        self.known: set[bytes] = set()
        self.stands_for: dict[bytes, M] = {}
        self.abstract: dict[M, M] = {}
        self.came_from: list[tuple[int, Given] | None] = []
        self.edges = self.otherwise = 0
        self.disagreement: Disagreement | None = None

    def run(self, progress: Progress | None = None) -> Walked:
        """Walks until nothing new is found, or to the first disagreement. `progress` is told pairs and edges."""
        for _ in self.levels(progress):
            pass
        return self.walked()

    def levels(self, progress: Progress | None = None) -> Iterator[int]:
        """The same, one level of the graph after the other; yields how far all of it has been walked, in commands."""
        subject, model = self.first(), self.initial()
        identity = subject.identity()
        if self.part((), self.compared(subject, identity, model)):
            return
        frontier: list[tuple[int, Subject, bytes, M]] = [(0, subject, identity, model)]
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

    @abstractmethod
    def first(self) -> Subject:
        """The implementation, with nothing done to it."""

    @abstractmethod
    def initial(self) -> M:
        """The specification, with nothing done to it."""

    @abstractmethod
    def pair(self, identity: bytes, model: M) -> bytes:
        """What tells a pair of states from others."""

    @abstractmethod
    def followed(self, model: M, driven: Driven) -> Followed[M]:
        """The specification goes where the implementation went. The same object if it goes nowhere."""

    @abstractmethod
    def compared(self, subject: Subject, identity: bytes, model: M) -> list[str]:
        """What differs between two states."""

    def part(self, path: tuple[Given, ...], differences: Sequence[str]) -> bool:
        """Whether the two part here."""
        if differences:
            self.disagreement = Disagreement(self.world, path, tuple(differences))
        return bool(differences)

    def walked(self) -> Walked:
        """What has been seen so far."""
        numbers = len(self.known), len(self.stands_for), frozenset(self.abstract), self.edges, self.otherwise
        return Walked(self.world, *numbers, self.disagreement)

    def discover(self, identity: bytes, model: M, came_from: tuple[int, Given] | None) -> bool:
        """Whether the pair is new; then it is numbered and known."""
        pair = self.pair(identity, model)
        if pair in self.known:
            return False
        self.known.add(pair)
        self.came_from.append(came_from)
        return True

    def path(self, number: int) -> tuple[Given, ...]:
        """The commands that lead to a pair, as few as possible."""
        commands = []
        step_there = self.came_from[number]
        while step_there is not None:
            number, command = step_there
            commands.append(command)
            step_there = self.came_from[number]
        return tuple(reversed(commands))

    def edges_from(self, subject: Subject, identity: bytes, model: M) -> Iterator[Edge[M]]:
        """Every command of the alphabet. A copy that a command has not changed serves for the next one, too."""
        copy: Subject | None = None
        for command in self.world.commands:
            copy = copy or subject.copy()
            edge = self.edge(copy, identity, model, command)
            yield edge
            if edge.identity != identity or edge.model is not model:
                copy = None

    def edge(self, subject: Subject, identity: bytes, model: M, command: Given) -> Edge[M]:
        """One command, on both."""
        self.edges += 1
        try:
            driven, right = subject.perform(command)
            identity_after = subject.identity()
        except Exception as crash:
            return Edge(command, subject, b"", model, [f"it crashes: {type(crash).__name__}: {crash}"])
        self.otherwise += [each.command for each in driven.trace] != [command]
        after, ended, differences = self.followed(model, driven)
        for end in ended:
            delivered = Inclusion(
                f"{end.job_id}: good, so on its target", end.job.good, right.get(end.job_id, frozenset())
            )
            differences += failing([delivered])
        if after is not model or identity_after != identity:
            differences += self.compared(subject, identity_after, after)
        return Edge(command, subject, identity_after, after, differences)


def first_disagreement(walks: Iterable[Walking[Any]]) -> Disagreement | None:
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


def ends_differ(ended: Iterable[Ended[Blocks]], driven: Driven) -> list[str]:
    """What differs between the jobs that should have ended, and those that did."""
    expected_ends, ends = (
        sorted(map(" ".join, each)) for each in (((e.job_id, e.outcome) for e in ended), driven.ended)
    )
    if expected_ends == ends:
        return []
    wanted, found = (", ".join(each) or "none" for each in (expected_ends, ends))
    return [f"jobs that end should be {wanted}, but are {found}"]


def replies_differ(expected: str, seen: str) -> list[str]:
    """What differs between the kind of the refusal that should be, and the one that is; "" is accepted."""
    return [] if expected == seen else [f"the reply should be {expected or 'accepted'}, but is {seen or 'accepted'}"]


def failing(claims: Iterable[Inclusion[Blocks]]) -> list[str]:
    """The claims that do not hold, in words."""
    return [
        f"{each.where}: not so of blocks {sorted(each.small - each.large)}" for each in claims if not each.holds()
    ]
