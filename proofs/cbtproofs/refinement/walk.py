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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields

from cbtcheck.adapters.driving import Driven
from cbtimpl import Host
from cbtmodel.backup import Ended
from cbtmodel.node import State
from cbtmodel.step import step

from cbtproofs.explorer.few_blocks import Blocks, FewBlocks
from cbtproofs.refinement.abstraction import abstraction, evidence, misfits, without_ghosts
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.walking import (
    Disagreement,
    Followed,
    Walking,
    ends_differ,
    failing,
    first_disagreement,
    replies_differ,
)
from cbtproofs.refinement.worlds import World, worlds

Model = State[Blocks]


class Walk(Walking[Model]):
    """A walk through a world of disks."""

    def first(self) -> Subject:
        """The implementation, with nothing done to it."""
        return Subject(self.host, self.world.sizes)

    def initial(self) -> Model:
        """The specification, with nothing done to it."""
        return self.world.initial(self.space)

    def pair(self, identity: bytes, model: Model) -> bytes:
        """What tells a pair of states from others."""
        return pair_of(identity, model)

    def followed(self, model: Model, driven: Driven) -> Followed[Model]:
        """The specification goes where the implementation went."""
        return follow(model, driven)

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
        if self.pair(identity, model) in self.known:
            return []
        return failing_of_jobs(model, subject, self.space)


def refinement_kills(host: Callable[[], Host], where: Iterable[World] | None = None) -> Disagreement | None:
    """A short disagreement of a variant of the implementation in these worlds, by default the quick ones; or None.

    It is the shortest in its world. All worlds are walked at once, level by level, those next of which least has been
    walked: so it is found soon, whichever world it is in.
    """
    return first_disagreement([Walk(world, host) for world in (worlds("quick") if where is None else where)])


def failing_of_jobs(model: Model, subject: Subject, space: FewBlocks) -> list[str]:
    """What the jobs' targets do not bear out of what the specification says of them."""
    return [
        each
        for job_id, job in model.jobs.items()
        for each in failing(evidence(job_id, job, subject.host.jobs[job_id], subject.data(job_id), space))
    ]


def pair_of(identity: bytes, model: Model) -> bytes:
    """What tells a pair of states from others."""
    ghosts = [
        (job_id, tuple(sorted(job.intact)), tuple(sorted(job.good))) for job_id, job in sorted(model.jobs.items())
    ]
    return identity + marshal.dumps(ghosts, 2)


def follow(model: Model, driven: Driven) -> Followed[Model]:
    """The specification goes where the implementation went: its state, the jobs it ended, and what differs."""
    ended: tuple[Ended[Blocks], ...] = ()
    differences: list[str] = []
    for answer in driven.trace:
        result = step(model, answer.command)
        model, ended = result.state, ended + result.ended
        differences += replies_differ("" if result.refusal is None else result.refusal.kind, answer.refusal)
    return model, ended, differences + ends_differ(ended, driven)


def differing(expected: Model, seen: Model) -> Iterator[str]:
    """What differs between two states without ghosts, part by part."""
    return differing_parts(parts_of(expected), parts_of(seen))


def differing_parts(expected: Mapping[str, object], seen: Mapping[str, object]) -> Iterator[str]:
    """What differs between parts that have names."""
    for name in dict.fromkeys((*expected, *seen)):
        wanted, found = (each.get(name, "nothing") for each in (expected, seen))
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
