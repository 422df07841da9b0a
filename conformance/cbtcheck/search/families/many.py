"""How many: bitmaps, sources of a merge, writes in flight, jobs, members of a group, actions of a transaction.

Counts around 4, 8, 16 and 32, where arrays of a fixed size end and tables grow. Each of many has a bit of its own, so
that one that is left out, or taken for another, shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode
from cbtmodel.commands import Action, Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

COUNTS = (3, 4, 5, 8, 9, 17, 33)
MORE = (65, 129, 257)
UNITS = 40
"""Of the smaller counts, each of many has a unit of its own; of the larger ones, some share one."""

WHICH: dict[str, Callable[[int], int]] = {
    "the oldest": lambda count: 0, "the third": lambda count: min(2, count - 1), "one amid": lambda count: count // 2,
    "the last but one": lambda count: count - 2, "the newest": lambda count: count - 1,
}  # fmt: skip


def names(count: int, order: str) -> list[str]:
    """So many names, by age; in an order of their own so that age and alphabet differ."""
    step = {"as named": 1, "against it": -1}.get(order, 0)
    listed = [f"b{number}" for number in range(count)]
    return listed[::step] if step else listed[1::2] + listed[::2]


ORDERS = ("as named", "against it", "mixed")


# Bitmaps

AMID: dict[str, Callable[[Ground, str], tuple[Command, ...]]] = {
    "removed": lambda ground, one: (c.RemoveBitmap(DISK, one),),
    "removed and added": lambda ground, one: (c.RemoveBitmap(DISK, one), ground.add(one)),
    "added disabled": lambda ground, one: (c.RemoveBitmap(DISK, one), ground.add(one, enabled=False)),
    "cleared": lambda ground, one: (c.ClearBitmap(DISK, one),),
    "disabled": lambda ground, one: (c.DisableBitmap(DISK, one),),
    "backed up": lambda ground, one: (ground.backup("j", one), ground.write(1), ground.copy_all("j", UNITS)),
    "cancelled": lambda ground, one: (ground.backup("j", one), ground.write(1), c.CancelJob("j")),
    "merged": lambda ground, one: (ground.add("sum"), ground.merge("sum", one), c.RemoveBitmap(DISK, "sum")),
}


def bitmaps(ground: Ground) -> Iterator[Scenario]:
    """Something happens to one of many bitmaps, then to another one; all record before, in between and after."""
    counts = (*COUNTS, *MORE) if ground.thorough else COUNTS
    which, amid = list(WHICH), list(AMID)
    for count, order, first, what, second, then in rows(counts, ORDERS, which, amid, which, amid):
        many = counts[count]
        listed = names(many, ORDERS[order])
        one = listed[WHICH[which[first]](many)]
        commands: list[Command] = [*(ground.add(each) for each in listed), ground.write(0)]
        commands += [*AMID[amid[what]](ground, one), ground.write(2)]
        left = [each for each in listed if each != one] if amid[what] == "removed" else listed
        other = left[WHICH[which[second]](len(left))]
        commands += [*AMID[amid[then]](ground, other), ground.write(3)]
        commands += [ground.backup("k", left[-1], "incremental"), ground.write(4)]
        title = f"{many} bitmaps, {ORDERS[order]}: {which[first]} {amid[what]}, {which[second]} {amid[then]}"
        yield Scenario(ground.disks(8 if many < 8 else UNITS), tuple(commands), title=title)


# Sources of a merge


def sources(ground: Ground) -> Iterator[Scenario]:
    """Merges of many sources, each with a bit of its own, of one disk or several; and such that are refused."""
    counts = (*COUNTS, *MORE) if ground.thorough else COUNTS
    refusals = ("accepted", "refused at the last", "undone", "in a transaction")
    spread = (1, 2, 3)
    for count, order, result, over in rows(counts, ORDERS, refusals, spread):
        many = counts[count]
        disks = ground.disks(UNITS, spread[over])
        nodes = [list(disks)[number % len(disks)] for number in range(many)]
        listed = names(many, ORDERS[order])
        commands: list[Command] = []
        for number, each in enumerate(listed):
            commands += [ground.add(each, nodes[number]), ground.write(number % UNITS, nodes[number])]
            commands.append(c.DisableBitmap(nodes[number], each))
        taken = tuple(c.Source(nodes[number], each) for number, each in enumerate(listed))
        if refusals[result] == "refused at the last":
            taken = (*taken, c.Source(DISK, "missing"))
        commands += [ground.add("sum"), ground.write(UNITS - 1)]
        merge = c.MergeBitmaps(DISK, "sum", taken)
        if refusals[result] == "undone":
            commands += [c.Transaction((merge, c.Abort())), merge]
        elif refusals[result] == "in a transaction":
            commands.append(c.Transaction((merge,)))
        else:
            commands.append(merge)
        commands += [ground.write(1), ground.backup("j", "sum"), ground.write(2)]
        title = f"a merge of {many} sources of {len(disks)} disks, {refusals[result]}"
        yield Scenario(disks, tuple(commands), title=title)


# Writes in flight

MEANWHILE: dict[str, Callable[[Ground], tuple[Command, ...]]] = {
    "nothing": lambda ground: (),
    "disabled and enabled": lambda ground: (c.DisableBitmap(DISK, "b"), c.EnableBitmap(DISK, "b")),
    "added again": lambda ground: (c.RemoveBitmap(DISK, "b"), ground.add("b")),
    "cleared": lambda ground: (c.ClearBitmap(DISK, "b"),),
    "added": lambda ground: (ground.add("c"),),
    "a backup": lambda ground: (ground.backup("j", "b"),),
    "two backups": lambda ground: (
        ground.backup("j", "b"), c.CancelJob("j"), ground.backup("j", "b", "incremental"),
    ),
    "a transaction": lambda ground: (c.Transaction((c.ClearBitmap(DISK, "b"),)),),
}  # fmt: skip


def writes(ground: Ground) -> Iterator[Scenario]:
    """Many writes are in flight while something happens; they end in some order, one of them badly."""
    counts = (2, *COUNTS, *MORE[:1]) if ground.thorough else (2, *COUNTS)
    which, meanwhile = list(WHICH), list(MEANWHILE)
    for count, order, first, what, before in rows(counts, ORDERS, which, meanwhile, (False, True)):
        many = counts[count]
        listed = names(many, ORDERS[order])
        commands: list[Command] = [ground.add("b")]
        if before:
            commands.append(ground.backup("before", "b", "full", "always"))
        commands += [ground.begin(each, number % UNITS) for number, each in enumerate(listed)]
        commands += [*MEANWHILE[meanwhile[what]](ground)]
        bad = listed[max(0, WHICH[which[first]](many))]
        commands.append(c.EndWrite(DISK, bad, "failed"))
        commands += [c.EndWrite(DISK, each) for each in sorted(listed) if each != bad]
        title = f"{many} writes in flight, {which[first]} fails first; meanwhile {meanwhile[what]}"
        yield Scenario(ground.disks(UNITS), tuple(commands), title=title)


# Jobs and groups

ENDS = ("completed", "cancelled", "failed", "one by one")


def jobs(ground: Ground) -> Iterator[Scenario]:
    """As many jobs as may be, in a group or each by itself; one of them ends them, or itself, in some way."""
    counts = [each for each in (2, *COUNTS) if each <= ground.jobs]
    if not counts:
        return
    modes: tuple[BitmapMode, ...] = ("on-success", "always", "never")
    which, finalized = list(WHICH), (False, True)
    for row in rows(counts, which, ENDS, modes, (True, False), (True, False), finalized):
        many, one = counts[row[0]], WHICH[which[row[1]]](counts[row[0]])
        end, mode, grouped, one_disk, by_hand = ENDS[row[2]], modes[row[3]], not row[4], not row[5], bool(row[6])
        disks = ground.disks(8, 1 if one_disk else many)
        nodes = [list(disks)[number % len(disks)] for number in range(many)]
        commands: list[Command] = [ground.add(f"b{number}", nodes[number]) for number in range(many)]
        commands += [ground.write(number % 8, each) for number, each in enumerate(nodes)]
        starts = [
            ground.backup(f"j{number}", f"b{number}", "bitmap", mode, nodes[number], not by_hand)
            for number in range(many)
        ]
        commands += [c.Transaction(tuple(starts), True)] if grouped else starts
        commands += [ground.write((number + 3) % 8, each) for number, each in enumerate(nodes)]
        if end == "cancelled":
            commands.append(c.CancelJob(f"j{max(one, 0)}"))
        elif end == "failed":
            commands.append(ground.copy_all(f"j{max(one, 0)}", 8, "read error"))
        elif end == "completed":
            commands += [ground.copy_all(f"j{number}", 8) for number in range(many)]
        else:
            order = [max(one, 0), *(number for number in range(many) if number != max(one, 0))]
            commands += [ground.copy_all(f"j{number}", 8) for number in order]
            commands += [c.CancelJob(f"j{number}") for number in order]
        commands += [ground.write((number + 4) % 8, each) for number, each in enumerate(nodes)]
        title = f"{many} jobs, {'grouped' if grouped else 'alone'}, {mode}: {which[row[1]]} {end}"
        yield Scenario(disks, tuple(commands), title=title)


# Actions of a transaction


def _action(ground: Ground, kind: str, number: int) -> Action:
    name = f"b{number}"
    match kind:
        case "clear":
            return c.ClearBitmap(DISK, name)
        case "disable":
            return c.DisableBitmap(DISK, name)
        case "remove":
            return c.RemoveBitmap(DISK, name)
        case "add":
            return ground.add(f"n{number}")
        case "merge":
            return ground.merge(name, "source")
    return (c.ClearBitmap(DISK, name), c.DisableBitmap(DISK, name), ground.merge(name, "source"))[number % 3]


ACTIONS = ("clear", "disable", "remove", "add", "merge", "mixed")


def actions(ground: Ground) -> Iterator[Scenario]:
    """Transactions of many actions, each on a bitmap of its own or several on one; accepted, or refused."""
    counts = (*COUNTS, *MORE[:1]) if ground.thorough else COUNTS
    results, shared = ("accepted", "aborted", "aborted, then accepted"), (False, True)
    for count, kind, result, one in rows(counts, ACTIONS, results, shared):
        many = counts[count]
        there = 3 if shared[one] and ACTIONS[kind] == "mixed" else many
        commands: list[Command] = [ground.add("source"), ground.write(UNITS - 1), c.DisableBitmap(DISK, "source")]
        for number in range(there):
            commands += [ground.add(f"b{number}"), ground.write(number % (UNITS - 1))]
        listed = tuple(_action(ground, ACTIONS[kind], number % there) for number in range(many))
        if results[result].startswith("aborted"):
            commands += [c.Transaction((*listed, c.Abort())), ground.write(0)]
        if results[result].endswith("accepted"):
            commands += [c.Transaction(listed), ground.write(1)]
        title = f"a transaction of {many} actions, {ACTIONS[kind]}, {results[result]}"
        yield Scenario(ground.disks(UNITS), tuple(commands), title=title)


OF_BITMAPS = frozenset({
    "add-bitmap", "remove-bitmap", "clear-bitmap", "disable-bitmap", "merge-bitmaps", "write", "start-backup",
})  # fmt: skip
OF_WRITES = frozenset({"begin-write", "end-write"})
OF_JOBS = frozenset({"start-backup", "cancel-job", "finalize-job", "copy", "transaction"})
OF_ACTIONS = frozenset({
    "transaction", "clear-bitmap", "disable-bitmap", "remove-bitmap", "add-bitmap", "merge-bitmaps",
})  # fmt: skip

MANY = (
    Family("how many bitmaps", "3 to 33 bitmaps on a disk, in ci to 257", bitmaps, OF_BITMAPS),
    Family("how many sources", "3 to 33 sources of a merge, in ci to 257", sources, frozenset({"merge-bitmaps"})),
    Family("how many writes", "2 to 33 writes in flight, in ci to 65", writes, OF_WRITES),
    Family("how many jobs", "2 jobs and more, as many as are claimed, in groups and alone", jobs, OF_JOBS),
    Family("how many actions", "3 to 33 actions of a transaction, in ci to 65", actions, OF_ACTIONS),
)
