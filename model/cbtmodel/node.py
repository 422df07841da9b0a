"""Disks and their bitmaps: the state, guest writes, and what an operator does to bitmaps.

A *node* is a disk with its bitmaps and its writes in flight. A guest write has a beginning (copy-before-write is
done, the content may change from now on) and an end (the content has changed, every bitmap that records has it).

Source: QEMU, block/io.c (bdrv_co_write_req_finish) and block/monitor/bitmap-qmp-cmds.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from cbtmodel import backup, bitmap
from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap
from cbtmodel.blocks import S, Space
from cbtmodel.commands import Source
from cbtmodel.loops import fold, kept, mapped, some
from cbtmodel.record import replace
from cbtmodel.refusal import require
from cbtmodel.table import Table

SMALLEST_GRANULARITY = 512
LARGEST_GRANULARITY = 1 << 31
LONGEST_NAME = 1023


@dataclass(frozen=True, slots=True)
class Node(Generic[S]):
    """A disk of `size` bytes: its bitmaps by name, and the writes in flight by their ids."""

    size: int
    bitmaps: Table[Bitmap[S]] = field(default_factory=Table)
    writes: Table[S] = field(default_factory=Table)


@dataclass(frozen=True, slots=True)
class State(Generic[S]):
    """Everything there is: disks by name and jobs by id. The space is where its sets come from."""

    space: Space[S] = field(compare=False, repr=False)
    nodes: Table[Node[S]]
    jobs: Table[Job[S]] = field(default_factory=Table)


def initial(space: Space[S], sizes: dict[str, int]) -> State[S]:
    """Disks of the given sizes in bytes; no bitmaps, no jobs."""
    return State(space, Table({name: Node(size) for name, size in sizes.items()}))


# Looking things up


def find_node(state: State[S], name: str) -> Node[S]:
    """The node, or a refusal."""
    require(name in state.nodes, "not found", f"there is no node '{name}'")
    return state.nodes[name]


def find_bitmap(state: State[S], node: str, name: str) -> Bitmap[S]:
    """The bitmap, or a refusal."""
    bitmaps = find_node(state, node).bitmaps
    require(name in bitmaps, "not found", f"node '{node}' has no bitmap '{name}'")
    return bitmaps[name]


def find_free_bitmap(state: State[S], node: str, name: str) -> Bitmap[S]:
    """The bitmap if nothing is using it, or a refusal."""
    found = find_bitmap(state, node, name)
    require(not bitmap.busy(found), "busy", f"bitmap '{name}' is in use by another operation")
    return found


def with_bitmap(state: State[S], node: str, name: str, changed: Bitmap[S]) -> State[S]:
    """The state with this bitmap changed, and nothing else."""
    before = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(before, bitmaps=before.bitmaps.put(name, changed))))


# What an operator does to bitmaps


def usable_granularity(granularity: int) -> bool:
    """A power of two, in bytes, from 512 to 2^31."""
    in_range = SMALLEST_GRANULARITY <= granularity <= LARGEST_GRANULARITY
    return in_range and granularity.bit_count() == 1


def add(state: State[S], node: str, name: str, granularity: int, enabled: bool) -> State[S]:
    """A new bitmap, clean. Writes in flight will be in it when they end."""
    require(name != "", "invalid", "a bitmap's name cannot be empty")
    bitmaps = find_node(state, node).bitmaps
    require(usable_granularity(granularity), "invalid", "granularity must be a power of two, at least 512")
    require(name not in bitmaps, "exists", f"node '{node}' has a bitmap '{name}' already")
    require(len(name.encode(errors="surrogatepass")) <= LONGEST_NAME, "invalid", "the name is too long")
    return with_bitmap(state, node, name, bitmap.create(state.space, granularity, enabled))


def remove(state: State[S], node: str, name: str) -> State[S]:
    """The bitmap is gone, with all that it owed."""
    find_free_bitmap(state, node, name)
    before = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(before, bitmaps=before.bitmaps.drop(name))))


def clear(state: State[S], node: str, name: str) -> State[S]:
    """Nothing is dirty any more. Writes in flight will be when they end."""
    free = find_free_bitmap(state, node, name)
    return with_bitmap(state, node, name, bitmap.clear(state.space, free))


def enable(state: State[S], node: str, name: str) -> State[S]:
    """The bitmap records from now on."""
    free = find_free_bitmap(state, node, name)
    return with_bitmap(state, node, name, replace(free, enabled=True))


def disable(state: State[S], node: str, name: str) -> State[S]:
    """The bitmap does not record any more, not even writes in flight."""
    free = find_free_bitmap(state, node, name)
    return with_bitmap(state, node, name, replace(free, enabled=False))


def merge(state: State[S], node: str, target: str, sources: tuple[Source, ...]) -> State[S]:
    """Every source is merged into the target, or none is. The sources keep what they have."""
    find_bitmap(state, node, target)
    return fold(sources, state, lambda so_far, source: merge_one(so_far, node, target, source))


def merge_one(state: State[S], node: str, target: str, source: Source) -> State[S]:
    """One source is merged into the target."""
    taken = find_bitmap(state, source.node, source.name)
    into = find_free_bitmap(state, node, target)
    find_free_bitmap(state, source.node, source.name)
    size = state.nodes[node].size
    require(state.nodes[source.node].size == size, "size mismatch", "the disks differ in size")
    return with_bitmap(state, node, target, bitmap.merge(state.space, into, taken, size))


# Guest writes, as sets of blocks


def jobs_of(state: State[S], node: str) -> Table[Job[S]]:
    """The jobs whose source is this node."""
    return kept(state.jobs, lambda job: job.node == node)


def with_jobs_of(state: State[S], node: str, change: Callable[[Job[S]], Job[S]]) -> State[S]:
    """The state with every job of this node changed, each by itself, and nothing else."""
    return replace(state, jobs=mapped(state.jobs, lambda job: change(job) if job.node == node else job))


def must_be_copied_first(state: State[S], node: str, blocks: S) -> bool:
    """Whether a write of `blocks` needs a copy-before-write that could fail; a copy in flight is waited for."""
    size = state.nodes[node].size
    return some(
        jobs_of(state, node).values(),
        lambda job: bool(backup.hit_by_write(state.space, job, blocks, size) - job.copying),
    )


def copy_before_write(state: State[S], node: str, blocks: S) -> State[S]:
    """A guest write begins: every job saves what it still needs; then the content at `blocks` may change."""
    size = state.nodes[node].size
    return with_jobs_of(state, node, lambda job: backup.before_write(state.space, job, blocks, size))


def record(state: State[S], node: str, blocks: S) -> State[S]:
    """A guest write ends, well or badly: the content at `blocks` has changed, and all that records has it."""
    before = state.nodes[node]
    bitmaps = mapped(before.bitmaps, lambda each: bitmap.record(state.space, each, blocks, before.size))
    state = replace(state, nodes=state.nodes.put(node, replace(before, bitmaps=bitmaps)))
    return with_jobs_of(state, node, lambda job: backup.content_changes(job, blocks))


def write(state: State[S], node: str, blocks: S) -> State[S]:
    """A whole guest write."""
    return record(copy_before_write(state, node, blocks), node, blocks)


def in_flight(state: State[S], node: str, write_id: str, blocks: S) -> State[S]:
    """A guest write has begun and not ended."""
    before = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(before, writes=before.writes.put(write_id, blocks))))


def finish_write(state: State[S], node: str, write_id: str) -> State[S]:
    """A guest write in flight ends."""
    blocks = state.nodes[node].writes[write_id]
    state = record(state, node, blocks)
    after = state.nodes[node]
    return replace(state, nodes=state.nodes.put(node, replace(after, writes=after.writes.drop(write_id))))


def drain(state: State[S], node: str) -> State[S]:
    """Everything in flight on the node ends: guest writes, and the copies of its jobs."""
    state = fold(state.nodes[node].writes, state, lambda so_far, write_id: finish_write(so_far, node, write_id))
    return with_jobs_of(state, node, backup.copy_ends)
