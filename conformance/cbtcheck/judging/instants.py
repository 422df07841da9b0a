"""What the guest's disks were at each instant, and whether what a restore gave back is one of these.

The guest fills each sector with one byte that says which write it was, so a disk is a byte per sector: 0 is nothing
or zeroes, and n is write n. An instant is the number of writes that have been done, from 0: the guest writes one at a
time, and each has ended before anything else happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cbtcheck.judging.plan import SECTOR
from cbtcheck.judging.schedule import Write

STRANGE = 255
"""What stands for a sector that no write has left so."""

FILLED = [bytes([fill]) * SECTOR for fill in range(256)]

MOST_WRITES = 250
"""Writes in one schedule, each with a byte of its own."""

Disks = dict[str, bytes]
Span = tuple[int, int]
"""From the first of these instants to the last, both included."""


@dataclass(frozen=True)
class Done:
    """A write that the guest has made; `number` from 1: instant `number` is the first that has it.

    `parts`: of a discard, the ranges (offset, length) that the disk has heeded; None for other writes.
    """

    number: int
    write: Write
    parts: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Loss:
    """A range that is not as it was: the number of the write that is there, and of that which should be (0: none)."""

    disk: str
    offset: int
    length: int
    found: int
    wanted: int


@dataclass(frozen=True)
class Comparison:
    """What came of a restored disk, or of all of them: the instant it is of, or what it lacks of the nearest one.

    `right`: there is such an instant. `instant`: that, or the nearest. `wrong_size`: names a disk that is too short
    or too long, and its bytes.
    """

    right: bool
    instant: int
    losses: tuple[Loss, ...] = ()
    wrong_size: str = ""
    torn: bool = False


class History:
    """The disks, and every instant of them."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.done: list[Done] = []
        self._now = {name: bytearray(size // SECTOR) for name, size in sizes.items()}
        self._instants: list[Disks] = [self._copy()]

    @property
    def instant(self) -> int:
        """How many writes have been done."""
        return len(self.done)

    def at(self, instant: int) -> Disks:
        """The disks as they were after so many writes."""
        return self._instants[instant]

    def write(self, write: Write, fill: int, ranges: Sequence[tuple[int, int]] | None = None) -> Done:
        """The guest has made a write, which has filled its range with a byte; or only these parts of it.

        A range is its offset and length. Of a discard the disk may heed a part only, or nothing.
        """
        done = Done(len(self.done) + 1, write, None if ranges is None else tuple(ranges))
        self.done.append(done)
        for offset, length in [(write.offset, write.length)] if ranges is None else ranges:
            count = length // SECTOR
            self._now[write.disk][offset // SECTOR : offset // SECTOR + count] = bytes([fill]) * count
        self._instants.append(self._instants[-1] | {write.disk: bytes(self._now[write.disk])})
        return done

    def changed(self, since: int, until: int, granule: int) -> int:
        """Bytes of the granules that were written after one instant and up to another."""
        touched = set()
        for each in self.done[since:until]:
            first, past = each.write.offset // granule, -(-(each.write.offset + each.write.length) // granule)
            touched |= {(each.write.disk, number) for number in range(first, past)}
        return len(touched) * granule

    def compare(self, restored: Disks, spans: Sequence[Span], together: bool) -> list[tuple[str, Comparison]]:
        """Each disk, or all together (then with no name), held against every instant in these spans."""
        if together:
            return [("", self._compare(restored, spans))]
        return [(name, self._compare({name: content}, spans)) for name, content in restored.items()]

    def _compare(self, restored: Disks, spans: Sequence[Span]) -> Comparison:
        for name, content in restored.items():
            if len(content) != self.sizes[name] // SECTOR:
                return Comparison(False, spans[-1][0], wrong_size=f"{name} has {len(content) * SECTOR} bytes")
        instants = sorted({instant for first, last in spans for instant in range(first, last + 1)})
        for instant in reversed(instants):
            if self.at(instant).items() >= restored.items():
                return Comparison(True, instant)
        nearest, fewest = instants[0], -1
        for instant in reversed(instants):
            differ = sum(_differing(content, self.at(instant)[name]) for name, content in restored.items())
            if fewest < 0 or differ < fewest:
                nearest, fewest = instant, differ
        losses = tuple(self._losses(restored, nearest))
        return Comparison(False, nearest, losses, torn=any(each.found > nearest for each in losses))

    def _losses(self, restored: Disks, instant: int) -> Iterator[Loss]:
        for name, content in restored.items():
            wanted = self.at(instant)[name]
            begin, key = 0, (-1, -1)
            for sector in range(len(content) + 1):
                differs = sector < len(content) and content[sector] != wanted[sector]
                now = (content[sector], self._setter(name, sector, instant)) if differs else (-1, -1)
                if now != key:
                    if key != (-1, -1):
                        yield Loss(name, begin * SECTOR, (sector - begin) * SECTOR, *key)
                    begin, key = sector, now

    def _setter(self, disk: str, sector: int, instant: int) -> int:
        """The last write of a sector up to an instant; 0 if there is none."""
        for each in reversed(self.done[:instant]):
            write = each.write
            if write.disk == disk and write.offset // SECTOR <= sector < (write.offset + write.length) // SECTOR:
                return each.number
        return 0

    def _copy(self) -> Disks:
        return {name: bytes(content) for name, content in self._now.items()}


def _differing(one: bytes, other: bytes) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def fills(content: bytes) -> bytes:
    """A byte for each sector of an image: what it is filled with, `STRANGE` if that is not one byte."""
    whole = len(content) // SECTOR
    found = bytearray(content[: whole * SECTOR : SECTOR])
    if content == b"".join(map(FILLED.__getitem__, found)):  # as a rule
        return bytes(found)
    for sector in range(whole):
        at = sector * SECTOR
        if content[at : at + SECTOR].count(found[sector]) != SECTOR:
            found[sector] = STRANGE
    if len(content) % SECTOR:
        found.append(STRANGE)
    return bytes(found)


def runs(content: bytes) -> Iterable[tuple[int, int, int]]:
    """The sectors of one fill that follow each other: (offset, length, fill), in bytes."""
    begin = 0
    for sector in range(1, len(content) + 1):
        if sector == len(content) or content[sector] != content[begin]:
            yield begin * SECTOR, (sector - begin) * SECTOR, content[begin]
            begin = sector
