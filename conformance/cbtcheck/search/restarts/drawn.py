"""Scenarios with images that are drawn: whatever may follow, mostly what means something in the state at hand."""

from __future__ import annotations

import random
from collections.abc import Iterator

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Reopen, WrittenByOthers
from cbtmodel.node import State, initial

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.images import Files, Played, fresh, step_with
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.ground import ONE, UNITS, Ground
from cbtcheck.sets.bitsets import Bits, BitSets

LONGEST = 24
"""Steps, beside those that end it."""

NAMES = ("b", "c", "d")


def drawn(claims: Capabilities, seed: int, number: int) -> Scenario:
    """The `number`th scenario of a seed, for an implementation that claims this."""
    return _Hand(claims, random.Random(f"restarts {seed} {number}")).scenario()


class _Hand:
    def __init__(self, claims: Capabilities, chance: random.Random) -> None:
        self.claims, self.chance, self.ground = claims, chance, Ground(claims)
        self.state: State[Bits] = initial(BitSets(512), {ONE: self.ground.size})
        self.files: Files[Bits] = fresh({ONE: self.ground.size})
        self.steps: list[Step] = []

    def scenario(self) -> Scenario:
        """Draws until it is long enough; then everything is closed and opened."""
        length = self.chance.randrange(6, LONGEST)
        while len(self.steps) < length:
            listed = [each for each in self._possible() if not missing(self.state, each, self.claims)]
            self._take(self.chance.choice(listed))
        if ONE not in self.state.nodes:
            self._take(Open(ONE))
        return self.ground.scenario("a drawn scenario with images", *self.steps)

    def _take(self, step: Played) -> None:
        self.steps.append(step)
        result, self.files = step_with(self.files, self.state, step)
        self.state = result.state

    def _possible(self) -> Iterator[Played]:
        """What is worth doing next, what is worth more more often."""
        disk = self.state.nodes.get(ONE)
        if disk is None:
            yield from (Open(ONE),) * 6
            yield from (Open(ONE, writable=False), Crash(), WrittenByOthers(ONE))
            return
        opened = self.files.opened[ONE]
        yield from (*(Close(ONE),) * 3, Crash(), Crash(), Open(ONE))
        yield Reopen(ONE, writable=not opened.writable)
        if opened.writable:
            yield from (self.ground.write(self.chance.randrange(UNITS)) for _ in range(8))
        free = [name for name in NAMES if name not in disk.bitmaps]
        for name in free[:1]:
            granularity = self.chance.choice(self.claims.granularities)
            yield from (self.ground.add(name, self.chance.random() < 0.8, granularity=granularity),) * 3
        yield from self._on_bitmaps([*disk.bitmaps])
        for job in self.state.jobs:
            yield from (self.ground.copied(job), c.Copy(job, self.chance.randrange(UNITS) * self.ground.unit, 1))
            yield c.CancelJob(job)

    def _on_bitmaps(self, names: list[str]) -> Iterator[Played]:
        if not names:
            return
        name, source = self.chance.choice(names), self.chance.choice(names)
        yield c.ClearBitmap(ONE, name)
        yield c.EnableBitmap(ONE, name)
        yield c.DisableBitmap(ONE, name)
        yield c.RemoveBitmap(ONE, name)
        yield c.Transaction((c.RemoveBitmap(ONE, name), c.Abort()))
        yield c.MergeBitmaps(ONE, name, (c.Source(ONE, source),))
        if not self.state.jobs:
            yield self.ground.backup(name)
            yield self.ground.backup(name, mode=self.chance.choice(("never", "always", "on-success")))
