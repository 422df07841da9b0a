"""Mistakes in what the specification says of chains across restarts: RESTORES must fail with each.

Images do what they should. Each mistake hides that a backup does not stack any more, or tells of one that is none.
"""

from __future__ import annotations

from cbtmodel import image_chain
from cbtmodel.blocks import S
from cbtmodel.chain import Chains, changed, ends
from cbtmodel.image import Event, Happened, Stored, WrittenByOthers
from cbtmodel.image_chain import may_have_changed, without_an_end
from cbtmodel.record import replace

from cbtproofs.mutants.mutant import Mutant, declaring

IMAGE_CHAIN_MISTAKES: list[Mutant] = []
instead_of = declaring(IMAGE_CHAIN_MISTAKES)


@instead_of(image_chain.may_have_changed)
def a_crash_makes_no_writes(before: Stored[S], event: Event, happened: Happened[S], node: str) -> S:
    """What was in flight at a crash was not written."""
    if isinstance(event, WrittenByOthers):
        everything = before.state.space.everything(before.images[node].size)
        return everything if event.node == node else before.state.space.empty
    blocks = before.state.space.empty
    if node in before.state.nodes:
        disk = happened.stored.state.nodes.get(node)
        for write_id, each in before.state.nodes[node].writes.items():
            if hasattr(event, "node") and (disk is None or write_id not in disk.writes):
                blocks = blocks | each
    return blocks


@instead_of(image_chain.may_have_changed)
def only_an_open_disk_has_changed(before: Stored[S], event: Event, happened: Happened[S], node: str) -> S:
    """What a close and a crash leave of writes in flight is forgotten with the disk."""
    if isinstance(event, WrittenByOthers):
        everything = before.state.space.everything(before.images[node].size)
        return everything if event.node == node else before.state.space.empty
    blocks = before.state.space.empty
    if node in before.state.nodes:
        disk = happened.stored.state.nodes.get(node)
        for write_id, each in before.state.nodes[node].writes.items():
            if disk is not None and write_id not in disk.writes:
                blocks = blocks | each
    return blocks


@instead_of(image_chain.may_have_changed)
def others_change_nothing(before: Stored[S], event: Event, happened: Happened[S], node: str) -> S:
    """Whoever knows nothing of bitmaps writes nothing that a backup would lack."""
    blocks = before.state.space.empty
    if node in before.state.nodes:
        disk = happened.stored.state.nodes.get(node)
        for write_id, each in before.state.nodes[node].writes.items():
            if disk is None or write_id not in disk.writes:
                blocks = blocks | each
    return blocks


@instead_of(image_chain.may_have_changed)
def others_change_every_disk(before: Stored[S], event: Event, happened: Happened[S], node: str) -> S:
    """What others write to one image has changed all disks."""
    if isinstance(event, WrittenByOthers):
        return before.state.space.everything(before.images[node].size)
    blocks = before.state.space.empty
    if node in before.state.nodes:
        disk = happened.stored.state.nodes.get(node)
        for write_id, each in before.state.nodes[node].writes.items():
            if disk is None or write_id not in disk.writes:
                blocks = blocks | each
    return blocks


@instead_of(image_chain.follow_event)
def cancelled_by_a_close_is_under_way(
    chains: Chains[S], before: Stored[S], event: Event, happened: Happened[S]
) -> Chains[S]:
    """The point of a job that a close has cancelled waits for its end."""
    if happened.refusal is not None:
        return chains
    for node in before.images:
        chains = changed(chains, node, may_have_changed(before, event, happened, node))
    return chains if happened.ended else without_an_end(chains, happened)


@instead_of(image_chain.follow_event)
def whatever_is_gone_has_no_end(
    chains: Chains[S], before: Stored[S], event: Event, happened: Happened[S]
) -> Chains[S]:
    """What a job of mode *always* has copied counts for nothing if a close cancels it."""
    if happened.refusal is not None:
        return chains
    for node in before.images:
        chains = changed(chains, node, may_have_changed(before, event, happened, node))
    return without_an_end(chains, happened)


@instead_of(image_chain.follow_event)
def a_crash_leaves_points(chains: Chains[S], before: Stored[S], event: Event, happened: Happened[S]) -> Chains[S]:
    """The point of a job that a crash has taken along is the next one's of that name."""
    if happened.refusal is not None:
        return chains
    for node in before.images:
        chains = changed(chains, node, may_have_changed(before, event, happened, node))
    for end in happened.ended:
        size = before.state.nodes[end.job.node].size
        chains = ends(chains, before.state.space, size, end)
    return chains


@instead_of(image_chain.without_an_end)
def links_are_gone_too(chains: Chains[S], happened: Happened[S]) -> Chains[S]:
    """A restart takes the backups along that had ended."""
    for number, point in chains.points.items():
        if point.job not in happened.stored.state.jobs:
            chains = replace(chains, points=chains.points.drop(number))
    return chains
