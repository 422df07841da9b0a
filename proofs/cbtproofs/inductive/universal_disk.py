"""The universal disk: a proof by plain execution, with nothing but Python's integers.

With k independent sets, a block can be in any of 2^k conditions: in this set or not, in that one or not, … A disk
that has one block of each condition stands for every disk of every size: whatever a command does to a block, it does
to a block in the same condition on any disk, because it acts on each block alone. So a set is a column of a truth
table, held in an integer: bit i says whether the set has block i. What is assumed strikes out blocks that no legal
disk has. What is to be proved is an inclusion: no block that is left may be in the one set and not in the other. If
one is, it is the counterexample.

Two things are not about a block alone. Whether a set is *empty*: the run splits (if it is, its blocks are struck out;
if not, some block of it must be left). And *rounding out*: see `round_out`.
"""

from __future__ import annotations

from functools import lru_cache, partial, reduce
from itertools import compress
from operator import or_
from typing import Any

from cbtmodel.claims import Fact, Inclusion

from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.counterexample import counterexample
from cbtproofs.inductive.obligations import NOTHING, Assume, Obligation, Played, Script
from cbtproofs.inductive.paths import Fog, Impossible, Path, every_path


class Column:
    """A set of blocks of the universal disk. If it was made as a union, `parts` are the sets that were united.

    `granule` is that of `round_out`, if that has made it.
    """

    __slots__ = ("_disk", "_version", "_word", "granule", "parts")

    def __init__(self, disk: UniversalDisk, word: int, parts: tuple[Column, ...] = ()) -> None:
        self._disk, self._word, self._version = disk, word, len(disk.changes)
        self.parts = parts or (self,)
        self.granule = 0

    @property
    def word(self) -> int:
        """The column, brought up to date with what has become of the disk since it was made."""
        changes = self._disk.changes
        while self._version < len(changes):
            width, kept = changes[self._version]
            self._word = self._word | self._word << width if kept is None else squeezed(self._word, kept, width)
            self._version += 1
        return self._word

    def __or__(self, other: Any) -> Column:
        if not isinstance(other, Column):
            return NotImplemented
        return Column(self._disk, self.word | other.word, (*self.parts, *other.parts))

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
        self.width = 1  # how many blocks the disk has
        self.changes: list[tuple[int, int | None]] = []  # it doubled (None), or only these blocks were kept
        self.possible = Column(self, 1)  # the blocks that a legal disk may have
        self._inhabited = [self.possible]  # sets that are not empty; a disk without blocks has nothing to lose
        self._ranges: dict[tuple[int, int], Any] = {}
        self._roundings: dict[int, list[tuple[Column, Column]]] = {}
        self.empty = Column(self, 0)

    # Sets

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A new set that may have any blocks: the disk doubles, and the new half is in the set."""
        if foggy:
            return Fog(self.path)
        possible = self.possible.word
        if self.width > 256 and possible.bit_count() < self.width // 2:
            self.changes.append((self.width, possible))
            self.width = possible.bit_count()
        self.changes.append((self.width, None))
        self.width *= 2
        return Column(self, ((1 << self.width // 2) - 1) << self.width // 2)

    def everything(self, size: int) -> Column:
        """All blocks."""
        return Column(self, (1 << self.width) - 1)

    def blocks(self, offset: int, length: int) -> Any:
        """A byte range: any set of blocks, but the same for the same range; none, and all, are as they are."""
        if length in (0, SIZE):
            return self.everything(SIZE) if length else self.empty
        if (offset, length) not in self._ranges:
            self._ranges[offset, length] = self.arbitrary(f"bytes {offset}+{length}")
        return self._ranges[offset, length]

    def round_out(self, blocks: Any, granule: int, size: int) -> Any:
        """The union of the roundings of its parts. Of the rounding of a part all that is known is that it contains

        the part, is the same for the same part, and is empty if the part is; and what is rounded out already stays.
        """
        if isinstance(blocks, Fog):
            return blocks & blocks
        return reduce(or_, (self._rounded(each, granule) for each in blocks.parts))

    def _rounded(self, part: Column, granule: int) -> Column:
        if part.granule == granule or self.includes(part, self.empty):
            return part
        known = self._roundings.setdefault(granule, [])
        for argument, rounded in known:
            if argument is part or (self.includes(argument, part) and self.includes(part, argument)):
                return rounded
        new: Column = self.arbitrary("rounded out")
        new.granule = granule
        known.append((part, new))
        self.strike_out(part - new)
        return new

    # What is known

    def includes(self, small: Column, large: Column) -> bool:
        """Whether every possible block of `small` is in `large`."""
        return not small.word & ~large.word & self.possible.word

    def strike_out(self, blocks: Column) -> None:
        """No legal disk has any of these blocks, nor what is rounded out of nothing then."""
        if self.includes(blocks, self.empty):
            return
        self.possible = self.possible - blocks
        for known in self._roundings.values():
            for argument, rounded in known:
                if self.includes(argument, self.empty):
                    self.possible = self.possible - rounded
        if any(self.includes(each, self.empty) for each in self._inhabited):
            raise Impossible

    def decide(self, blocks: Column) -> bool:
        """Whether the set is non-empty; where both may be, the path splits."""
        if self.includes(blocks, self.empty):
            return False
        if any(self.includes(each, blocks) for each in self._inhabited):
            return True
        may_be_empty = all(not self.includes(each, blocks) for each in self._inhabited)
        if not may_be_empty or self.path.decide((1, 0)):
            self._inhabited.append(blocks)
            return True
        self.strike_out(blocks)
        return False

    def witness(self, claim: Inclusion[Any]) -> int:
        """A possible block that is in the small set and not in the large one, as a word with its bit; 0: no such."""
        wrong: int = claim.small.word & ~claim.large.word & self.possible.word
        return wrong & -wrong


@lru_cache(maxsize=10_000)
def squeezed(word: int, kept: int, width: int) -> int:
    """The bits of `word` at the places of the bits of `kept`, next to each other."""
    places = f"{kept:0{width}b}".encode().translate(DIGITS)
    return int(bytes(compress(f"{word:0{width}b}".encode(), places)), 2)


DIGITS = bytes(each == ord("1") for each in range(256))


def obligations(script: Script) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths, each with its verdict."""
    return [each for found in every_path(lambda path: _on(UniversalDisk(path), script)) for each in found]


def _on(disk: UniversalDisk, script: Script) -> list[Obligation]:
    found, played = [], Played(NOTHING, NOTHING)
    for item in script(disk):
        if isinstance(item, Played):
            played = item
            continue
        claim = item.claim
        if isinstance(claim, Inclusion) and (isinstance(claim.small, Fog) or isinstance(claim.large, Fog)):
            continue
        if isinstance(item, Assume):
            if isinstance(claim, Inclusion):
                disk.strike_out(claim.small - claim.large)
            elif not claim.true:
                raise Impossible
        else:
            wrong = None
            if isinstance(claim, Fact) and not claim.true:
                wrong = counterexample(played.before, played.after, None)
            elif isinstance(claim, Inclusion) and (block := disk.witness(claim)):
                wrong = counterexample(played.before, played.after, partial(_has, block))
            found.append(Obligation(item.id, disk.path.taken, claim.where, wrong))
    return found


def _has(block: int, blocks: Column) -> bool:
    return bool(blocks.word & block)
