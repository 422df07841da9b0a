"""Narrow mistakes that show only at a landmark: far along a disk, in a long write or run, in a steep merge."""

from __future__ import annotations

from collections.abc import Iterator

from cbtimpl import Host, granules
from cbtimpl.actions import BitmapClear
from cbtimpl.backup import REQUEST, BackupJob, Piece
from cbtimpl.bitmap import Bitmap
from cbtimpl.bits import GranuleSet
from cbtimpl.node import Node
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

WHERE, LARGE = "where", "how large"
FOUND_BY = "landmarks"


@narrow_mistake("lost-beyond-4-gib", WHERE, Verdict.UNSAFE, FOUND_BY)
class LostBeyond4GiB(Bitmap):
    """The offset of a write is kept in 32 bits before its granules are set."""

    def record(self, offset: int, length: int) -> None:
        """Cuts it off."""
        super().record(offset & 0xFFFFFFFF, length)


@narrow_mistake("lost-beyond-2-gib", WHERE, Verdict.UNSAFE, FOUND_BY)
class LostBeyond2GiB(Bitmap):
    """An offset with the 31st bit set is taken for a negative one, and its write is not recorded."""

    def record(self, offset: int, length: int) -> None:
        """Looks at the sign."""
        if not offset & 0x80000000:
            super().record(offset, length)


@narrow_mistake("sectors-of-31-bits", WHERE, Verdict.UNSAFE, FOUND_BY)
class SectorsOf31Bits(Bitmap):
    """Sectors are counted with a signed 32-bit number: what is written beyond 1 TiB is not recorded."""

    def record(self, offset: int, length: int) -> None:
        """Counts sectors."""
        if offset // 512 < 1 << 31:
            super().record(offset, length)


@narrow_mistake("granule-numbers-of-16-bits", WHERE, Verdict.UNSAFE, FOUND_BY)
class GranuleNumbersOf16Bits(Bitmap):
    """The number of a granule is kept in 16 bits."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Cuts it off."""
        first, past = super().touched(offset, length)
        return first & 0xFFFF, (first & 0xFFFF) + past - first


