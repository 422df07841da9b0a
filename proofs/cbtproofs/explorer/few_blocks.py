"""A space for tiny disks: plain `frozenset`s of block numbers, as in `cbtmodel.blocks.Frozensets`, each made once.

A disk of three blocks has eight sets; an explorer asks for them millions of times. So the answers of the plain space
are kept, and there is one object for each set, which makes comparing and hashing states quick. What the answers are
is the plain space's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cbtmodel.blocks import Frozensets

BLOCK = 512
"""The size of a block in bytes."""

Blocks = frozenset[int]


@dataclass(frozen=True, eq=False)
class FewBlocks:
    """`Frozensets` of blocks of 512 bytes that remembers what it answered."""

    plain: Frozensets = field(default_factory=lambda: Frozensets(BLOCK))
    _ranges: dict[tuple[int, int], Blocks] = field(default_factory=dict)
    _rounded: dict[tuple[Blocks, int, int], Blocks] = field(default_factory=dict)

    @property
    def empty(self) -> Blocks:
        """No block."""
        return frozenset()

    def everything(self, size: int) -> Blocks:
        """Every block of a disk of `size` bytes."""
        return self.blocks(0, size)

    def blocks(self, offset: int, length: int) -> Blocks:
        """Every block that the byte range touches; none if `length` is 0."""
        asked = (offset, length)
        if asked not in self._ranges:
            self._ranges[asked] = self.plain.blocks(offset, length)
        return self._ranges[asked]

    def round_out(self, blocks: Blocks, granule: int, size: int) -> Blocks:
        """Every block of a disk of `size` bytes that shares a granule with a block of `blocks`."""
        asked = (blocks, granule, size)
        if asked not in self._rounded:
            self._rounded[asked] = self.plain.round_out(blocks, granule, size)
        return self._rounded[asked]
