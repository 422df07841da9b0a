"""Mistakes in taking note of guest writes."""

from __future__ import annotations

from cbtimpl import Host, granules
from cbtimpl.bitmap import Bitmap
from cbtimpl.node import GuestWrite, Node

from cbtcheck.adapters.mistakes.registry import mistake
from cbtcheck.scenario.verdict import Verdict


@mistake("hook-never-called", "B1", Verdict.UNSAFE, 2)
class HookNeverCalled(Node):
    """The hook sits at a layer that requests no longer pass: no write is ever recorded."""

    def record(self, offset: int, length: int) -> None:
        """Nothing."""


@mistake("round-inwards", "C4", Verdict.UNSAFE, 2)
class RoundInwards(Bitmap):
    """Only granules that a write covers completely are marked."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Rounded inwards."""
        return granules.inside(offset, length, self.granularity, self.size)


@mistake("first-granule-only", "C4", Verdict.UNSAFE, 2)
class FirstGranuleOnly(Bitmap):
    """The end of a write is rounded from its length alone: an unaligned write misses its last granule."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """As many granules as the length has, from the first."""
        first, past = super().touched(offset, length)
        return first, min(past, first + granules.count(length, self.granularity))


@mistake("granule-of-512", "B2", Verdict.UNSAFE, 2)
class GranuleOf512(Bitmap):
    """Granules are computed in sectors of 512 bytes, whatever the granularity: the bits are set elsewhere."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Granule numbers in the wrong unit, kept on the disk."""
        first, past = granules.covering(offset, length, 512, self.size)
        last = granules.count(self.size, self.granularity)
        return min(first, last), min(past, last)


@mistake("tail-not-tracked", "Q8", Verdict.UNSAFE, 2)
class TailNotTracked(Bitmap):
    """The disk has size / granularity granules, rounded down: writes to a partial last one are not recorded."""

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """Without the partial last granule."""
        first, past = super().touched(offset, length)
        return first, min(past, self.size // self.granularity)


@mistake("zeroes-not-marked", "Z2", Verdict.UNSAFE, 2)
class ZeroesNotMarked(Node):
    """Writing zeroes and discarding are not taken for changes."""

    def carry_out(self, write: GuestWrite, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Zeroes land only."""
        if write.data is None:
            return (self.land(write) or error) if land else error
        return super().carry_out(write, error, land)


@mistake("discard-cleans", "Q9", Verdict.UNSAFE, 2)
class DiscardCleans(Host):
    """A discard clears dirty bits, as if what was discarded need not be saved."""

    def discard(self, node: str, offset: int, length: int) -> None:
        """Discards, and then takes the bits away."""
        super().discard(node, offset, length)
        source = self.find_node(node)
        if not self.swallows_discards(source):
            for bitmap in source.bitmaps.values():
                bitmap.bits.remove(*granules.inside(offset, length, bitmap.granularity, bitmap.size))


@mistake("failed-write-not-marked", "", Verdict.UNSAFE, 2)
class FailedWriteNotMarked(Node):
    """A write that failed is not recorded, although it may have changed the disk."""

    def records(self, error: OSError | None) -> bool:
        """Only success is recorded."""
        return error is None


@mistake("unchanged-not-marked", "", Verdict.UNSAFE, 2)
class UnchangedNotMarked(Node):
    """A write that changes no byte is not recorded: what is on the disk already is compared, and left out."""

    def carry_out(self, write: GuestWrite, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Looks first."""
        data = bytes(write.length) if write.data is None else write.data
        try:
            same = self.disk.read(write.offset, write.length) == data
        except OSError:
            same = False
        return error if same else super().carry_out(write, error, land)


@mistake("pads-undeclared", "", Verdict.WASTEFUL, 2)
class PadsUndeclared(Node):
    """A write is padded to sectors of 4 KiB, which is legitimate, and nobody is told of that alignment."""

    def record(self, offset: int, length: int) -> None:
        """Whole sectors."""
        if length:
            first, past = granules.covering(offset, length, 4096, self.size)
            super().record(*granules.span(first, past, 4096, self.size))


@mistake("recorder-of-yesterday", "Q24", Verdict.UNSAFE, 3)
class RecorderOfYesterday(Node):
    """A write in flight is recorded only by what recorded when it began; what appeared meanwhile misses it."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.began: dict[str, list[Bitmap | None]] = {}
        self.ending: list[Bitmap | None] | None = None

    def begin(self, identifier: str, write: GuestWrite) -> None:
        """Remembers who records now."""
        super().begin(identifier, write)
        self.began[identifier] = [bitmap.recorder() for bitmap in self.bitmaps.values()]

    def end(self, identifier: str, error: OSError | None = None, land: bool = True) -> OSError | None:
        """Tells those only."""
        self.ending = self.began.pop(identifier)
        try:
            return super().end(identifier, error, land)
        finally:
            self.ending = None

    def record(self, offset: int, length: int) -> None:
        """Skips who did not record at the beginning."""
        for bitmap in self.bitmaps.values():
            if length and (self.ending is None or bitmap.recorder() in self.ending):
                bitmap.record(offset, length)
