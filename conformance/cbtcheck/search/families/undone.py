"""What is undone, of several: three actions that are accepted, and then one for which all of them are refused.

The three are of two kinds, in every pattern, so that three of each kind are among them; each on a bitmap of its own,
or all on one. They are refused several times in a row, for reasons of one sort, and at last not. Small worlds undo
each action once, and one of several by one reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cbtmodel import commands as c
from cbtmodel.commands import Action, Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground

UNITS = 16

Make = Callable[[Ground, int, str, str], Action]
"""An action: with its number, its bitmap, and the disk of both."""


def _merge(count: int) -> Make:
    return lambda ground, number, name, node: ground.merge(name, *(f"s{each}" for each in range(count)), node=node)


def _backup(sync: str, mode: str | None) -> Make:
    return lambda ground, number, name, node: ground.backup(f"j{number}", name, sync, mode, node)  # type: ignore[arg-type]


KINDS: dict[str, Make] = {
    "add": lambda ground, number, name, node: ground.add(f"new{number}", node),
    "remove": lambda ground, number, name, node: c.RemoveBitmap(node, name),
    "clear": lambda ground, number, name, node: c.ClearBitmap(node, name),
    "enable": lambda ground, number, name, node: c.EnableBitmap(node, name),
    "disable": lambda ground, number, name, node: c.DisableBitmap(node, name),
    "merge": _merge(1),
    "merge of two": _merge(2),
    "backup": _backup("bitmap", "on-success"),
    "always": _backup("full", "always"),
    "never": _backup("bitmap", "never"),
}

PATTERNS = ("AAA", "AAB", "ABA", "BAA", "ABB")

SUBJECTS = ("each its own", "all the same", "each its own, on two disks")


def _bad_merge(place: int, of: int) -> Callable[[Ground], tuple[Action, ...]]:
    """Merges into each of the bitmaps, of so many sources, of which that one is not there."""
    return lambda ground: tuple(
        ground.merge(name, *("missing" if each == place else f"s{each % 3}" for each in range(of)))
        for name in ("b0", "b1", "b2")
    )


REFUSED: dict[str, Callable[[Ground], tuple[Action, ...]]] = {
    "by abort": lambda ground: (c.Abort(),),
    "by a clear": lambda ground: (c.ClearBitmap(DISK, "missing"), c.ClearBitmap("nowhere", "b0")),
    "by an add": lambda ground: (ground.add("s0"), ground.add("")),
    "by a start": lambda ground: (
        ground.backup("jx", "missing"), ground.backup("busy", "s0"), ground.backup("jx", "held"),
    ),
    "by what is busy": lambda ground: (
        c.RemoveBitmap(DISK, "held"), ground.merge("held", "s0"), ground.merge("s0", "held"),
    ),
    "by a merge": _bad_merge(0, 1),
    "by the 2nd of 2 sources": _bad_merge(1, 2),
    "by the 3rd of 3 sources": _bad_merge(2, 3),
    "by the 3rd of 4 sources": _bad_merge(2, 4),
    "by the 5th of 5 sources": _bad_merge(4, 5),
}  # fmt: skip


def undone(ground: Ground) -> Iterator[Scenario]:
    """A covering array of it; one scenario has all reasons of a sort."""
    kinds = claimed(ground, list(KINDS), lambda name: (c.Transaction((KINDS[name](ground, 0, "b", DISK),)),))
    reasons = list(REFUSED)
    if ground.jobs < 4:  # one holds a bitmap, and three are undone
        kinds = [each for each in kinds if not isinstance(KINDS[each](ground, 0, "b", DISK), c.StartBackup)]
    for one, other, pattern, subject, reason, disabled in rows(kinds, kinds, PATTERNS, SUBJECTS, reasons, (0, 1)):
        disks = ground.disks(UNITS, 2 if subject == 2 else 1)
        nodes = [list(disks)[number % len(disks)] for number in range(3)]
        commands: list[Command] = []
        for each in disks:
            for number in range(3):
                commands += [ground.add(f"b{number}", each), ground.write(number, each)]
                commands.append(c.DisableBitmap(each, f"b{number}"))
            for number in range(3):
                commands += [ground.add(f"s{number}", each), ground.write(number + 4, each)]
                commands.append(c.DisableBitmap(each, f"s{number}"))
            commands += [] if disabled else [c.EnableBitmap(each, f"b{number}") for number in range(3)]
        commands += [ground.add("held"), ground.write(8), ground.backup("busy", "held")]
        actions = tuple(
            KINDS[kinds[one if letter == "A" else other]](
                ground, number, "b0" if subject == 1 else f"b{number}", nodes[number]
            )
            for number, letter in enumerate(PATTERNS[pattern])
        )
        together = "grouped" in ground.capabilities.features
        grouped = together and all(isinstance(each, c.StartBackup) for each in actions)
        for number, refusing in enumerate(REFUSED[reasons[reason]](ground)):
            commands.append(c.Transaction((*actions, refusing)))
            commands += [ground.write(number + 10, each) for each in disks]
        if grouped:
            refusing_members = (c.Abort(), ground.backup("jx", "missing"))
            commands += [c.Transaction((*actions, each), True) for each in refusing_members]
        commands += [c.Transaction(actions, grouped), *(ground.write(14, each) for each in disks)]
        told = ", ".join(kinds[one if letter == "A" else other] for letter in PATTERNS[pattern])
        title = f"{told}, {SUBJECTS[subject]}, {'disabled' if disabled else 'enabled'}: refused {reasons[reason]}"
        yield Scenario(disks, tuple(commands), title=title)


UNDONE = Family(
    "what is undone, of several", "three actions of two kinds that are undone together, and by which reason", undone,
    frozenset({
        "transaction", "add-bitmap", "remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap",
        "merge-bitmaps", "start-backup",
    }),
)  # fmt: skip
