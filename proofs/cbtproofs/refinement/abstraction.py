"""The abstraction function: what a state of the implementation is a state of the specification *of*.

`abstraction` maps a `cbtimpl.Host` to a `cbtmodel.node.State`. It is defined where the implementation's parts fit
together (`misfits` finds nothing). Ghosts, which no implementation has, are empty in it; `without_ghosts` empties
those of a state of the specification, so that the two can be compared with `==`.

Some ghosts leave traces that can be looked at, though: clusters that a job says are copied, and real data on disks
and targets. `evidence` holds these against the ghosts `scope`, `intact` and `good`.

| specification        | implementation                                                              |
|----------------------|-----------------------------------------------------------------------------|
| a set of blocks      | granules or clusters, as bytes, clipped to the disk, rounded out to blocks  |
| `Bitmap.successor`   | `Bitmap.successor`; it has no name, and the bitmap's `user` is a job        |
| `Bitmap.leaving`     | a `user` although there is no successor                                     |
| `Job.bitmap`, a name | a reference to the very bitmap that the node has under that name            |
| `Job.todo`           | the work list, and what is in flight, which is not on it                    |
| `Job.group`          | the ids of the members of the `Group` object that the jobs share            |
| `Node.writes`        | ranges of bytes, rounded out to blocks                                      |

Not here: who makes steps, and in which order (`refinement`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, cast

from cbtimpl import granules
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap as ConcreteBitmap
from cbtimpl.bits import GranuleSet
from cbtimpl.node import Node as ConcreteNode
from cbtimpl.state import State as ConcreteState
from cbtmodel.backup import BitmapMode, Job, OnError
from cbtmodel.bitmap import Bitmap, Marks, Successor
from cbtmodel.blocks import S, Space
from cbtmodel.node import Node, State
from cbtmodel.properties import Inclusion
from cbtmodel.table import Table

# The abstraction function


def abstraction(host: ConcreteState, space: Space[S]) -> State[S]:
    """The state of the specification that this is, its ghosts empty."""
    return State(
        space,
        Table({name: _node(node, space) for name, node in host.nodes.items()}),
        Table({job_id: _job(job, space) for job_id, job in host.jobs.items()}),
    )


def blocks_of(bits: GranuleSet, space: Space[S]) -> S:
    """A set of granules or clusters as blocks."""
    found = space.empty
    for offset, length in bits.extents():
        found = found | space.blocks(offset, length)
    return found


def in_flight(job: BackupJob, space: Space[S]) -> S:
    """The blocks of the copy in flight, if there is one."""
    found = space.empty
    for first, past in job.in_flight.runs if job.in_flight is not None else ():
        found = found | space.blocks(*granules.span(first, past, job.cluster, job.node.size))
    return found


def _node(node: ConcreteNode, space: Space[S]) -> Node[S]:
    bitmaps = {name: _bitmap(each, space) for name, each in node.bitmaps.items()}
    writes = {write_id: space.blocks(each.offset, each.length) for write_id, each in node.writes.items()}
    return Node(node.size, Table(bitmaps), Table(writes))


def _bitmap(bitmap: ConcreteBitmap, space: Space[S]) -> Bitmap[S]:
    heir = bitmap.successor
    successor = None if heir is None else Successor(heir.enabled, _marks(heir, space))
    leaving = heir is None and bitmap.user is not None
    return Bitmap(bitmap.granularity, bitmap.enabled, _marks(bitmap, space), successor, leaving)


def _marks(bitmap: ConcreteBitmap, space: Space[S]) -> Marks[S]:
    return Marks(blocks_of(bitmap.bits, space), space.empty, space.empty)


def _job(job: BackupJob, space: Space[S]) -> Job[S]:
    copying = in_flight(job, space)
    return Job(
        job.node.name, None if job.bitmap is None else job.bitmap.name, cast(BitmapMode | None, job.bitmap_mode),
        job.cluster, tuple(member.id for member in job.group.members), job.auto_finalize,
        cast(OnError, job.on_source_error), cast(OnError, job.on_target_error),
        todo=blocks_of(job.work, space) | copying, copying=copying, scope=space.empty, intact=space.empty,
        good=space.empty, phase=job.stage, paused=job.paused,
    )  # fmt: skip


def without_ghosts(state: State[S]) -> State[S]:
    """What is compared of a state of the specification: everything but what is owed, causes, scope, intact, good."""
    none = state.space.empty

    def bare(bitmap: Bitmap[S]) -> Bitmap[S]:
        heir = bitmap.successor
        successor = None if heir is None else replace(heir, marks=Marks(heir.marks.dirty, none, none))
        return replace(bitmap, marks=Marks(bitmap.marks.dirty, none, none), successor=successor)

    nodes = {
        name: replace(node, bitmaps=Table({key: bare(each) for key, each in node.bitmaps.items()}))
        for name, node in state.nodes.items()
    }
    jobs = {job_id: replace(job, scope=none, intact=none, good=none) for job_id, job in state.jobs.items()}
    return State(state.space, Table(nodes), Table(jobs))


# Where it is defined


def misfits(host: ConcreteState) -> Iterator[str]:
    """What does not fit together in the implementation, so that it stands for no state at all; normally nothing."""
    users = {job_id: job.bitmap for job_id, job in host.jobs.items() if job.bitmap is not None}
    for node_name, node in host.nodes.items():
        if node.name != node_name or node.size != node.disk.size:
            yield f"node {node_name}: another name or size"
        for name, bitmap in node.bitmaps.items():
            yield from (f"{node_name}/{name}: {problem}" for problem in _misfits_of_bitmap(name, node, bitmap, users))
    for job_id, job in host.jobs.items():
        yield from (f"job {job_id}: {problem}" for problem in _misfits_of_job(host, job_id, job))


def _misfits_of_bitmap(
    name: str, node: ConcreteNode, bitmap: ConcreteBitmap, users: dict[str, ConcreteBitmap]
) -> Iterator[str]:
    if bitmap.name != name or bitmap.size != node.size:
        yield "another name or size"
    heir = bitmap.successor
    if heir is not None:
        if users.get(str(bitmap.user)) is not bitmap:
            yield "frozen, and not by the job that it says"
        if heir.name is not None or heir.user is not None or heir.successor is not None:
            yield "its successor is not anonymous, or not free"
        if (heir.granularity, heir.size) != (bitmap.granularity, bitmap.size):
            yield "its successor has another granularity or size"


def _misfits_of_job(host: ConcreteState, job_id: str, job: BackupJob) -> Iterator[str]:
    if job.id != job_id or host.nodes.get(job.node.name) is not job.node:
        yield "another id, or an unknown node"
    if job not in job.group.members or any(host.jobs.get(each.id) is not each for each in job.group.members):
        yield "its group has members that are gone"
    bitmap = job.bitmap
    if bitmap is not None and (bitmap.name is None or job.node.bitmaps.get(bitmap.name) is not bitmap):
        yield "its bitmap is not what its node has under that name"
    flying = [range(*run) for run in job.in_flight.runs] if job.in_flight is not None else []
    places = [*job.work.granules(), *job.copied.granules(), *(cluster for run in flying for cluster in run)]
    if len(places) != len(set(places)):
        yield "a cluster is in two places at once"


# Evidence for ghosts


@dataclass(frozen=True, slots=True)
class Data(Generic[S]):
    """What real data say about a job: sets of blocks of its disk and its target.

    `unchanged`: the disk has there what it had when the job started; `right`: the target has that; `in_flight`: the
    copy in flight has that; `touched`: something was written to the target.
    """

    unchanged: S
    right: S
    in_flight: S
    touched: S


def evidence(job_id: str, job: Job[S], concrete: BackupJob, data: Data[S], space: Space[S]) -> Iterator[Inclusion[S]]:
    """What a job's progress and its data say about its ghosts; each of these must hold."""
    copied = blocks_of(concrete.copied, space)
    yield Inclusion(f"{job_id}: good, so on the target as it was", job.good, data.right)
    yield Inclusion(f"{job_id}: intact, so on the disk as it was", job.intact, data.unchanged)
    yield Inclusion(f"{job_id}: in flight, so read as it was", job.copying, data.in_flight)
    yield Inclusion(f"{job_id}: in scope and not to be copied, so copied", job.scope - job.todo, copied)
    yield Inclusion(f"{job_id}: copied, so in scope and not to be copied", copied, job.scope - job.todo)
    yield Inclusion(f"{job_id}: copied, so written to the target", copied, data.touched)
    yield Inclusion(f"{job_id}: written to the target, so copied", data.touched, copied)
