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
from cbtmodel.node import State
from cbtmodel.step import Step, step

from cbtproofs.effects import composition, contract
from cbtproofs.effects.during import Part
from cbtproofs.inductive import covers, locality, theorem
from cbtproofs.inductive.casts import Cast, Moment
from cbtproofs.inductive.script import Assume, Claim, Item, Played, Prove, Prover, Script

Act: TypeAlias = Callable[[State[Any], Any], Step[Any]]
Says: TypeAlias = Callable[..., Iterator[Item]]

SAFE = {must.no_lost_write, must.point_in_time, must.one_heir, must.exact, must.granular, must.nothing_is_half_done}
LIVE = {must.nobody_idles, must.groups_hold_together, must.pending_together, must.pending_for_somebody}
NOT_YET = {"amid": {must.nothing_is_half_done, *LIVE}, "at commit": {must.nothing_is_half_done, must.nobody_idles}}


def claims_of(state: State[Any], moment: Moment, among: set[Any]) -> Iterator[tuple[str, Claim]]:
    """The claims of some properties about a state at such a moment, with their IDs."""
    for property_id, each in must.OF_STATES.items():
        for predicate in each:
            if predicate in among and predicate not in NOT_YET.get(moment, ()):
                yield from ((property_id, claim) for claim in predicate(state))


def in_focus(claim: Claim, cast: Cast) -> bool:
    """Whether a claim is about nobody in the fog. A claim names its subject first: *job: …*, *disk/bitmap's …*."""
    subject = claim.where.partition(":")[0].partition("'")[0]
    return subject.rpartition("/")[2] not in cast.foggy


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
        told = contract.effects(before, command, done, part_of(cast, after), cast.foggy)
        yield from (Prove(contract.EFFECT, claim) for claim in told if in_focus(claim, cast))
        for property_id, each in must.OF_STEPS.items():
            claims = (claim for predicate in each for claim in predicate(before, command, done))
            yield from (Prove(property_id, claim) for claim in claims if in_focus(claim, cast))
        safe = claims_of(done.state, after, SAFE)
        yield from (Prove(property_id, claim) for property_id, claim in safe if in_focus(claim, cast))
        yield from theorem.carried(prover, before, command, done)
        yield from covers.carried(before, command, done)

    return played(cast, command, act, assumed, proved, part_of(cast, after))


def part_of(cast: Cast, after: Moment) -> Part:
    """Which part of a transaction leads from the cast's moment to one after it; or it is a whole step."""
    parts: dict[tuple[Moment, Moment], Part] = {
        ("at rest", "at commit"): "drain", ("amid", "amid"): "prepare", ("at commit", "at rest"): "commit",
    }  # fmt: skip
    return parts.get((cast.moment, after), "step")


def goes_on(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """No job is left idle, and no group falls apart, when a command is given; whatever the marks are."""

    def proved(_: Prover, before: State[Any], done: Step[Any]) -> Iterator[Item]:
        yield from (Prove(property_id, claim) for property_id, claim in claims_of(done.state, after, LIVE))

    return played(cast.only_what_is_left(), command, act, partial(arranged, cast), proved)


def played(cast: Cast, command: Any, act: Act, assumed: Says, proved: Says, part: Part | None = None) -> Script:
    """A command is given in a state of the cast: what is assumed before, and proved after if it is accepted.

    `part`: also whether it is refused exactly when it must be, if that is to be proved.
    """

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
        if part is not None:
            yield from (Prove(contract.REFUSED, claim) for claim in contract.refusals(before, command, done, part))
        if part == "step":
            yield from (Prove(composition.ID, claim) for claim in composition.composed(before, command, done))

    return script


def arranged(cast: Cast, state: State[Any]) -> Iterator[Item]:
    """All that has to do with what is left to copy may be relied on."""
    for _, claim in claims_of(state, cast.moment, {must.point_in_time, *LIVE}):
        yield Assume(claim)
