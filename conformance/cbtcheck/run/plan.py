"""What a run plays, as an iterator of items. Nothing is played here: `Course.play_item` does that.

An item is data, and says all that is needed to play it, in any process and on any machine. Which items there are,
and in which order, depends on the options and on what the implementation claims only: so whoever plays them, this
process, several, a cluster, or somebody's pytest, plays the same scenarios.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

from cbtmodel import commands as c

from cbtcheck.adapter import PERSISTENCE, Capabilities
from cbtcheck.run.deal import BATCH
from cbtcheck.run.ledger.ledger import entries_of
from cbtcheck.run.options import Options
from cbtcheck.run.part import (
    BEHIND,
    DRAWN,
    FAILED_BEFORE,
    FAMILIES,
    HISTORIES,
    IMAGES,
    LEDGER,
    LONG,
    NOT_ASKED_FOR,
    NOT_IN_THE_PART,
    PHASES,
    RESTARTS,
    TOUR,
    TRAPS,
    WORKFLOWS,
)
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.turned_away import Sample
from cbtcheck.run.wanted import DRAWN_ONE_IN, concerns, exercises, only_of_images
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families import families, members
from cbtcheck.search.restarts import restarts
from cbtcheck.search.tour.contexts.plan import edges_of_scope, tour
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.images.walks import ImageWalk, edges_of_images, tour_of_images
from cbtcheck.search.tour.images.words import ImageEdge
from cbtcheck.search.tour.sizes import Sizes, one_cluster_a_block
from cbtcheck.search.tour.universal_play import ControlSequence, control_sequences, played_with, realised_alike
from cbtcheck.search.tour.walks import Walk, not_claimed
from cbtcheck.search.traps import traps
from cbtcheck.workflows import workflows


@dataclass(frozen=True)
class Scope:
    """The edges of the specification that a run can reach, and those that its tour is after; and those of images."""

    edges: frozenset[Edge]
    aims: frozenset[Edge]
    images: frozenset[ImageEdge] = frozenset()
    image_aims: frozenset[ImageEdge] = frozenset()


@dataclass(frozen=True)
class Listed:
    """An entry of the ledger, to be confirmed."""

    id: str


@dataclass(frozen=True)
class Walked:
    """A walk of the tour."""

    walk: Walk
    asked_for: bool


@dataclass(frozen=True)
class EveryHistory:
    """A control sequence, to be played with every history of guest writes."""

    sequence: ControlSequence
    asked_for: bool


@dataclass(frozen=True)
class WalkedInImages:
    """A walk of the tour of images, in these sizes; `left_out` says why it is not played, if it is not."""

    walk: ImageWalk
    sizes: Sizes
    left_out: str


@dataclass(frozen=True)
class Given:
    """A scenario as it is: one that failed before, a workflow, or a trap."""

    name: str
    scenario: Scenario


@dataclass(frozen=True)
class Grown:
    """A member of a family, not yet brought to its end."""

    family: str
    name: str
    scenario: Scenario
    closely: bool


@dataclass(frozen=True)
class Long:
    """A history of so many commands."""

    length: int


@dataclass(frozen=True)
class Drawn:
    """A batch of drawn scenarios: those up to number `stop`, which is not one of them."""

    stop: int


What = Listed | Walked | WalkedInImages | EveryHistory | Given | Grown | Long | Drawn | Sample


@dataclass(frozen=True)
class Item:
    """The `number` of `of` items of its `phase` (0 if nobody knows how many there are), and what it is.

    Items of a phase that have the same `group`, if that is not None, are to be played by the same process in their
    order: they may be the same scenario in the end, of which one is played only.
    """

    phase: str
    number: int
    of: int
    what: What
    group: Hashable = None

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the order of a run."""
        return PHASES.index(self.phase), self.number


