"""A disk in an image, explored: every event and every command in every state that can be reached, breadth first.

What runs is `cbtmodel.image.happen`, and with it `step`. In each state must hold RULE-DISK and all that must hold of
the disk without its image; on each edge, that what was closed comes back. Beside that, what is due under each name is
kept apart (`due`): NO-LOST-WRITE, over any number of restarts. A crash and an open are among what can happen in every
state, so no state can be left by a crash in which somebody is lied to afterwards.

There is no limit to the length of a history. The number of states is what it is, ghosts and what is due included.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, get_args

from cbtmodel import commands as c
from cbtmodel.image import Happened, Stored, happen
from cbtmodel.image_properties import across, all_sound, comes_back
from cbtmodel.table import Table

from cbtproofs.explorer.breadth_first import Progress, TooLarge
from cbtproofs.explorer.checked import Checks, Failed
from cbtproofs.explorer.due import Ledger, followed, nothing_is_missed
from cbtproofs.explorer.few_blocks import Blocks
from cbtproofs.explorer.image_scopes import Asked, ImageScope
from cbtproofs.explorer.image_sightings import EXPECTED, Predicate

RULE_DISK, NO_LOST_WRITE = "RULE-DISK", "NO-LOST-WRITE"
COMMANDS: tuple[type, ...] = get_args(c.Command)

Place = tuple[Stored[Blocks], Ledger]


@dataclass
class ImagesExplored:
    """What was explored of a scope. `transitions` are what was not refused, in all states; `tried` all.

    `claims`: how many claims of each property were looked at; NO-LOST-WRITE is the one across restarts. `awaited` is
    what was to be seen and was not. `failed` is what does not hold after `history`, a shortest one; empty if all
    holds.
    """

    scope: ImageScope
    states: int = 0
    tried: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    claims: Counter[str] = field(default_factory=Counter)
    seen: list[Predicate] = field(default_factory=list)
    awaited: list[Predicate] = field(default_factory=list)
    failed: tuple[Failed, ...] = ()
    history: tuple[Asked, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all holds, and all was seen that the scope ought to show."""
        return not self.failed and not self.awaited


def explore_images(
    scope: ImageScope, limit: int | None = None, progress: Progress | None = None, due_only: bool = False
) -> ImagesExplored:
    """Explores a scope; stops at the first thing that does not hold. Raises `TooLarge` beyond `limit` states.

    `due_only`: asks nothing but whether a bitmap that seems sound misses a write. So a shortest history of a mistake
    is one that a user loses something by.
    """
    began = time.perf_counter()
    exploration = _Exploration(scope, limit, progress, due_only)
    exploration.run()
    exploration.found.seconds = time.perf_counter() - began
    return exploration.found


class _Exploration:
    def __init__(self, scope: ImageScope, limit: int | None, progress: Progress | None, due_only: bool) -> None:
        self.limit, self.progress, self.due_only = limit, progress, due_only
        self.found = ImagesExplored(scope)
        self.found.awaited = [predicate for predicate, where in EXPECTED if where(scope)]
        self.checks = Checks(self.found.claims)
        self.known: dict[Place, int] = {}
        self.listed: list[Place] = []
        self.came_from: list[tuple[int, Asked] | None] = []
        self.depths: list[int] = []
        self.sound: set[Any] = set()

    def run(self) -> None:
        """Explores everything, or up to what does not hold."""
        found, first = self.found, (self.found.scope.initial(), Table[Any]())
        self.reached(first, None)
        for number, place in enumerate(self.listed):  # grows meanwhile
            if self.progress is not None and number % 256 == 0:
                self.progress("states with images explored", number, len(self.listed))
            for asked in found.scope.alphabet:
                after = self.edge(place, asked)
                if not found.failed and after is not None:
                    self.reached(after, (number, asked))
                if found.failed:
                    found.history = (*self.path(number), asked)
                    break
            if found.failed:
                break
        found.states, found.depth = len(self.listed), self.depths[-1]

    def edge(self, place: Place, asked: Asked) -> Place | None:
        """Where something leads; None if that trips, or does not hold."""
        (before, ledger), found = place, self.found
        found.tried += 1
        try:
            happened = happen(before, asked)
        except Exception as problem:
            found.failed = (Failed("TOTAL", f"the specification trips: {type(problem).__name__}: {problem}"),)
            return None
        found.transitions += happened.refusal is None
        self.look(before, asked, happened)
        if not isinstance(asked, COMMANDS) and not self.due_only:
            found.failed = tuple(self.checks.failing(RULE_DISK, _of_event(before, asked, happened)))
        if found.failed or (happened.stored is before and happened.refusal is not None):
            return None
        return happened.stored, followed(ledger, before, asked, happened)

    def look(self, before: Stored[Blocks], asked: Asked, happened: Happened[Blocks]) -> None:
        """What was to be seen, and is seen now."""
        for each in tuple(self.found.awaited):
            with suppress(KeyError):  # a broken specification; its properties say so
                if each(before, asked, happened):
                    self.found.awaited.remove(each)
                    self.found.seen.append(each)

    def reached(self, place: Place, came_from: tuple[int, Asked] | None) -> None:
        """A state: numbered and checked if it is new. Raises `TooLarge`."""
        if place in self.known:
            return
        if len(self.listed) == self.limit:
            raise TooLarge(self.limit)
        self.known[place] = len(self.listed)
        self.listed.append(place)
        self.came_from.append(came_from)
        self.depths.append(0 if came_from is None else self.depths[came_from[0]] + 1)
        stored, ledger = place
        failed = [*self.checks.failing(NO_LOST_WRITE, nothing_is_missed(stored, ledger))]
        if not self.due_only:
            failed += self.checks.failing(RULE_DISK, all_sound(stored))
            if stored.state not in self.sound:  # the same disk is there with many images
                self.sound.add(stored.state)
                failed += self.checks.state(stored.state)
        self.found.failed = tuple(failed)

    def path(self, number: int) -> tuple[Asked, ...]:
        """A shortest history that leads to a state."""
        came_from = self.came_from[number]
        return () if came_from is None else (*self.path(came_from[0]), came_from[1])


def _of_event(before: Stored[Blocks], asked: Asked, happened: Happened[Blocks]) -> Iterator[Any]:
    """What must hold of what happens to an image."""
    yield from across(before, happened)
    yield from comes_back(before, asked, happened)
