"""A window in parts which have nothing to do with each other: each is judged by itself.

What overlaps makes one window, also where it is about several disks. Items commute that touch no disk in common, and
so do the writes of other disks; so whether one part can be explained, and how, does not depend on the others. A disk
whose replies contradict each other says nothing of another one's looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cbtcheck.trace.commuting import Touching
from cbtcheck.trace.gathered import Gathered
from cbtcheck.trace.window import Item

Kind = tuple[str, int, int, bool]
"""Of writes: the node, the items known to be before them, the first item known to be after them, and whether sure."""

Kinds = dict[Kind, Gathered]
"""Writes by their kind."""


@dataclass(frozen=True)
class Part:
    """Items of a window, numbered anew, with the writes of all disks that they have to do with.

    `first` are those of the writes that are known to be before all items.
    """

    disks: frozenset[str]
    items: tuple[Item, ...]
    first: Kinds
    writes: Kinds


def parts(items: Iterable[Item], writes: Kinds, touch: Touching) -> Iterator[Part]:
    """The parts of a window of these items and writes; what is known to be before something else comes before it."""
    for touched, members in _together(items, touch):
        of_it = {key: each for key, each in writes.items() if key[0] in touched}
        first = 0
        for past in range(1, len(members) + 1):
            if _falls_apart(members, past, of_it):
                more = past < len(members)
                after = {key for key in of_it if more and _is_after(key, members[:past])}
                yield _part(touched, members[first:past], {key: of_it[key] for key in of_it if key not in after})
                of_it = {key: of_it[key] for key in of_it if key in after}
                first = past


def _falls_apart(members: list[Item], past: int, writes: Kinds) -> bool:
    """Whether all items and writes are known to be before the item of that place, and all from there on, or after all
    items that are before it.
    """
    if past == len(members):
        return True
    next_one, earlier = members[past].number, sum(1 << item.number for item in members[:past])
    if any(item.before & earlier != earlier for item in members[past:]):
        return False
    return all(closed <= next_one or before & earlier == earlier for _, before, closed, _ in writes)


def _is_after(key: Kind, members: list[Item]) -> bool:
    """Whether writes of this kind are known to be after all of these items."""
    earlier = sum(1 << item.number for item in members)
    return key[1] & earlier == earlier


def _part(touched: frozenset[str], members: list[Item], writes: Kinds) -> Part:
    numbers = [item.number for item in members]
    anew = (replace(item, number=at, before=_anew(item.before, numbers)) for at, item in enumerate(members))
    first: Kinds = {}
    others: Kinds = {}
    for (node, before, closed, sure), gathered in writes.items():
        key = (node, _anew(before, numbers), sum(number < closed for number in numbers), sure)
        into = others if key[2] else first
        into[key] = into[key].with_all(gathered) if key in into else gathered
    return Part(touched, tuple(anew), first, others)


def _together(items: Iterable[Item], touch: Touching) -> list[tuple[frozenset[str], list[Item]]]:
    """Items that hang together by the disks that they touch. Those that touch none that is known do so, too."""
    groups: list[tuple[frozenset[str], list[Item]]] = []
    for item in items:
        touched = touch[item.number]
        met = [group for group in groups if group[0] & touched or not (group[0] or touched)]
        members = sorted((each for _, listed in met for each in listed), key=lambda each: each.number)
        together = touched.union(*(of for of, _ in met)), [*members, item]
        groups = [group for group in groups if not any(group is one for one in met)] + [together]
    return sorted(groups, key=lambda group: group[1][0].number)


def _anew(bits: int, numbers: list[int]) -> int:
    """Of these items those that are of a part, by their numbers in it."""
    return sum(1 << at for at, number in enumerate(numbers) if bits >> number & 1)
