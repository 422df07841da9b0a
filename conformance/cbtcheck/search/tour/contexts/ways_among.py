"""Scenarios with two, three and four of a kind: bitmaps, sources, jobs, writes in flight, members of a group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal

from cbtmodel import commands as c

from cbtcheck.search.tour.contexts.stage import Commands, D, E, F, Has, Way, backup, ended, merge, there, whole, write
from cbtcheck.search.tour.reachable import BLOCK, START

JOBS = ("j", "k", "l")
PLACES = tuple((D, name) for name in ("m", "c", "z", "a", "q"))
"""Names whose order is not that of their age."""


# Bitmaps


def which_bitmap() -> Iterator[Way]:
    """Every command on each of one to five bitmaps, from the oldest to the newest; with namesakes on another disk."""
    for count in (1, 2, 3, 4, 5):
        for rank in range(count):
            yield _on_one(count, rank, namesakes=False)
    yield _on_one(3, 1, namesakes=True)


def _on_one(count: int, rank: int, namesakes: bool) -> Way:
    places = PLACES[:count]
    one, other = places[rank], places[(rank + 1) % count]
    bitmaps = [Has(place, True, (number,)) for number, place in enumerate(places)]
    disks = {D: count + 1}
    if namesakes:
        disks[E] = count + 1
        bitmaps += [Has((E, name), True, (number,)) for number, (_, name) in enumerate(places)]
    last = write(D, count)
    return ended(
        disks, *there(bitmaps), c.DisableBitmap(*one), last, c.EnableBitmap(*one), merge(one, other),
        merge(other, one), backup("j", one), last, c.CancelJob("j"), c.ClearBitmap(*one), last,
        c.RemoveBitmap(*one), write(D, 0), c.AddBitmap(*one, BLOCK), last, c.RemoveBitmap(*one),
    )  # fmt: skip


def sources() -> Iterator[Way]:
    """Merges of none to four sources, some of them twice, of one to three disks."""
    yield ended({D: 1}, *there([Has((D, "t"), True, (0,))]), c.MergeBitmaps(D, "t", ()))
    for count in (1, 2, 3, 4):
        for different, disks in product(range(1, count + 1), (1, 2, 3)):
            if disks <= different:
                nodes = (D, E, F)[-disks:]
                listed = [Has((nodes[each % disks], f"s{each}"), each % 2 == 0, (each,)) for each in range(different)]
                taken = [listed[each % different].place for each in range(count)]
                target = Has((D, "t"), True, (4,))
                yield ended({D: 6, E: 6, F: 6}, *there((*listed, target)), merge(target.place, *taken), write(D, 5))


def by_age(every_four: bool) -> Iterator[Way]:
    """A whole guest write and one that was in flight: what each of up to four bitmaps does with it.

    Of four, those in which all but one are alike, or all.
    """
    conditions = ("enabled", "disabled", "frozen", "frozen and disabled")
    for count in (1, 2, 3, 4):
        for each in product(conditions, repeat=count):
            enough_jobs = sum(one.startswith("frozen") for one in each) <= len(JOBS)
            if enough_jobs and (count < 4 or every_four or _nearly(each)):
                yield _recorded(each)


def _nearly(each: tuple[str, ...]) -> bool:
    """All but one are alike, and either these or that one are enabled."""
    return "enabled" in each and len(set(each)) == 2 and min(each.count(one) for one in set(each)) == 1


def _recorded(conditions: tuple[str, ...]) -> Way:
    commands: list[c.Command] = []
    jobs = iter(JOBS)
    for place, condition in zip(PLACES, conditions, strict=False):
        commands.append(c.AddBitmap(*place, BLOCK, "disabled" not in condition))
        if condition.startswith("frozen"):
            commands.append(backup(next(jobs), place, "full", ("on-success", "always")[len(commands) % 2]))
    return ended({D: 3}, *commands, c.BeginWrite(D, "w", 0, BLOCK), write(D, 1), c.EndWrite(D, "w"))


def on_other_disks() -> Iterator[Way]:
    """Guest writes beside disks that have bitmaps, too."""
    for others in (0, 1, 2):
        bitmaps = [Has((node, "a")) for node in (D, E, F)[: others + 1]]
        writes = [
            each for node in (D, E, F)[: others + 1] for each in (c.BeginWrite(node, "w", 0, BLOCK), write(node, 1))
        ]
        yield ended({D: 2, E: 2, F: 2}, *there(bitmaps), *writes)


# Writes in flight


def writes_in_flight() -> Iterator[Way]:
    """Each of one to four writes in flight ends first, well or badly, whoever records it, on one disk or two."""
    results: tuple[Literal["ok", "failed"], ...] = ("ok", "failed")
    for count, who, result in product((1, 2, 3, 4), ("a", "s", "as", ""), results):
        for first in range(count):
            for elsewhere in range(3 if who in ("a", "as") else 1):
                yield _one_ends_first(count, first, result, who, elsewhere)


def _one_ends_first(count: int, first: int, result: Literal["ok", "failed"], who: str, elsewhere: int) -> Way:
    bitmaps = [Has((D, "s"), True, (first if result == "ok" else 4, 5))] if "s" in who else []
    bitmaps += [Has((D, "a"))] if "a" in who else []
    starts = [backup("j", (D, "s"), "bitmap", "never")] if "s" in who else []
    begun = [c.BeginWrite(D, f"w{each}", each * BLOCK, BLOCK) for each in range(count)]
    others = [c.BeginWrite(E, f"w{each}", each * BLOCK, BLOCK) for each in range(elsewhere)]
    order = [first, *(each for each in reversed(range(count)) if each != first)]
    ends = [c.EndWrite(D, f"w{each}", result) for each in order]
    return ended({D: 6, E: 6}, *there((*bitmaps, Has((E, "a")))), *starts, *others, *begun, *ends)


def drained() -> Iterator[Way]:
    """A backup, and a transaction, that find up to three writes and two copies in flight, here and elsewhere."""
    for here, copies, elsewhere in product(range(4), range(3), (False, True)):
        jobs = [whole(job_id, D) for job_id in JOBS[:copies]]
        flying = [c.BeginCopy(each.job, 4 * BLOCK, BLOCK) for each in jobs]
        begun = [c.BeginWrite(D, f"w{each}", each * BLOCK, BLOCK) for each in range(here)]
        begun += [c.BeginWrite(E, "w0", 0, BLOCK)] if elsewhere else []
        before: Commands = (*there([Has((D, "a")), Has((E, "a"))]), *jobs, *begun, *flying)
        yield ended({D: 6, E: 6}, *before, backup("l", (D, "a"), "full", "always"), write(D, 5))
        yield ended({D: 6, E: 6}, *before, c.Transaction((c.ClearBitmap(D, "a"),)), write(D, 5))
    both = (whole("j", D), whole("k", E), whole("l", D))
    copying = [c.BeginCopy(each.job, 0, BLOCK) for each in both]
    for writes in range(4):
        begun = [c.BeginWrite((D, E)[each % 2], f"w{each}", (each + 1) * BLOCK, BLOCK) for each in range(writes)]
        yield ended({D: 6, E: 6}, *both, *begun, *copying, c.Transaction((c.AddBitmap(D, "a", BLOCK),)))


# Jobs


def _ends(job: str, how: str) -> Commands:
    """What is done to a job."""
    every: dict[str, Commands] = {
        "pause": (c.PauseJob(job), write(D, 1), c.ResumeJob(job)),
        "copy in flight": (c.BeginCopy(job, 0, BLOCK), write(D, 1), c.EndCopy(job)),
        "copy that fails": (c.BeginCopy(job, 0, BLOCK), c.EndCopy(job, "write error")),
        "copy": (c.Copy(job, 0, BLOCK), c.Copy(job, 0, 5 * BLOCK)),
        "failure": (c.Copy(job, 0, BLOCK, "read error"),),
        "cancel": (c.CancelJob(job),),
        "finalize": (c.Copy(job, 0, 5 * BLOCK), c.FinalizeJob(job)),
    }
    return every[how]


HOWS = ("pause", "copy in flight", "copy that fails", "copy", "failure", "cancel", "finalize")


def which_job() -> Iterator[Way]:
    """Every command on each of one to three jobs, with jobs on another disk; each with a bitmap of its own."""
    for here, elsewhere in ((1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)):
        for rank, how in product(range(here), HOWS):
            nodes = [D] * here + [E] * elsewhere
            places = [(disk, PLACES[number][1]) for number, disk in enumerate(nodes)]
            modes = [START[(number + rank) % len(START)] for number in range(len(nodes))]
            auto = how != "finalize"
            starts = [backup(JOBS[each], places[each], *modes[each], auto) for each in range(len(nodes))]
            bitmaps = [Has(place, True, (0, 1, number + 1)) for number, place in enumerate(places)]
            after = (write(D, 2), write(E, 2), *_ends(JOBS[rank], how), write(D, 0), write(E, 0))
            yield ended({D: 5, E: 5}, *there(bitmaps), *starts, *after)


def members() -> Iterator[Way]:
    """Each of two and three members of a group ends first, fails or is cancelled; on one to three disks."""
    for size, disks in ((2, 1), (2, 2), (3, 1), (3, 2), (3, 3)):
        for rank, how in product(range(size), HOWS):
            nodes = [(D, E, F)[each % disks] for each in range(size)]
            places = [(disk, PLACES[number][1]) for number, disk in enumerate(nodes)]
            bitmaps = [Has(place, True, (0, number + 1)) for number, place in enumerate(places)]
            starts = [
                backup(JOBS[each], places[each], *START[(each + rank) % len(START)], how != "finalize")
                for each in range(size)
            ]
            together = c.Transaction(tuple(starts), True)
            others = [c.Copy(JOBS[each], 0, 5 * BLOCK) for each in range(size) if each != rank]
            before = others if how in ("copy", "finalize") else others[:1]
            first, last = ([write(each, block) for each in (D, E, F)] for block in (2, 0))
            after = (together, *first, *before, *_ends(JOBS[rank], how), *last)
            yield ended({D: 5, E: 5, F: 5}, *there(bitmaps), *after)


def copied_before() -> Iterator[Way]:
    """What each of one to three jobs has to copy before a write, which fails or not, is whole or in flight."""
    for count in (0, 1, 2, 3):
        for copies in product((True, False), repeat=count):
            starts = [whole(job_id, D) for job_id in JOBS[:count]]
            done = [c.Copy(job_id, 0, 2 * BLOCK) for job_id, each in zip(JOBS, copies, strict=False) if not each]
            fails = c.Write(D, 0, BLOCK, "write", "copy failed")
            after = (fails, write(D, 0), c.BeginWrite(D, "w", BLOCK, BLOCK), c.EndWrite(D, "w"))
            yield ended({D: 3}, *there([Has((D, "a"))]), *starts, *done, *after)
            if True in copies:  # for the last time: the jobs complete before the write
                whole_disk = (c.BeginWrite(D, "w", 0, 3 * BLOCK), c.EndWrite(D, "w"))
                yield ended({D: 3}, *there([Has((D, "a"))]), *starts, *done, *whole_disk)


# Transactions


def transactions() -> Iterator[Way]:
    """None to six actions, and none to three backups among them, of one to three disks, together or not."""
    for count in range(7):
        clears = tuple(c.ClearBitmap(D, f"b{each}") for each in range(count))
        bitmaps = [Has((D, f"b{each}"), True, (each,)) for each in range(count)]
        for backups in range(min(count, 3) + 1):
            starts = tuple(backup(JOBS[each], (D, f"b{each}"), "full", "always") for each in range(backups))
            actions: tuple[c.Action, ...] = (*clears[backups:], *starts)
            yield ended({D: 8}, *there(bitmaps), c.Transaction(actions), write(D, 7))
    for disks, count, grouped in product((1, 2, 3), (1, 2, 3), (True, False)):
        if disks <= count:
            places = [((D, E, F)[each % disks], f"b{each}") for each in range(count)]
            bitmaps = [Has(place, True, (each,)) for each, place in enumerate(places)]
            starts = tuple(backup(job_id, place) for job_id, place in zip(JOBS, places, strict=False))
            yield ended({D: 4, E: 4, F: 4}, *there(bitmaps), c.Transaction(starts, grouped), write(D, 3))
    yield ended({D: 1}, c.Transaction((), True))


def ways_among(scope: str) -> Iterator[Way]:
    """All of them. Beyond *quick*, with every four bitmaps there can be."""
    for some in (which_bitmap, sources, on_other_disks, writes_in_flight, drained, which_job, members,
                 copied_before, transactions):  # fmt: skip
        yield from some()
    yield from by_age(scope != "quick")
