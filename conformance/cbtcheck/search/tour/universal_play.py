"""The universal disk, on an implementation: one run that has every history of guest writes there can be.

Take a sequence of control commands, and let the guest write after each of them. All that this can do to one block is:
hit it or not, with each of the n writes. So there are 2^n *histories*, and a disk that has a granule of each history
plays all of them against the sequence at once. A history is a number: bit i is set if write i hits.

Each block of the tour's world becomes a *range* of the disk, with a granule for each history, so that a copy of the
world's block is a copy of that range. Only the blocks that the guest writes in the tour are written, or all if it
writes none: so a job that has copied all it had in the tour has done so here, too. A write that stays in flight is
one of the n. Granules stand in the order of the Gray code, in which neighbours differ in one write: so a write has
half as many runs of adjacent granules, each a `Write` of its own, as it would have in the order of numbers.

When the sequence is through, everything is let go to its end, so that the data of its backups are compared.

What this leaves out: that nothing at all has been written, for some granule always was. What hangs on an empty bitmap
is the business of the tour itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.tour.reachable import BLOCK
from cbtcheck.search.tour.sizes import Sizes, disks_in, scaled
from cbtcheck.search.tour.to_the_end import to_the_end
from cbtcheck.search.tour.walks import Walk
from cbtcheck.sets.bitsets import BitSets, extents

Position = tuple[str, int]
"""A disk and the number of a block of its world."""


@dataclass(frozen=True)
class ControlSequence:
    """What a walk of the tour does but for whole guest writes, with its disks in blocks.

    `written` are the blocks that the guest is to write.
    """

    disks: tuple[tuple[str, int], ...]
    commands: tuple[c.Command, ...]
    written: frozenset[Position]

    @property
    def in_flight(self) -> tuple[int, ...]:
        """Which of the commands begin a write that stays in flight, of whole blocks of a disk."""
        sizes = {name: blocks * BLOCK for name, blocks in self.disks}
        return tuple(
            index
            for index, each in enumerate(self.commands)
            if isinstance(each, c.BeginWrite) and 0 < each.offset + each.length <= sizes.get(each.node, 0)
            and each.length
        )  # fmt: skip

    @property
    def gaps(self) -> tuple[int, ...]:
        """The commands after which a guest write matters: from the first on that leaves a bitmap or a job."""
        state = initial(BitSets(BLOCK), {name: blocks * BLOCK for name, blocks in self.disks})
        for index, each in enumerate(self.commands):
            state = step(state, each).state
            if state.jobs or any(node.bitmaps for node in state.nodes.values()):
                return tuple(range(index, len(self.commands)))
        return ()


def control_sequences(walks: Iterable[Walk]) -> tuple[ControlSequence, ...]:
    """The different control sequences of walks in which there is something to write to, each once.

    One that is the beginning of another is left out: it is played with the other.
    """
    found = dict.fromkeys(sequence_of(each) for each in walks)
    beginnings = {
        replace(each, commands=each.commands[:length]) for each in found for length in range(len(each.commands))
    }
    return tuple(each for each in found if each not in beginnings and each.gaps)


def played_with(sequences: Iterable[ControlSequence], walks: Iterable[Walk]) -> frozenset[ControlSequence]:
    """Those of the sequences with which the control sequences of these walks are played: one for each."""
    begins: dict[ControlSequence, ControlSequence] = {}
    for each in sequences:
        for length in range(len(each.commands) + 1):
            begins.setdefault(replace(each, commands=each.commands[:length]), each)
    return frozenset(begins[it] for it in map(sequence_of, walks) if it in begins and it.gaps)


def sequence_of(walk: Walk) -> ControlSequence:
    """The control sequence of a walk."""
    sizes = {name: blocks * BLOCK for name, blocks in walk.world.disks}
    written = {
        (each.node, block)
        for each in walk.commands
        if isinstance(each, c.Write) and each.offset + each.length <= sizes.get(each.node, 0)
        for block in range(each.offset // BLOCK, -(-(each.offset + each.length) // BLOCK))
    }
    everything = {(name, block) for name, blocks in walk.world.disks for block in range(blocks)}
    commands = tuple(each for each in walk.commands if not isinstance(each, c.Write))
    return ControlSequence(walk.world.disks, commands, frozenset(written or everything))


MAY_DIFFER = (
    c.Write, c.BeginWrite, c.EndWrite, c.Copy, c.BeginCopy, c.EndCopy, c.ResumeJob, c.FinalizeJob
)  # fmt: skip
"""In these alone sequences can differ that are the same scenario in the end (see `one_cluster_at_a_time`)."""


def realised_alike(sequence: ControlSequence) -> Hashable:
    """A key that is the same for all sequences that may be the same scenario for an implementation.

    For one that picks its clusters some commands are left out or become several, and at the end jobs are resumed and
    finalized, whether the sequence has that or not; all else stays.
    """
    return sequence.disks, tuple(each for each in sequence.commands if not isinstance(each, MAY_DIFFER))


@dataclass(frozen=True)
class Play:
    """A control sequence with a guest write after each of the commands `gaps`, for these histories.

    Write 0 is the first of the commands that begin a write in flight; the gaps' writes follow these, in order.
    """

    sequence: ControlSequence
    gaps: tuple[int, ...]
    histories: tuple[int, ...]

    @property
    def writes(self) -> int:
        """How many writes a history tells of."""
        return len(self.sequence.in_flight) + len(self.gaps)

    def scenario(self, sizes: Sizes) -> Scenario:
        """The play on a disk that has `sizes.block` bytes for each history, in each of its ranges."""
        ranges = replace(sizes, block=len(self.histories) * sizes.block)
        commands: list[c.Command] = []
        flying: dict[tuple[str, str], list[str]] = {}
        for index, each in enumerate(self.sequence.commands):
            if isinstance(each, c.BeginWrite) and index in self.sequence.in_flight:
                commands += self._begun(each, self._hit_by(self.sequence.in_flight.index(index)), sizes, flying)
            elif isinstance(each, c.EndWrite):
                ids = flying.pop((each.node, each.write), [each.write])
                commands += [replace(each, write=job_id) for job_id in ids]
            else:
                commands.append(scaled(each, ranges))
            if index in self.gaps:
                hit = self._hit_by(len(self.sequence.in_flight) + self.gaps.index(index))
                for node, _ in self.sequence.disks:
                    blocks = [block for disk, block in self.sequence.written if disk == node]
                    commands += [c.Write(node, *at) for at in self._runs(blocks, hit, sizes.block)]
        disks = disks_in(self.sequence.disks, ranges)
        commands += to_the_end(disks, commands, BLOCK)
        return Scenario(disks, tuple(commands), title="every write history")

    def _hit_by(self, write: int) -> int:
        """The granules of a range that a write hits, as bits. The first writes have the fewest runs."""
        bit = self.writes - 1 - write
        return sum(1 << at for at, history in enumerate(self.histories) if history >> bit & 1)

    def _runs(self, blocks: Iterable[int], hit: int, granule: int) -> list[tuple[int, int]]:
        """The (offset, length) of the runs of granules that are hit in the ranges of blocks, in bytes."""
        word = sum(hit << block * len(self.histories) for block in blocks)
        return [(first * granule, count * granule) for first, count in extents(word)]

    def _begun(
        self, command: c.BeginWrite, hit: int, sizes: Sizes, flying: dict[tuple[str, str], list[str]]
    ) -> Iterator[c.Command]:
        """A write that stays in flight, as one for each of its runs; the first keeps the name."""
        blocks = range(command.offset // BLOCK, (command.offset + command.length) // BLOCK)
        runs = self._runs(blocks, hit, sizes.block)
        ids = [command.write if not number else f"{command.write}{number + 1}" for number in range(len(runs))]
        place = (command.node, command.write)
        if place in flying and runs:  # refused, since one of that name is in flight
            runs, ids = runs[:1], ids[:1]
        else:
            flying[place] = ids
        for write_id, (offset, length) in zip(ids, runs, strict=True):
            yield replace(command, write=write_id, offset=offset, length=length)


def plays(sequence: ControlSequence, most: int) -> tuple[Play, ...]:
    """The sequence with every history of up to `most` writes.

    If it has more gaps than that, several plays, each with as many gaps in a row as there can be.
    """
    room = max(1, most - len(sequence.in_flight))
    gaps = sequence.gaps
    windows = [gaps[first : first + room] for first in range(max(1, len(gaps) - room + 1))]
    return tuple(Play(sequence, each, gray_code(len(sequence.in_flight) + len(each))) for each in windows)


def gray_code(bits: int) -> tuple[int, ...]:
    """All numbers of so many bits; each differs from its neighbours in one bit."""
    return tuple(number ^ number >> 1 for number in range(1 << bits))


def different_histories(listed: tuple[Play, ...]) -> int:
    """How many different histories the plays of one sequence have: those in which two plays agree count once."""
    first, *others = listed
    return len(first.histories) + sum(len(each.histories) // 2 for each in others)
