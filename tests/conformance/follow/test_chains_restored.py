"""What the table says of backups across restarts is what restoring them gives: on the reference, byte by byte."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.content import in_runs
from cbtcheck.follow.chain_table import Row
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.follow.play import Player
from cbtcheck.follow.restore import Backup, Restorer
from cbtcheck.pytest_plugin import PINNED_SEED
from cbtcheck.scenario.scenario import Scenario, Step
from cbtcheck.search.restarts.drawn import drawn
from cbtcheck.search.restarts.ground import ONE, Ground
from cbtcheck.search.restarts.workflows import interrupted
from cbtcheck.sets.bitsets import extents
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, WrittenByOthers
from cbtproofs.mutants.image_chain_mistakes import IMAGE_CHAIN_MISTAKES
from cbtproofs.mutants.mutant import applied

CLAIMS = ReferenceAdapter.capabilities
BLOCK = 512
Begun = tuple[str, int]
"""A backup: its job, and the number of the step with which it began."""


@dataclass
class Restored:
    """A scenario, played, with all backups that have ended in it."""

    player: Player = field(default_factory=lambda: Player(ReferenceAdapter()))
    backups: dict[Begun, Backup] = field(default_factory=dict)
    counted: set[Begun] = field(default_factory=set)

    def play(self, scenario: Scenario) -> Iterator[tuple[Row, list[Backup]]]:
        """Each restore point, with its own backup and all that it is laid over, the oldest first."""
        player, began = self.player, dict[str, int]()
        player.block = scenario.block
        player.begin(scenario.disks, scenario.images)
        for number, step in enumerate(scenario.commands, 1):
            known = dict(self._restorer.backups)
            assert not player.play(step)
            ended = [job for job, each in self._restorer.backups.items() if known.get(job) is not each]
            for job in [*player.state.jobs, *ended]:
                began.setdefault(job, number)
            for job in ended:
                self.backups[job, began[job]] = self._restorer.backups[job]
            for job, outcome in player.worlds[0].ended:
                asked = scenario.commands[began[job] - 1]
                modes = [each.bitmap_mode for each in _started(asked) if each.job == job]
                if outcome == "completed" or modes == ["always"]:
                    self.counted.add((job, began[job]))
            began = {job: at for job, at in began.items() if job in player.state.jobs}
        rows = chains_of(player.frames, scenario.block).rows
        assert {(row.job, row.began.number) for row in rows} == self.counted, "all that count, and no others"
        links = [(row, self.backups[row.job, row.began.number]) for row in rows]
        for number, (row, own) in enumerate(links, 1):
            yield row, [each for _, each in links[:number] if each.node == own.node]

    @property
    def _restorer(self) -> Restorer:
        restorer = self.player.worlds[0].restorer
        assert isinstance(restorer, Restorer)
        return restorer


def _started(asked: Step) -> list[c.StartBackup]:
    """The backups that a command asks for."""
    actions = asked.actions if isinstance(asked, c.Transaction) else (asked,)
    return [each for each in actions if isinstance(each, c.StartBackup)]


def differing(layers: list[Backup]) -> set[int]:
    """The blocks that are not those of the last one's instant when these are laid over each other."""
    then = layers[-1].then
    assert then is not None
    image = in_runs(b"\xee" * len(then))
    for each in layers:
        target = each.target
        assert target is not None
        copied = [(first * BLOCK, many * BLOCK) for first, many in extents(each.copied.word)]
        image = image.laid_over(in_runs(target), copied)
    found: set[int] = set()
    for offset, length in image.differing(in_runs(then)):
        found |= set(range(offset // BLOCK, -(-(offset + length) // BLOCK)))
    return found


def blocks_of(pairs: list[tuple[int, int]]) -> set[int]:
    """The blocks of extents in bytes."""
    return {number for offset, length in pairs for number in range(offset // BLOCK, (offset + length) // BLOCK)}


def compared(scenario: Scenario, seen: Counter[str]) -> None:
    """The table of a scenario is what restoring gives: no less is lost, and what is lost for certain is."""
    for row, layers in Restored().play(with_a_full_backup(scenario)):
        if row.complete:
            wrong = differing(layers)
            sure, most = lost(row, "certain"), lost(row, "perhaps")
            assert wrong <= most, (row, wrong - most, scenario)
            assert sure <= wrong, (row, sure - wrong, scenario)
            seen[row.gives] += 1
            seen.update(f"by {each.blame.said.partition(' ')[0]}" for each in row.lost)


def lost(row: Row, which: str) -> set[int]:
    """The blocks that a row says are lost, for certain or perhaps."""
    return {block for each in row.lost for block in blocks_of(getattr(each, which).extents())}


def with_a_full_backup(scenario: Scenario) -> Scenario:
    """The same after a full backup of each disk, so that there is something to lay increments over."""
    fulls: list[Step] = []
    for number, node in enumerate(scenario.disks):
        job = f"full{number}"
        fulls += [c.StartBackup(job, node, "full", cluster=4096), Ground(CLAIMS).copied(job)]
    return replace(scenario, commands=(*fulls, *scenario.commands))


def test_so_it_is_of_what_is_drawn() -> None:
    seen: Counter[str] = Counter()
    for number in range(60):
        compared(drawn(CLAIMS, PINNED_SEED, number), seen)
    assert seen["restores"] > 50
    assert seen["does not restore"] > 10


def test_so_it_is_of_workflows_that_are_interrupted() -> None:
    seen: Counter[str] = Counter()
    for number, (name, scenario) in enumerate(interrupted(CLAIMS)):
        if number % 7 == 0 and ("backup" in name or "increments" in name):
            compared(scenario, seen)
    assert seen["restores"] > 50


def test_so_it_is_where_bitmaps_are_added_again_after_whatever_happens() -> None:
    seen = compare_all(80)
    assert seen["restores"] > 50
    assert seen["does not restore"] > 25
    assert seen["perhaps"] > 10
    assert seen["by crash"] > 10
    assert seen["by close"] > 2
    assert seen[f"by {ONE}"] > 2  # is written to by others


FOUND = (
    "only-an-open-disk-has-changed", "cancelled-by-a-close-is-under-way", "whatever-is-gone-has-no-end",
    "links-are-gone-too",
)  # fmt: skip
"""Mistakes that show on one disk of the reference: there a crash makes no writes in flight, nor do others write."""


@pytest.mark.parametrize("name", FOUND)
def test_a_mistake_in_what_is_specified_is_found(name: str) -> None:
    [mistake] = (each for each in IMAGE_CHAIN_MISTAKES if each.name == name)
    with applied(mistake), pytest.raises(AssertionError):
        compare_all(30)


def compare_all(many: int) -> Counter[str]:
    """So many drawn histories; what was seen in them."""
    seen: Counter[str] = Counter()
    for number in range(many):
        compared(backups_and_events(number), seen)
    return seen


def backups_and_events(number: int) -> Scenario:
    """A drawn history of increments, restarts, and bitmaps that are added again when they cannot be used any more."""
    chance, ground = random.Random(f"chains {number}"), Ground(CLAIMS)
    flight = c.BeginWrite(ONE, "w0", 4 * ground.unit, 512)
    events: tuple[tuple[Step, ...], ...] = (
        (Close(ONE), Open(ONE)), (Crash(), Open(ONE)), (flight, Crash(), Open(ONE)), (flight, Close(ONE), Open(ONE)),
        (Close(ONE), WrittenByOthers(ONE), Open(ONE)), (Close(ONE), Open(ONE, writable=False), Crash(), Open(ONE)),
        (ground.write(1), ground.backup(), ground.write(2), Crash(), Open(ONE)),
        (ground.write(1), ground.backup(), ground.write(2), Close(ONE), Open(ONE)),
        (
            ground.write(1), ground.write(3), ground.backup(mode="always"), c.Copy("j0", ground.unit, 1),
            ground.write(2), Close(ONE), Open(ONE),
        ),
    )  # fmt: skip
    stored = chance.random() < 0.7
    added = ground.add() if stored else ground.add().add
    steps: list[Step] = [added]
    for _ in range(chance.randrange(4, 9)):
        steps += [ground.write(chance.randrange(8)) for _ in range(chance.randrange(3))]
        if chance.random() < 0.5:
            steps += chance.choice(events)
        if chance.random() < 0.3:
            steps += [c.RemoveBitmap(ONE, "b")]
        steps += [added, ground.backup(None if chance.random() < 0.2 else "b"), ground.copied()]
    return ground.scenario("backups and events", *steps)
