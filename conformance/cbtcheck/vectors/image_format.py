"""The format of what a vector says of images: how they are open, and what is in their files.

Only vectors that need `persistence` say any of it; then every step does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import UNSET, UnsetType

from cbtcheck.scenario.scenario import shown
from cbtcheck.vectors.record import Extent, Record, Size, VectorError, check_extents, size_of


class Entry(Record, frozen=True):
    """A bitmap in an image. Of one that is in use the bits do not count: `must` and `may` are empty."""

    name: str
    granularity: Size
    enabled: bool
    in_use: bool
    must: list[Extent]
    may: list[Extent]


class Image(Record, frozen=True):
    """The image of a disk: how it is open ("" if it is closed), and all that is in its file."""

    node: str
    open: Literal["rw", "ro", ""]
    entries: list[Entry]


def check_images(images: list[Image] | UnsetType, wanted: bool, sizes: dict[str, int], where: str) -> None:
    """What the schema does not say: each disk has its image, or none has; else `VectorError`."""
    if (images is not UNSET) != wanted:
        raise VectorError(f"{where}: 'images' are said if the vector needs 'persistence', and only then")
    if images is UNSET:
        return
    for image in images:
        size = size_of(sizes, image.node, where)
        check_no_name_twice([each.name for each in image.entries], f"{where}: the image of {shown(image.node)}")
        for entry in image.entries:
            for extents in (entry.must, entry.may):
                check_extents(extents, size, f"{where}: the image of {shown(image.node)}")
    if sorted(each.node for each in images) != sorted(sizes):
        raise VectorError(f"{where}: not the images of all disks")


def check_no_name_twice(names: Collection[str], where: str) -> None:
    """`VectorError` if one is."""
    if len({*names}) < len(names):
        raise VectorError(f"{where}: there are two bitmaps of a name")
