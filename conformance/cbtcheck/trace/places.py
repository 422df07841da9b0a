"""What a QMP log tells of nodes: what they are called, how large they are, and what is in front of them.

A device's name stands for the node that its guest writes to. That may be another one later: after a snapshot it is
the overlay. While a backup runs, a command about bitmaps that says the device means the job's own node, its *filter*,
and not the disk: a bitmap that is added so is gone with the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from cbtcheck.trace.qmp_actions import actions_in

LARGEST_DEFAULT, SMALLEST_DEFAULT = 65536, 4096
"""Between these a bitmap's granularity is that of the image's clusters, if none is asked for, in bytes."""


FILTER = ", which is the filter of a job"


class Untranslatable(Exception):
    """A command that the specification does not know, in this form at least."""


@dataclass
class Places:
    """What is known of nodes: their sizes and the cluster sizes of their images in bytes, and names of devices.

    `sizes` are those that were seen first, `last_sizes` those that were seen last, or that a node was resized to.

    `devices`: for each name the nodes that it has stood for, with the lines from which on; before the first it is
    taken to be that one. `others` are nodes that were seen without a size. `files`: the names of their files.
    `now`: the line that names are looked up for. `busy`: the nodes of which a backup is running now.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    last_sizes: dict[str, int] = field(default_factory=dict)
    clusters: dict[str, int] = field(default_factory=dict)
    devices: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    now: float = inf
    busy: set[str] = field(default_factory=set)
    _filters: dict[str, str] = field(default_factory=dict)

    def node(self, name: Any) -> str:
        """The node of a node's or device's name. `Untranslatable` if it is no name."""
        if not isinstance(name, str):
            raise Untranslatable
        found = self.devices.get(name)
        if found is None:
            return name
        return next((node for line, node in reversed(found) if line < self.now), found[0][1])

    def with_bitmaps(self, name: Any) -> str:
        """The node that a command about bitmaps means."""
        node = self.node(name)
        if name == node or node not in self.busy:
            return node
        self._filters[f"{name}{FILTER}"] = node
        return f"{name}{FILTER}"

    def below_filter(self, filter_node: str) -> str | None:
        """The disk that a filter is of, as `with_bitmaps` names it; None if it is no filter."""
        return self._filters.get(filter_node)

    def changed_at(self, line: int) -> list[tuple[str, str]]:
        """What devices stood for before, and stand for now that a reply of this line has shown it."""
        return [
            (known[at - 1][1], node)
            for known in self.devices.values()
            for at, (since, node) in enumerate(known)
            if at and since == line
        ]

    def knows(self, name: str) -> bool:
        """Whether the log tells of a node or device of this name."""
        return name in self.sizes or name in self.devices or name in self.others

    def granularity(self, node: str) -> int:
        """That of a bitmap on a node, if none is asked for."""
        return min(max(self.clusters.get(node, LARGEST_DEFAULT), SMALLEST_DEFAULT), LARGEST_DEFAULT)

    def stands_for(self, device: str, node: str, line: int) -> None:
        """From this line on a device's name stands for a node."""
        known = self.devices.setdefault(device, [])
        if not known or known[-1][1] != node:
            known.append((line, node))

    def covered(self, node: str, overlay: str, line: int) -> None:
        """A node was laid over another one, and whatever was in front of that one is in front of it now."""
        for device, known in self.devices.items():
            if known[-1][1] == node:
                self.stands_for(device, overlay, line)
        if node in self.sizes:
            self.sizes.setdefault(overlay, self.sizes[node])
        self.others.add(overlay)

    def as_in(self, other: Places, earlier: bool, written: Mapping[str, int]) -> None:
        """What is known in another session with the same QEMU, or of the same disks, and not told in this one.

        `written`: up to where a guest has written in this one, by node or device; what is smaller is not its size.
        """
        known = other.last_sizes if earlier else other.sizes
        for name in known.keys() - self.sizes.keys():
            reached = max((end for said, end in written.items() if name in (said, other.node(said))), default=0)
            if reached <= known[name]:
                self.sizes[name] = self.last_sizes[name] = known[name]
        for name in other.clusters.keys() - self.clusters.keys():
            self.clusters[name] = other.clusters[name]
        for device in other.devices.keys() - self.devices.keys():
            self.devices[device] = [(-inf, other.devices[device][-1][1])]


SNAPSHOTS = {"blockdev-snapshot": ("node", "overlay"), "blockdev-snapshot-sync": ("device", "snapshot-node-name")}
"""Commands that lay one node over another: where they say which is below, and which above."""


def snapshots(name: str, arguments: Any) -> Iterator[tuple[str, str]]:
    """Each node, or device, that a command has laid another node over, with the name of that one."""
    for action, data in actions_in(name, arguments):
        if action in SNAPSHOTS:
            below, above = SNAPSHOTS[action]
            lower = data.get(below, data.get("node-name"))
            if isinstance(lower, str):
                yield lower, str(data.get(above, f"the overlay of {lower}"))
