"""Where: a guest write at, before, across and beyond a landmark, and what becomes of it in each workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode
from cbtmodel.commands import Command

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families import landmarks
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground
from cbtcheck.search.families.landmarks import Place

Range = tuple[int, int]
"""Offset and length in bytes."""

RANGES: dict[str, Callable[[Place], Range]] = {
    "the sector before": lambda place: (place.at - 512, 512),
    "its first sector": lambda place: (place.at, 512),
    "the bytes across": lambda place: (place.at - 1, 2),
    "the units across": lambda place: (max(0, place.at - place.unit), 2 * place.unit),
    "a little beyond": lambda place: (place.at + 3 * place.unit, 1),
    "17 granules from there": lambda place: (place.at, 17 * place.granularity),
    "5 granules across": lambda place: (max(0, place.at - 2 * place.granularity), 5 * place.granularity),
    "the last byte of the disk": lambda place: (place.size - 1, 1),
    "from there to the end": lambda place: (place.at, place.size - place.at),
}


def guest(offset: int, length: int, how: str = "write") -> list[Command]:
    """A guest write, in a way of its own; of zeroes if it is too long for data."""
    kind = how if how in ("zeroes", "discard") else "write" if length <= landmarks.MOST_DATA else "zeroes"
    if how == "in flight":
        return [c.BeginWrite(DISK, "w", offset, length, kind), c.EndWrite(DISK, "w")]  # type: ignore[arg-type]
    if how == "in flight, failed":
        begun = c.BeginWrite(DISK, "w", offset, length, kind)  # type: ignore[arg-type]
        return [begun, c.EndWrite(DISK, "w", "failed")]
    result = "failed" if how == "failed" else "ok"
    return [c.Write(DISK, offset, length, kind, result)]  # type: ignore[arg-type]


HOW = ("write", "zeroes", "in flight", "discard", "failed", "in flight, failed")


def add(place: Place, name: str = "b", enabled: bool = True) -> c.AddBitmap:
    """A bitmap in the granularity of the place."""
    return c.AddBitmap(DISK, name, place.granularity, enabled)


def backup(place: Place, mode: BitmapMode | None = "on-success", name: str = "b", job: str = "j") -> c.StartBackup:
    """A backup of the dirty clusters; with mode None an incremental one."""
    return c.StartBackup(job, DISK, "bitmap" if mode else "incremental", name, mode, place.cluster)


def merge(*sources: str) -> c.MergeBitmaps:
    """A merge into *b*."""
    return c.MergeBitmaps(DISK, "b", tuple(c.Source(DISK, each) for each in sources))


def both_ends(place: Place) -> tuple[Command, ...]:
    """Two clusters to copy, far apart, so that the write that comes next does not end a job by copying all of it."""
    return c.Write(DISK, 0, 1), c.Write(DISK, place.size - 1, 1)


Guest = Callable[[], list[Command]]
"""The write that it is about: each time it is asked for, once more."""
Flow = Callable[[Place, Range, Guest], Iterable[Command]]


def _failing(place: Place, at: Range, guest: Guest) -> Iterator[Command]:
    yield from (add(place), *guest(), c.Write(DISK, 0, 1), backup(place, "always"))
    yield c.Copy("j", at[0], at[1], "read error")


def _in_pieces(place: Place, at: Range, guest: Guest) -> Iterator[Command]:
    yield from (add(place), *guest(), c.Write(DISK, 0, 1), backup(place))
    yield from (c.Copy("j", 0, 1), c.Write(DISK, 0, 1), c.Copy("j", at[0], 1), *guest())


def _copying(place: Place, at: Range, guest: Guest) -> Iterator[Command]:
    yield from (add(place), *guest(), backup(place, "never"), c.BeginCopy("j", at[0], at[1]))
    yield from (c.Write(DISK, place.at + 20 * place.unit, 1), c.EndCopy("j"), *guest())


FLOWS: dict[str, Flow] = {
    "is recorded": lambda place, at, guest: (add(place), *guest(), backup(place, None)),
    "is recorded during a backup": lambda place, at, guest: (
        add(place), *both_ends(place), backup(place), *guest(), c.Copy("j", 0, place.size), *guest(),
    ),
    "is taken back": lambda place, at, guest: (
        add(place), *both_ends(place), backup(place), *guest(), c.CancelJob("j"), backup(place, None, job="k"),
    ),
    "is left over": lambda place, at, guest: (
        add(place), *guest(), backup(place, "always"), c.CancelJob("j"), backup(place, None, job="k"),
    ),
    "is copied before it changes": lambda place, at, guest: (add(place), *guest(), backup(place, "never"), *guest()),
    "is copied in pieces": _in_pieces,
    "is in flight with a copy": _copying,
    "fails to be copied": _failing,
    "is merged": lambda place, at, guest: (
        add(place, "a"), *guest(), c.DisableBitmap(DISK, "a"), add(place), c.Write(DISK, 0, 1), merge("a"),
    ),
    "is merged into nothing": lambda place, at, guest: (
        add(place, "a"), *guest(), c.RemoveBitmap(DISK, "b"), add(place), merge("a"), c.ClearBitmap(DISK, "a"),
    ),
    "is cleared and comes again": lambda place, at, guest: (
        add(place), *guest(), c.ClearBitmap(DISK, "b"), *guest(), backup(place, None),
    ),
    "is put back": lambda place, at, guest: (
        add(place), add(place, "a"), *guest(), c.ClearBitmap(DISK, "a"), c.Write(DISK, 0, 1),
        c.Transaction((c.ClearBitmap(DISK, "b"), merge("a"), c.Abort())),
    ),
    "is put back after a merge": lambda place, at, guest: (
        add(place, "a"), *guest(), add(place), c.Transaction((merge("a"), c.Abort())), *guest(),
    ),
    "comes while it is disabled": lambda place, at, guest: (
        add(place, enabled=False), *guest(), c.EnableBitmap(DISK, "b"), c.Write(DISK, 0, 1), *guest(),
        c.DisableBitmap(DISK, "b"), *guest(), backup(place),
    ),
}  # fmt: skip


ANYWHERE = Place("", 64 << 20, 512, 512, 512, 32 << 20)
"""A place to see what commands a flow has."""


def ways(ground: Ground) -> list[str]:
    """The ways to write that are claimed."""
    return claimed(ground, HOW, lambda how: guest(0, 1, how))


def flows_of(ground: Ground) -> list[str]:
    """The workflows all of whose commands are claimed, apart from the write that they are about."""
    return claimed(ground, [*FLOWS], lambda flow: FLOWS[flow](ANYWHERE, (ANYWHERE.at, 512), lambda: guest(0, 1)))


def scenario(place: Place, commands: Iterable[Command], title: str) -> Scenario:
    """A scenario on the disk of the place."""
    return Scenario({DISK: place.size}, tuple(commands), place.block, title)


def where(ground: Ground) -> Iterator[Scenario]:
    """Every two of: a place, a range there, a way to write it, and what becomes of it."""
    places = [*landmarks.offsets(ground), *landmarks.numbers(ground), *landmarks.ends(ground)]
    ranges, flows, hows = list(RANGES), flows_of(ground), ways(ground)
    if not (places and flows and hows):
        return
    for at, span, how, flow in rows(places, ranges, hows, flows):
        place = places[at]
        offset, length = RANGES[ranges[span]](place)
        if length > landmarks.MOST_DATA and "zeroes" not in ground.capabilities.features and hows[how] != "discard":
            offset, length = place.at - 1, 2  # data cannot be that long; the place and the workflow are played

        def write(offset: int = offset, length: int = length, way: str = hows[how]) -> list[Command]:
            return guest(offset, length, way)

        commands = FLOWS[flows[flow]](place, (offset, length), write)
        title = f"{place.title}: {ranges[span]} ({hows[how]}) {flows[flow]}"
        yield scenario(place, commands, title)


SUBJECT = frozenset({
    "write", "begin-write", "end-write", "merge-bitmaps", "start-backup", "cancel-job", "begin-copy", "end-copy",
    "copy", "transaction",
})  # fmt: skip

WHERE = Family(
    "where", "writes at and across offsets from 2^16 to 2^44, and granules from 2^6 to 2^18", where, SUBJECT
)
