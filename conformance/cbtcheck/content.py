"""What is on a disk or a target: bytes as they are, or, where a disk is large, runs of equal bytes.

What a run costs does not depend on its length, so that a disk of 16 TiB with ten writes on it is twenty runs, and is
compared as a whole. Offsets and lengths are bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

LARGEST_FLAT: Final = 64 << 20
"""Bytes: the content of a larger disk is kept in runs."""

Extent = tuple[int, int]
"""Offset and length, ascending where there are several."""

Pair = tuple[int, int]
"""A byte, and how many of it."""


class Runs:
    """An immutable content. `pasts` are the offsets at which runs end, ascending, `values` their bytes.

    Neighbours are of different bytes, so that equal contents are equal runs.
    """

    __slots__ = ("pasts", "values")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        """From pairs (byte, how many), in order; neighbours may be of the same byte."""
        self.pasts: list[int] = []
        self.values: list[int] = []
        end = 0
        for value, count in pairs:
            if count <= 0:
                continue
            end += count
            if self.values and self.values[-1] == value:
                self.pasts[-1] = end
            else:
                self.pasts.append(end)
                self.values.append(value)

    def __len__(self) -> int:
        return self.pasts[-1] if self.pasts else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and self.pasts == other.pasts and self.values == other.values

    def __hash__(self) -> int:
        return hash((*self.pasts, *self.values))

    def __repr__(self) -> str:
        return f"<{len(self)} bytes in {len(self.pasts)} runs>"

    def pairs(self, start: int = 0, past: int | None = None) -> Iterator[Pair]:
        """Pairs (byte, how many) of the bytes from `start` to before `past`."""
        past = len(self) if past is None else past
        index = bisect_right(self.pasts, start)
        while start < past and index < len(self.pasts):
            end = min(self.pasts[index], past)
            yield self.values[index], end - start
            start, index = end, index + 1

    def cut(self, offset: int, length: int) -> Runs:
        """A part of it."""
        return Runs(self.pairs(offset, offset + length))

    def laid_over(self, over: Runs, extents: Iterable[Extent]) -> Runs:
        """This content, with the other one's in these extents."""
        pairs: list[Pair] = []
        reached = 0
        for offset, length in extents:
            pairs += self.pairs(reached, offset)
            pairs += over.pairs(offset, offset + length)
            reached = offset + length
        pairs += self.pairs(reached)
        return Runs(pairs)

    def differing(self, other: Runs) -> Iterator[Extent]:
        """Where two contents differ; what only one of them has differs."""
        ends = sorted({0, *self.pasts, *other.pasts})
        for start, past in pairwise(ends):
            if next(self.pairs(start, past), None) != next(other.pairs(start, past), None):
                yield start, past - start


Content = bytes | Runs


def equal_runs(data: bytes) -> Iterator[Pair]:
    """Bytes as pairs (byte, how many); neighbours differ."""
    start = at = 0
    while start < len(data):
        value, step = data[start : start + 1], 1
        at = start + 1
        while data.startswith(value * step, at):
            at += step
            step *= 2
        while step > 1:
            step //= 2
            if data.startswith(value * step, at):
                at += step
        yield value[0], at - start
        start = at


def in_runs(content: Content) -> Runs:
    """A content as runs, whatever its size."""
    return content if isinstance(content, Runs) else Runs(equal_runs(content))


def in_form(content: Content) -> Content:
    """A content in the form that suits its size: bytes up to `LARGEST_FLAT`, runs beyond."""
    if len(content) > LARGEST_FLAT:
        return in_runs(content)
    if isinstance(content, Runs):
        return b"".join(bytes([value]) * count for value, count in content.pairs())
    return content


def part_of(content: Content, offset: int, length: int) -> Content:
    """A part of a content."""
    return content.cut(offset, length) if isinstance(content, Runs) else content[offset : offset + length]


def filled_with(byte: int, size: int) -> Content:
    """So many of one byte."""
    return bytes([byte]) * size if size <= LARGEST_FLAT else Runs([(byte, size)])


def assembled(size: int, filler: int, pieces: Sequence[tuple[int, Content]]) -> Content:
    """So many bytes of `filler`, and on them pieces, each at its offset, ascending."""
    if size <= LARGEST_FLAT:
        flat = bytearray([filler]) * size
        for offset, piece in pieces:
            data = in_form(piece)
            assert isinstance(data, bytes), "a piece is no larger than the whole"
            flat[offset : offset + len(data)] = data
        return bytes(flat)
    pairs: list[Pair] = []
    reached = 0
    for offset, piece in pieces:
        pairs += [(filler, offset - reached), *in_runs(piece).pairs()]
        reached = offset + len(piece)
    return Runs([*pairs, (filler, size - reached)])
