"""The guest writes of a window, in classes: each for itself where that tells more, and it is not too many.

When a write was, makes a difference for the bitmaps only that the window's commands are about. Of one bitmap, and one
granule of it, its bounds say all that there is to say. So a write is told apart from others where there are two
bitmaps, or two granules: then a mixture of two orders is found (see `whole`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cbtmodel import commands as c

from cbtcheck.scenario.actions import actions_of
from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.trace.events import EndOfJobs, Given
from cbtcheck.trace.gathered import MOST_ALONE, MOST_SINGLE, Gathered
from cbtcheck.trace.untracked import names_in
from cbtcheck.trace.window import Item, WriteClass, may_start
from cbtcheck.trace.window_parts import Kinds
from cbtcheck.trace.world import Rules, Traced


def write_classes(
    space: CompressedSets, items: Sequence[Item], worlds: Sequence[Traced], gathered: Kinds, rules: Rules
) -> Iterator[WriteClass]:
    """The writes of a window of these items, which begins in these worlds.

    Where it may depend on one of them that a job has nothing to do, each is a class of its own; and where that are
    too many, they may as well not have happened.
    """
    alone = rules.copies_seen and (
        any(world.state.jobs for world in worlds) or any(may_start(item) for item in items)
    )
    about = {node: _about(items, worlds, node) for node in {key[0] for key in gathered}}
    few = sum(len(each.runs) for (_, _, _, sure), each in gathered.items() if sure) <= MOST_SINGLE
    for (node, before, closed, sure), each in gathered.items():
        more = sure and _tells(space, about[node], each)
        tells = more and few
        if (alone or tells) and sure and len(each.runs) <= MOST_ALONE:
            for first, past in each.runs:
                blocks = space.blocks(first * space.block, (past - first) * space.block)
                yield WriteClass(node, before, closed, sure, blocks, single=tells, lumped=more)
        else:
            yield WriteClass(node, before, closed, sure and not alone, space.gathered(each.blocks), lumped=more)


def _about(items: Sequence[Item], worlds: Sequence[Traced], node_name: str) -> dict[str, int]:
    """The bitmaps of a disk that the window's commands, and ends of jobs, are about; with their granularities."""
    names: set[str] = set()
    added: dict[str, int] = {}
    for item in items:
        command = item.event.command if isinstance(item.event, Given) else c.Abort()
        for each in actions_of(command):
            names |= {name for node, name in names_in(each) if node == node_name and name is not None}
            if isinstance(each, c.AddBitmap) and each.node == node_name:
                added[each.name] = each.granularity
        ended = {job_id for job_id, _ in item.event.jobs} if isinstance(item.event, EndOfJobs) else set()
        if isinstance(command, c.OfJob):
            ended = {command.job}
        for world in worlds:
            jobs = [world.state.jobs[job_id] for job_id in ended if job_id in world.state.jobs]
            names |= {each.bitmap for each in jobs if each.node == node_name and each.bitmap is not None}
    for world in worlds:
        bitmaps = world.state.nodes[node_name].bitmaps if node_name in world.state.nodes else {}
        added |= {name: each.granularity for name, each in bitmaps.items()}
    return {name: added.get(name, 0) for name in names}


def _tells(space: CompressedSets, about: Mapping[str, int], writes: Gathered) -> bool:
    """Whether these writes may be in several bitmaps, or in several granules of one."""
    if len(about) > 1:
        return True
    per = max(1, next(iter(about.values()), 0) // space.block)
    return bool(about) and any(first // per != (past - 1) // per for first, past in writes.runs)
