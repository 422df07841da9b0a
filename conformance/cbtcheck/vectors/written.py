"""Plays a scenario on the specification, and writes down what it expects: a vector.

Nothing is worked out here but what disks hold (`content`): replies, sets and phases are the specification's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any, get_args

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap, busy, recording
from cbtmodel.image import Entry, Event, Persist
from cbtmodel.node import State, initial
from cbtmodel.refusal import Kind
from cbtmodel.step import Step
from msgspec import UNSET

from cbtcheck.adapter import PERSISTENCE, POISON, Observation
from cbtcheck.follow.judge import phase_of
from cbtcheck.follow.judge_images import RULE_DISK
from cbtcheck.follow.play import Frame
from cbtcheck.follow.refusals import may_name_another_reason
from cbtcheck.follow.worlds import World
from cbtcheck.run.tally import Tally
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.images import Files, ImageRefusal, Played, fresh
from cbtcheck.scenario.scenario import Restore, Scenario, command_in_full, spelled
from cbtcheck.sets.bitsets import Bits, BitSets, extents
from cbtcheck.vectors import format as f
from cbtcheck.vectors.chain_format import Chains
from cbtcheck.vectors.chained import Chained
from cbtcheck.vectors.content import Contents, Runs, copied_over
from cbtcheck.vectors.image_format import Entry as StoredEntry
from cbtcheck.vectors.image_format import Image

KINDS: list[Kind] = list(get_args(Kind))
SEEN = Observation({}, {})


@dataclasses.dataclass(frozen=True)
class Told:
    """What a vector says besides its scenario. Without `properties`, it is about all that its steps could violate."""

    id: str
    title: str
    bug: f.Bug | None = None
    properties: tuple[str, ...] = ()


def vector(told: Told, scenario: Scenario, chains_after: Collection[int] = ()) -> f.Vector:
    """The vector of a scenario; `chains_after` are the steps after which it says what backups give back.

    `ValueError` if it is not one that can be written down.
    """
    if scenario.images and chains_after:
        raise ValueError("what backups give back is not followed across images")
    chained = Chained(BitSets(scenario.block)) if chains_after else None
    writer = Writer(scenario.disks, scenario.block, chained, scenario.images)
    steps, chains = [], []
    for each in scenario.commands:
        if not isinstance(each, Restore):
            steps.append(writer.step(each))
            if len(steps) in chains_after:
                chains.append(writer.chains())
    restores = [writer.restore(each.jobs) for each in scenario.commands if isinstance(each, Restore)]
    properties = list(told.properties or writer.checked())
    disks = [f.Disk(name, size) for name, size in scenario.disks.items()]
    return f.Vector(
        told.id, told.title, sorted(writer.needs), properties, told.bug, scenario.block, disks, steps, restores,
        chains,
    )  # fmt: skip


def fill_of(number: int) -> int:
    """The byte of the guest writes of a step, by its number from 0; never the one that fresh targets are of."""
    return number % (POISON - 1) + 1


class Writer:
    """Writes down one step after the other."""

    def __init__(
        self, sizes: dict[str, int], block: int, chained: Chained | None = None, images: bool = False
    ) -> None:  # fmt: skip
        self.chained = chained
        self.space = BitSets(block)
        self.world = World(initial(self.space, sizes), files=fresh(sizes) if images else None)
        self.contents = Contents.of(sizes)
        self.needs: set[str] = {f"disks:{len(sizes)}", *([PERSISTENCE] if images else [])}
        self.backups: dict[str, tuple[Runs, tuple[tuple[int, int], ...], Runs]] = {}
        self.steps = 0
        self.tally = Tally(lambda *_: None)

    @property
    def state(self) -> State[Bits]:
        """The specification's state now."""
        return self.world.state

    def step(self, command: Played) -> f.Step:
        """The step of a command, or of what happens to an image."""
        before, fill = self.state, fill_of(self.steps)
        self.steps += 1
        result = self.world.takes(command, None, self_check=True)
        self._needed(before, command, result)
        if isinstance(command, Event) or c.malformed(command) is None:
            if not isinstance(command, Event):
                self.tally.listen(before, command, result)
            self.tally.frames([Frame(command, (), before, result.state, SEEN, ())])
        self.contents.follow(command, fill, result)
        refused: list[Kind | ImageRefusal] = [] if result.refusal is None else [result.refusal.kind]
        if refused and may_name_another_reason(command):
            refused = [*KINDS]
        ended = [self._ended(each, before.nodes[each.job.node].size) for each in result.ended]
        if self.chained is not None and not isinstance(command, Event):
            self.chained.step(self.steps, before, command, result)
        return f.Step(command_in_full(command, fill, self.needs), refused, ended, self._after())

    def restore(self, jobs: tuple[str, ...]) -> f.Restore:
        """What the targets of these jobs give, laid over each other: the disk at the last one's start."""
        start = self.backups[jobs[-1]][2]
        image: Runs = ((0, sum(count for _, count in start)),)
        for job_id in jobs:
            target, copied, _ = self.backups[job_id]
            image = copied_over(image, target, copied)
        assert image == start, f"the chain {', '.join(jobs)} does not give the disk"
        return f.Restore(list(jobs), [list(each) for each in image])

    def chains(self) -> Chains:
        """What the backups give back that were made until now."""
        assert self.chained is not None
        return self.chained.after(self.steps, self.state, self.backups)

    def checked(self) -> list[str]:
        """The properties that a check of these steps could have found violated."""
        found = [each for each, count in self.tally.properties.items() if count.checked]
        return [*([RULE_DISK] if self.world.files is not None else []), *found] or ["ATOMIC"]

    # Capabilities

    def _needed(self, before: State[Bits], asked: Played, result: Step[Bits]) -> None:
        command = asked.add if isinstance(asked, Persist) else asked
        if isinstance(command, Event):
            return
        if c.malformed(command) is not None:
            self.needs |= {f.MALFORMED, "refusals", *names(command)}
            return
        self.needs |= {*claims.needs(command), *self._sizes(command)}
        starts = sum(isinstance(each, c.StartBackup) for each in with_actions(command))
        if starts:
            self.needs.add(f"jobs:{len(before.jobs) + starts}")
        if result.refusal is not None and result.refusal.kind == "invalid":
            self.needs.add("refusals")

    def _sizes(self, command: c.Command) -> Iterator[str]:
        """The granularities and clusters of what a command makes, if it can be made."""
        for each in with_actions(command):
            if isinstance(each, c.AddBitmap):
                what, size, usable = "granularity", each.granularity, each.granularity <= 1 << 31
            elif isinstance(each, c.StartBackup):
                what, size, usable = "cluster", each.cluster, True
            else:
                continue
            if usable and size >= 512 and size.bit_count() == 1:
                yield f"{what}:{size}"
                if each.node in self.state.nodes and self.state.nodes[each.node].size % size:
                    yield "tails"

    # What there is

    def _after(self) -> f.After:
        state, files = self.state, self.world.files
        nodes = state.nodes.items()
        return f.After(
            [self._bitmap(node_name, name, each) for node_name, node in nodes for name, each in node.bitmaps.items()],
            [
                f.Job(job_id, phase, self._of(job.scope - job.todo, job.node), self._of(job.copying, job.node))
                for job_id, job in state.jobs.items()
                for phase in f.PHASES
                if phase == phase_of(job)
            ],
            [f.InFlight(node_name, write_id) for node_name, node in nodes for write_id in node.writes],
            [f.Content(node_name, [list(each) for each in runs]) for node_name, runs in self.contents.disks.items()],
            UNSET if files is None else [self._image(files, node_name) for node_name in files.images],
        )  # fmt: skip

    def _bitmap(self, node: str, name: str, bitmap: Bitmap[Bits]) -> f.Bitmap:
        heir, files, granularity = bitmap.successor, self.world.files, bitmap.granularity
        size = self.state.nodes[node].size
        worth = "" if files is None else files.worth(node, name)
        return f.Bitmap(
            node, name, granularity, recording(bitmap), busy(bitmap),
            self._granules(bitmap.marks.owed, granularity, size),
            self._granules(bitmap.marks.dirty, granularity, size),
            None if heir is None else f.Successor(
                heir.enabled, self._granules(heir.marks.owed, granularity, size),
                self._granules(heir.marks.dirty, granularity, size),
            ),
            UNSET if files is None else bool(worth), UNSET if files is None else worth == "inconsistent",
        )  # fmt: skip

    def _image(self, files: Files[Bits], node: str) -> Image:
        """What is in the file of an image; nothing that counts if its last writer knew nothing of bitmaps."""
        image, opened = files.images[node], files.opened.get(node)
        how: Any = "" if opened is None else "rw" if opened.writable else "ro"
        entries = image.entries.items() if image.current else ()
        return Image(node, how, [self._entry(name, each, image.size) for name, each in entries])

    def _entry(self, name: str, entry: Entry[Bits], size: int) -> StoredEntry:
        owed, dirty = (self.space.empty,) * 2 if entry.in_use else (entry.marks.owed, entry.marks.dirty)
        bounds = (self._granules(each, entry.granularity, size) for each in (owed, dirty))
        return StoredEntry(name, entry.granularity, entry.enabled, entry.in_use, *bounds)

    def _ended(self, end: Ended[Bits], size: int) -> f.Ended:
        """A job of a disk of `size` bytes has ended; the disk may be gone with it."""
        copied = _in_bytes((end.job.scope - end.job.todo).word, self.space.block, size)
        pairs = tuple((offset, length) for offset, length in copied)
        start = self.contents.starts[end.job_id]
        target = self.contents.target(end.job_id, pairs)
        self.backups[end.job_id] = target, pairs, start
        return f.Ended(end.job_id, end.outcome, copied, [list(each) for each in target])

    def _granules(self, blocks: Bits, granularity: int, size: int) -> list[list[int]]:
        """Whole granules, as extents that end with the disk, which has `size` bytes."""
        return _in_bytes(self.space.granules(blocks, granularity, size), granularity, size)

    def _of(self, blocks: Bits, node: str) -> list[list[int]]:
        return _in_bytes(blocks.word, self.space.block, self.state.nodes[node].size)


def _in_bytes(word: int, unit: int, size: int) -> list[list[int]]:
    runs = ((first * unit, (first + count) * unit) for first, count in extents(word))
    return [[first, min(past, size) - first] for first, past in runs]


# Commands


def with_actions(command: c.Command) -> tuple[c.Command | c.Action, ...]:
    """A command, and the actions of a transaction."""
    return (command, *(command.actions if isinstance(command, c.Transaction) else ()))


def names(command: object) -> Iterable[str]:
    """The name of a command; none if the specification has no such command."""
    return [spelled(type(command).__name__)] if isinstance(command, c.Command) else []
