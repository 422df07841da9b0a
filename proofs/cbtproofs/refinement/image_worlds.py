"""Where refinement is walked with images: the explorer's scopes of them, and more; with requests that fail, too.

What a power cut leaves of a real file is asked by `cbtspec crash reference`.
"""

from __future__ import annotations

from collections.abc import Callable

from cbtmodel import commands as c
from cbtmodel.image import Close, Image, Open, Opened, Persist, Reopen, Stored, WrittenByOthers
from cbtmodel.table import Table

from cbtproofs.explorer.few_blocks import BLOCK, Blocks, FewBlocks
from cbtproofs.explorer.image_scopes import DISK, Asked, ImageScope
from cbtproofs.refinement.failing import Given, every_request
from cbtproofs.refinement.worlds import World

MOST_REQUESTS = 32
"""No event of the worlds whose requests fail makes as many."""


def initially(world: World, space: FewBlocks) -> Stored[Blocks]:
    """Empty images, open for writing."""
    images: Table[Image[Blocks]] = Table({name: Image(size) for name, size in world.disks})
    return Stored(world.initial(space), images, Table({name: Opened(writable=True) for name in world.sizes}))


def of_image_scope(name: str, scope: ImageScope, *more: Given) -> World:
    """The world of a scope, with more that can happen."""
    commands = tuple(dict.fromkeys((*scope.alphabet, *more)))
    return World(name, ((DISK, scope.size),), commands, images=True)


def one_bitmap() -> World:
    """A bitmap that is stored, or not; a disk that is not there."""
    nowhere: tuple[Asked, ...] = (
        Open("nowhere"), Close("nowhere"), Reopen("nowhere", True), WrittenByOthers("nowhere"),
        Persist(c.AddBitmap("nowhere", "a", BLOCK)), Persist(c.AddBitmap(DISK, "a", 1000)),
        Persist(c.AddBitmap(DISK, "a", BLOCK, enabled=False)),
    )  # fmt: skip
    return of_image_scope("an image with a bitmap", ImageScope(jobs=0, fails=False), *nowhere)


def coarse_and_tail() -> World:
    """Granules of two blocks, on a disk of five: which are dirty comes back, and so does the granularity."""
    scope = ImageScope(blocks=5, bitmaps=0, jobs=0, flight=False, fails=False)
    coarse = c.AddBitmap(DISK, "a", 2 * BLOCK)
    return of_image_scope(
        "an image with coarse granules", scope, Persist(coarse), c.ClearBitmap(DISK, "a"), c.RemoveBitmap(DISK, "a"),
    )  # fmt: skip


def two_bitmaps() -> World:
    """Two bitmaps, merged into each other."""
    scope = ImageScope(bitmaps=2, jobs=0, flight=False, switches=False, fails=False)
    (a, b) = scope.plain.places
    both = c.RemoveBitmap(*a), c.RemoveBitmap(*b)
    return of_image_scope("an image with two bitmaps", scope, c.Transaction(both), c.Transaction((*both, c.Abort())))


def a_job() -> World:
    """A bitmap, and a job that has it or not."""
    return of_image_scope("an image and a job", ImageScope(fails=False))


def two_images() -> World:
    """Two disks, each in its image: one goes on while the other is closed; a crash takes both."""
    scope = ImageScope(jobs=0, flight=False, switches=False, fails=False)
    other = "e"
    more: tuple[Asked, ...] = (
        Close(other), Open(other), Open(other, False), Persist(c.AddBitmap(other, "a", BLOCK)),
        c.Write(other, 0, BLOCK), c.MergeBitmaps(DISK, "a", (c.Source(other, "a"),)), WrittenByOthers(other),
    )  # fmt: skip
    world = of_image_scope("two images", scope, *more)
    return World(world.name, (*world.disks, (other, scope.size)), world.commands, images=True)


def two_bitmaps_and_a_job() -> World:
    """Two bitmaps, of which a job may have one."""
    return of_image_scope("an image with two bitmaps, and a job", ImageScope(bitmaps=2, switches=False, fails=False))


def two_blocks() -> World:
    """Two blocks, a bitmap and a job."""
    return of_image_scope("an image of two blocks", ImageScope(blocks=2, switches=False, fails=False))


def failing_requests() -> World:
    """A bitmap, and every write and flush of what happens to its image fails, once or from then on."""
    return with_failures("an image whose requests fail", ImageScope(jobs=0, fails=False))


def failing_requests_and_a_job() -> World:
    """The same with a job, which has the bitmap or not."""
    return with_failures("an image whose requests fail, and a job", ImageScope(fails=False, switches=False))


def failing_requests_of_two() -> World:
    """Two bitmaps, so that a store has more of them."""
    scope = ImageScope(bitmaps=2, jobs=0, flight=False, switches=False, fails=False)
    return with_failures("an image with two bitmaps, whose requests fail", scope)


def with_failures(name: str, scope: ImageScope) -> World:
    """A world in which requests fail."""
    events = Open(DISK), Close(DISK), Reopen(DISK, True), Reopen(DISK, False)
    return of_image_scope(name, scope, *every_request(events, MOST_REQUESTS))


LISTS: dict[str, tuple[Callable[[], World], ...]] = {
    "quick": (one_bitmap, coarse_and_tail, two_bitmaps, a_job, failing_requests),
    "usual": (two_images, failing_requests_of_two),
    "deep": (two_bitmaps_and_a_job, two_blocks, failing_requests_and_a_job),
}


def image_worlds(name: str) -> tuple[World, ...]:
    """The worlds of a list and of those before it. Raises `KeyError`."""
    names = [*LISTS]
    return tuple(make() for each in names[: names.index(name) + 1] for make in LISTS[each])
