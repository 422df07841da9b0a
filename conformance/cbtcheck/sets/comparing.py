"""What a space must say of its sets, so that they can be held against what was seen."""

from __future__ import annotations

from typing import Protocol

from cbtmodel.blocks import S, Space

from cbtcheck.sets.granules import LARGEST_DIGEST, Granules


class Comparing(Space[S], Protocol[S]):
    """A space that can say in which granules of a disk of `size` bytes a set has blocks.

    What is said here is right for sets that are known exactly. `alignment`: an implementation may record a guest
    write as if it began and ended at multiples of so many bytes, a power of two; 1 if it pads nothing.
    """

    @property
    def alignment(self) -> int:
        """In bytes."""
        return 1

    def padded(self, dirty: S, granule: int, size: int) -> S:
        """What may be dirty where `dirty` is in granules of `granule`: if writes are padded to more, all of that."""
        return self.round_out(dirty, self.alignment, size) if self.alignment > granule else dirty

    def at_most(self, blocks: S, granule: int, size: int) -> Granules:
        """The granules that can have a block of `blocks`."""
        ...

    def at_least(self, blocks: S, granule: int, size: int) -> Granules:
        """The granules that have a block of `blocks`, for certain."""
        return self.at_most(blocks, granule, size)

    def number(self, blocks: S, granule: int) -> int:
        """How many granules have one at least, if more is known of that than `at_least` says; else 0."""
        return 0

    def counted(self, blocks: S, granule: int, size: int) -> int:
        """How many granules there are in `at_most`."""
        return len(self.at_most(blocks, granule, size))

    def is_shown(self, blocks: S, granule: int, size: int, count: int, digest: str | None) -> bool:
        """Whether a count and a digest (if there is one) are those of `at_most`; of too many there is no digest."""
        granules = self.at_most(blocks, granule, size)
        if count != len(granules) or digest is None:
            return count == len(granules)
        return granules.total <= LARGEST_DIGEST and granules.digest() == digest
