"""What may have happened where it is not known in which order: a window of commands, looks and guest writes.

The events of a window overlap each other, directly or by way of others. Every order that agrees with their intervals
is allowed. How the bounds are found:

1. Commands. Each order of them that agrees with the intervals and with all replies is gone through, but for orders
   that differ only in commands that commute (`search`). Where they are too many, looks and how far writes have come
   are left open (`loosened`); where they are too many still, nothing is said.
2. Guest writes commute with each other (BATCH), so of a write it matters only in which gap between the commands it
   began, and in which it ended. Writes with the same gaps to choose from are one *class*, and one set of blocks.
3. What each class does, all others being uncertain: the specification runs once for each choice of gaps of this
   class (`_chosen`), with all other classes at most everywhere where they can be. One of the choices is the truth; so
   the truth lies between the joined bounds of them. It does so for every class; so it lies between the met bounds of
   all. That is sound whatever the specification does, and linear in the number of classes, where going through all
   choices of all classes would be exponential. (Writes of one class may have chosen differently. For sets that makes
   no difference, since every transition acts on each block alone; whether a job has anything left to do, it may. So
   where that is of importance, the verifier makes each write a class of its own.)
4. A look is judged at each place among the commands where it can have been; it is allowed if one of them allows it,
   together with all other looks, in one order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from math import prod
from operator import or_

from cbtmodel import jobs, node
from cbtmodel.commands import AddBitmap, StartBackup
from cbtmodel.record import replace
from cbtmodel.step import whole_write

from cbtcheck.scenario.actions import actions_of
from cbtcheck.sets.between import EMPTY, Between, TooMuch, exactly, outcomes
from cbtcheck.sets.compressed import NOTHING, Compressed
from cbtcheck.trace.events import Change, Event, Given, Look, LookAtJobs, Span
from cbtcheck.trace.guesses import advance, refined, unite
from cbtcheck.trace.shape import Sets, without_causes
from cbtcheck.trace.world import Guesses, Rules, Traced, possible

MOST_WORLDS = 64
"""Worlds that are followed at most."""

MOST_CHOICES = 40
"""Choices of writes to the same granules that are gone through together, at most."""

Teach = Callable[[Traced], list[Traced]]
"""What becomes of a world when something is seen in it; nothing, if it cannot be seen there."""

IN_FLIGHT = "\0"
"""What the id of a class begins with that is in flight while its choices are gone through."""


@dataclass(frozen=True, slots=True)
class Item:
    """A command or a look in a window. `before`: the numbers, as bits, of the items known to be before it."""

    number: int
    event: Event
    span: Span
    before: int

    @property
    def is_look(self) -> bool:
        """Whether it changes nothing."""
        return isinstance(self.event, Look | LookAtJobs)


@dataclass(frozen=True, slots=True)
class WriteClass:
    """Guest writes to a node, after the items in `before` and before those from number `closed` on.

    `sure`: it is known that they happened. `single`: it is one write, so that it is in one place altogether.
    `lumped`: it would tell more if each was; but they are too many.
    """

    node: str
    before: int
    closed: int
    sure: bool
    blocks: Compressed
    single: bool = False
    lumped: bool = False

    def gaps(self, order: tuple[Item, ...]) -> tuple[int, int]:
        """The first and the last gap in which such a write can be; gap 0 is before the first item of the order."""
        first = max((at + 1 for at, item in enumerate(order) if self.before >> item.number & 1), default=0)
        last = min((at for at, item in enumerate(order) if item.number >= self.closed), default=len(order))
        return first, last


@dataclass
class Play:
    """A run through an order of items: what is written for certain and at most in each gap, by node."""

    order: tuple[Item, ...]
    surely: list[dict[str, Compressed]] = field(init=False)
    perhaps: list[dict[str, Compressed]] = field(init=False)

    def __post_init__(self) -> None:
        self.surely = [{} for _ in range(len(self.order) + 1)]
        self.perhaps = [{} for _ in range(len(self.order) + 1)]

    def write(self, gap: int, node: str, blocks: Compressed, sure: bool) -> None:
        """One more write in a gap."""
        into = (self.surely if sure else self.perhaps)[gap]
        into[node] = into[node] | blocks if node in into else blocks


@dataclass(frozen=True, slots=True)
class Chosen:
    """A class of writes that begins in one gap and ends in another."""

    node: str
    blocks: Compressed
    begins: int
    ends: int
    id: str


@dataclass(frozen=True, slots=True)
class Window:
    """The items and classes of writes of a window. `lingering` are writes that can be in any gap, and go on.

    `touching`: by number of an item, the disks that it has to do with; if it is not there, that is any disk.
    """

    items: tuple[Item, ...]
    classes: tuple[WriteClass, ...]
    lingering: dict[str, Compressed]
    rules: Rules
    touching: Mapping[int, frozenset[str]] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.items[0].span.line if self.items else 0

    # Orders of commands: see `search`

    def after(self, order: tuple[Item, ...], worlds: list[Traced]) -> list[Traced]:
        """The worlds after an order of commands, of those after all of them but the last; none if its reply is not
        explained. How far writes have come is left open.
        """
        written = self._gap(self._play(order, ()), len(order) - 1, worlds, ())
        change = _change(order[-1])
        return unite(done for each in written for done in possible(each, change, self.rules))

    def loosened(self) -> Window:
        """The same without looks, and with writes that may as well not have happened: sound, and less tight."""
        items = tuple(item for item in self.items if not item.is_look)
        return replace(self, items=items, classes=tuple(replace(each, sure=False) for each in self.classes))

    def choices(self, world: Traced, order: tuple[Item, ...]) -> int:
        """How often the specification has to be run to find the bounds for an order, roughly."""
        uncertain = [each for each in self.classes if each.sure and self._has_a_choice(each, order)]
        return 1 + sum(
            prod(len(self._choices(world, order, each)) for each in together)
            for together, _ in self._meeting(world, order, uncertain)
        )

    # Bounds

    def taught(self, world: Traced, order: tuple[Item, ...], look: Item, place: int, teach: Teach) -> list[Traced]:
        """The worlds after an order of commands, with a look after so many of them that has taught something.

        How far writes have come is left open.
        """
        seen = (*order[:place], look, *order[place:])
        return self._run(world, self._play(seen, (), stops=False), (), teach)

    def bounds(self, world: Traced, order: tuple[Item, ...]) -> list[Traced]:
        """The worlds after an order of commands, or at a look that ends it; none if that cannot be."""
        return advance(world, lambda each: self._bounds(each, order))

    def _bounds(self, world: Traced, order: tuple[Item, ...]) -> list[Traced]:
        uncertain = [each for each in self.classes if each.sure and self._has_a_choice(each, order)]
        meeting = list(self._meeting(world, order, uncertain))
        guessed = [self._guessed(world, order, *each) for each in meeting]
        if len(guessed) == len(guessed[0] if guessed else ()) == 1:
            [(one, guesses)] = guessed[0].values()
            return [refined(one, [guesses], known=False)]
        found = {each.shape(): each for each in self._run(world, self._play(order, ()), ())}
        groups: dict[Hashable, list[Guesses]] = {key: [] for key in found}
        for chosen in guessed:
            found = {key: one for key, one in found.items() if key in chosen}
            for key in found:
                groups[key].append(chosen[key][1])
        return [refined(one, groups[key]) for key, one in found.items()]

    def _guessed(
        self, world: Traced, order: tuple[Item, ...], together: tuple[WriteClass, ...], whole: bool
    ) -> dict[Hashable, tuple[Traced, Guesses]]:
        """By shape, one world that a choice of gaps of these classes can lead to, and the states of all."""
        found: dict[Hashable, tuple[Traced, list[Sets]]] = {}
        for one in self._chosen(world, order, together):
            found.setdefault(one.shape(), (one, []))[1].append(one.state)
        lumped = not whole and any(each.single or each.lumped for each in together)
        return {key: (one, Guesses(tuple(states), whole, lumped=lumped)) for key, (one, states) in found.items()}

    def _meeting(
        self, world: Traced, order: tuple[Item, ...], uncertain: list[WriteClass]
    ) -> Iterator[tuple[tuple[WriteClass, ...], bool]]:
        """Classes whose choices are gone through together: single writes to the same granules, if they are few.

        With it comes whether one of these choices is right altogether.
        """
        left = list(uncertain)
        regions = {id(each): _coarsest(world, self.items, each) for each in left if each.single}
        while left:
            together, size = [left.pop(0)], 0
            while together[0].single and len(together) > size:
                size = len(together)
                region = reduce(or_, (regions[id(each)] for each in together))
                more = [each for each in left if each.single and each.node == together[0].node
                        and regions[id(each)] & region]  # fmt: skip
                together, left = together + more, [each for each in left if not any(each is one for one in more)]
            choices = prod(len(self._choices(world, order, each)) for each in together)
            if choices <= MOST_CHOICES:
                yield tuple(together), together[0].single
            else:
                yield from (((each,), False) for each in together)

    def places(self, each: WriteClass, order: tuple[Item, ...]) -> list[int]:
        """The gaps in which a write can be, but one only of those between which nothing has to do with its disk."""
        first, last = each.gaps(order)
        return [first, *(at + 1 for at in range(first, last) if self._is_touched(each.node, order[at]))]

    def _is_touched(self, node_name: str, item: Item) -> bool:
        return item.number not in self.touching or node_name in self.touching[item.number]

    def _has_a_choice(self, each: WriteClass, order: tuple[Item, ...]) -> bool:
        may_be_after_the_look = order and order[-1].is_look and each.gaps(order)[1] == len(order)
        return not may_be_after_the_look and len(self.places(each, order)) > 1

    def _chosen(
        self, world: Traced, order: tuple[Item, ...], together: tuple[WriteClass, ...]
    ) -> Iterator[Traced]:
        """The worlds for every choice of gaps of these classes."""
        play = self._play(order, together)
        for gaps in product(*(self._choices(world, order, each) for each in together)):
            yield from self._run(world, play, tuple(
                Chosen(each.node, each.blocks, begins, ends, f"{IN_FLIGHT}{at}")
                for at, (each, (begins, ends)) in enumerate(zip(together, gaps, strict=True))
            ))  # fmt: skip

    def _choices(self, world: Traced, order: tuple[Item, ...], one: WriteClass) -> list[tuple[int, int]]:
        """In which gaps a class can begin and end. Where no job can be, only its end matters."""
        places = self.places(one, order)
        copying = any(job.node == one.node for job in world.state.jobs.values())
        whole = not copying and not any(may_start(item, one.node) for item in order)
        return [
            (begins, ends)
            for at, ends in enumerate(places)
            for begins in ([ends] if whole else places[: at + 1])
        ]

    def _play(self, order: tuple[Item, ...], without: tuple[WriteClass, ...], stops: bool = True) -> Play:
        """Every class but some: for certain where it has but one gap, else at most in each.

        `stops`: what comes after a look that ends the order is left out.
        """
        play = Play(order)
        all_of_it = sum(not item.is_look for item in self.items) + sum(item.is_look for item in order)
        past = len(order) - (stops and bool(order) and order[-1].is_look)
        for each in self.classes:
            if any(each is one for one in without):
                continue
            places = self.places(each, order)
            over = each.gaps(order)[1] < len(order) or len(order) == all_of_it
            for gap in places:
                if gap <= past:
                    play.write(gap, each.node, each.blocks, each.sure and over and len(places) == 1)
        return play

    def _run(
        self, world: Traced, play: Play, chosen: tuple[Chosen, ...], teach: Teach | None = None
    ) -> list[Traced]:
        worlds = [world]
        for gap, item in enumerate(play.order):
            worlds = self._gap(play, gap, worlds, chosen)
            if item.is_look and teach is None:
                return unite(worlds)
            if item.is_look and teach is not None:
                worlds = unite(taught for each in worlds for taught in teach(each))
                continue
            worlds = unite(done for each in worlds for done in possible(each, _change(item), self.rules))
            if len(worlds) > MOST_WORLDS:
                raise TooMuch
        return unite(self._gap(play, len(play.order), worlds, chosen))

    def _gap(self, play: Play, gap: int, worlds: list[Traced], chosen: tuple[Chosen, ...]) -> list[Traced]:
        """All that is written between two items."""
        for each in chosen:
            if each.begins == gap != each.ends:
                worlds = [after for world in worlds for after in _begun(world, each)]
        sure = dict(play.surely[gap])
        for each in chosen:
            if each.begins == gap == each.ends:
                sure[each.node] = sure.get(each.node, NOTHING) | each.blocks
        perhaps = play.perhaps[gap]
        for disk in sorted({*sure, *perhaps, *self.lingering}):
            least = sure.get(disk, NOTHING)
            most = least | perhaps.get(disk, NOTHING) | self.lingering.get(disk, NOTHING)
            blocks = exactly(least) if most <= least else Between(least, most)
            worlds = [after for world in worlds for after in written(world, disk, blocks)]
        for each in chosen:
            if each.ends == gap != each.begins:
                worlds = [after for world in worlds for after in _landed(world, each)]
        return worlds


def _coarsest(world: Traced, items: tuple[Item, ...], one: WriteClass) -> Compressed:
    """All blocks that are in a granule with one of these writes, in any bitmap that is there or is added."""
    disk = world.state.nodes.get(one.node)
    if disk is None:
        return one.blocks
    sizes = [each.granularity for each in disk.bitmaps.values()]
    for item in items:
        command = item.event.command if isinstance(item.event, Given) else None
        for each in actions_of(command):
            if isinstance(each, AddBitmap) and each.node == one.node:
                sizes.append(each.granularity)
    usable = [each for each in sizes if node.usable_granularity(each)]
    if not usable:
        return one.blocks
    return world.state.space.round_out(exactly(one.blocks), max(usable), disk.size).least


def _change(item: Item) -> Change:
    assert not isinstance(item.event, Look | LookAtJobs)
    return item.event


def may_start(item: Item, node_name: str | None = None) -> bool:
    """Whether a job may begin there, of this disk or of any."""
    command = item.event.command if isinstance(item.event, Given) else None
    return any(
        isinstance(each, StartBackup) and node_name in (None, each.node)
        for each in actions_of(command)
    )


def written(world: Traced, node: str, blocks: Between) -> list[Traced]:
    """The worlds after a guest write which ends no job; normally one."""
    if node not in world.state.nodes:
        return [world]
    found = []
    for state, ended in outcomes(lambda: whole_write(world.state, node, blocks)):
        if not ended:
            found.append(replace(world, state=state))
    return found


def gathered(world: Traced, node: str, blocks: Between) -> list[Traced]:
    """The same of many writes: what came of them is kept, and not for what reason."""
    return [replace(each, state=without_causes(each.state, node)) for each in written(world, node, blocks)]


def has_all(world: Traced, node_name: str, blocks: Compressed) -> bool:
    """Whether it makes no difference to a world that some of these blocks may have been written once more."""
    disk = world.state.nodes.get(node_name)
    if disk is None:
        return True
    for bitmap in disk.bitmaps.values():
        records = bitmap if bitmap.successor is None else bitmap.successor
        if records.enabled and not (records.marks.dirty.most is blocks is records.marks.owed.most):
            return False
    return not world.guesses and not any(
        job.node == node_name and not (job.todo.least is NOTHING and job.copying is job.intact is EMPTY)
        for job in world.state.jobs.values()
    )


def _begun(world: Traced, chosen: Chosen) -> list[Traced]:
    """A class of writes has begun: what must be copied first is copied."""
    node_name, blocks = chosen.node, exactly(chosen.blocks)

    def begin() -> jobs.Result[Between]:
        state = node.copy_before_write(world.state, node_name, blocks)
        return jobs.settle(node.in_flight(state, node_name, chosen.id, blocks), tuple(node.jobs_of(state, node_name)))

    return [replace(world, state=state) for state, ended in outcomes(begin) if not ended]


def _landed(world: Traced, chosen: Chosen) -> list[Traced]:
    """It has ended, unless something that waits for it has ended it already."""
    if chosen.id not in world.state.nodes[chosen.node].writes:
        return [world]
    return [replace(world, state=node.finish_write(world.state, chosen.node, chosen.id))]
