"""The walks of refinement with the right implementation recorded, so that they can be walked again with mutants.

What the implementation does depends neither on the specification nor on its mutants. So it is asked once what each
command does in each of its states; who walks again (`Walk`, unchanged) gets the same answers, and only the
specification, right or wrong, is run anew. Recorded is what is asked for. Of the specification, only what the right
one does is kept, and only while `CALLS` listens: for edges on which a mutant makes no difference.

States are told apart by their identity, as the walk does it: equal ones have the same future
(see `Subject.identity`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import CodeType
from typing import Any

from cbtcheck.adapters.driving import Driven

from cbtproofs.explorer.few_blocks import Blocks
from cbtproofs.mutants.kill_matrix.calls import CALLS
from cbtproofs.refinement.abstraction import Data
from cbtproofs.refinement.failing import Given
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.walk import Model, Walk, pair_of
from cbtproofs.refinement.walking import Edge
from cbtproofs.refinement.worlds import World, worlds


@dataclass
class Recording:
    """What the right implementation is known to do in one world."""

    world: World
    subjects: dict[bytes, Subject] = field(default_factory=dict)
    moves: dict[tuple[bytes, Given], tuple[Driven, dict[str, Blocks], bytes]] = field(default_factory=dict)
    evidence: dict[tuple[bytes, str], Data[Blocks]] = field(default_factory=dict)
    stands_for: dict[bytes, Any] = field(default_factory=dict)
    edges: dict[tuple[bytes, int], Edge[Model] | None] = field(default_factory=dict)
    first: bytes = b""

    def begun(self) -> bytes:
        """The identity of the first state."""
        if not self.first:
            subject = Walk(self.world).first()
            self.first = subject.identity()
            self.subjects[self.first] = subject
        return self.first

    def move(self, identity: bytes, command: Given) -> tuple[Driven, dict[str, Blocks], bytes]:
        """What a command does in a state: what happened, what jobs that ended delivered, and the state after it."""
        known = self.moves.get((identity, command))
        if known is None:
            subject = self.subjects[identity].copy()
            driven, right = subject.perform(command)
            after = subject.identity()
            self.subjects.setdefault(after, subject)
            known = self.moves[identity, command] = driven, right, after
        return known

    def data(self, identity: bytes, job: str) -> Data[Blocks]:
        """What the data of a job say in a state."""
        known = self.evidence.get((identity, job))
        if known is None:
            known = self.evidence[identity, job] = self.subjects[identity].data(job)
        return known


class RecordedSubject(Subject):
    """An implementation that does what is recorded of it."""

    def __init__(self, recording: Recording, identity: bytes) -> None:
        self.recording = recording
        self._identity = identity

    @property
    def host(self) -> Any:
        """The implementation in this state."""
        return self.recording.subjects[self._identity].host

    def copy(self) -> RecordedSubject:
        """Another one in the same state."""
        return RecordedSubject(self.recording, self._identity)

    def perform(self, asked: Given) -> tuple[Driven, dict[str, Blocks]]:
        """Moves on."""
        driven, right, self._identity = self.recording.move(self._identity, asked)
        return driven, right

    def identity(self) -> bytes:
        """What tells this state from others."""
        return self._identity

    def data(self, job_id: str) -> Data[Blocks]:
        """What the data of a job say."""
        return self.recording.data(self._identity, job_id)


class RecordedWalk(Walk):
    """A walk with the right implementation as it is recorded.

    `code` is the right code of the function that is mutated, if there is one: where that is not called, on an edge
    that the right specification has taken in the same pair of states, the edge is as it was then.
    """

    def __init__(self, recording: Recording, code: CodeType | None = None) -> None:
        super().__init__(recording.world)
        self.recording = recording
        self.code = code
        self.stands_for = recording.stands_for

    def first(self) -> Subject:
        """The implementation, with nothing done to it."""
        return RecordedSubject(self.recording, self.recording.begun())

    def edges_from(self, subject: Subject, identity: bytes, model: Model) -> Iterator[Edge[Model]]:
        """Every command of the alphabet; those that are known to change nothing are only counted."""
        pair = pair_of(identity, model)
        for command in self.world.commands:
            place = (pair, id(command))
            if CALLS.same_as_ever(place, self.code):
                known = self.recording.edges[place]
                self.edges += 1
                if known is not None:
                    yield known
                continue
            edge = self.edge(subject.copy(), identity, model, command)
            CALLS.at(place)
            if place in CALLS.called:
                still = edge.identity == identity and edge.model is model
                self.recording.edges.setdefault(place, None if still else edge)
            yield edge


@cache
def recordings() -> tuple[Recording, ...]:
    """Of the quick worlds, recorded as far as anybody has walked."""
    return tuple(Recording(world) for world in worlds("quick"))
