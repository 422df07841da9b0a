"""What is to be proved: in every legal state, for every command, that everything which must hold goes on to hold.

A *cast* is who is on stage: which bitmaps, jobs and writes in flight there are. Everything else about a state (its
sets, flags, phases, modes) is arbitrary; that it is legal is assumed, in the words of the properties themselves. A
*script* plays one command on a cast. It yields what is assumed and what is to be proved, and it neither knows nor
asks what a set is: each prover gives it sets of its own.

A cast has one or two bitmaps *in focus*, with their jobs; what is claimed of those is proved. All else on stage is
there to disturb them. Its sets are fog: nothing is known of them. docs/why-one-block-is-enough.md argues why these casts stand
for any number of disks, bitmaps and jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, get_args

from cbtmodel import properties as must
from cbtmodel.backup import BitmapMode, Job, OnError, Outcome, Phase, Sync
from cbtmodel.bitmap import Bitmap, Marks, Successor
from cbtmodel.node import Node, State, initial
from cbtmodel.properties import Fact, Inclusion
from cbtmodel.refusal import Refused
from cbtmodel.release import OF_FUTURES
from cbtmodel.step import Step, step
from cbtmodel.table import Table

from cbtproofs.paths import Path, Undecided

Claim: TypeAlias = Inclusion[Any] | Fact
SIZE = 1 << 30


@dataclass(frozen=True)
class Assume:
    """This may be relied on from here on."""

    claim: Claim


@dataclass(frozen=True)
class Prove:
    """This must follow; `id` is that of the theorem."""

    id: str
    claim: Claim


class Prover(Protocol):
    """What a script needs: the decisions of the path it is on, and sets."""

    path: Path
    space: Any

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A set of which nothing is known yet."""


Script: TypeAlias = Callable[[Prover], Iterator[Assume | Prove]]


@dataclass(frozen=True)
class Cast:
    """Who is on stage. `bitmaps` are (disk, name), `jobs` (id, disk, name of its bitmap); `foggy` are names.

    With `together` all jobs are one group. `between`: a state between two actions of a transaction.
    """

    name: str
    bitmaps: tuple[tuple[str, str], ...] = ()
    jobs: tuple[tuple[str, str, str | None], ...] = ()
    foggy: frozenset[str] = frozenset()
    writes: tuple[str, ...] = ()
    together: bool = False
    between: bool = False

    def state(self, prover: Prover) -> State[Any]:
        """An arbitrary state with this cast, legal or not."""
        taken = {(on, name) for _, on, name in self.jobs}
        nodes = {on: Node(SIZE) for on in ("d", "e")}
        for number, (on, name) in enumerate(self.bitmaps):
            granularity = 4096 << number
            made = self._bitmap(prover, f"{on}/{name}", name in self.foggy, granularity, (on, name) in taken)
            nodes[on] = Node(SIZE, nodes[on].bitmaps.put(name, made))
        writes = Table({id: prover.arbitrary(f"{id} in flight") for id in self.writes})
        nodes["d"] = Node(SIZE, nodes["d"].bitmaps, writes)
        ids = tuple(id for id, _, _ in self.jobs)
        jobs = {
            id: self._job(prover, id, on, name, id in self.foggy, 65536 << number, ids if self.together else (id,))
            for number, (id, on, name) in enumerate(self.jobs)
        }
        return State(prover.space, Table(nodes), Table(jobs))

    def _bitmap(self, prover: Prover, where: str, foggy: bool, granularity: int, frozen: bool) -> Bitmap[Any]:
        def marks(of: str) -> Marks[Any]:
            return Marks(*(prover.arbitrary(f"{of} {what}", foggy) for what in ("dirty", "owed", "causes")))

        def flag() -> Any:
            return Undecided(prover.path, (True, False))

        heir = Successor(flag(), marks(f"{where}'s successor")) if frozen else None
        leaving = flag() if self.between and not frozen else False
        return Bitmap(granularity, flag(), marks(where), heir, leaving)

    def _job(
        self, prover: Prover, id: str, on: str, bitmap: str | None, foggy: bool, cluster: int, group: tuple[str, ...]
    ) -> Job[Any]:
        def any_of(kind: Any) -> Any:
            return Undecided(prover.path, get_args(kind))

        def flag() -> Any:
            return Undecided(prover.path, (True, False))

        sets = (prover.arbitrary(f"{id} {what}", foggy) for what in ("todo", "copying", "scope", "intact", "good"))
        mode = None if bitmap is None else any_of(BitmapMode)
        policies = any_of(OnError), any_of(OnError)
        return Job(on, bitmap, mode, cluster, group, flag(), *policies, *sets, any_of(Phase), flag())


# What holds of a state. Between the actions of a transaction, some of it need not hold yet.

LATER = {must.nothing_is_half_done, must.nobody_idles, must.groups_hold_together}


def claims_of(state: State[Any], between: bool) -> Iterator[tuple[str, Claim]]:
    """Every claim about a state, with the ID of its property."""
    for id, each in must.OF_STATES.items():
        for property in each:
            if not (between and property in LATER):
                for claim in property(state):
                    yield id, claim


def legal(cast: Cast, prover: Prover) -> Iterator[Any]:
    """An arbitrary state of the cast; what is yielded is assumed. Returns the state."""
    state = cast.state(prover)
    for _, claim in claims_of(state, cast.between):
        yield Assume(claim)
    return state


# Scripts


def at_first(prover: Prover) -> Iterator[Assume | Prove]:
    """Everything holds of fresh disks."""
    for id, claim in claims_of(initial(prover.space, {"d": SIZE, "e": SIZE}), False):
        yield Prove(id, claim)


def keeps(cast: Cast, command: Any, act: Callable[[State[Any], Any], Step[Any]] = step, between: bool = False) -> Script:
    """Everything that held goes on to hold when a command is given, and the step itself is as it must be.

    `act` is what is done with the command, if not the whole `step`; `between`: that ends amid a transaction.
    """

    def script(prover: Prover) -> Iterator[Assume | Prove]:
        before = yield from legal(cast, prover)
        done = act(before, command)
        if done.refusal is None:
            for id, claim in claims_of(done.state, between):
                yield Prove(id, claim)
        for id, each in must.OF_STEPS.items():
            for property in each:
                for claim in property(before, command, done):
                    yield Prove(id, claim)

    return script


def unites(cast: Cast) -> Script:
    """BATCH, of two arbitrary writes."""

    def script(prover: Prover) -> Iterator[Assume | Prove]:
        state = yield from legal(cast, prover)
        writes = prover.arbitrary("the first write"), prover.arbitrary("the second write")
        for claim in must.batch(state, "d", *writes):
            yield Prove("BATCH", claim)

    return script


def releases(cast: Cast) -> Script:
    """RELEASE: every job can be given up, and has a next command that makes less of what is left."""

    def script(prover: Prover) -> Iterator[Assume | Prove]:
        state = yield from legal(cast, prover)
        for property in OF_FUTURES["RELEASE"]:
            for claim in property(state):
                yield Prove("RELEASE", claim)

    return script


def part(function: Callable[[State[Any]], Any]) -> Callable[[State[Any], Any], Step[Any]]:
    """A part of a transaction, as if it were a step."""

    def act(state: State[Any], command: Any) -> Step[Any]:
        try:
            after = function(state)
        except Refused as refusal:
            return Step(state, refusal)
        return Step(*after) if isinstance(after, tuple) else Step(after)

    return act
