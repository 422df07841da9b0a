"""What is explored of images: a small disk that lies in one, and what can happen to both.

Commands are those of the explorer's small scope, with writes in flight, a full backup, and removals in a transaction,
also in one that is undone. To them come all events of `cbtmodel.image`: an image is opened, closed and reopened, for
writing and for reading only, well or with each way to fail; a bitmap is added that is to be stored; somebody else
writes to the image; and a crash, in every state.

A history begins with an empty image that is open for writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, get_args

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Event, Failure, Image, Open, Opened, Persist, Reopen, Stored, WrittenByOthers
from cbtmodel.node import initial
from cbtmodel.table import Table

from cbtproofs.explorer.few_blocks import BLOCK, Blocks, FewBlocks
from cbtproofs.explorer.scopes import Scope, add, start_without

DISK = "d"
FAILURES: tuple[Failure, ...] = tuple(way for way in get_args(Failure) if way)
"""What a failing request leaves of an image."""

Asked: TypeAlias = c.Command | Event


@dataclass(frozen=True)
class ImageScope:
    """A disk of so many blocks in an image, bitmaps `a`, `b`, and a job `j`.

    `flight`: writes are in flight, too; `switches`: bitmaps are enabled and disabled; `fails`: what happens to images
    can fail.
    """

    blocks: int = 1
    bitmaps: int = 1
    jobs: int = 1
    flight: bool = True
    switches: bool = True
    fails: bool = True

    def __str__(self) -> str:
        counts = ((self.blocks, "block"), (self.bitmaps, "bitmap"), (self.jobs, "job"))
        words = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        less = (self.flight, "no write in flight"), (self.switches, "all enabled"), (self.fails, "nothing fails")
        return ", ".join([*words, *(word for there, word in less if not there)])

    @property
    def plain(self) -> Scope:
        """The scope without an image."""
        return Scope(self.blocks, self.bitmaps, self.jobs, alphabet="small")

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self.blocks * BLOCK

    @cached_property
    def alphabet(self) -> tuple[Asked, ...]:
        """All that can happen: what happens to the image, and commands."""
        return (*events(self), *commands(self))

    def initial(self) -> Stored[Blocks]:
        """An empty image, open for writing."""
        images: Table[Image[Blocks]] = Table({DISK: Image(self.size)})
        return Stored(initial(FewBlocks(), {DISK: self.size}), images, Table({DISK: Opened(writable=True)}))


def events(scope: ImageScope) -> tuple[Event, ...]:
    """What happens to the image. What fails comes last, so that a shortest history has none of it without need."""
    ways = (True, False)
    found: list[Event] = [
        Close(DISK), Crash(), WrittenByOthers(DISK), *(Open(DISK, way) for way in ways),
        *(Reopen(DISK, way) for way in ways), *(Persist(add(scope.plain, *place)) for place in scope.plain.places),
    ]  # fmt: skip
    if scope.fails:
        found += [what(DISK, way, left) for what in (Open, Reopen) for way in ways for left in FAILURES]
        found.append(Close(DISK, fails=True))
        found += [Persist(add(scope.plain, *place), fails=True) for place in scope.plain.places]
    return tuple(found)


def commands(scope: ImageScope) -> tuple[c.Command, ...]:
    """What the operator, the guest and the environment do."""
    more: list[c.Command] = [start_without(scope.plain, *user[:2]) for user in scope.plain.users]
    for place in scope.plain.places:
        remove = c.RemoveBitmap(*place)
        more += [c.Transaction((remove,)), c.Transaction((remove, c.Abort()))]
    if scope.flight:
        more += [*(c.BeginWrite(DISK, "w", block * BLOCK, BLOCK) for block in range(scope.blocks))]
        more.append(c.EndWrite(DISK, "w"))
    switches = () if scope.switches else (c.EnableBitmap, c.DisableBitmap)
    return (*(each for each in scope.plain.commands if not isinstance(each, switches)), *more)


def standard() -> tuple[ImageScope, ...]:
    """What `cbtspec explore` explores of images if it is not told otherwise."""
    return (ImageScope(), ImageScope(bitmaps=2, jobs=0, switches=False))


def larger() -> tuple[ImageScope, ...]:
    """What takes minutes."""
    return (ImageScope(bitmaps=2, jobs=0), ImageScope(blocks=2), ImageScope(bitmaps=2, switches=False))
