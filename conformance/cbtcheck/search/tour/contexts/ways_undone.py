"""Scenarios in which everything is undone: each action in each state, at each place in its transaction, by each
refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from cbtmodel import commands as c
from cbtmodel.alphabet import ON_BITMAP

from cbtcheck.search.tour.contexts.stage import (
    Commands,
    D,
    E,
    F,
    Has,
    Place,
    Way,
    backup,
    ended,
    merge,
    some_of,
    there,
    undone_then_done,
    whole,
    write,
)
from cbtcheck.search.tour.reachable import BLOCK, START

ROOM = 5
"""How many blocks each subject of a transaction has for itself."""

STATES = tuple(product((True, False), (True, False)))
"""Of a bitmap: enabled or not, dirty or not."""

JOBS = ("j", "k", "l")



@dataclass(frozen=True)
class Subject:
    """An action, and the bitmaps that it finds."""

    bitmaps: tuple[Has, ...]
    action: c.Action


Make = Callable[[int], Subject]
"""A subject by its number in the transaction, which it takes names and blocks from."""


def has(number: int, enabled: bool, dirty: bool, node: str = D) -> Has:
    """The bitmap of a subject."""
    return Has((node, f"b{number}"), enabled, (ROOM * number,) if dirty else ())


def subjects() -> Iterator[Make]:
    """Every action in every state that it can find."""
    for enabled in (True, False):
        yield lambda n, e=enabled: Subject((), c.AddBitmap(D, f"b{n}", BLOCK, e))  # type: ignore[misc]
    for kind, state in product(ON_BITMAP, STATES):
        yield lambda n, k=kind, s=state: Subject((has(n, *s),), k(*has(n, *s).place))  # type: ignore[misc]
    for (sync, mode), state in product(START, STATES):
        yield lambda n, m=(sync, mode), s=state: Subject(  # type: ignore[misc]
            (has(n, *s),), backup(JOBS[n % 3], has(n, *s).place, *m)
        )
    yield lambda n: Subject((), whole(JOBS[n % 3], D))
    yield from merges()


MERGED = (("more", True), ("same", True), ("none", True), ("more", False), ("none", False))
"""What the sources have: bits that the target has not, the same, or none; and whether the target has a bit at all."""


def merges() -> Iterator[Make]:
    """Merges of none to four sources, with bits that differ or not, of this disk and of another."""
    for enabled in (True, False):
        yield lambda n, e=enabled: Subject((has(n, e, True),), merge(has(n, e, True).place))  # type: ignore[misc]
    for count, bits, elsewhere, enabled in product((1, 2, 3, 4), MERGED, (False, True), (True, False)):
        if count < 4 or not elsewhere:
            yield lambda n, k=(count, *bits, elsewhere, enabled): merged(n, *k)  # type: ignore[misc]


def merged(number: int, count: int, more: str, own: bool, elsewhere: bool, enabled: bool) -> Subject:
    """A merge of so many sources; see `MERGED`."""
    first = ROOM * number
    target = Has((D, f"b{number}"), enabled, (first,) if own else ())
    nodes = [E if elsewhere and each == count - 1 else D for each in range(count)]
    bits = {"more": (first + 1,), "same": (first,), "none": ()}[more]
    sources = tuple(
        Has((nodes[each], f"s{number}{each}"), False, tuple(bit + each * (more == "more") for bit in bits))
        for each in range(count)
    )
    return Subject((target, *sources), merge(target.place, *(each.place for each in sources)))


NOBODY = (D, "nobody")


def transactions(makes: list[Make], refusing: c.Action, grouped: bool = False) -> Way:
    """The first subject alone in a transaction, and then as the first of all, both refused at the last action."""
    made = [make(number) for number, make in enumerate(makes)]
    bitmaps = [each for subject in made for each in subject.bitmaps]
    blocks = ROOM * len(made) + 1
    disks = {D: blocks, **({E: blocks} if any(each.place[0] == E for each in bitmaps) else {})}
    actions = tuple(each.action for each in made)
    lists = ((actions[0], refusing), (*actions, refusing))
    return undone_then_done(disks, there(bitmaps), *(c.Transaction(each, grouped) for each in lists))


def everywhere() -> Iterator[Way]:
    """Each subject alone, and as the first, the middle and the last of three."""
    listed = list(subjects())
    for number, make in enumerate(listed):
        three = [make, listed[(number + 7) % len(listed)], listed[(number + 14) % len(listed)]]
        yield transactions(three, c.Abort() if number % 2 else c.ClearBitmap(*NOBODY))


def together() -> Iterator[Way]:
    """The same of backups that complete together; with the one that is refused they are three."""
    starts = [make for make in subjects() if isinstance(make(0).action, c.StartBackup)]
    for number, make in enumerate(starts):
        yield transactions([make, starts[(number + 5) % len(starts)]], backup("l", NOBODY), True)


# Everything at once, refused by everything


def one_of_each() -> tuple[tuple[Has, ...], tuple[c.Action, ...]]:
    """One action of each kind, on dirty bitmaps, and those bitmaps. A merge takes three sources."""
    made = [Subject((), c.AddBitmap(D, "b0", BLOCK)), Subject((), c.AddBitmap(D, "b1", BLOCK, False))]
    for number, kind in enumerate(ON_BITMAP, 2):
        one = has(number, kind is not c.EnableBitmap, True)
        made.append(Subject((one,), kind(*one.place)))
    made.append(merged(6, 3, "more", True, False, True))
    made.append(Subject((has(7, True, True),), backup("j", has(7, True, True).place)))
    bitmaps = tuple(each for subject in made for each in subject.bitmaps)
    return bitmaps, tuple(each.action for each in made)


BUSY, FREE, ODD, NOWHERE = (D, "busy"), (D, "free"), (F, "odd"), ("nowhere", "a")
BAD_SOURCES = (NOBODY, BUSY, ODD, NOWHERE)
"""Not found, busy, of a disk of another size, on no disk."""

HERE = (Has(FREE, False, (1,)), Has((D, "more"), False, (2,)), Has((D, "most"), False, (3,)))
"""Sources that nothing is wrong with."""


def bad_merges(into: Place) -> Iterator[c.MergeBitmaps]:
    """Merges of one, two and three sources, one of which is the reason to refuse it."""
    good = [each.place for each in HERE]
    for count in (1, 2, 3):
        for wrong, bad in product(range(count), BAD_SOURCES):
            yield merge(into, *(bad if each == wrong else good[each] for each in range(count)))
    yield merge(NOBODY, good[0])
    yield merge(BUSY, good[0])
    yield merge(BUSY, good[0], good[1])


def refusers() -> Iterator[c.Action]:
    """Everything for which an action may be refused."""
    yield c.Abort()
    yield from (c.AddBitmap(*BUSY, BLOCK), c.AddBitmap(D, "", BLOCK), c.AddBitmap(D, "x", 1000))
    yield from (c.AddBitmap(*NOWHERE, BLOCK), c.AddBitmap(D, "b0", BLOCK), c.AddBitmap(D, "b2", BLOCK))
    for kind, place in product(ON_BITMAP, (NOBODY, BUSY, NOWHERE, (D, "b2"), (D, "b7"))):
        yield kind(*place)
    yield from bad_merges((D, "target"))
    yield merge((D, "target"), FREE, (D, "b7"))
    yield merge((D, "b2"), FREE)
    for place in (NOBODY, BUSY, NOWHERE, (D, "b2"), (D, "b7")):
        yield backup("k", place)
    good = backup("k", FREE)
    yield from (replace(good, job="j"), replace(good, job="x"), replace(good, cluster=1000))
    yield from (replace(good, bitmap_mode="never"), replace(good, bitmap=None), whole("k", "nowhere"))


def by_everything() -> Iterator[Way]:
    """One action of each kind, refused for every reason there is; the busy bitmap has a job of its own."""
    bitmaps, actions = one_of_each()
    blocks = ROOM * 8 + 1
    around = (Has(BUSY, True, (4,)), *HERE, Has((D, "target"), True, (0,)), Has(ODD, True, (1,)))
    before = (*there((*bitmaps, *around)), backup("x", BUSY))
    for refused in some_of(c.Transaction((*actions, refusing)) for refusing in refusers()):
        yield undone_then_done({D: blocks, F: 2}, before, *refused)
    bad_id = backup("1-job", FREE)
    yield undone_then_done({D: blocks, F: 2}, before, c.Transaction((*actions, bad_id)))


def in_flight() -> Iterator[Way]:
    """The same with writes and copies in flight: what is drained, and when, must make no difference."""
    bitmaps, actions = one_of_each()
    blocks = ROOM * 8 + 1
    disks = {D: blocks, E: blocks}
    for here, there_too, copies in product((0, 1, 2), (0, 1), (0, 1, 2)):
        begun: list[c.Command] = [c.BeginWrite(D, f"w{each}", each * BLOCK, BLOCK) for each in range(here)]
        begun += [c.BeginWrite(E, "w0", 0, BLOCK)] * there_too
        jobs = (whole("k", D), whole("l", E))[:copies]
        flying = [c.BeginCopy(each.job, 4 * BLOCK, BLOCK) for each in jobs]
        before = (*there(bitmaps), *jobs, *begun, *flying)
        yield undone_then_done(disks, before, c.Transaction((*actions, c.Abort())))


# The same bitmap several times

USES: dict[str, c.Action] = {
    "clear": c.ClearBitmap(D, "b0"), "enable": c.EnableBitmap(D, "b0"), "disable": c.DisableBitmap(D, "b0"),
    "merge into": merge((D, "b0"), (D, "other")), "merge from": merge((D, "target"), (D, "b0")),
}  # fmt: skip
LAST: dict[str, c.Action] = {"remove": c.RemoveBitmap(D, "b0"), "backup": backup("j", (D, "b0"), "bitmap", "always")}
FIRST: dict[str, c.Action] = {
    "add": c.AddBitmap(D, "b0", BLOCK), "add disabled": c.AddBitmap(D, "b0", BLOCK, False)
}  # fmt: skip


def in_reverse() -> Iterator[Way]:
    """Two actions on a bitmap in every state, and three on one; what undoes them has to go the other way round."""
    every: dict[str, c.Action] = {**USES, **LAST, **FIRST}
    for enabled, dirty in STATES:
        one = Has((D, "b0"), enabled, (0,) if dirty else ())
        yield from _of_one_bitmap(product(USES, (*USES, *LAST)), every, one)
    yield from _of_one_bitmap(product(FIRST, (*USES, *LAST)), every)
    yield from _of_one_bitmap(product(FIRST, USES, (*USES, *LAST)), every)
    for enabled in (True, False):
        yield from _of_one_bitmap(product(USES, USES, (*USES, *LAST)), every, Has((D, "b0"), enabled, (0,)))


def _of_one_bitmap(names: Iterable[tuple[str, ...]], every: dict[str, c.Action], *bitmap: Has) -> Iterator[Way]:
    """The actions of these names, one after the other; the bitmap is there or not."""
    before = there((*bitmap, Has((D, "other"), False, (1,)), Has((D, "target"), False, (2,))))
    for refused in some_of(c.Transaction((*(every[one] for one in each), c.Abort())) for each in names):
        yield undone_then_done({D: 5}, before, *refused)


# Merges that are refused


def merges_refused() -> Iterator[Way]:
    """Alone, and as the first action of a transaction, where there is nothing else to undo."""
    before: Commands = (
        *there((*HERE, Has((D, "target"), True, (0,)), Has(BUSY, True, (4,)), Has(ODD, True, (1,)))),
        backup("x", BUSY),
    )
    listed = list(bad_merges((D, "target")))
    for first in range(0, len(listed), 6):
        some = [one for each in listed[first : first + 6] for one in (each, c.Transaction((each,)))]
        yield ended({D: 6, F: 2}, *before, *some, write(D, 5))


def ways_undone(_: str) -> Iterator[Way]:
    """All of them, in every scope."""
    for some in (everywhere, together, by_everything, in_flight, in_reverse, merges_refused):
        yield from some()
