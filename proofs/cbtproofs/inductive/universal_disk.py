"""The universal disk: a proof by plain execution, with nothing but truth tables.

With k independent sets, a block can be in any of 2^k conditions: in this set or not, in that one or not, … A disk
that has one block of each condition stands for every disk of every size: whatever a command does to a block, it does
to a block in the same condition on any disk. So a set is a column of a truth table, with a row for each condition.
What is assumed strikes out blocks that no legal disk has. What is to be proved is an inclusion: no block that is left
may be in the one set and not in the other. If one is, it is the counterexample.

Two things are not about a block alone. Whether a set is *empty*: the run splits (if it is, its blocks are struck out;
if not, some block of it must be left). And *rounding out*: see `_rounded`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from cbtmodel.claims import Fact

from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.counterexample import Has
from cbtproofs.inductive.listening import World, on_all_paths
from cbtproofs.inductive.opaque import Opaque
from cbtproofs.inductive.paths import Fog, Impossible, Path
from cbtproofs.inductive.script import Claim, Obligation, Script
from cbtproofs.inductive.truth_table import ALL, NONE, Rows, a_row, common, is_in, less, meet, rows, union

Granule = tuple[int, int]
"""Its size, and that of the disk: disks of two sizes end in different granules."""


class Column(Opaque):
    """A set of blocks, united of `parts`; `granule` is that of `round_out`, if it comes from there."""

    __slots__ = ("_disk", "granule", "parts", "rows")

    def __init__(self, disk: UniversalDisk, of: Rows, parts: tuple[Column, ...] = ()) -> None:
        self._disk, self.rows = disk, of
        self.parts = parts or (self,)
        self.granule: Granule = 0, 0

    def __or__(self, other: Any) -> Column:
        if not isinstance(other, Column):
            return NotImplemented
        return Column(self._disk, union(self.rows, other.rows), self.parts + other.parts)

    def __and__(self, other: Any) -> Column:
        return Column(self._disk, common(self.rows, other.rows)) if isinstance(other, Column) else NotImplemented

    def __sub__(self, other: Any) -> Column:
        return Column(self._disk, less(self.rows, other.rows)) if isinstance(other, Column) else NotImplemented

    def __bool__(self) -> bool:
        return self._disk.decide(self)


class UniversalDisk(World):
    """The disk on one path, and the space that the specification makes its sets in."""

    def __init__(self, path: Path) -> None:
        self.path, self.space = path, self
        self.sets = 0  # how many there are
        self.possible = ALL  # the blocks that a legal disk may have
        self.empty, self._all = Column(self, NONE), Column(self, ALL)
        self._inhabited: tuple[Column, ...] = (self._all,)  # not empty: a disk without blocks has nothing to lose
        self._ranges: dict[tuple[int, int], Any] = {}
        self._sizes: dict[int, Column] = {}  # the blocks of disks, by size
        self._roundings: tuple[tuple[Granule, Column, Column], ...] = ()  # granule, argument, result

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A new set that may have any blocks."""
        if foggy:
            return Fog(self.path)
        self.sets += 1
        return Column(self, rows(self.sets, NONE, ALL))

    def everything(self, size: int) -> Any:
        """All blocks; of a smaller disk some of them, and none that a disk between the two has not."""
        if size > SIZE:
            raise ValueError(f"no disk is larger than {SIZE} bytes")
        blocks = self.blocks(0, size)
        for other, of_other in self._sizes.items():
            small, large = (blocks, of_other) if size < other else (of_other, blocks)
            self.strike_out(less(small.rows, large.rows))
        self._sizes = {**self._sizes, size: blocks}
        return blocks

    def blocks(self, offset: int, length: int) -> Any:
        """A byte range: any set of blocks, but the same for the same range; none, and all, are as they are."""
        if length in (0, SIZE):
            return self._all if length else self.empty
        if (offset, length) not in self._ranges:
            self._ranges = {**self._ranges, (offset, length): self.arbitrary(f"bytes {offset}+{length}")}
        return self._ranges[offset, length]

    def round_out(self, blocks: Any, granule: int, size: int) -> Any:
        """The union of the roundings of its parts."""
        parts = () if isinstance(blocks, Fog) else blocks.parts
        return reduce(or_, (self._rounded(each, (granule, size)) for each in parts)) if parts else blocks & blocks

    def _rounded(self, part: Column, granule: Granule) -> Column:
        """All that is known: it contains the part, is the same for the same part, and empty if that is."""
        if part.granule == granule or not self.has(part.rows):  # what is rounded out already stays
            return part
        for of, argument, rounded in self._roundings:
            if of == granule and not self.has(union(less(argument.rows, part.rows), less(part.rows, argument.rows))):
                return rounded
        new: Column = self.arbitrary("rounded out")
        new.granule = granule
        self._roundings = (*self._roundings, (granule, part, new))
        self.strike_out(less(part.rows, new.rows))
        return new

    def has(self, of: Rows) -> bool:
        """Whether a legal disk may have any of these blocks."""
        return meet(of, self.possible)

    def strike_out(self, of: Rows) -> None:
        """No legal disk has any of these blocks, nor what is rounded out of nothing then."""
        if not self.has(of):
            return
        self.possible = less(self.possible, of)
        for _, argument, rounded in self._roundings:
            if not self.has(argument.rows):
                self.possible = less(self.possible, rounded.rows)
        if not all(self.has(each.rows) for each in self._inhabited):
            raise Impossible

    def learn(self, claim: Claim) -> None:
        """What is assumed: no legal disk has a block of which it is not so."""
        self.strike_out(self.wrong(claim))

    def doubt(self, claim: Claim) -> Has | None:
        """A block of which a claim is not so: says what it is in. None if it holds of all."""
        wrong = self.wrong(claim)
        if wrong is NONE or not self.has(wrong):
            return None
        block = a_row(common(wrong, self.possible))
        return lambda of: is_in(block, of.rows)

    def wrong(self, claim: Claim) -> Rows:
        """The blocks of which a claim is not so: all, if it is a fact that is not true."""
        if isinstance(claim, Fact):
            return NONE if claim.true else ALL
        return less(claim.small.rows, claim.large.rows)

    def decide(self, blocks: Column) -> bool:
        """Whether the set is non-empty; where both may be, the path splits."""
        if not self.has(blocks.rows):
            return False
        if all(self.has(less(each.rows, blocks.rows)) for each in self._inhabited):  # it need not have any
            if not self.path.decide((1, 0)):
                self.strike_out(blocks.rows)
                return False
            self._inhabited = (*self._inhabited, blocks)
        return True


def obligations(script: Script) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths, each with its verdict."""
    return on_all_paths(UniversalDisk(Path()), script)
