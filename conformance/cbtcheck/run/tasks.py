"""The items of a plan, put together to tasks: what is given to a worker at a time, and answered at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from cbtcheck.run.part import FAMILIES, HISTORIES, IMAGES, RESTARTS, TOUR, TRAPS
from cbtcheck.run.plan import Item

HANDFUL = 16
"""So many items are played together in the phases whose items take no time."""

QUICK = (TOUR, TRAPS, FAMILIES, RESTARTS, IMAGES)

Task = tuple[Item, ...]


def tasks_of(items: Iterable[Item]) -> Iterator[Task]:
    """The items of a plan as tasks, in the order of their first items; those of a group are together."""
    for phase, same in groupby(items, lambda each: each.phase):
        if phase == HISTORIES:
            yield from by_group(same)
        else:
            while task := tuple(islice(same, HANDFUL if phase in QUICK else 1)):
                yield task


def by_group(items: Iterable[Item]) -> list[Task]:
    """Each item alone, but for those that are to be played by the same process."""
    groups: dict[object, list[Item]] = {}
    for each in items:
        groups.setdefault(each.place if each.group is None else (each.group,), []).append(each)
    return [*map(tuple, groups.values())]
