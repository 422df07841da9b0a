"""What is to be proved: in every legal state, for every command, that all that must hold goes on to hold.

A script plays one command on a cast (`casts`). It yields what is assumed (that the state is legal, in the words of
the properties themselves) and what is to be proved. It neither knows nor asks what a set is: each prover gives it its
own sets, and says what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from cbtmodel import properties as must
from cbtmodel.node import State, initial
from cbtmodel.release import future_claims
from cbtmodel.step import Step, step

from cbtproofs.inductive import locality, theorem
from cbtproofs.inductive.casts import SIZE, Cast, Moment
from cbtproofs.inductive.script import Assume, Claim, Item, Played, Prove, Prover, Script

Act: TypeAlias = Callable[[State[Any], Any], Step[Any]]

SAFE = {must.no_lost_write, must.point_in_time, must.one_heir, must.exact, must.granular, must.nothing_is_half_done}
LIVE = {must.nobody_idles, must.groups_hold_together, must.pending_together}
NOT_YET = {"amid": {must.nothing_is_half_done, *LIVE}, "at commit": {must.nothing_is_half_done, must.nobody_idles}}


def claims_of(state: State[Any], moment: Moment, among: set[Any]) -> Iterator[tuple[str, Claim]]:
    """The claims of some properties about a state at such a moment, with their IDs."""
    for id, each in must.OF_STATES.items():
        for property in each:
            if property in among and property not in NOT_YET.get(moment, ()):
                yield from ((id, claim) for claim in property(state))


def in_focus(claim: Claim, cast: Cast) -> bool:
    """Whether a claim is about nobody in the fog. A claim names its subject first: *job: …*, *disk/bitmap's …*."""
    subject = claim.where.partition(":")[0].partition("'")[0]
    return subject.rpartition("/")[2] not in cast.foggy


def at_first(prover: Prover) -> Iterator[Item]:
    """Everything holds of fresh disks, and nothing is lost yet."""
    state = initial(prover.space, {"d": SIZE, "e": SIZE})
    yield Played(state, Step(state))
    yield from (Prove(id, claim) for id, claim in claims_of(state, "at rest", SAFE | LIVE))
    yield from theorem.at_first(state)


def keeps(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """Whatever is safe stays safe when a command is given, and the step itself is as it must be.

    `act` is what is done with the command, if not the whole `step`; `after` is what moment it is then.
    """

    def assumed(before: State[Any]) -> Iterator[Item]:
        claims = claims_of(before, cast.moment, SAFE | ({must.pending_together} if cast.together else set()))
        yield from (Assume(claim) for _, claim in claims if cast.together or in_focus(claim, cast))

    def proved(prover: Prover, before: State[Any], done: Step[Any]) -> Iterator[Item]:
        named = command.actions[0] if cast.moment == "amid" else command
        yield from (Prove(locality.ID, claim) for claim in locality.local(before, named, done))
        for id, each in must.OF_STEPS.items():
            claims = (claim for property in each for claim in property(before, command, done))
            yield from (Prove(id, claim) for claim in claims if in_focus(claim, cast))
        yield from (Prove(id, claim) for id, claim in claims_of(done.state, after, SAFE) if in_focus(claim, cast))
        yield from theorem.carried(prover, before, command, done)

    return played(cast, command, act, assumed, proved)


def goes_on(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """No job is left idle, and no group falls apart, when a command is given; whatever the marks are."""

    def proved(_: Prover, before: State[Any], done: Step[Any]) -> Iterator[Item]:
        yield from (Prove(id, claim) for id, claim in claims_of(done.state, after, LIVE))

    return played(cast.only_what_is_left(), command, act, partial(arranged, cast), proved)


def played(cast: Cast, command: Any, act: Act, assumed: Callable[..., Any], proved: Callable[..., Any]) -> Script:
    """A command is given in a state of the cast: what is assumed before, and proved after if it is accepted."""

    def script(prover: Prover) -> Iterator[Item]:
        before = cast.state(prover)
        if not locality.refused_at_sight(prover.path, lambda: act(before, command)):
            yield from assumed(before)
        done = act(before, command)
        yield Played(before, done)
        if done.refusal is None:
            yield from proved(prover, before, done)
        else:
            yield from (Prove("ATOMIC", claim) for claim in locality.atomic(before, command, done))

    return script


def arranged(cast: Cast, state: State[Any]) -> Iterator[Item]:
    """All that has to do with what is left to copy may be relied on."""
    for _, claim in claims_of(state, cast.moment, {must.point_in_time, *LIVE}):
        yield Assume(claim)


def always(cast: Cast, id: str, claims: Callable[[Prover, State[Any]], Iterator[Claim]]) -> Script:
    """Something holds in every state of the cast."""

    def script(prover: Prover) -> Iterator[Item]:
        state = cast.state(prover)
        yield from arranged(cast, state)
        yield Played(state, Step(state))
        yield from (Prove(id, claim) for claim in claims(prover, state))

    return script


def unites(cast: Cast) -> Script:
    """BATCH, of two arbitrary writes."""
    return always(cast, "BATCH", lambda prover, state: must.batch(state, "d", *map(prover.arbitrary, ("v", "w"))))


def releases(cast: Cast) -> Script:
    """RELEASE: every job can be given up, and has a next command that makes less of what is left."""
    return always(cast.only_what_is_left(), "RELEASE", lambda _, state: future_claims(state))
