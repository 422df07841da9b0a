"""Chains of backups across restarts: what they give back when disks lie in images.

A restart takes nothing from a backup that has ended: its target is as it was. What it may take is what stands between
a backup and the next one. Its disk may have changed with nobody there to see it; a bitmap may be gone, or openly not
to be trusted (`cbtmodel.image`). A backup with an inconsistent bitmap is refused, and one with a new bitmap lacks
what changed before: `uncovered` says so, as ever. So a chain that a restart has broken needs a full backup.

Nothing here changes what happens to images: `follow_event` looks on. That nothing is left out is proved (RESTORES).
"""

from __future__ import annotations

from cbtmodel.blocks import S
from cbtmodel.chain import Chains, changed, ends
from cbtmodel.image import Event, Happened, Stored, WrittenByOthers
from cbtmodel.record import replace


def follow_event(chains: Chains[S], before: Stored[S], event: Event, happened: Happened[S]) -> Chains[S]:
    """The chains after an event: disks have changed, then backups have ended, or are gone without an end."""
    if happened.refusal is not None:
        return chains
    for node in before.images:
        chains = changed(chains, node, may_have_changed(before, event, happened, node))
    for end in happened.ended:
        size = before.state.nodes[end.job.node].size  # of the disk as it was: it may be closed by now
        chains = ends(chains, before.state.space, size, end)
    return without_an_end(chains, happened)


def may_have_changed(before: Stored[S], event: Event, happened: Happened[S], node: str) -> S:
    """The blocks of a disk that may be others after an event than before it.

    A close and a reopening wait for writes in flight; a crash leaves each of them made, or not, or half made.
    """
    if isinstance(event, WrittenByOthers):
        everything = before.state.space.everything(before.images[node].size)
        return everything if event.node == node else before.state.space.empty
    blocks = before.state.space.empty
    if node in before.state.nodes:
        disk = happened.stored.state.nodes.get(node)
        for write_id, each in before.state.nodes[node].writes.items():
            if disk is None or write_id not in disk.writes:
                blocks = blocks | each
    return blocks


def without_an_end(chains: Chains[S], happened: Happened[S]) -> Chains[S]:
    """Without the points of jobs that are gone: a crash ends nothing, and nobody counts what had been copied."""
    for number, point in chains.points.items():
        if point.link is None and point.job not in happened.stored.state.jobs:
            chains = replace(chains, points=chains.points.drop(number))
    return chains
