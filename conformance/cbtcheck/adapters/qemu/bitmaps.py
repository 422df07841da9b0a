"""The exact bits of a dirty bitmap in QEMU, to explain a hash (`cbtcheck.adapter.digest`) that is not as expected.

Contract: a bitmap's bits are one Python ``int``; bit i is granule i, counted from the disk's start.
Nothing here changes a bitmap of the user's.
"""

import contextlib
import itertools
from typing import Any, Final

from cbtwire.nbd.client import DiskClient

from cbtcheck.adapters.qemu.daemon import Daemon, QmpRefused

_DIRTY: Final = 1
_numbers: Final = itertools.count(1)


async def read_bits(daemon: Daemon, node: str, name: str, socket_path: str) -> int | None:
    """The bits of bitmap ``name`` on ``node``; None if it is busy, for then QEMU lets nobody read it.

    ``socket_path`` is where the daemon's own NBD server listens. Works on a copy, which is removed again
    whatever happens. QEMU drains the node when an export comes and goes, so this waits for I/O in flight:
    never await it while you hold a request. `QmpRefused` if the bitmap is inconsistent; `LookupError` if there
    is no such node or it has no bitmap of that name.
    """
    description, size = await _describe(daemon, node, name)
    if description["busy"]:
        return None
    copy = f"copy-{next(_numbers)}"
    place = {"node": node, "name": copy}
    granularity = description["granularity"]
    await daemon.execute(
        "block-dirty-bitmap-add", {**place, "granularity": granularity, "disabled": True}
    )  # fmt: skip
    try:
        # Not a transaction: it would drain the node, once more than the export does anyway.
        merge = {"node": node, "target": copy, "bitmaps": [name]}
        await daemon.execute("block-dirty-bitmap-merge", merge)
        return await _read_copy(daemon, node, copy, socket_path, size, granularity)
    finally:
        await daemon.execute("block-dirty-bitmap-remove", place)


async def _describe(daemon: Daemon, node: str, name: str) -> tuple[dict[str, Any], int]:
    """QEMU's description of the bitmap, and the node's size in bytes."""
    for found in await daemon.execute("query-named-block-nodes", {"flat": True}):
        if found["node-name"] == node:
            for bitmap in found.get("dirty-bitmaps", ()):
                if bitmap.get("name") == name:
                    return bitmap, found["image"]["virtual-size"]
    raise LookupError(f"no bitmap {name!r} on a node {node!r}")


async def _read_copy(daemon: Daemon, node: str, copy: str, socket_path: str, size: int, granularity: int) -> int:
    """Export the copy, read it, and take the export down again."""
    gone = daemon.expect(lambda event: event["event"] == "BLOCK_EXPORT_DELETED" and event["data"]["id"] == copy)
    export = {"type": "nbd", "id": copy, "node-name": node, "name": copy, "bitmaps": [copy]}
    try:
        await daemon.execute("block-export-add", export)
    except BaseException:
        gone.cancel()
        raise
    try:
        context = f"qemu:dirty-bitmap:{copy}"
        client = await DiskClient.connect(socket_path, copy, [context])
        try:
            return _to_bits(await client.block_status(context, 0, size), granularity)
        finally:
            await client.close()
    finally:
        # The last client's departure does not end an export; and the copy is busy until its export is gone.
        with contextlib.suppress(QmpRefused):
            await daemon.execute("block-export-del", {"id": copy, "mode": "hard"})
            await gone


def _to_bits(extents: list[tuple[int, int]], granularity: int) -> int:
    bits = offset = 0
    for length, flags in extents:
        if flags & _DIRTY:
            first, end = offset // granularity, -(-(offset + length) // granularity)
            bits |= ((1 << (end - first)) - 1) << first
        offset += length
    return bits
