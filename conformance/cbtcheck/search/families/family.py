"""What a family is, and its members: the scenarios that can be played on an implementation, each to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.capabilities import followed
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.ground import Ground
from cbtcheck.search.traps import ended, ended_from


@dataclass(frozen=True)
class Family:
    """`make` gives its scenarios on a ground, in the same order each time. `about` says in a sentence what they vary.

    `closely`: everything is to be observed after every step; otherwise writes that follow each other are observed
    together, and exact bits when something else has changed them (see `Player`). `subject` are the commands whose
    ways it varies, as spelled in scenarios: what else its scenarios hold is there for their sake. `few`: all of
    them are played where one in so many of the others is.
    """

    name: str
    about: str
    make: Callable[[Ground], Iterator[Scenario]]
    subject: frozenset[str]
    closely: bool = True
    few: bool = False


@dataclass(frozen=True)
class Member:
    """One scenario of a family, not yet brought to its end: whoever shares a run brings only its own there."""

    family: Family
    number: int
    scenario: Scenario

    @property
    def name(self) -> str:
        """Its family, its number in it, and what it is about."""
        return f"{self.family.name} {self.number}: {self.scenario.title}"

    def whole(self) -> Scenario:
        """The scenario until every write and every job has ended, so that what was copied is compared."""
        return replace(ended(self.scenario), title=self.name)

    def whole_if_claimed(self, capabilities: Capabilities) -> Scenario | None:
        """The whole scenario, if all that it takes is claimed."""
        unclaimed, state = followed(self.scenario, capabilities)
        return None if unclaimed else replace(ended_from(state, self.scenario), title=self.name)


def members(listed: Iterable[Family], capabilities: Capabilities, profile: str) -> Iterator[Member]:
    """The members of these families, made for what is claimed, and for *quick*, *ci* or *deep*."""
    ground = Ground(capabilities, profile)
    for family in listed:
        for number, scenario in enumerate(family.make(ground)):
            yield Member(family, number, scenario)

