"""A set of gaps between commands as one number, whose bits they are.

Where every event makes a gap and changes a dozen sets, a compressed bitmap of three runs costs more than it saves. A
negative number stands for all gaps from somewhere on, for those too that have not been yet.
"""

from __future__ import annotations

from cbtcheck.sets.compressed import NOTHING, Compressed
from cbtcheck.sets.numbers import Numbers

AT_LEAST = (1 << 512) - 1
"""So many bits that are not set, below all others, are left out."""


class GapSet(Compressed):
    """An immutable set: the gaps whose bits are set in `bits`, counted from the gap `base` on."""

    __slots__ = ("base", "bits")

    def __init__(self, bits: int, base: int = 0) -> None:
        self.bits, self.base = bits, base

    def __or__(self, other: Compressed, /) -> Compressed:
        if not isinstance(other, GapSet):
            return self
        mine, its, base = _aligned(self, other)
        return self._as(mine | its, base, mine, other, its)

    def __and__(self, other: Compressed, /) -> Compressed:
        if not isinstance(other, GapSet):
            return other
        mine, its, base = _aligned(self, other)
        return self._as(mine & its, base, mine, other, its)

    def __sub__(self, other: Compressed, /) -> Compressed:
        if not isinstance(other, GapSet):
            return self
        mine, its, base = _aligned(self, other)
        return self._as(mine & ~its, base, mine, other, its)

    def _as(self, bits: int, base: int, mine: int, other: GapSet, its: int) -> Compressed:
        """One of the two sets that it was made of, if it is that again."""
        if bits == mine:
            return self
        if bits == its:
            return other
        if not bits:
            return NOTHING
        if not bits & AT_LEAST:
            clear = (bits & -bits).bit_length() - 1
            bits, base = bits >> clear, base + clear
        return GapSet(bits, base)

    def __le__(self, other: Compressed, /) -> bool:
        if not isinstance(other, GapSet):
            return False
        mine, its, _ = _aligned(self, other)
        return mine & ~its == 0

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, GapSet) and self <= other and other <= self)

    def __hash__(self) -> int:
        return hash(GapSet)

    def __len__(self) -> int:
        raise TypeError("there is no last gap")

    def __contains__(self, gap: int) -> bool:
        return gap >= self.base and bool(self.bits >> (gap - self.base) & 1)

    def __repr__(self) -> str:
        return f"<gaps {self.bits:#x} from {self.base}>"

    def numbers(self, most: int) -> Numbers:
        """The gaps before `most`, by number."""
        found = Numbers()
        bits, first = self.bits, self.base
        while bits and first < most:
            clear = (bits & -bits).bit_length() - 1
            bits, first = bits >> clear, first + clear
            past = most if bits == -1 else first + (~bits & (bits + 1)).bit_length() - 1
            found.add_range(min(first, most), min(past, most))
            bits, first = (0, past) if bits == -1 else (bits >> (past - first), past)
        return found


def _aligned(one: GapSet, other: GapSet) -> tuple[int, int, int]:
    """The bits of both, counted from the same gap on."""
    if one.base == other.base:
        return one.bits, other.bits, one.base
    if one.base < other.base:
        return one.bits, other.bits << (other.base - one.base), one.base
    return one.bits << (one.base - other.base), other.bits, other.base
