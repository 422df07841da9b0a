"""What commands that the specification does not know may do to bitmaps: what is no longer certain after them.

What they do to disks that they do not name stays certain, and so does what was seen before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtcheck.trace.events import Change, Forgotten, Resized, Used
from cbtcheck.trace.places import Places

OF_NODES: dict[str, tuple[str, ...]] = {
    "blockdev-add": ("node-name",),
    "blockdev-del": ("node-name",),
    "x-blockdev-del": ("node-name",),
    "blockdev-snapshot": ("node", "overlay"),
    "blockdev-snapshot-sync": ("device", "node-name"),
    "blockdev-mirror": ("device", "target"),
    "drive-mirror": ("device",),
    "x-blockdev-change": ("parent", "node"),
}
"""Commands that may do something to the nodes that they name in these members, and to no others."""

TO_ANY = frozenset({
    "block-commit", "block-job-complete", "job-complete", "device_del", "loadvm", "snapshot-load", "migrate",
    "migrate-incoming", "quit",
})  # fmt: skip
"""Commands of which it is not known to which nodes they may do something."""

HARMLESS = frozenset({
    "block-job-set-speed", "block-job-dismiss", "block-job-change", "block-latency-histogram-set", "block-stream",
    "block_set_io_throttle", "block-set-write-threshold", "blockdev-create", "blockdev-open-tray",
    "blockdev-close-tray", "block_passwd", "blockdev-snapshot-internal-sync", "snapshot-save", "snapshot-delete",
    "blockdev-snapshot-delete-internal-sync", "block-export-del", "block_set_password",
})  # fmt: skip
"""Commands of block devices that do nothing to bitmaps, nor to what a guest sees of a disk."""

NODE_MEMBERS = ("node", "device", "overlay", "node-name", "target")
"""Where an action of a transaction says which nodes it is about. (The `target` of a merge is a bitmap.)"""

BLOCK_FAMILIES = ("block-", "blockdev-", "block_", "drive-", "drive_", "snapshot-", "x-block")
"""How commands begin that may have to do with bitmaps, if they are not listed."""

HUMAN = frozenset({
    "block_resize", "block_stream", "change", "commit", "device_del", "drive_add", "drive_backup", "drive_del",
    "drive_mirror", "eject", "loadvm", "migrate", "q", "quit", "snapshot_blkdev",
})  # fmt: skip
"""Commands of the human monitor that may do something to bitmaps."""


def is_of_unknown_effect(name: str) -> bool:
    """Whether nothing is known of a command but that it has to do with block devices."""
    return name.startswith(BLOCK_FAMILIES) and name not in HARMLESS | TO_ANY and name not in KNOWN_EFFECTS


def effects(name: str, arguments: Any, places: Places) -> Iterator[Change]:
    """What an accepted command, which the specification does not know, may have changed."""
    data = arguments if isinstance(arguments, dict) else {}
    if name == "block_resize":
        yield from _resized(data, places)
    elif name in OF_NODES:
        for member in OF_NODES[name]:
            if member in data:
                yield Forgotten(_node(data[member], places, member), closed=name in ("blockdev-add", "blockdev-del"))
    elif name in ("blockdev-reopen", "x-blockdev-reopen"):
        listed = data.get("options", [data])
        for each in listed if isinstance(listed, list) else ():
            yield Forgotten(_node(each.get("node-name") if isinstance(each, dict) else None, places))
    elif name in ("block-export-add", "nbd-server-add", "nbd-server-add-bitmap"):
        yield from _exported(data, places)
    elif name == "transaction":
        yield from _transaction(data, places)
    elif name == "human-monitor-command":
        words = str(data.get("command-line", "")).split()
        if words and words[0] in HUMAN:
            yield Forgotten(None, closed=words[0] in ("q", "quit"))
    elif name in TO_ANY or is_of_unknown_effect(name):
        yield Forgotten(None, closed=name == "quit")


KNOWN_EFFECTS = frozenset({
    *OF_NODES, "block_resize", "blockdev-reopen", "x-blockdev-reopen", "block-export-add", "nbd-server-add",
    "nbd-server-add-bitmap",
})  # fmt: skip


def _node(name: Any, places: Places, member: str = "node") -> str | None:
    """The node that is meant; None, which stands for all, if the log does not tell: it may be a device's name."""
    if not isinstance(name, str):
        return None
    return places.node(name) if member != "device" or places.knows(name) else None


def _resized(data: dict[str, Any], places: Places) -> Iterator[Change]:
    member = "node-name" if "node-name" in data else "device"
    node, size = _node(data.get(member), places, member), data.get("size")
    if node is None or type(size) is not int or not 0 < size <= 1 << 60:
        yield Forgotten(node)
    else:
        yield Resized(node, -(-size // 512) * 512)


def _exported(data: dict[str, Any], places: Places) -> Iterator[Change]:
    """An export makes bitmaps busy, on whichever node of the backing chain they are; their bits follow the rules."""
    listed = data.get("bitmaps", [data.get("bitmap")])
    used: set[tuple[str | None, str]] = set()
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            used.add((_node(each.get("node"), places), each["name"]))
        elif isinstance(each, str):
            used.add((None, each))
    if used:
        yield Used(frozenset(used))


def _transaction(data: dict[str, Any], places: Places) -> Iterator[Change]:
    """One with an action that is not known: whatever it names may be anything."""
    actions = data.get("actions")
    for each in actions if isinstance(actions, list) else (None,):
        own = each.get("data") if isinstance(each, dict) else None
        own = own if isinstance(own, dict) else {}
        named = [member for member in NODE_MEMBERS if isinstance(own.get(member), str)]
        if isinstance(each, dict) and each.get("type") == "abort":
            continue
        nodes = [_node(own[member], places, member) for member in named] or [None]
        yield from (Forgotten(node) for node in dict.fromkeys(nodes))
