"""Sets of blocks as bit vectors: the specification's space that the suite uses for disks of a few thousand blocks.

Block i is bit i of a Python int. Rounding works on the whole vector at once, in a number of shifts that grows with
the logarithm of the granule, so that a disk of 2,000 blocks costs about a microsecond per operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cbtcheck.adapter import digest as digest_of_word
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import Granules


class Bits:
    """An immutable set of block numbers."""

    __slots__ = ("word",)

    def __init__(self, word: int = 0) -> None:
        self.word = word

    def __or__(self, other: Bits, /) -> Bits:
        return Bits(self.word | other.word)

    def __and__(self, other: Bits, /) -> Bits:
        return Bits(self.word & other.word)

    def __sub__(self, other: Bits, /) -> Bits:
        return Bits(self.word & ~other.word)

    def __le__(self, other: Bits, /) -> bool:
        return not self.word & ~other.word

    def __bool__(self) -> bool:
        return self.word != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bits) and self.word == other.word

    def __hash__(self) -> int:
        return hash(self.word)

    def __len__(self) -> int:
        return self.word.bit_count()

    def __contains__(self, block: int) -> bool:
        return bool(self.word >> block & 1)

    def __repr__(self) -> str:
        return f"Bits({self.word:#x})"


NOTHING = Bits()


def filled(count: int) -> int:
    """The word whose lowest `count` bits are set."""
    return (1 << count) - 1


def ranges(word: int) -> str:
    """Granule numbers as ranges: "0-3,7"."""
    parts = (str(first) if count == 1 else f"{first}-{first + count - 1}" for first, count in extents(word))
    return ",".join(parts) or "none"


def extents(word: int) -> list[tuple[int, int]]:
    """The runs of set bits of a word: (first, how many)."""
    runs = []
    start = 0
    while word:
        zeros = (word & -word).bit_length() - 1
        word >>= zeros
        ones = (~word & (word + 1)).bit_length() - 1
        runs.append((start + zeros, ones))
        word >>= ones
        start += zeros + ones
    return runs


@dataclass(frozen=True)
class BitSets(Comparing[Bits]):
    """The space of `Bits`. `block` is the size of a block in bytes, a power of two."""

    block: int = 512
    alignment: int = 1
    _combs: dict[tuple[int, int], int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def empty(self) -> Bits:
        """No block."""
        return NOTHING

    def everything(self, size: int) -> Bits:
        """Every block of a disk of `size` bytes."""
        return Bits(filled(-(-size // self.block)))

    def blocks(self, offset: int, length: int) -> Bits:
        """Every block that the byte range touches; none if `length` is 0."""
        if length == 0:
            return NOTHING
        first, last = offset // self.block, (offset + length - 1) // self.block
        return Bits(filled(last - first + 1) << first)

    def round_out(self, blocks: Bits, granule: int, size: int) -> Bits:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`."""
        total = -(-size // self.block)
        per = granule // self.block
        if per <= 1 or not blocks.word:
            return blocks
        if per >= total:
            return Bits(filled(total))
        return Bits(self._spread(self._touched(blocks.word, per, total), per) & filled(total))

    def granules(self, blocks: Bits, granule: int, size: int) -> int:
        """A word with one bit for each granule of the disk: set if the granule has a block of `blocks`."""
        per = max(1, granule // self.block)
        if per == 1:
            return blocks.word
        word = 0
        for start, count in extents(blocks.word):
            first, last = start // per, (start + count - 1) // per
            word |= filled(last - first + 1) << first
        return word

    def from_granules(self, word: int, granule: int, size: int) -> Bits:
        """The blocks of the granules whose bits are set in `word`."""
        per = granule // self.block
        blocks = 0
        for first, count in extents(word):
            blocks |= filled(count * per) << (first * per)
        return Bits(blocks & filled(-(-size // self.block)))

    # What observations are compared in

    def at_most(self, blocks: Bits, granule: int, size: int) -> Granules:
        """The granules that have a block of `blocks`."""
        return Granules.from_word(self.granules(blocks, granule, size), max(granule, self.block), size)

    def counted(self, blocks: Bits, granule: int, size: int) -> int:
        """How many granules of the disk have a block of `blocks`."""
        return self.granules(blocks, granule, size).bit_count()

    def is_shown(self, blocks: Bits, granule: int, size: int, count: int, digest: str | None) -> bool:
        """Whether a count and a digest (if there is one) are those of the granules that have a block of `blocks`."""
        word = self.granules(blocks, granule, size)
        return count == word.bit_count() and (digest is None or digest == digest_of_word(word, -(-size // granule)))

    def _touched(self, word: int, per: int, total: int) -> int:
        """The first bit of every granule (of `per` blocks, a power of two) that has a bit set."""
        shift = 1
        while shift < per:
            word |= word >> shift
            shift *= 2
        return word & self._comb(per, total)

    @staticmethod
    def _spread(word: int, per: int) -> int:
        """Every bit of each granule whose first bit is set."""
        return (word << per) - word

    def _comb(self, per: int, total: int) -> int:
        """The first bits of all granules."""
        comb = self._combs.get((per, total))
        if comb is None:
            comb, width = 1, per
            while width < total:
                comb |= comb << width
                width *= 2
            comb &= filled(total)
            self._combs[(per, total)] = comb
        return comb
