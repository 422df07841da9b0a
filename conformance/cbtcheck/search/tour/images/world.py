"""The worlds of the tour of images: a disk of one to three blocks in an image, and what can happen to both.

As in `reachable` each is only as large as what it is about needs, and scopes are nested. Beside commands there are
the events of `cbtmodel.image`. What none of them has is a request of the storage that fails (`fails`): no
implementation can be asked for that; `cbtspec crash` makes it happen.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Image, Open, Opened, Persist, Reopen, Stored, WrittenByOthers
from cbtmodel.node import initial
from cbtmodel.table import Table

from cbtcheck.scenario.images import Played
from cbtcheck.search.tour.reachable import (
    BLOCK,
    SCOPES,
    A,
    B,
    D,
    Place,
    bitmap_life,
    control,
    in_flight,
    start,
    start_without,
    writes,
)
from cbtcheck.sets.bitsets import Bits, BitSets


@dataclass(frozen=True)
class ImageWorld:
    """A disk of so many blocks in an image, and everything that can happen to both."""

    name: str
    blocks: int
    alphabet: tuple[Played, ...]

    def initial(self) -> Stored[Bits]:
        """An empty image, open for writing."""
        size = self.blocks * BLOCK
        images: Table[Image[Bits]] = Table({D: Image(size)})
        return Stored(initial(BitSets(BLOCK), {D: size}), images, Table({D: Opened(writable=True)}))


EVENTS: tuple[Played, ...] = (
    Close(D), Crash(), WrittenByOthers(D), *(Open(D, way) for way in (True, False)),
    *(Reopen(D, way) for way in (True, False)),
)  # fmt: skip


def stored(place: Place, enabled: bool = True) -> Persist:
    """A bitmap is added that is to be stored."""
    return Persist(c.AddBitmap(*place, BLOCK, enabled))


def removed(*places: Place, withdrawn: bool = False) -> c.Transaction:
    """A transaction that removes bitmaps, and does not come about if it is `withdrawn`."""
    removals = tuple(c.RemoveBitmap(*place) for place in places)
    return c.Transaction((*removals, c.Abort()) if withdrawn else removals)


INCREMENT = start("j", A, "incremental", None)


def quick() -> tuple[ImageWorld, ...]:
    """A bitmap and a job; several blocks; two bitmaps: of each what a restart can spoil."""
    usual: tuple[Played, ...] = (
        stored(A), *alphabet.on_bitmap(*A), removed(A, withdrawn=True), INCREMENT, c.CancelJob("j"),
        c.Copy("j", 0, BLOCK), *writes(D, 1), *in_flight(D),
    )  # fmt: skip
    pair: tuple[Played, ...] = (
        stored(A), c.ClearBitmap(*A), c.RemoveBitmap(*A), INCREMENT, c.CancelJob("j"),
        *(c.Copy("j", block * BLOCK, BLOCK) for block in range(2)), *writes(D, 2),
    )  # fmt: skip
    three: tuple[Played, ...] = (stored(A), c.ClearBitmap(*A), *writes(D, 3))
    two: tuple[Played, ...] = (stored(A), stored(B), c.RemoveBitmap(*A), *writes(D, 1))
    return (
        ImageWorld("an image, a bitmap and a job", 1, (*EVENTS, *usual)),
        ImageWorld("an image of two blocks, and a job", 2, (*EVENTS, *pair)),
        ImageWorld("an image of three blocks", 3, (*EVENTS, *three)),
        ImageWorld("two bitmaps in an image", 1, (*EVENTS, *two)),
    )


def ci() -> tuple[ImageWorld, ...]:
    """Every bitmap mode, jobs that fail and are paused, bitmaps that are not to be stored; merges."""
    job: tuple[Played, ...] = (
        stored(A), stored(A, enabled=False), *bitmap_life(A), removed(A), removed(A, withdrawn=True), INCREMENT,
        start("j", A, "bitmap", "always"), start("j", A, "bitmap", "never", False), start_without("j"), *control("j"),
        c.Copy("j", 0, BLOCK), c.Copy("j", 0, BLOCK, "write error"), *writes(D, 1), *in_flight(D),
    )  # fmt: skip
    two: tuple[Played, ...] = (
        stored(A), stored(B), *alphabet.on_bitmap(*A), c.RemoveBitmap(*B), c.ClearBitmap(*B),
        *alphabet.merges(A, (A, B)), removed(A, B), removed(A, B, withdrawn=True), *writes(D, 1),
    )  # fmt: skip
    return (
        ImageWorld("an image and every job", 1, (*EVENTS, *job)),
        ImageWorld("two bitmaps in an image, merged", 1, (*EVENTS, *two)),
    )


def deep() -> tuple[ImageWorld, ...]:
    """Copies in flight, too."""
    every = ci()[0]
    copies: tuple[Played, ...] = (*every.alphabet, c.BeginCopy("j", 0, BLOCK), c.EndCopy("j"))
    return (ImageWorld("an image, with copies in flight", 1, copies),)


WORLDS = {"quick": quick, "ci": ci, "deep": deep}


def image_worlds(scope: str) -> tuple[ImageWorld, ...]:
    """The worlds of a scope (*quick*, *ci* or *deep*)."""
    return tuple(world for each in SCOPES[: SCOPES.index(scope) + 1] for world in WORLDS[each]())
