"""What the objects of a file with test vectors are made of, and how extents and runs are checked."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cbtcheck.host.printable import plain
from cbtcheck.scenario.scenario import shown

ANYTHING = -1
"""In a run: nobody can say what these bytes are."""

Extent = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=2, max_length=2)]
Run = Annotated[list[Annotated[int, Meta(ge=ANYTHING)]], Meta(min_length=2, max_length=2)]
Size = Annotated[int, Meta(gt=0, le=(1 << 63) - 1)]
Number = Annotated[int, Meta(ge=1)]

LONGEST_ERROR = 500
"""The most characters of an error: what a file holds may be long."""


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON object with exactly these members, in this order."""


class VectorError(Exception):
    """A file of vectors cannot be used; the message says where and why, in one line."""

    def __init__(self, message: str) -> None:
        text = plain(message)
        super().__init__(text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + "…")


def size_of(sizes: dict[str, int], name: str, where: str) -> int:
    """The size of this disk, or `VectorError`."""
    if name not in sizes:
        raise VectorError(f"{where}: there is no disk {shown(name)}")
    return sizes[name]


def check_extents(extents: list[list[int]], size: int, where: str) -> None:
    """In order, apart from each other, on the disk; else `VectorError`."""
    past = -1
    for offset, length in extents:
        if offset <= past or length == 0 or offset + length > size:
            raise VectorError(f"{where}: extent [{offset},{length}] is empty, out of order or beyond {size} bytes")
        past = offset + length


def check_runs(runs: list[list[int]], size: int, where: str) -> None:
    """Bytes for all of `size`; else `VectorError`."""
    if sum(count for _, count in runs) != size or any(byte > 255 or count < 1 for byte, count in runs):
        raise VectorError(f"{where}: the runs do not make up {size} bytes")
