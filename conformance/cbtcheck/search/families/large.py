"""How large: writes longer than any buffer, runs of dirty granules, answers of many runs, ratios of granularities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cbtmodel import commands as c
from cbtmodel.commands import Command

from cbtcheck.content import LARGEST_FLAT
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families import landmarks
from cbtcheck.search.families.claimed import claimed
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import DISK, Ground
from cbtcheck.search.families.landmarks import Place
from cbtcheck.search.families.where import (
    ANYWHERE,
    FLOWS,
    add,
    backup,
    both_ends,
    flows_of,
    guest,
    merge,
    scenario,
    ways,
)

AROUND = (-512, 0, 1, 512)
"""Bytes that a length differs from its landmark."""

STARTS = ("of the disk", "in a granule", "of the second granule")


def lengths(ground: Ground) -> Iterator[Scenario]:
    """Every two of: how long a write is, where it starts, how it is written, and what becomes of it."""
    places = []
    for length in landmarks.LENGTHS:
        for granularity in landmarks.finest(ground, 2 * length)[:1]:
            if length // landmarks.cluster_for(ground, granularity) > ground.capabilities.most_copied:
                continue
            title = f"{landmarks.power(length)} bytes"
            found = landmarks.place(ground, title, length, granularity)
            places += [found] if found is not None else []
    flows, hows = flows_of(ground), ways(ground)
    if not (places and flows and hows):
        return
    for at, around, start, how, flow in rows(places, AROUND, STARTS, hows, flows):
        place = places[at]
        offset = (0, max(1, place.granularity - 512), place.granularity)[start]
        length = place.at + AROUND[around]

        def write(offset: int = offset, length: int = length, way: str = hows[how]) -> list[Command]:
            return guest(offset, length, way)

        # What it is told apart by lies behind it: the place that a flow writes to is the end of this write.
        ends = replace(place, at=-(-(offset + length) // place.unit) * place.unit - place.unit)
        title = f"{place.title} {AROUND[around]:+d} from the start {STARTS[start]} ({hows[how]}): {flows[flow]}"
        yield scenario(place, FLOWS[flows[flow]](ends, (offset, length), write), title)


OF_LENGTHS = frozenset({"write", "begin-write"})

LENGTHS = Family("how long", "writes of 2^16 to 2^41 bytes, a little less, and a little more", lengths, OF_LENGTHS)


# Runs

SPACING = (2, 3, 9)
CONTAINER = 1 << 16
"""Numbers in a container of a compressed set. Beyond a run that fills one comes an empty one, and then a bit."""

WHAT = ("recorded", "backed up", "taken back", "left over", "merged", "merged into nothing", "put back", "cleared")


def _outcome(place: Place, what: str, dirty: list[Command]) -> list[Command]:
    """What becomes of what was written."""
    start = [add(place), *dirty]
    match what:
        case "backed up":
            return [*start, backup(place), c.Write(DISK, 0, 1), c.Copy("j", 0, place.size), backup(place, None)]
        case "taken back":
            return [add(place), *both_ends(place), backup(place), *dirty, c.CancelJob("j")]
        case "left over":
            return [*start, backup(place, "always"), c.Write(DISK, 0, 1), c.CancelJob("j")]
        case "merged":
            more: list[Command] = [c.Write(DISK, place.unit, 1), merge("a")]
            return [add(place, "a"), *dirty, c.DisableBitmap(DISK, "a"), add(place), *more]
        case "merged into nothing":
            return [add(place, "a"), *dirty, add(place), merge("a"), backup(place)]
        case "put back":
            return [*start, c.Transaction((c.ClearBitmap(DISK, "b"), c.Abort())), c.Write(DISK, 0, 1)]
        case "cleared":
            return [*start, c.ClearBitmap(DISK, "b"), c.Write(DISK, place.unit, 1)]
    return [*start, backup(place, None)]


def runs(ground: Ground) -> Iterator[Scenario]:
    """One run of so many granules, and so many runs of some granules with a gap after each."""
    granularity = landmarks.granularities(ground)[0]
    many = [each for each in landmarks.RUNS if ground.thorough or each <= 300]
    long = (*landmarks.RUNS, *landmarks.LONG_RUNS)
    whats = claimed(ground, WHAT, lambda what: _outcome(ANYWHERE, what, guest(0, 1)))
    if not whats:
        return
    for count, first, what in rows(long, (0, 1, 63, 64), whats):
        granules, begin = long[count], (0, 1, 63, 64)[first]
        beyond = 2 * CONTAINER + 5 if granules >= CONTAINER - 1 else begin + granules
        place = landmarks.place(ground, "", beyond * granularity, granularity)
        if place is not None:
            dirty = guest(begin * granularity, granules * granularity)
            if beyond > begin + granules:
                dirty.append(c.Write(DISK, beyond * granularity, 1))
            title = f"a run of {granules} from granule {begin}: {whats[what]}"
            yield scenario(place, _outcome(place, whats[what], dirty), title)
    for count, gap, what in rows(many, SPACING, whats):
        number, apart = many[count], SPACING[gap]
        place = landmarks.place(ground, "", number * apart * granularity, granularity)
        if place is not None:
            scattered: list[Command] = [
                c.Write(DISK, each * apart * granularity, granularity * max(1, apart // 2)) for each in range(number)
            ]
            title = f"{number} runs of {max(1, apart // 2)} in {apart}: {whats[what]}"
            yield scenario(place, _outcome(place, whats[what], scattered), title)


OF_RUNS = frozenset({"write", "merge-bitmaps", "clear-bitmap", "cancel-job", "transaction"})

RUNS = Family(
    "how many granules", "runs of 1 to 1,024 granules; as many runs, in quick to 257", runs, OF_RUNS, closely=False
)


# Ratios

PLACES = ("the first", "the last of a coarse granule", "across coarse granules", "the last of the disk", "17 of them")


def ratios(ground: Ground) -> Iterator[Scenario]:
    """A merge between every two granularities, finer into coarser and back, whose ratio a disk can show."""
    usable = landmarks.granularities(ground)
    pairs = [
        (fine, coarse) for fine in usable for coarse in usable
        if fine <= coarse and coarse // fine <= landmarks.most_blocks(ground) // 16
    ]  # fmt: skip
    if not ground.thorough:  # each ratio four times
        pairs = [pair for number, pair in enumerate(sorted(pairs, key=_ratio)) if _among_its_ratio(pairs, pair) < 4]
    results = ("a merge", "in a transaction", "undone, then done", "into its own bits", "backed up")
    for which, back, where, result in rows(pairs, (False, True), PLACES, results):
        fine, coarse = pairs[which]
        size = _showing(ground, fine, coarse)
        if size is None:
            continue
        source, target = (coarse, fine) if back else (fine, coarse)
        at, length = {
            "the first": (0, fine), "the last of a coarse granule": (coarse - fine, fine),
            "across coarse granules": (coarse - 1, 2), "the last of the disk": (size - 1, 1),
            "17 of them": (max(0, coarse - 8 * fine), min(17 * fine, coarse)),
        }[PLACES[where]]  # fmt: skip
        commands: list[Command] = [c.AddBitmap(DISK, "a", source), *guest(at, length), c.DisableBitmap(DISK, "a")]
        commands.append(c.AddBitmap(DISK, "b", target))
        if results[result] == "into its own bits":
            commands.append(c.Write(DISK, size - 1, 1))
        if results[result] == "undone, then done":
            commands.append(c.Transaction((merge("a"), c.Abort())))
        commands.append(c.Transaction((merge("a"),)) if results[result] == "in a transaction" else merge("a"))
        if results[result] == "backed up":
            cluster = landmarks.cluster_for(ground, fine)
            commands.append(c.StartBackup("j", DISK, "bitmap", "b", "on-success", cluster))
        title = f"{source} into {target}, {PLACES[where]}: {results[result]}"
        yield Scenario({DISK: size}, tuple(commands), fine, title)


def _showing(ground: Ground, fine: int, coarse: int) -> int | None:
    """The size of a disk of some coarse granules that ends within one, if such a disk may be had."""
    claims = ground.capabilities
    size = 2 * coarse + min(3 * fine, coarse) if claims.tails else 3 * max(coarse, claims.sector)
    huge = claims.largest_disk > LARGEST_FLAT
    if landmarks.CHEAP < size <= LARGEST_FLAT and (huge or not ground.thorough):
        size += LARGEST_FLAT // coarse * coarse
    fits = size <= claims.largest_disk and size // fine <= landmarks.most_blocks(ground)
    return size if fits else None


def _ratio(pair: tuple[int, int]) -> int:
    return pair[1] // pair[0]


def _among_its_ratio(pairs: list[tuple[int, int]], pair: tuple[int, int]) -> int:
    return [each for each in pairs if _ratio(each) == _ratio(pair)].index(pair)


RATIOS = Family(
    "which granularities", "merges between granularities from 512 to 2^31, every ratio to 2^14", ratios,
    frozenset({"merge-bitmaps"}),
)  # fmt: skip

LARGE = (LENGTHS, RUNS, RATIOS)
