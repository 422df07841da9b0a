"""Granules of a disk: bits of a bitmap as they are given and taken, whatever they are written in.

Three ways of writing them are understood: *extents* (offset, length) in bytes, as an NBD block status has them;
*numbers* of granules, also as a ready pyroaring bitmap; and *raw bits*, granule i being bit i % 8 of byte i // 8,
as QEMU stores a bitmap in a qcow2 image.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from struct import pack

from pyroaring import BitMap64, FrozenBitMap64

from cbtcheck.adapter import digest
from cbtcheck.sets.numbers import Numbers, Roaring
from cbtcheck.sets.runs import below, finer, first_runs

RANGES_NAMED = 16
"""How many ranges are named in a text; of the rest only how many granules they have."""

LARGEST_DIGEST = 1 << 26
"""Of bitmaps of more granules than this no digest is computed."""


class Granules:
    """A set of granules of `granularity` bytes on a disk of `size` bytes; the last granule may be a part of one."""

    __slots__ = ("granularity", "members", "size")

    def __init__(self, members: Numbers, granularity: int, size: int) -> None:
        """From the numbers of granules. They must not be changed any more. `ValueError` if one is beyond."""
        if members and members.max() >= -(-size // granularity):
            raise ValueError(f"granule {members.max()} lies beyond the end of a disk of {size} bytes")
        self.members, self.granularity, self.size = members, granularity, size

    # Made from what others write

    @classmethod
    def from_numbers(cls, numbers: Roaring | Iterable[int], granularity: int, size: int) -> Granules:
        """From the numbers of granules, best as a pyroaring bitmap or an `array`. `ValueError` if they are none."""
        try:
            members = Numbers(numbers if isinstance(numbers, Roaring) else array("Q", numbers))
        except (TypeError, OverflowError) as problem:
            raise ValueError(f"not numbers of granules: {problem}") from None
        return cls(members, granularity, size)

    @classmethod
    def from_extents(cls, extents: Iterable[tuple[int, int]], granularity: int, size: int) -> Granules:
        """From (offset, length) in bytes; whole granules, the last of which may go beyond the end of the disk.

        `ValueError` if they are not.
        """
        members, single, past_all = Numbers(), array("Q"), -(-size // granularity) * granularity
        last_whole = size - granularity
        for offset, length in extents:
            if length == granularity and not offset % granularity and 0 <= offset <= last_whole:
                single.append(offset // granularity)
                continue
            end = offset + length
            if offset < 0 or length < 0 or end > past_all:
                raise ValueError(f"the extent at {offset} of {length} bytes is not on a disk of {size} bytes")
            if offset % granularity or (end % granularity and end != size):
                raise ValueError(f"the extent at {offset} of {length} bytes is not of granules of {granularity}")
            members.add_range(offset // granularity, -(-end // granularity))
        members |= Numbers(single)
        return cls(members, granularity, size)

    @classmethod
    def from_raw_bits(cls, raw: bytes, granularity: int, size: int) -> Granules:
        """From raw bits; there may be clear bits beyond the end, and bytes missing there that would be zero."""
        return cls(_from_raw(raw), granularity, size)

    @classmethod
    def from_word(cls, word: int, granularity: int, size: int) -> Granules:
        """From a bit vector: bit i is granule i. `ValueError` if a bit lies beyond the end."""
        return cls.from_raw_bits(word.to_bytes(-(-word.bit_length() // 8), "little"), granularity, size)

    # Written as others read it

    def numbers(self) -> FrozenBitMap64:
        """The numbers of the granules."""
        return self.members.roaring()

    def extents(self, most: int | None = None) -> list[tuple[int, int]]:
        """As (offset, length) in bytes, ascending, as few as possible; no more than the `most` first ones."""
        pairs = self.members.runs() if most is None else first_runs(self.members, most)
        unit, size = self.granularity, self.size
        return [(first * unit, min(past * unit, size) - first * unit) for first, past in pairs]

    def raw_bits(self) -> bytes:
        """As raw bits, in whole words of 64 bits, at least one."""
        bits = bytearray(8 * max(1, -(-self.total // 64)))
        for first, past in self.members.runs():
            begin, end = -(-first // 8), past // 8
            if begin < end:
                bits[begin:end] = b"\xff" * (end - begin)
                edges: Iterable[int] = (*range(first, begin * 8), *range(end * 8, past))
            else:
                edges = range(first, past)
            for number in edges:
                bits[number >> 3] |= 1 << (number & 7)
        return bytes(bits)

    def word(self) -> int:
        """As a bit vector: bit i is granule i."""
        return int.from_bytes(self.raw_bits(), "little")

    def digest(self) -> str:
        """As `cbtcheck.adapter.digest` has it."""
        return digest(self.word(), self.total)

    def named(self, most: int = RANGES_NAMED) -> str:
        """The numbers for people: "0-3,7"; "none"; or the first ranges, and how many granules there are."""
        first = first_runs(self.members, most + 1)
        text = ",".join(str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in first[:most]) or "none"
        return f"{text},… ({len(self):,} granules)" if len(first) > most else text

    def finer(self, granularity: int) -> Granules:
        """The same bytes of the disk in smaller granules, a power of two of which are in one of these."""
        k = (self.granularity // granularity).bit_length() - 1
        members = below(finer(self.members, k), -(-self.size // granularity))
        return Granules(members, granularity, self.size)

    # As sets

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, number: int) -> bool:
        return number in self.members

    def any_in(self, first: int, past: int) -> bool:
        """Whether a byte from `first` on and before `past` is in one of them; both are on granules."""
        return self.members.range_cardinality(first // self.granularity, -(-past // self.granularity)) > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Granules):
            return NotImplemented
        mine, its = (self.granularity, self.size), (other.granularity, other.size)
        return mine == its and self.members == other.members

    def __hash__(self) -> int:
        return hash((self.granularity, self.size, len(self)))

    def __or__(self, other: Granules) -> Granules:
        return self._with(self.members | self._alike(other))

    def __and__(self, other: Granules) -> Granules:
        return self._with(self.members & self._alike(other))

    def __sub__(self, other: Granules) -> Granules:
        return self._with(self.members - self._alike(other))

    def __le__(self, other: Granules) -> bool:
        return self.members <= self._alike(other)

    def __repr__(self) -> str:
        return f"<granules of {self.granularity}: {self.named()}>"

    @property
    def total(self) -> int:
        """How many granules the disk has."""
        return -(-self.size // self.granularity)

    def _alike(self, other: Granules) -> Numbers:
        if (self.granularity, self.size) != (other.granularity, other.size):
            raise ValueError("granules of different sizes, or of different disks")
        return other.members

    def _with(self, members: Numbers) -> Granules:
        return Granules(members, self.granularity, self.size)


# Raw bits become a bitmap by way of pyroaring's serialised form (github.com/RoaringBitmap/RoaringFormatSpec): bits
# come in containers of 65,536, and one that has more than 4,096 set is stored as they are. So that every container
# is of that kind, some bits that are known are turned over in those with fewer, and turned back in the bitmap.

CONTAINER = 8192
"""How many bytes of raw bits are in a container."""

TOGETHER = 256
"""How many containers are made into a bitmap at a time: few enough to stay in the processor's cache."""

