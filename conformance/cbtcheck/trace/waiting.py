"""What a verifier cannot judge yet: items that overlap each other, and guest writes that no world has been given.

Writes that have ended are in `over`, by disk, until something needs them. Those that have not are `open`. From the
first item that overlaps something on there is a window, which is *blocked* until all of that has ended; the writes of
a window are in classes (see `window`). `lingering` are those of which nobody knows when they were, or whether: any
part of these blocks may be written at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf

from cbtcheck.sets.compressed import NOTHING, Compressed, CompressedSets
from cbtcheck.trace.events import Event, Span
from cbtcheck.trace.gathered import MOST_ITEMS, MOST_OPEN, SWEEP, Gathered, OpenWrite, Over
from cbtcheck.trace.window import Item
from cbtcheck.trace.window_parts import Kinds


class Waiting:
    """Takes writes and items in the order of their begin; it is told when a window is to be closed."""

    def __init__(
        self, space: CompressedSets, nodes: Iterable[str], lingering: dict[str, tuple[float, Compressed]]
    ) -> None:
        self.over = {node: Over() for node in nodes}
        self.items: list[Item] = []
        self.lingering = lingering
        self._space = space
        self._open: list[OpenWrite] = []
        self._classes: Kinds = {}
        self._sweep_at = SWEEP
        self._blocked_until = -inf

    def is_over(self, begin: float) -> bool:
        """Whether there is a window of which all has ended before."""
        return bool(self.items) and begin > self._blocked_until

    def has_open(self) -> bool:
        """Whether there is a write that has not ended."""
        return bool(self._open)

    def are_over(self, writes: Kinds) -> None:
        """These have ended before whatever they may have to do with."""
        for (node, _, _, sure), gathered in writes.items():
            self.over[node].add_all(gathered, sure)

    # What comes

    def write(self, node: str, first: int, past: int, begin: float, end: float | None, sure: bool) -> None:
        """A guest write: see `Verifier.write`."""
        before = self._before(begin) if self.items else 0
        if end is None:
            self._into_class(node, first, past, before, sure)
        elif end == inf:
            self._linger(node, first, past, inf)
        else:
            self._open.append(OpenWrite(node, first, past, end, sure, before))
            if self.items and before != self._all_items():
                self._blocked_until = max(self._blocked_until, end)
            if len(self._open) >= self._sweep_at:
                self.sweep(begin)

    def item(self, event: Event, span: Span, after: int | None) -> None:
        """A command or a look; it is known to be after the item of that number, if there is one."""
        before = self._before(span.begin) | (0 if after is None else 1 << after)
        self.items.append(Item(len(self.items), event, span, before))
        ends = [each.end for each in self._open]
        if not span.point:
            ends.append(span.end)
        self._blocked_until = max([self._blocked_until, *ends])

    def _before(self, begin: float) -> int:
        """The items that are known to be before whatever begins then."""
        return sum(1 << item.number for item in self.items if item.span.over(begin))

    def _all_items(self) -> int:
        return (1 << len(self.items)) - 1

    def _into_class(self, node: str, first: int, past: int, before: int, sure: bool) -> None:
        key = (node, before, len(self.items), sure)
        if key not in self._classes:
            self._classes[key] = Gathered()
        self._classes[key].add(first, past)

    # What ends

    def sweep(self, begin: float) -> None:
        """Writes that have ended before `begin` wait no longer."""
        still_open = []
        for each in self._open:
            if each.end >= begin:
                still_open.append(each)
            elif self.items:
                self._into_class(each.node, each.first, each.past, each.before, each.sure)
            else:
                self.over[each.node].add(each.first, each.past, each.sure)
        self._open = still_open
        if len(still_open) > MOST_OPEN:
            self.stop_telling_apart()
        self._sweep_at = max(SWEEP, 2 * len(self._open))

    def stop_telling_apart(self) -> None:
        """Writes in flight may have happened or not, at any time until all of them have ended: sound, less tight."""
        for each in self._open:
            self._linger(each.node, each.first, each.past, each.end)
        self._open = []
        self._blocked_until = max((item.span.end for item in self.items if not item.span.point), default=-inf)

    def closed(self) -> tuple[list[Item], Kinds]:
        """The window, in which everything has ended, and its writes. Those that are after it still wait."""
        after = []
        for each in self._open:
            if each.before == self._all_items():
                after.append(replace(each, before=0))
            else:
                self._into_class(each.node, each.first, each.past, each.before, each.sure)
        items, classes = self.items, self._classes
        self._open, self.items, self._classes, self._blocked_until = after, [], {}, -inf
        return items, classes

    def given_up(self) -> float:
        """Until when it is undecided what the window has done, which is forgotten now, with its writes."""
        until = max(item.span.end for item in self.items)
        self.items, self._classes, self._blocked_until = [], {}, -inf
        self._open = [replace(each, before=0) for each in self._open]
        return until

    # What lingers

    def _linger(self, node: str, first: int, past: int, end: float) -> None:
        until, blocks = self.lingering.get(node, (-inf, NOTHING))
        written = self._space.blocks(first * self._space.block, (past - first) * self._space.block)
        self.lingering[node] = max(until, end), blocks | written

    def no_longer(self, begin: float) -> list[str]:
        """The disks of which what lingered has ended before `begin`."""
        return [node for node, (end, _) in self.lingering.items() if end < begin]

    def is_full(self) -> bool:
        """Whether there are so many items that writes in flight are no longer told apart."""
        return len(self.items) == MOST_ITEMS

    def is_too_much(self) -> bool:
        """Whether there are so many that nothing can be said of them."""
        return len(self.items) > 2 * MOST_ITEMS
