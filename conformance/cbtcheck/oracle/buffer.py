"""Guest writes that wait to be given to the specification together.

BATCH (`cbtmodel.properties`) says that writes one after the other are the same as one write of all their blocks, in
any order. So they are gathered, and given to `cbtmodel.step.whole_write` when somebody wants to know.

One thing must not wait: the end of a job that a write brings about, by having its last cluster saved. While jobs run
that could end so, no more is gathered than can be sure to leave them something to copy; and then only writes that
hit nothing which is yet to be copied.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from cbtmodel.backup import Job, hit_by_write
from cbtmodel.node import State, jobs_of

from cbtcheck.sets.compressed import Compressed, CompressedSets
from cbtcheck.sets.numbers import LOW, Numbers

MOST_WRITES = 1 << 20
"""How many writes wait at most."""

SHORT = 8
"""A write of no more blocks waits as its blocks, a longer one as a range."""

Sets = State[Compressed]
Watched = Job[Compressed]


class Buffer:
    """The writes to one disk of `size` bytes that wait. `left` is how many more may come before they must go on."""

    __slots__ = (
        "_jobs", "_kind", "_margin", "_ranges", "_room", "_space", "left", "numbers", "shift", "size", "watched",
    )  # fmt: skip

    def __init__(self, space: CompressedSets, size: int) -> None:
        self._space, self.size, self.shift = space, size, space.block.bit_length() - 1
        self._kind = "I" if -(-size >> self.shift) <= LOW else "Q"
        self.numbers: Any = array(self._kind)
        self._ranges = Numbers()
        self.left = MOST_WRITES
        self.watched = False
        self._jobs: list[Watched] = []
        self._room = self._margin = 0

    def __bool__(self) -> bool:
        return self.left < MOST_WRITES

    def put(self, first: int, past: int) -> None:
        """A write of the blocks from `first` to before `past`."""
        if past - first <= SHORT:
            self.numbers.extend(range(first, past))
        else:
            self._ranges.add_range(first, past)
        self.left -= 1

    def put_all(self, offsets: Any, length: int) -> None:
        """Short writes of the same length in bytes, at these offsets in bytes, no more than may come yet."""
        shift, block = self.shift, 1 << self.shift
        for skipped in range(0, length, block):
            self.numbers.extend([offset + skipped >> shift for offset in offsets])
        if length > 1 and (length % block != 0 or reduce(or_, offsets, 0) % block):
            self.numbers.extend([offset + length - 1 >> shift for offset in offsets])
        self.left -= len(offsets)

    def taken(self) -> Compressed:
        """All that waits; nothing waits any more."""
        blocks = Numbers(self.numbers)
        if self._ranges:
            blocks |= self._ranges
            blocks.run_optimize()
        self.numbers, self._ranges, self.left = array(self._kind), Numbers(), MOST_WRITES
        return self._space.gathered(blocks)

    # Jobs that could end by a write

    def watch(self, states: Iterable[Sets], node: str) -> None:
        """Looks at what the jobs of this disk have to copy still, in all these states; nothing waits now.

        A paused job does not end by a write, nor does one that has copied all and waits for others.
        """
        found = [job for state in states for job in jobs_of(state, node).values()]
        self._jobs = [job for job in found if job.phase == "running" and not job.paused]
        self.watched = bool(self._jobs)
        if self.watched:
            self._room = min(len(job.todo) - len(job.copying) for job in self._jobs)
            self._margin = 2 * max(max(1, job.cluster >> self.shift) for job in self._jobs)

    def may_wait(self, first: int, past: int) -> bool:
        """Whether no job can end by this write and all that waits. If it may wait, it is counted.

        It saves whole clusters: no more than its own blocks, and less than a cluster at both ends.
        """
        saved = past - first + self._margin
        if saved < self._room:
            self._room -= saved
            return True
        blocks = self._space.blocks(first << self.shift, (past - first) << self.shift)
        return not any(hit_by_write(self._space, job, blocks, self.size) for job in self._jobs)
