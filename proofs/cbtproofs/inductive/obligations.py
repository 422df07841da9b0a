"""What is to be proved: in every legal state, for every command, that all that must hold goes on to hold.

A *script* plays one command on a cast (`casts`). It yields what is assumed (that the state is legal, in the words of
the properties themselves) and what is to be proved. It neither knows nor asks what a set is: each prover gives it its
own sets, and says what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from cbtmodel import properties as must
from cbtmodel.claims import Fact, Inclusion
from cbtmodel.node import State, initial
from cbtmodel.release import OF_FUTURES
from cbtmodel.step import Step, step
from cbtmodel.table import Table

from cbtproofs.inductive import theorem
from cbtproofs.inductive.casts import SIZE, Cast, Moment, Prover
from cbtproofs.inductive.counterexample import Counterexample
from cbtproofs.inductive.paths import Undecidable

Claim: TypeAlias = Inclusion[Any] | Fact
Act: TypeAlias = Callable[[State[Any], Any], Step[Any]]

SAFE = {must.no_lost_write, must.point_in_time, must.one_heir, must.exact, must.granular}
LIVE = {must.nobody_idles, must.groups_hold_together, must.pending_together}
NOT_YET: dict[Moment, set[Any]] = {
    "at rest": set(),
    "amid": {must.nothing_is_half_done, *LIVE},
    "at commit": {must.nothing_is_half_done, must.nobody_idles},
}
"""What need not hold yet."""


@dataclass(frozen=True)
class Assume:
    """This may be relied on from here on."""

    claim: Claim


@dataclass(frozen=True)
class Prove:
    """This must follow; `id` is that of the theorem."""

    id: str
    claim: Claim


@dataclass(frozen=True)
class Played:
    """What has been played, for whoever has to show it."""

    before: State[Any]
    after: State[Any]


NOTHING: State[Any] = State(None, Table())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Obligation:
    """One thing that was to be proved on one path; `counterexample` is None if it holds."""

    id: str
    path: tuple[int, ...]
    where: str
    counterexample: Counterexample | None = None


Item: TypeAlias = Assume | Prove | Played
Script: TypeAlias = Callable[[Prover], Iterator[Item]]


def claims_of(state: State[Any], moment: Moment, among: set[Any]) -> Iterator[tuple[str, Claim]]:
    """The claims of some properties about a state at such a moment, with their IDs."""
    for id, each in must.OF_STATES.items():
        for property in each:
            if property in among and property not in NOT_YET[moment]:
                yield from ((id, claim) for claim in property(state))


def claims_of_step(before: State[Any], command: Any, done: Step[Any]) -> Iterator[tuple[str, Claim]]:
    """The claims of all properties about a step, with their IDs."""
    for id, each in must.OF_STEPS.items():
        for property in each:
            yield from ((id, claim) for claim in property(before, command, done))


def in_focus(claim: Claim, cast: Cast) -> bool:
    """Whether a claim is about nobody in the fog. A claim names its subject first: *job: …*, *disk/bitmap's …*."""
    subject = claim.where.partition(":")[0].partition("'")[0]
    return subject.rpartition("/")[2] not in cast.foggy


def at_first(prover: Prover) -> Iterator[Item]:
    """Everything holds of fresh disks, and nothing is lost yet."""
    state = initial(prover.space, {"d": SIZE, "e": SIZE})
    yield Played(state, state)
    for id, claim in claims_of(state, "at rest", {each for some in must.OF_STATES.values() for each in some}):
        yield Prove(id, claim)
    nothing = theorem.History(*(prover.space.empty,) * 4)
    for claim in (*theorem.promised(nothing, "d", "a", state), *theorem.kept(nothing, "d", "a", state)):
        yield Prove(theorem.ID, claim)


def keeps(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """Whatever is safe stays safe when a command is given, and the step itself is as it must be.

    `act` is what is done with the command, if not the whole `step`; `after` is what moment it is then.
    """

    def script(prover: Prover) -> Iterator[Item]:
        before = cast.state(prover)
        if refused_at_sight(prover, before, command, act):
            yield from (Prove("ATOMIC", each) for each in must.atomic(before, command, act(before, command)))
            return
        for _, claim in claims_of(before, cast.moment, SAFE | ({must.pending_together} if cast.together else set())):
            if cast.together or in_focus(claim, cast):
                yield Assume(claim)
        told = theorem.History(*(prover.arbitrary(what) for what in theorem.SETS))
        yield from map(Assume, theorem.kept(told, "d", "a", before))
        done = act(before, command)
        yield Played(before, done.state)
        for id, claim in claims_of_step(before, command, done):
            if in_focus(claim, cast):
                yield Prove(id, claim)
        if done.refusal is None:
            for id, claim in claims_of(done.state, after, SAFE):
                if in_focus(claim, cast):
                    yield Prove(id, claim)
            now = theorem.goes_on(told, "d", "a", before, command, done)
            for claim in (*theorem.promised(now, "d", "a", done.state), *theorem.kept(now, "d", "a", done.state)):
                yield Prove(theorem.ID, claim)

    return script


def refused_at_sight(prover: Prover, state: State[Any], command: Any, act: Act) -> bool:
    """Whether a command is refused for its names alone: in every state of the cast, legal or not."""
    with prover.path.undecided():
        try:
            return act(state, command).refusal is not None
        except Undecidable:
            return False


def goes_on(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """No job is left idle, and no group falls apart, when a command is given; whatever the marks are."""

    def script(prover: Prover) -> Iterator[Item]:
        before = cast.only_what_is_left().state(prover)
        if refused_at_sight(prover, before, command, act):
            yield from (Prove("ATOMIC", each) for each in must.atomic(before, command, act(before, command)))
            return
        for _, claim in claims_of(before, cast.moment, {must.point_in_time, *LIVE}):
            yield Assume(claim)
        done = act(before, command)
        yield Played(before, done.state)
        if done.refusal is None:
            yield from (Prove(id, claim) for id, claim in claims_of(done.state, after, LIVE))

    return script


def unites(cast: Cast) -> Script:
    """BATCH, of two arbitrary writes."""

    def script(prover: Prover) -> Iterator[Item]:
        state = cast.state(prover)
        for _, claim in claims_of(state, cast.moment, {must.point_in_time, *LIVE}):
            yield Assume(claim)
        yield Played(state, state)
        writes = prover.arbitrary("the first write"), prover.arbitrary("the second write")
        yield from (Prove("BATCH", claim) for claim in must.batch(state, "d", *writes))

    return script


def releases(cast: Cast) -> Script:
    """RELEASE: every job can be given up, and has a next command that makes less of what is left."""

    def script(prover: Prover) -> Iterator[Item]:
        state = cast.only_what_is_left().state(prover)
        for _, claim in claims_of(state, cast.moment, {must.point_in_time, *LIVE}):
            yield Assume(claim)
        yield Played(state, state)
        for property in OF_FUTURES["RELEASE"]:
            yield from (Prove("RELEASE", claim) for claim in property(state))

    return script
