"""What is to be proved: in every legal state, for every command, that all that must hold goes on to hold.

A script plays one command on a cast (`casts`). It yields what is assumed (that the state is legal, in the words of
the properties themselves) and what is to be proved. It neither knows nor asks what a set is: each prover gives it its
own sets, and says what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from cbtmodel import properties as must
from cbtmodel.node import State
from cbtmodel.step import Step, step

from cbtproofs.effects import composition, contract
from cbtproofs.effects.during import Part
from cbtproofs.inductive import covers, locality, theorem
from cbtproofs.inductive.casts import Cast, Moment
from cbtproofs.inductive.script import Claim, Item, Opening, Play, Played, ProveEach, Prover, Script

Act: TypeAlias = Callable[[State[Any], Any], Step[Any]]
Says: TypeAlias = Callable[..., Iterator[Item]]

SAFE = {must.no_lost_write, must.point_in_time, must.one_heir, must.exact, must.granular, must.nothing_is_half_done}
LIVE = {must.nobody_idles, must.groups_hold_together, must.pending_together, must.pending_for_somebody}
NOT_YET = {"amid": {must.nothing_is_half_done, *LIVE}, "at commit": {must.nothing_is_half_done, must.nobody_idles}}


def claims_of(state: State[Any], moment: Moment, among: set[Any]) -> Iterator[tuple[str, Iterator[Claim]]]:
    """The claims of some properties about a state at such a moment, with their IDs."""
    for property_id, each in must.OF_STATES.items():
        for predicate in each:
            if predicate in among and predicate not in NOT_YET.get(moment, ()):
                yield property_id, predicate(state)


def keeps(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """Whatever is safe stays safe when a command is given, and the step itself is as it must be.

    `act` is what is done with the command, if not the whole `step`; `after` is what moment it is then.
    """

    def proved(prover: Prover, before: State[Any], done: Step[Any]) -> Iterator[Item]:
        named = command.actions[0] if cast.moment == "amid" else command
        yield ProveEach(locality.ID, locality.local(before, named, done))
        told = contract.effects(before, command, done, cast.part(after), cast.foggy)
        yield ProveEach(contract.EFFECT, cast.focused(told))
        for property_id, each in must.OF_STEPS.items():
            for predicate in each:
                yield ProveEach(property_id, cast.focused(predicate(before, command, done)))
        for property_id, claims in claims_of(done.state, after, SAFE):
            yield ProveEach(property_id, cast.focused(claims))
        yield from theorem.carried(prover, before, command, done)
        yield from covers.carried(before, command, done)

    return played(Opening(cast, Cast.state, legal), command, act, proved, cast.part(after))


def goes_on(cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Script:
    """No job is left idle, and no group falls apart, when a command is given; whatever the marks are."""

    def proved(_: Prover, before: State[Any], done: Step[Any]) -> Iterator[Item]:
        for property_id, claims in claims_of(done.state, after, LIVE):
            yield ProveEach(property_id, claims)

    return played(Opening(cast.only_what_is_left(), Cast.state, arranged), command, act, proved)


def played(opening: Opening, command: Any, act: Act, proved: Says, part: Part | None = None) -> Script:
    """A command is given: what is to be proved after it if it is accepted.

    `part`: also whether it is refused exactly when it must be, if that is to be proved.
    """

    def rest(prover: Prover, state: State[Any]) -> Iterator[Item]:
        done = act(state, command)
        yield Played(state, done)
        if done.refusal is None:
            yield from proved(prover, state, done)
        else:
            yield ProveEach("ATOMIC", locality.atomic(state, command, done))
        if part is not None:
            yield ProveEach(contract.REFUSED, contract.refusals(state, command, done, part))
        if part == "step":
            yield ProveEach(composition.ID, composition.composed(state, command, done))

    return Play(opening, rest, lambda path, state: locality.refused_at_sight(path, lambda: act(state, command)))


def legal(cast: Cast, state: State[Any]) -> Iterator[Claim]:
    """A state is legal, as far as marks go; of a group also that it is pending together."""
    among = SAFE | ({must.pending_together} if cast.together else set())
    for _, claims in claims_of(state, cast.moment, among):
        yield from claims if cast.together else cast.focused(claims)


def arranged(cast: Cast, state: State[Any]) -> Iterator[Claim]:
    """All that has to do with what is left to copy is legal."""
    for _, claims in claims_of(state, cast.moment, {must.point_in_time, *LIVE}):
        yield from claims
