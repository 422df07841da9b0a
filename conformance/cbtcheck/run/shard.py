"""Which part of a run is whose, when several processes share it.

Everything that a run plays has a number that depends on the profile, the seed and the capabilities only. A shard
plays the numbers that are its own; so together the shards play the same scenarios as one process alone, each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Shard:
    """The share `index` (from 0) of `of` (at least 1)."""

    index: int = 0
    of: int = 1

    def owns(self, number: int) -> bool:
        """Whether this is one of its numbers."""
        return number % self.of == self.index

    def numbers(self) -> Iterator[int]:
        """Its numbers, without end."""
        return count(self.index, self.of)

    def groups(self, keys: Iterable[Hashable]) -> frozenset[Hashable]:
        """Its part of these keys, where all that have the same key must be played by the same shard.

        The largest group goes to who has the least so far, of equal ones the first.
        """
        load = [0] * self.of
        mine: set[Hashable] = set()
        for key, size in Counter(keys).most_common():
            owner = load.index(min(load))
            load[owner] += size
            if owner == self.index:
                mine.add(key)
        return frozenset(mine)


WHOLE = Shard()
"""The share of a process that plays everything."""
