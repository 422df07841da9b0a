"""Far away: landmarks that an implementation's clusters are too small for, so that a disk has too many of them.

Sets have a bit for each block, and a block is no larger than a cluster. Without a backup no cluster matters, and the
block is as coarse as the granularity; so all else is played there, for next to nothing. Of backups, whose sets are
large, there are a few.
"""

from __future__ import annotations

from collections.abc import Iterator

from cbtmodel import commands as c

from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.families import landmarks
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.family import Family
from cbtcheck.search.families.ground import Ground
from cbtcheck.search.families.landmarks import MIB, TAIL, UNITS_AFTER, Place
from cbtcheck.search.families.where import ANYWHERE, FLOWS, RANGES, flows_of, guest, scenario, ways
from cbtcheck.search.families.where import SUBJECT as NEARBY

COARSE = (24, 30)
"""Granularities, as powers of two, for what has no backup."""

MOST_BLOCKS = 1 << 25
"""Blocks of a disk."""

BACKUPS = {
    "is recorded": "its first sector", "is left over": "the sector before", "is taken back": "its first sector",
    "is copied before it changes": "the last byte of the disk",
}  # fmt: skip
"""Workflows with a backup that are played far away, and what the guest writes in them: a cluster, that is copied soon
by those who copy one at a time.
"""


def far(ground: Ground) -> Iterator[Scenario]:
    """Everything without a backup, in pairs; then some backups."""
    flows, hows = flows_of(ground), ways(ground)
    without = [each for each in flows if not _backs_up(each)]
    places = [*_places(ground, COARSE)]
    for at, span, how, flow in rows(places, list(RANGES), hows, without):
        place = places[at]
        offset, length = RANGES[list(RANGES)[span]](place)
        title = f"{place.title}: {list(RANGES)[span]} ({hows[how]}) {without[flow]}"
        yield _played(place, offset, length, hows[how], without[flow], title)
    for place in _places(ground, (ground.cluster.bit_length() - 1,), ground.cluster):
        for flow_name, where in BACKUPS.items():
            if flow_name in flows and hows:
                offset, length = RANGES[where](place)
                title = f"{place.title}: {where} ({hows[0]}) {flow_name}"
                yield _played(place, offset, length, hows[0], flow_name, title)


def _played(place: Place, offset: int, length: int, how: str, flow: str, title: str) -> Scenario:
    return scenario(place, FLOWS[flow](place, (offset, length), lambda: guest(offset, length, how)), title)


def _backs_up(flow: str) -> bool:
    commands = FLOWS[flow](ANYWHERE, (ANYWHERE.at, 512), lambda: guest(0, 1))
    return any(isinstance(each, c.StartBackup) for each in commands)


def _places(ground: Ground, powers: tuple[int, ...], block: int = 0) -> Iterator[Place]:
    """Landmarks among the offsets that have no place elsewhere. `block` 0: as coarse as the granularity."""
    there = {each.at for each in landmarks.offsets(ground)}
    claims = ground.capabilities
    for at in landmarks.OFFSETS:
        for granularity in (1 << power for power in powers):
            size = at + UNITS_AFTER * granularity + (min(TAIL, granularity - 512) if claims.tails else 0)
            if at in there or at <= MIB or granularity not in landmarks.granularities(ground):
                continue
            few = size // (block or granularity) <= MOST_BLOCKS
            if few and landmarks.is_usable(ground, size, granularity, ground.cluster):
                title = f"offset {landmarks.power(at)} in granules of {granularity}"
                yield Place(title, size, block or granularity, granularity, ground.cluster, at)


SUBJECT = NEARBY - {"begin-copy", "end-copy", "copy"}
"""No copy is made to wait for anything here."""

FAR = Family(
    "far away", "writes at and across offsets that have too many clusters before them for most backups", far, SUBJECT,
    closely=False, few=True,
)  # fmt: skip
