"""What the scenarios of edges in context are made of: disks, and bitmaps that have blocks of their own.

A guest write marks every bitmap of its disk that is enabled. So that bitmaps differ, each is made, written to and
disabled before the next one is, and those that are to be enabled are enabled when all have what they need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cbtmodel import commands as c
from cbtmodel.node import State, initial
from cbtmodel.step import step

from cbtcheck.search.tour.contexts.measure import Contexts
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.reachable import BLOCK
from cbtcheck.search.tour.to_the_end import end_all
from cbtcheck.sets.bitsets import Bits, BitSets

Place = tuple[str, str]
Commands = tuple[c.Command, ...]

SPACE = BitSets(BLOCK)
D, E, F = "d", "e", "f"
A, B, C = (D, "a"), (D, "b"), (D, "c")


@dataclass(frozen=True)
class Way:
    """A scenario in blocks: disks by name with their sizes, commands, and the edges in context that these take."""

    disks: tuple[tuple[str, int], ...]
    commands: Commands
    edges: frozenset[Edge]


class Stage:
    """A scenario in the making, with the state that it has led to."""

    def __init__(self, disks: dict[str, int], *commands: c.Command) -> None:
        self.disks = disks
        self.state: State[Bits] = initial(SPACE, {name: blocks * BLOCK for name, blocks in disks.items()})
        self._contexts = Contexts()
        self._commands: list[c.Command] = []
        self._edges: set[Edge] = set()
        self.happen(*commands)

    def happen(self, *commands: c.Command) -> State[Bits]:
        """These commands happen, one after the other; returns the state after them."""
        for command in commands:
            result = step(self.state, command)
            self._commands.append(command)
            self._edges |= self._contexts.edges(self.state, command, result)
            self.state = result.state
        return self.state

    def ended(self) -> Way:
        """The scenario, going on until nothing is in flight and every job has ended."""
        end_all(self.state, self.happen)
        return Way(tuple(self.disks.items()), tuple(self._commands), frozenset(self._edges))


@dataclass(frozen=True)
class Has:
    """A bitmap to be there: with these blocks dirty."""

    place: Place
    enabled: bool = True
    blocks: tuple[int, ...] = ()

    @property
    def source(self) -> c.Source:
        """It as a source of a merge."""
        return c.Source(*self.place)


def there(bitmaps: Iterable[Has]) -> Commands:
    """Makes bitmaps, in this order of age."""
    bitmaps = tuple(dict.fromkeys(bitmaps))
    made: list[c.Command] = []
    for each in bitmaps:
        made.append(c.AddBitmap(*each.place, BLOCK, bool(each.blocks)))
        made += [write(each.place[0], block) for block in each.blocks]
        if each.blocks:
            made.append(c.DisableBitmap(*each.place))
    return (*made, *(c.EnableBitmap(*each.place) for each in bitmaps if each.enabled))


def write(node: str, block: int, blocks: int = 1) -> c.Write:
    """A plain guest write."""
    return c.Write(node, block * BLOCK, blocks * BLOCK)


def backup(
    job: str, place: Place, sync: str = "incremental", mode: str | None = None, auto: bool = True
) -> c.StartBackup:
    """A backup with a bitmap."""
    return c.StartBackup(job, place[0], sync, place[1], mode, BLOCK, auto)  # type: ignore[arg-type]


def whole(job: str, node: str, auto: bool = True) -> c.StartBackup:
    """A full backup without a bitmap."""
    return c.StartBackup(job, node, "full", None, None, BLOCK, auto)


def merge(into: Place, *sources: Place) -> c.MergeBitmaps:
    """A merge of so many sources."""
    return c.MergeBitmaps(*into, tuple(c.Source(*each) for each in sources))


def ended(disks: dict[str, int], *commands: c.Command) -> Way:
    """A scenario of these commands that goes on until nothing is in flight and every job has ended."""
    return Stage(disks, *commands).ended()


def some_of(listed: Iterable[c.Transaction], most: int = 12) -> Iterator[Sequence[c.Transaction]]:
    """A few at a time: what is refused leaves everything as it was, so that one scenario can have several."""
    every = tuple(listed)
    yield from (every[first : first + most] for first in range(0, len(every), most))


def undone_then_done(disks: dict[str, int], before: Commands, *refused: c.Transaction) -> Way:
    """Transactions that must be refused at their last action; then guest writes, and the last without that action.

    So it is seen that what was undone still records, and that nothing is left that is in the way.
    """
    stage = Stage(disks, *before, *refused, *(write(node, blocks - 1) for node, blocks in disks.items()))
    again = replace(refused[-1], actions=refused[-1].actions[:-1])
    if step(stage.state, again).refusal is None:
        stage.happen(again)
    return stage.ended()