TURNED = 1025
"""How many bytes are turned over: of their 8,200 bits more than 4,096 are set then, if no more than that were."""

_ALL_TURNED = (1 << 8 * TURNED) - 1
_CLEAR = bytes(CONTAINER)
_NO_RUNS = 12346


def _from_raw(raw: bytes) -> Numbers:
    """The numbers of the set bits."""
    bitmap = BitMap64()
    for begin in range(0, len(raw), CONTAINER * TOGETHER):
        bitmap |= _some_from_raw(raw, begin)
    return Numbers(bitmap)


def _some_from_raw(raw: bytes, begin: int) -> BitMap64:
    """The numbers of the set bits in some containers; they have the same upper 32 bits."""
    descriptions, containers, turned = array("H"), [], BitMap64()
    for at in range(begin, min(len(raw), begin + CONTAINER * TOGETHER), CONTAINER):
        bits = raw[at : at + CONTAINER].ljust(CONTAINER, b"\0")
        if bits == _CLEAR:
            continue
        count = int.from_bytes(bits, "little").bit_count()
        if count <= 4096:
            head = int.from_bytes(bits[:TURNED], "little")
            bits = (head ^ _ALL_TURNED).to_bytes(TURNED, "little") + bits[TURNED:]
            count += 8 * TURNED - 2 * head.bit_count()
            turned.add_range(8 * at, 8 * (at + TURNED))
        descriptions.extend((at // CONTAINER % (1 << 16), count - 1))
        containers.append(bits)
    if not containers:
        return BitMap64()
    size = len(containers)
    offsets = range(8 + 8 * size, 8 + 8 * size + CONTAINER * size, CONTAINER)
    head_of_all = pack("<QIII", 1, 8 * begin >> 32, _NO_RUNS, size)
    listed = pack(f"<{2 * size}H", *descriptions) + pack(f"<{size}I", *offsets)
    return BitMap64.deserialize(b"".join([head_of_all, listed, *containers])) ^ turned
