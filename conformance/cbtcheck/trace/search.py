"""The search for orders of a window's commands that explain all replies: bounded, and no order twice that commutes.

At each place only a *stubborn* set of items is tried: one item, all that it does not commute with, all that those do
not commute with, and so on; where one of them waits for another, that one. Whatever else happens first commutes with
all of the set, so an order that begins with one of the set is as good. If none of a set can be next, none ever can,
since nothing outside of it can make it possible: so an impossible reply ends the search where it is, however many
commands overlap. Of items that are alike in everything the first is taken first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from cbtcheck.sets.between import TooMuch
from cbtcheck.trace.shape import equal
from cbtcheck.trace.window import Item
from cbtcheck.trace.world import Traced

MOST_STEPS = 8_000
"""Steps of one search at most; one with many bitmaps and jobs counts for several."""

After = Callable[[tuple[Item, ...], list[Traced]], list[Traced]]


@dataclass
class Search:
    """A search among some commands. `depends`: see `commuting`; `alike`: equal for items that can be exchanged.

    `once`: where the same commands have led to the same worlds, it goes on from there only once. That finds whether
    there is an order, and all worlds that there can be, but not every order. `writes`: how many classes of guest
    writes there are, all of which are written anew for each step.
    """

    items: Sequence[Item]
    depends: dict[int, int]
    alike: dict[int, Hashable]
    after: After
    once: bool
    writes: int
    steps: int = MOST_STEPS
    _seen: dict[tuple[int, tuple[Hashable, ...]], list[list[Traced]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_number = {item.number: item for item in self.items}
        self._earlier_alike = {
            item.number: sum(1 << each.number for each in self.items[:at]
                             if self.alike[each.number] == self.alike[item.number])
            for at, item in enumerate(self.items)
        }  # fmt: skip

    def orders(self, worlds: list[Traced]) -> Iterator[tuple[Item, ...]]:
        """Every order that is needed. `TooMuch` where the bound is met."""
        everything = sum(1 << item.number for item in self.items)
        yield from self._longer((), everything, worlds)

    def _longer(self, order: tuple[Item, ...], left: int, worlds: list[Traced]) -> Iterator[tuple[Item, ...]]:
        if not left:
            yield order
            return
        if self.once and self._was_here(left, worlds):
            return
        for item, explained in self._next(order, left, worlds):
            yield from self._longer((*order, item), left & ~(1 << item.number), explained)

    def _was_here(self, left: int, worlds: list[Traced]) -> bool:
        shapes = tuple(each.shape() for each in worlds)
        seen = self._seen.setdefault((left, shapes), [])
        for others in seen:
            if all(equal(one.state, other.state) for one, other in zip(worlds, others, strict=True)):
                return True
        seen.append(worlds)
        return False

    def _next(self, order: tuple[Item, ...], left: int, worlds: list[Traced]) -> list[tuple[Item, list[Traced]]]:
        """Those that are tried next, with the worlds after them: of the smallest stubborn set."""
        tried: dict[int, list[Traced]] = {}
        least: list[int] | None = None
        done: set[int] = set()
        for seed in _numbers(left):
            members = self._stubborn(seed, left)
            if members in done:
                continue
            done.add(members)
            possible = []
            for number in _numbers(members):
                item = self._by_number[number]
                if item.before & left or self._earlier_alike[number] & left:
                    continue
                if number not in tried:
                    self.steps -= sum(_cost(each, self.writes) for each in worlds)
                    if self.steps < 0:
                        raise TooMuch
                    tried[number] = self.after((*order, item), worlds)
                if tried[number]:
                    possible.append(number)
            if least is None or len(possible) < len(least):
                least = possible
            if len(least) <= 1:
                break
        return [(self._by_number[number], tried[number]) for number in least or ()]

    def _stubborn(self, seed: int, left: int) -> int:
        """The smallest stubborn set with this item."""
        members, new = 0, 1 << seed
        while new:
            number = new.bit_length() - 1
            new &= ~(1 << number)
            members |= 1 << number
            waits_for = self._by_number[number].before & left
            # One that waits needs one of those that it waits for; the others come by themselves.
            more = waits_for & -waits_for if waits_for else self.depends[number] & left
            new |= more & ~members
        return members


def _cost(world: Traced, writes: int) -> int:
    """How much a step takes, roughly: of each job it may be open whether one of the writes has ended it."""
    jobs, bitmaps = len(world.state.jobs), sum(len(node.bitmaps) for node in world.state.nodes.values())
    return (1 + 3 * bitmaps // 4 + jobs) * (1 + writes // 8) * (1 << min(jobs, 6) if writes else 1)


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        yield (bits & -bits).bit_length() - 1
        bits &= bits - 1
