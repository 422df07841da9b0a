"""Groups of three, three times in a row: how one member ends them, and what the two others are doing then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import Ground

UNITS = 8
TIMES = 3
DOING = ("runs", "is paused", "has finished", "is amid a copy")
ENDS = ("is cancelled", "fails to read", "fails to write", "completes", "is finalized", "is cancelled when pending")
MODES: tuple[BitmapMode, ...] = ("on-success", "always", "never")
CULPRITS = ("the first", "the second", "the third")

IDS: dict[str, Callable[[int, int], str]] = {
    "the same ids": lambda member, time: f"j{member}",
    "new ids": lambda member, time: f"j{member}-{time}",
    "ids that begin alike": lambda member, time: "j" * (1 + (member + time) % 3),
}


def _does(ground: Ground, job: str, what: str) -> Iterator[Command]:
    if what == "is paused":
        yield c.PauseJob(job)
    elif what == "has finished":
        yield ground.copy_all(job, UNITS)
    elif what == "is amid a copy":
        yield c.BeginCopy(job, (UNITS - 1) * ground.unit, ground.unit)


def _finishes(ground: Ground, job: str, what: str) -> Iterator[Command]:
    if what == "is paused":
        yield c.ResumeJob(job)
    elif what == "is amid a copy":
        yield c.EndCopy(job)
    if what != "has finished":
        yield ground.copy_all(job, UNITS)


def groups(ground: Ground) -> Iterator[Scenario]:
    """A covering array of it, each row with three groups in a row that have the same bitmaps."""
    for row in rows(ENDS, DOING, DOING, CULPRITS, (1, 2, 3), MODES, list(IDS), (False, True)):
        end, others, culprit, mode = ENDS[row[0]], (DOING[row[1]], DOING[row[2]]), row[3], MODES[row[5]]
        disks = ground.disks(UNITS, (1, 2, 3)[row[4]])
        nodes = [list(disks)[number % len(disks)] for number in range(3)]
        modes = [mode if number == culprit else MODES[(row[5] + number) % 3] for number in range(3)]
        commands: list[Command] = [ground.add(f"b{number}", nodes[number]) for number in range(3)]
        if row[7]:
            commands.append(c.DisableBitmap(nodes[1], "b1"))
        for time in range(TIMES):
            ids = [list(IDS.values())[row[6]](number, time) for number in range(3)]
            commands += [ground.write(number + time, nodes[number]) for number in range(3)]
            by_hand = end.endswith(("finalized", "pending"))
            starts = tuple(
                ground.backup(ids[number], f"b{number}", "bitmap" if modes[number] == "never" else "full",
                              modes[number], nodes[number], not by_hand)
                for number in range(3)
            )  # fmt: skip
            commands.append(c.Transaction(starts, True))
            commands += [ground.write(number + 3, each) for number, each in enumerate(disks)]
            rest = [number for number in range(3) if number != culprit]
            for number, what in zip(rest, others, strict=True):
                commands += _does(ground, ids[number], what)
            if end == "is cancelled":
                commands.append(c.CancelJob(ids[culprit]))
            elif end.startswith("fails"):
                commands.append(ground.copy_all(ids[culprit], UNITS, end.removeprefix("fails to ") + " error"))
            else:
                for number, what in zip(rest, others, strict=True):
                    commands += _finishes(ground, ids[number], what)
                commands.append(ground.copy_all(ids[culprit], UNITS))
                if by_hand:
                    commands += [ground.write(6, each) for each in disks]
                    last = c.FinalizeJob if end == "is finalized" else c.CancelJob
                    commands.append(last(ids[culprit]))
            commands += [ground.write((time + 5) % UNITS, each) for each in disks]
        title = f"three groups of {len(disks)} disks: {CULPRITS[culprit]} {end}, the others: {', '.join(others)}"
        yield Scenario(disks, tuple(commands), title=title)


# Three disks

WAITING = ("nothing", "a clear on each", "a group", "an add on the last", "a backup on the first",
           "a backup on the last", "an undone clear on each")  # fmt: skip
COPIES = ((), (0,), (2,), (0, 1, 2))


def three_disks(ground: Ground) -> Iterator[Scenario]:
    """Writes in flight on each of three disks, and copies; what waits for them, and in which order they end."""
    for waits, copies, alike, order, many, bad in rows(WAITING, COPIES, (True, False), (0, 1, 2), (1, 2, 4), (0, 1)):
        what = WAITING[waits]
        disks = list(ground.disks(UNITS * 2, 3))
        commands: list[Command] = []
        for number, node in enumerate(disks):
            commands += [ground.add("b", node), ground.write(number + 1, node)]
        commands += [
            ground.backup(f"c{each}", None, node=disks[each]) for each in COPIES[copies] if each < len(disks)
        ]
        writes = [(node, f"w{each}" if (True, False)[alike] else f"w{number}{each}", number * 4 + each)
                  for number, node in enumerate(disks) for each in range((1, 2, 4)[many])]  # fmt: skip
        commands += [ground.begin(write_id, place, node) for node, write_id, place in writes]
        commands += [c.BeginCopy(f"c{each}", 15 * ground.unit, 1) for each in COPIES[copies] if each < len(disks)]
        clears = tuple(c.ClearBitmap(node, "b") for node in disks)
        if what == "a clear on each":
            commands.append(c.Transaction(clears))
        elif what == "an undone clear on each":
            commands.append(c.Transaction((*clears, c.Abort())))
        elif what == "a group":
            starts = tuple(ground.backup(f"g{number}", "b", node=node) for number, node in enumerate(disks))
            commands.append(c.Transaction(starts, True))
        elif what == "an add on the last":
            commands.append(c.Transaction((ground.add("new", disks[-1]),)))
        elif what.startswith("a backup"):
            commands.append(ground.backup("g0", "b", "full", "always", disks[0 if what.endswith("first") else -1]))
        drained = {"nothing": [], "an undone clear on each": [], "a backup on the first": disks[:1],
                   "a backup on the last": disks[-1:]}.get(what, disks)  # fmt: skip
        left = [each for each in writes if each[0] not in drained]
        for number, (node, write_id, _) in enumerate(left[order:] + left[:order]):
            commands.append(c.EndWrite(node, write_id, "failed" if bad and number == 0 else "ok"))
        commands += [ground.write(14, node) for node in disks]
        title = f"{len(writes)} writes in flight on {len(disks)} disks; what waits: {what}"
        yield Scenario(ground.disks(UNITS * 2, 3), tuple(commands), title=title)


# Merges, among granularities and flags

FLAGS = ("enabled", "disabled", "every other disabled")
GRAINS = ("alike", "the sources finer", "the sources coarser", "each another")
RESULTS = ("accepted", "undone, then accepted", "refused at the last", "after a clear", "after a clear, refused",
           "undone twice")  # fmt: skip


def merges(ground: Ground) -> Iterator[Scenario]:
    """Merges of one to five sources that differ in all that bitmaps can differ in; accepted, refused, undone."""
    sizes = sorted(each for each in ground.capabilities.granularities if each <= 2 * ground.unit)
    counts = (1, 2, 3, 5)
    for row in rows(counts, FLAGS[:2], FLAGS, GRAINS, (1, 2, 3), RESULTS, (False, True)):
        target_flag, flag, grain, result = FLAGS[row[1]], FLAGS[row[2]], GRAINS[row[3]], row[5]
        opposite = FLAGS[1 - row[1]]
        disks = list(ground.disks(UNITS * 2, (1, 2, 3)[row[4]]))
        count = max(counts[row[0]], len(disks))
        own, theirs = {"the sources finer": (-1, 0), "the sources coarser": (0, -1)}.get(grain, (0, 0))
        commands: list[Command] = [ground.add("sum", granularity=sizes[own])]
        commands += [ground.write(15)] if row[6] else []
        commands.append(c.DisableBitmap(disks[0], "sum"))
        taken = []
        for number in range(count):
            size = sizes[number % len(sizes)] if grain == "each another" else sizes[theirs]
            node, name = disks[number % len(disks)], f"s{number}"
            commands += [ground.add(name, node, granularity=size), ground.write(2 * number, node)]
            commands.append(c.DisableBitmap(node, name))
            taken.append(c.Source(node, name))
        for number, each in enumerate(taken):
            if flag == "enabled" or (flag != "disabled" and number % 2 == 0):
                commands.append(c.EnableBitmap(each.node, each.name))
        if target_flag == "enabled":
            commands.append(c.EnableBitmap(disks[0], "sum"))
        merge = c.MergeBitmaps(disks[0], "sum", tuple(taken))
        missing = replace(merge, sources=(*merge.sources, c.Source(disks[0], "missing")))
        clear = c.ClearBitmap(disks[0], "sum")
        lists: dict[str, tuple[Command, ...]] = {
            "accepted": (merge,), "undone, then accepted": (c.Transaction((merge, c.Abort())), merge),
            "refused at the last": (missing, merge), "after a clear": (c.Transaction((clear, merge)),),
            "after a clear, refused": (c.Transaction((clear, missing)), c.Transaction((clear, merge, c.Abort()))),
            "undone twice": (c.Transaction((clear, merge, c.Abort())), ground.write(13),
                             c.Transaction((merge, clear, c.Abort())), ground.write(14), merge),
        }  # fmt: skip
        commands += [*lists[RESULTS[result]], *(ground.write(11, node) for node in disks)]
        turn = c.EnableBitmap if opposite == "enabled" else c.DisableBitmap
        commands += [turn(disks[0], "sum"), clear, merge]
        commands += [ground.backup("j", "sum"), ground.write(12), c.CancelJob("j")]
        title = f"a merge of {count} sources of {len(disks)} disks, {flag}, {grain}: {RESULTS[result]}"
        yield Scenario(ground.disks(UNITS * 2, len(disks)), tuple(commands), title=title)


OF_GROUPS = frozenset({"start-backup", "cancel-job", "finalize-job", "pause-job", "copy", "transaction"})
OF_DISKS = frozenset({"begin-write", "end-write", "begin-copy", "transaction", "start-backup"})
OF_MERGES = frozenset({"merge-bitmaps", "transaction"})

GROUPS = (
    Family("groups, again", "three groups of three in a row, on one to three disks", groups, OF_GROUPS),
    Family(
        "three disks", "writes and copies in flight on three disks, and what waits for them", three_disks, OF_DISKS
    ),
    Family(
        "which sources", "merges of up to five sources that differ in flag, granularity and disk", merges, OF_MERGES
    ),
)
