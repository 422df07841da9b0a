"""Edges of how often: the first, second, third, fourth, fifth time that the same happens to the same bitmap or id.

That takes a memory of the scenario. A state that is not the one that the last step led to begins a new scenario; so
where an implementation leaves open what has happened, less is counted than there was, never more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.traits import traits_of

from cbtcheck.search.tour.contexts.undone import accepted_first, roles
from cbtcheck.search.tour.coverage import NAMES, Edge, bitmap_state
from cbtcheck.sets.bitsets import Bits

MOST = 5

TIMES = ("1st time", "2nd time", "3rd time", "4th time", "5th time or later")


@dataclass
class Memory:
    """What has happened in this scenario, and how often."""

    last: State[Bits] | None = None
    times: Counter[object] = field(default_factory=Counter)
    ended: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def repeated(self, before: State[Bits], command: object, result: Step[Bits]) -> Iterator[Edge]:
        """The edges of one step, which is remembered."""
        if before is not self.last:
            self.times.clear()
            self.ended.clear()
        self.last = result.state
        if result.refusal is not None:
            yield from self._refused(before, command)
            return
        name = NAMES[type(command)]
        if isinstance(command, c.Transaction):
            for action in command.actions:
                if not isinstance(action, c.Abort):
                    yield from self._action(f"transaction: {NAMES[type(action)]}", action)
        if isinstance(command, c.BeginWrite):
            yield self._again(name, "id", "any", (command.node, command.write))
        if isinstance(command, c.Action):
            yield from self._action(name, command)
        if isinstance(command, c.OnJob) and not traits_of(command).ends:
            yield self._again(name, "", "any", command.job)
        for end in result.ended:
            yield from self._end(end)

    def _refused(self, before: State[Bits], command: object) -> Iterator[Edge]:
        if isinstance(command, c.Transaction) and c.malformed(command) is None:
            accepted, _ = accepted_first(before, command)
            for place in dict.fromkeys(place for action, _ in accepted for place, _ in roles(action)):
                yield self._again("transaction", "undone", "any", place)
        elif isinstance(command, c.Write) and command.result == "copy failed":
            yield self._again("write", "copy failed", "any", command.node)

    def _action(self, name: str, action: c.Action) -> Iterator[Edge]:
        for place, role in roles(action):
            yield self._again(name, role, "any", place)
        if isinstance(action, c.StartBackup):
            yield self._again(name, "id", "any", action.job)

    def _end(self, end: Ended[Bits]) -> Iterator[Edge]:
        job = end.job
        place = job.node, job.bitmap
        how = f"{end.outcome}, {job.mode or 'no bitmap'}"
        state = "no bitmap" if end.bitmap is None else bitmap_state(end.bitmap)
        yield self._again("start-backup", how, state, place)
        if place in self.ended:
            yield Edge("start-backup: again", how, f"after one that was {self.ended[place]}", "ended")
        self.ended[place] = how

    def _again(self, name: str, what: str, state: str, key: object) -> Edge:
        """It has happened once more."""
        self.times[name, what, key] += 1
        return Edge(f"{name}: again", what, state, TIMES[min(self.times[name, what, key], MOST) - 1])
