"""How much memory a scenario takes, at most, and how much it may take.

A scenario of a few lines can ask for 64 disks full of data, and for a copy of them with each backup. Before anything
is made it is estimated what playing it needs; beyond `MOST_MEMORY` it is refused, with a line that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cbtmodel import commands as c

from cbtcheck.content import LARGEST_FLAT

MOST_MEMORY = 2 << 30
"""Bytes that the suite takes for playing one scenario."""

COPIES_OF_A_BACKUP = 4
"""The disk at its start, the target, the target as it was read, and the restored chain."""

COPIES_OF_A_BITMAP = 1
"""The disk when it was added: where its chain begins."""

SETS_IN_A_STEP = 4
"""Sets of blocks that one step makes for each bitmap and each job of its disk, and that the picture keeps."""

COPIES_OF_A_WRITE = 3
"""What a guest writes to a disk whose content is in runs: as it is made, given, and taken."""

IN_RUNS = 1 << 14
"""Bytes for a content that is kept in runs, which does not depend on the size of a disk."""


def content_bytes(size: int) -> int:
    """What the content of a disk of `size` bytes takes in memory; in runs, what is written to it."""
    return size if size <= LARGEST_FLAT else IN_RUNS


def set_bytes(size: int, block: int) -> int:
    """What a set of the blocks of such a disk takes: a bit for each."""
    return -(-size // block) // 8 + 64


def estimated(disks: Mapping[str, int], block: int, commands: Iterable[object]) -> int:
    """Bytes that playing these commands on these disks takes at most, on the built-in reference.

    `disks` have sizes in bytes. An upper bound in a simple form: it counts what is made, and nothing that is freed.
    """
    total = 2 * sum(map(content_bytes, disks.values()))  # the disk, and a copy of it as it is read
    steps = dict.fromkeys(disks, 0)
    sets = dict.fromkeys(disks, 1)
    for command in _all(commands):
        node = getattr(command, "node", None)
        if not isinstance(node, str) or node not in disks:
            continue
        size = disks[node]
        steps[node] += 1
        if isinstance(command, c.Write | c.BeginWrite) and command.kind == "write" and size > LARGEST_FLAT:
            total += COPIES_OF_A_WRITE * min(max(command.length, 0), size)
        if isinstance(command, c.StartBackup):
            total += COPIES_OF_A_BACKUP * content_bytes(size)
            sets[node] += 1
        elif isinstance(command, c.AddBitmap):
            total += COPIES_OF_A_BITMAP * content_bytes(size)
            sets[node] += 1
    for node, size in disks.items():
        total += SETS_IN_A_STEP * min(sets[node], steps[node] + 1) * steps[node] * set_bytes(size, block)
    return total


def _all(commands: Iterable[object]) -> Iterator[object]:
    """The commands, and the actions of transactions."""
    for command in commands:
        if isinstance(command, c.Transaction):
            yield from command.actions
        else:
            yield command
