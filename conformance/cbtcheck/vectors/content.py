"""What disks and targets hold, as runs of equal bytes: the data that go with the specification's sets of blocks.

A write that failed, and bytes under a write in flight, may be anything. All offsets, lengths and counts are in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cbtmodel.commands import BeginWrite, EndWrite, Write
from cbtmodel.image import Crash, WrittenByOthers
from cbtmodel.step import Step

from cbtcheck.adapter import POISON
from cbtcheck.sets.bitsets import Bits
from cbtcheck.vectors.record import ANYTHING

Runs = tuple[tuple[int, int], ...]
"""(byte, how many) after each other, neighbours differing; `ANYTHING` for a byte that is not known."""

Piece = tuple[int, int, int]
"""Offset, length and byte."""


def joined(runs: Iterable[tuple[int, int]]) -> Runs:
    """The same bytes, as few runs as there can be."""
    found: list[tuple[int, int]] = []
    for byte, count in runs:
        if count and found and found[-1][0] == byte:
            found[-1] = byte, found[-1][1] + count
        elif count:
            found.append((byte, count))
    return tuple(found)


def part(runs: Runs, offset: int, length: int) -> Runs:
    """The bytes from `offset` on; fewer than `length` if there are no more."""
    found, at, past = [], 0, offset + length
    for byte, count in runs:
        first, last = max(at, offset), min(at + count, past)
        if first < last:
            found.append((byte, last - first))
        at += count
    return tuple(found)


def overlaid(under: Runs, offset: int, over: Runs) -> Runs:
    """`under`, with the bytes `over` in it from `offset` on."""
    size, length = sum(count for _, count in under), sum(count for _, count in over)
    past = offset + length
    return joined((*part(under, 0, offset), *over, *part(under, past, size - past)))


def copied_over(under: Runs, over: Runs, extents: Iterable[tuple[int, int]]) -> Runs:
    """`under`, with these extents as they are in `over`."""
    for offset, length in extents:
        under = overlaid(under, offset, part(over, offset, length))
    return under


@dataclass
class Contents:
    """Follows a history of commands, on disks that begin as zeroes.

    `flying` is what writes in flight will have written when they end, by node and id; `starts` is what the disk of
    each job held when it started, by the job's id.
    """

    disks: dict[str, Runs]
    flying: dict[tuple[str, str], list[Piece]] = field(default_factory=dict)
    starts: dict[str, Runs] = field(default_factory=dict)

    @classmethod
    def of(cls, sizes: dict[str, int]) -> Contents:
        """Fresh disks of these sizes."""
        return cls({name: ((0, size),) for name, size in sizes.items()})

    def follow(self, command: object, fill: int, step: Step[Bits]) -> None:
        """`command` gave `step`; guest writes are of the byte `fill`. If it was refused, nothing has changed."""
        if step.refusal is not None:
            return
        if isinstance(command, Crash):  # what was in flight may have landed, or not: it stays what it is, anything
            self.flying, self.starts = {}, {}
        if isinstance(command, WrittenByOthers):
            size = sum(count for _, count in self.disks[command.node])
            self.disks[command.node] = ((ANYTHING, size),)
        nodes = step.state.nodes
        for node, write_id in [each for each in self.flying if not (
            each[0] in nodes and each[1] in nodes[each[0]].writes
        )]:  # fmt: skip
            failed = isinstance(command, EndWrite) and command.result == "failed"
            for offset, length, byte in self.flying.pop((node, write_id)):
                self._lands(node, offset, length, ANYTHING if failed else byte)
        if isinstance(command, Write) and command.result != "ignored":
            byte = ANYTHING if command.result == "failed" else fill if command.kind == "write" else 0
            for offset, length, known in self._certain(command.node, (command.offset, command.length, byte)):
                self._lands(command.node, offset, length, known)
        if isinstance(command, BeginWrite):
            byte = fill if command.kind == "write" else 0
            pieces = self._certain(command.node, (command.offset, command.length, byte))
            self.flying[command.node, command.write] = pieces
            self._lands(command.node, command.offset, command.length, ANYTHING)
        for job_id, job in (*step.state.jobs.items(), *((end.job_id, end.job) for end in step.ended)):
            self.starts.setdefault(job_id, self.disks[job.node])

    def target(self, job_id: str, copied: Iterable[tuple[int, int]]) -> Runs:
        """What the target of a job that has just ended holds. Asked for once."""
        start = self.starts.pop(job_id)
        return copied_over(((POISON, sum(count for _, count in start)),), start, copied)

    def _lands(self, node: str, offset: int, length: int, byte: int) -> None:
        self.disks[node] = overlaid(self.disks[node], offset, ((byte, length),))

    def _certain(self, node_name: str, piece: Piece) -> list[Piece]:
        """A write, in pieces: where it meets one in flight, nobody knows which of the two comes last."""
        pieces = [piece]
        for (node, write_id), others in self.flying.items():
            if node == node_name:
                met = [each for other in others for each in pieces if _overlap(each, other)]
                self.flying[node, write_id] = [cut for other in others for cut in _uncertain(other, pieces)]
                pieces = [cut for each in pieces for cut in _uncertain(each, others)] if met else pieces
        return pieces


def _overlap(one: Piece, other: Piece) -> bool:
    return max(one[0], other[0]) < min(one[0] + one[1], other[0] + other[1])


def _uncertain(piece: Piece, others: list[Piece]) -> Iterator[Piece]:
    """The piece, cut so that what others touch is `ANYTHING`."""
    offset, length, byte = piece
    runs: Runs = ((byte, length),)
    for other in others:
        first, past = max(offset, other[0]), min(offset + length, other[0] + other[1])
        if first < past:
            runs = overlaid(runs, first - offset, ((ANYTHING, past - first),))
    for each, count in runs:
        yield offset, count, each
        offset += count