@narrow_mistake("page-of-granules-dropped", WHERE, Verdict.UNSAFE, FOUND_BY)
class PageOfGranulesDropped(Bitmap):
    """Bits are kept in pages of 4,096, and of a write that goes over a page's end only the first page is set."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Stays on its page."""
        first, past = super().touched(offset, length)
        return first, min(past, (first // 4096 + 1) * 4096)


class EndsWithinAMegabyte(GranuleSet):
    """See below."""

    __slots__ = ()

    def set_bytes(self, offset: int, length: int) -> None:
        """Takes whole granules only, if they are large."""
        if self.granularity >= 1 << 17:
            length -= (offset + length) % self.granularity
        super().set_bytes(offset, length)


@narrow_mistake("coarse-tail-lost-in-merge", LARGE, Verdict.UNSAFE, FOUND_BY)
class CoarseTailLostInMerge(Bitmap):
    """A merge into granules of 128 KiB and more rounds the end of a run downwards."""

    set_class = EndsWithinAMegabyte


@narrow_mistake("left-over-beyond-4-gib", WHERE, Verdict.UNSAFE, FOUND_BY)
class LeftOverBeyond4GiB(BackupJob):
    """What a best-effort backup did not copy is marked again, but for what lies beyond 4 GiB."""

    def leftovers(self) -> GranuleSet:
        """Loses them."""
        left = super().leftovers()
        beyond = (1 << 32) // left.granularity
        left.remove(beyond, max(beyond, -(-left.size // left.granularity)))
        return left


@narrow_mistake("length-of-32-bits", LARGE, Verdict.UNSAFE, FOUND_BY)
class LengthOf32Bits(Node):
    """The length of a write is kept in 32 bits."""

    def record(self, offset: int, length: int) -> None:
        """Cuts it off."""
        super().record(offset, length & 0xFFFFFFFF)


@narrow_mistake("long-write-in-part", LARGE, Verdict.UNSAFE, FOUND_BY)
class LongWriteInPart(Node):
    """A write is recorded in pieces of 1 MiB, and only the first of them is."""

    def record(self, offset: int, length: int) -> None:
        """The first piece."""
        super().record(offset, min(length, 1 << 20))


@narrow_mistake("run-of-256", LARGE, Verdict.UNSAFE, FOUND_BY)
class RunOf256(Bitmap):
    """The length of a run is kept in a byte: of 256 granules none is set, of 257 one."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Cuts it off."""
        first, past = super().touched(offset, length)
        return first, first + (past - first & 0xFF)


class CountedIn16Bits(GranuleSet):
    """See below."""

    __slots__ = ()

    def is_empty(self) -> bool:
        """Counts."""
        return self.count() & 0xFFFF == 0


@narrow_mistake("count-of-16-bits", LARGE, Verdict.UNSAFE, FOUND_BY)
class CountOf16Bits(Bitmap):
    """A bitmap with 65,536 dirty granules is taken for an empty one, and not merged."""

    set_class = CountedIn16Bits

    def merge_nothing(self, source: Bitmap) -> None:
        """Nothing to do, it seems."""

    def merge_into_nothing(self, source: Bitmap) -> None:
        """As it should be."""
        self.bits.merge(source.bits)


class Shallow(GranuleSet):
    """See below."""

    __slots__ = ()

    def merge(self, other: GranuleSet) -> None:
        """Rounds as far as it can see."""
        if self.granularity // max(1, other.granularity) < 1 << 9:
            super().merge(other)
            return
        for first, past in other.runs():
            self.add(first * other.granularity // self.granularity, past * other.granularity // self.granularity)


@narrow_mistake("steep-merge-rounds-inwards", LARGE, Verdict.UNSAFE, FOUND_BY)
class SteepMergeRoundsInwards(Bitmap):
    """A merge into granules that are 512 times as large, or more, rounds downwards."""

    set_class = Shallow


@narrow_mistake("undo-of-200-runs", LARGE, Verdict.UNSAFE, FOUND_BY)
class UndoOf200Runs(Host):
    """A transaction that is refused puts back the first 200 runs of a bitmap that it had cleared."""

    def prepare_clear(self, action: BitmapClear) -> Step:
        """Keeps so many."""
        bitmap = self.find_bitmap(action.node, action.name)
        kept = [*bitmap.bits.runs()][:200]
        done = super().prepare_clear(action)

        def undo() -> None:
            done.undo()
            restored = self.find_bitmap(action.node, action.name)
            restored.bits.clear()
            for first, past in kept:
                restored.bits.add(first, past)

        return Step(undo, done.commit)


@narrow_mistake("copied-from-4-gib-before", WHERE, Verdict.UNSAFE, FOUND_BY)
class CopiedFrom4GiBBefore(BackupJob):
    """A copy reads where 32 bits of the offset say. The right clusters are copied, with the wrong bytes in them."""

    def read(self, first: int, past: int) -> Iterator[Piece]:
        """Reads there, and says that it is from here."""
        offset, length = granules.span(first, past, self.cluster, self.node.size)
        if offset + length <= 1 << 32:
            yield from super().read(first, past)
            return
        while length:
            size = min(length, REQUEST)
            yield Piece(offset, size, self.node.disk.read(offset & 0xFFFFFFFF, size))
            offset, length = offset + size, length - size


@narrow_mistake("zeroes-beyond-2-tib", WHERE, Verdict.UNSAFE, FOUND_BY)
class ZeroesBeyond2TiB(BackupJob):
    """What has a sector number of more than 32 bits is taken for a hole, and zeroes are copied for it."""

    def read(self, first: int, past: int) -> Iterator[Piece]:
        """Forgets the data."""
        for each in super().read(first, past):
            yield each if each.offset < 512 << 32 else Piece(each.offset, each.length, None)