class Plan:
    """What a run with these options plays on the adapter of that name, if the implementation claims this.

    It takes seconds of CPU to plan the tour of a scope the first time.
    """

    def __init__(self, name: str, claims: Capabilities, options: Options) -> None:
        self.name, self.claims, self.options = name, claims, options
        self.profile = PROFILES[options.profile]
        self.walks = tour(self.profile.scope)

    @property
    def scope(self) -> Scope:
        """What the profile's scope has, and what the tour is after."""
        aims = frozenset(edge for walk in self.walks for edge in walk.aims)
        walks = self._walks_in_images()
        images = edges_of_images(self.profile.scope) if walks else frozenset[ImageEdge]()
        image_aims = frozenset(edge for walk in walks for edge in walk.aims)
        return Scope(edges_of_scope(self.profile.scope), aims, images, image_aims)

    def ledger(self) -> Iterator[Item]:
        """What comes first, since it says what is turned away in all other items."""
        listed = entries_of(self.name)
        for number, entry in enumerate(listed):
            yield Item(LEDGER, number, len(listed), Listed(entry.id))

    def items(self) -> Iterator[Item]:
        """All items between the ledger and what was turned away; with `seconds`, they have no end."""
        yield from self.failed_before()
        yield from self.tour()
        yield from self.histories()
        yield from self.workflows()
        yield from self.traps()
        yield from self.families()
        yield from self.restarts()
        yield from self.images()
        yield from self.long()
        yield from self.drawn()

    def turned_away(self, samples: Iterable[Sample]) -> Iterator[Item]:
        """What comes last: a sample of what was turned away in the items before."""
        listed = tuple(samples)
        for number, sample in enumerate(listed):
            yield Item(BEHIND, number, len(listed), sample)

    # Phases

    def failed_before(self) -> Iterator[Item]:
        """What failed in the last run, as it was saved, whatever `--only` names."""
        before = self.options.before
        return _given(FAILED_BEFORE, dict(before.scenarios) if before is not None else {})

    def tour(self) -> Iterator[Item]:
        """The walks to edges of the specification."""
        for number, walk in enumerate(self.walks):
            yield Item(TOUR, number, len(self.walks), Walked(walk, concerns(walk.aims, self.options.only)))

    def histories(self) -> Iterator[Item]:
        """The control sequences of the walks, each with every write history."""
        walks = [walk for walk in self.walks if not walk.in_context]
        found = control_sequences(walks)
        asked_for = played_with(found, (walk for walk in walks if concerns(walk.aims, self.options.only)))
        claimed = [each for each in found if not unclaimed(each.commands, each.disks, self.claims)]
        for number, sequence in enumerate(claimed):
            group = None if self.claims.picks_clusters else realised_alike(sequence)
            yield Item(HISTORIES, number, len(claimed), EveryHistory(sequence, sequence in asked_for), group)

    def workflows(self) -> Iterator[Item]:
        """What users do."""
        return _given(WORKFLOWS, self._wanted(workflows()))

    def traps(self) -> Iterator[Item]:
        """Short scenarios after real bugs and seeded mistakes."""
        return _given(TRAPS, self._wanted(traps(self.claims)))

    def families(self) -> Iterator[Item]:
        """What families vary: how often, how many, where, how large."""
        found = [
            each for each in members(families(), self.claims, self.options.profile)
            if exercises(each.scenario, self.options.only, each.family.subject)
        ]  # fmt: skip
        listed = [each for each in found if not each.family.few][:: self._one_in]
        listed += [each for each in found if each.family.few]
        for number, each in enumerate(listed):
            what = Grown(each.family.name, each.name, each.scenario, each.family.closely)
            yield Item(FAMILIES, number, len(listed), what)

    def restarts(self) -> Iterator[Item]:
        """What users do with images that are closed, reopened, and left by a crash."""
        one_in = self.profile.of_restarts(self.name)[0]
        wanted = partial(exercises, only=self.options.only)
        return _given(RESTARTS, restarts(self.claims, self.options.seed, self.restarts_drawn, one_in, wanted))

    def images(self) -> Iterator[Item]:
        """The walks to edges of images, a part of which is left out by the seed; none if images are not claimed."""
        found, sizes = self._walks_in_images(), one_cluster_a_block(self.claims)
        one_in, chance = self.profile.images_one_in.get(self.name, 1), random.Random(f"images {self.options.seed}")
        part = {*chance.sample(range(len(found)), -(-len(found) // one_in))}
        for number, walk in enumerate(found):
            in_size = sizes[number % len(sizes)]
            left_out = NOT_IN_THE_PART if number not in part else ""
            if not left_out and not exercises(walk.scenario(in_size), self.options.only):
                left_out = NOT_ASKED_FOR
            yield Item(IMAGES, number, len(found), WalkedInImages(walk, in_size, left_out))

    def _walks_in_images(self) -> tuple[ImageWalk, ...]:
        return tour_of_images(self.profile.scope, self.claims) if PERSISTENCE in self.claims.features else ()

    def long(self) -> Iterator[Item]:
        """Histories of 100 and of 1,000 commands: of everything, so not if something is named."""
        lengths = self.profile.lengths()[:: self._one_in] if self.options.only is None else []
        for number, length in enumerate(lengths):
            yield Item(LONG, number, len(lengths), Long(length))

    def drawn(self) -> Iterator[Item]:
        """What is drawn, a batch an item; nothing if what is named only restarts are about."""
        if only_of_images(self.options.only):
            return
        if self.options.seconds is not None:
            for first in count(0, BATCH):
                yield Item(DRAWN, first, 0, Drawn(first + BATCH))
        many = self.examples
        for first in range(0, many, BATCH):
            yield Item(DRAWN, first, many, Drawn(min(first + BATCH, many)))

    @property
    def restarts_drawn(self) -> int:
        """How many scenarios with images are drawn: as the profile has it, or as was said if only such are named.

        With another name there are none: they are about nothing in particular.
        """
        named = only_of_images(self.options.only)
        if named and self.options.examples is not None:
            return self.options.examples
        return self.profile.of_restarts(self.name)[1] if named or self.options.only is None else 0

    @property
    def examples(self) -> int:
        """How many scenarios are drawn if no time is set for that."""
        if self.options.examples is not None:
            return self.options.examples
        many = self.profile.examples.get(self.name, 1000)
        return many if self.options.only is None else -(-many // DRAWN_ONE_IN)

    @property
    def _one_in(self) -> int:
        return self.profile.one_in.get(self.name, 1)

    def _wanted(self, named: dict[str, Scenario]) -> dict[str, Scenario]:
        return {name: each for name, each in named.items() if exercises(each, self.options.only)}


def _given(phase: str, named: dict[str, Scenario]) -> Iterator[Item]:
    for number, (name, scenario) in enumerate(named.items()):
        yield Item(phase, number, len(named), Given(name, scenario))


def unclaimed(commands: tuple[c.Command, ...], disks: tuple[tuple[str, int], ...], claims: Capabilities) -> str:
    """What of a walk or a control sequence is not claimed; "" if all is."""
    too_many = f"{len(disks)} disks" if len(disks) > claims.max_disks else ""
    return not_claimed(commands, claims) or too_many
