"""The universal disk: a proof by plain execution, with nothing but Python's integers.

With k independent sets, a block can be in any of 2^k conditions: in this set or not, in that one or not, … A disk
that has one block of each condition stands for every disk of every size: whatever a command does to a block, it does
to a block in the same condition on any disk. So a set is a column of a truth table, held in an integer: bit i says
whether the set has block i. What is assumed strikes out blocks that no legal disk has. What is to be proved is an
inclusion: no block that is left may be in the one set and not in the other. If one is, it is the counterexample.

Two things are not about a block alone. Whether a set is *empty*: the run splits (if it is, its blocks are struck out;
if not, some block of it must be left). And *rounding out*: see `_rounded`.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from itertools import compress
from operator import or_
from typing import Any

from cbtmodel.claims import Fact

from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.opaque import Opaque
from cbtproofs.inductive.paths import Fog, Impossible, Path, every_path
from cbtproofs.inductive.script import Assume, Findings, Obligation, Prove, Script

Granule = tuple[int, int]
"""Its size, and that of the disk: disks of two sizes end in different granules."""


class Column(Opaque):
    """A set of blocks, united of `parts`; `granule` is that of `round_out`, if it comes from there."""

    __slots__ = ("_disk", "_version", "_word", "granule", "parts")

    def __init__(self, disk: UniversalDisk, word: int, parts: tuple[Column, ...] = ()) -> None:
        self._disk, self._word, self._version = disk, word, len(disk.changes)
        self.parts = parts or (self,)
        self.granule: Granule = 0, 0

    @property
    def word(self) -> int:
        """The column, brought up to date with what has become of the disk since it was made."""
        changes = self._disk.changes
        if self._version != len(changes):
            for width, kept in changes[self._version :]:
                self._word = squeezed(self._word, kept, width) if kept else self._word | self._word << width
            self._version = len(changes)
        return self._word

    def __or__(self, other: Any) -> Column:
        if not isinstance(other, Column):
            return NotImplemented
        return Column(self._disk, self.word | other.word, self.parts + other.parts)

    def __and__(self, other: Any) -> Column:
        return Column(self._disk, self.word & other.word) if isinstance(other, Column) else NotImplemented

    def __sub__(self, other: Any) -> Column:
        return Column(self._disk, self.word & ~other.word) if isinstance(other, Column) else NotImplemented

    def __bool__(self) -> bool:
        return self._disk.decide(self)


class UniversalDisk:
    """The disk on one path, and the space that the specification makes its sets in."""

    def __init__(self, path: Path) -> None:
        self.path, self.space = path, self
        self.width = self.possible = 1  # how many blocks the disk has; those that a legal disk may have, as a word
        self.changes: list[tuple[int, int]] = []  # only these blocks were kept; or, with 0, the disk doubled
        self.empty = Column(self, 0)
        self._all = Column(self, 1)
        self._inhabited = [self._all]  # sets that are not empty; a disk without blocks has nothing to lose
        self._ranges: dict[tuple[int, int], Any] = {}
        self._sizes: dict[int, Column] = {}  # the blocks of disks, by size
        self._roundings: list[tuple[Granule, Column, Column]] = []  # granule, argument, result

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A new set that may have any blocks: the disk doubles, and the new half is in the set."""
        if foggy:
            return Fog(self.path)
        if self.width > 256 and (left := self.possible.bit_count()) < self.width // 2:
            self.changes.append((self.width, self.possible))
            self.width, self.possible = left, (1 << left) - 1
        width = self.width
        self.changes.append((width, 0))
        self.width, self.possible = 2 * width, self.possible | self.possible << width
        return Column(self, ((1 << width) - 1) << width)

    def everything(self, size: int) -> Any:
        """All blocks; of a smaller disk some of them, and none that a disk between the two has not."""
        if size > SIZE:
            raise ValueError(f"no disk is larger than {SIZE} bytes")
        blocks = self.blocks(0, size)
        for other, of_other in list(self._sizes.items()):
            small, large = (blocks, of_other) if size < other else (of_other, blocks)
            self.strike_out(small.word & ~large.word)
        self._sizes[size] = blocks
        return blocks

    def blocks(self, offset: int, length: int) -> Any:
        """A byte range: any set of blocks, but the same for the same range; none, and all, are as they are."""
        if length in (0, SIZE):
            return self._all if length else self.empty
        if (offset, length) not in self._ranges:
            self._ranges[offset, length] = self.arbitrary(f"bytes {offset}+{length}")
        return self._ranges[offset, length]

    def round_out(self, blocks: Any, granule: int, size: int) -> Any:
        """The union of the roundings of its parts."""
        parts = () if isinstance(blocks, Fog) else blocks.parts
        return reduce(or_, (self._rounded(each, (granule, size)) for each in parts)) if parts else blocks & blocks

    def _rounded(self, part: Column, granule: Granule) -> Column:
        """All that is known: it contains the part, is the same for the same part, and empty if that is."""
        word, possible = part.word, self.possible
        if part.granule == granule or not word & possible:  # what is rounded out already stays
            return part
        for of, argument, rounded in self._roundings:
            if of == granule and not (argument.word ^ word) & possible:
                return rounded
        new: Column = self.arbitrary("rounded out")
        new.granule = granule
        self._roundings.append((granule, part, new))
        self.strike_out(part.word & ~new.word)
        return new

    def strike_out(self, word: int) -> None:
        """No legal disk has any of these blocks, nor what is rounded out of nothing then."""
        if not word & self.possible:
            return
        self.possible &= ~word
        for _, argument, rounded in self._roundings:
            if not argument.word & self.possible:
                self.possible &= ~rounded.word
        if not all(each.word & self.possible for each in self._inhabited):
            raise Impossible

    def decide(self, blocks: Column) -> bool:
        """Whether the set is non-empty; where both may be, the path splits."""
        word = blocks.word & self.possible
        if not word:
            return False
        if all(each.word & self.possible & ~word for each in self._inhabited):  # it need not have any
            if not self.path.decide((1, 0)):
                self.strike_out(word)
                return False
            self._inhabited.append(blocks)
        return True


@lru_cache(maxsize=10_000)
def squeezed(word: int, kept: int, width: int) -> int:
    """The bits of `word` at the places of the bits of `kept`, next to each other."""
    places = f"{kept:0{width}b}".encode().replace(b"0", b"\0")
    return int(bytes(compress(f"{word:0{width}b}".encode(), places)), 2)


def obligations(script: Script) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths, each with its verdict."""
    return [each for found in every_path(lambda path: _on(UniversalDisk(path), script)) for each in found]


def _on(disk: UniversalDisk, script: Script) -> list[Obligation]:
    found = Findings(disk.path)
    for item in found.heard(script(disk)):
        _hear(disk, found, item)
    return found.listed


def _hear(disk: UniversalDisk, found: Findings, item: Assume | Prove) -> None:
    if isinstance(item.claim, Fact):
        wrong = 0 if item.claim.true else disk.possible
    elif isinstance(item.claim.small, Fog) or isinstance(item.claim.large, Fog):
        return
    else:
        wrong = item.claim.small.word & ~item.claim.large.word & disk.possible
    if isinstance(item, Assume):
        disk.strike_out(wrong)  # all of them, if a fact is not true: there is no such disk
    else:
        block = wrong & -wrong  # one of them; there is none to show if a fact is not true
        found.add(item, not wrong, None if isinstance(item.claim, Fact) else lambda of: bool(of.word & block))
