"""How histories with images are told: a disk of eight granules in an image, and what happens in a word each.

What is said of the end is said by hand, so that a history that does not do what its title says is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

from cbtcheck.scenario.images import Played
from cbtcheck.vectors.histories.telling import GRANULE, SIZE, add


@dataclass(frozen=True)
class Comes:
    """How a bitmap comes out of its image at last: the numbers of its dirty granules, None if it is inconsistent."""

    granules: tuple[int, ...] | None
    recording: bool = True


INCONSISTENT = Comes(None, recording=False)


def sound(*granules: int) -> Comes:
    """It can be used, records, and has these granules."""
    return Comes(granules)


def disabled(*granules: int) -> Comes:
    """It can be used, does not record, and has these granules."""
    return Comes(granules, recording=False)


@dataclass(frozen=True)
class ImageHistory:
    """What happens, and what comes of it when at the end everything is closed and opened for writing.

    `comes` are the bitmaps that are there then, by name, those of another disk than d as `e/b`. `refused` are the
    steps that are refused, from 1, with the kind. `restores` are jobs whose targets are laid over each other.
    """

    name: str
    title: str
    steps: tuple[Played, ...]
    comes: Mapping[str, Comes] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    disks: Mapping[str, int] = field(default_factory=lambda: {"d": SIZE})
    restores: tuple[tuple[str, ...], ...] = ()


def stored(name: str = "b", node: str = "d", enabled: bool = True, granularity: int = GRANULE) -> Persist:
    """A bitmap is added that is to be stored."""
    return Persist(add(name, node, enabled, granularity))


def close(node: str = "d") -> Close:
    """The disk is closed."""
    return Close(node)


def opened(node: str = "d") -> Open:
    """It is opened for writing."""
    return Open(node)


def opened_to_read(node: str = "d") -> Open:
    """It is opened for reading only."""
    return Open(node, writable=False)


def to_reading(node: str = "d") -> Reopen:
    """It is reopened for reading only."""
    return Reopen(node, writable=False)


def to_writing(node: str = "d") -> Reopen:
    """It is reopened for writing."""
    return Reopen(node, writable=True)


CRASH = Crash()


def others(node: str = "d") -> WrittenByOthers:
    """Somebody writes to the image who knows nothing of bitmaps."""
    return WrittenByOthers(node)


def begin(granule: int, node: str = "d") -> c.BeginWrite:
    """The guest's write to a granule is in flight from now on."""
    return c.BeginWrite(node, "w", granule * GRANULE, 512)


AGAIN = (close(), opened())
"""Closed, and opened for writing."""

CRASHED = (CRASH, opened())
"""Left by a crash, and opened for writing."""
