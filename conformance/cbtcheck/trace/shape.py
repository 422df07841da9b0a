"""States as a shape with sets in it: what worlds that differ in nothing but sets have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter

from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.claims import all_marks
from cbtmodel.node import Node, State
from cbtmodel.record import replace
from cbtmodel.table import Table

from cbtcheck.sets.between import EMPTY, Between, without_more

Two = Callable[[Between, Between], Between]
Sets = State[Between]


_JOB = attrgetter(*(each.name for each in fields(Job) if each.type != "S"))
_BITMAP = attrgetter(*(each.name for each in fields(Bitmap) if each.name not in ("marks", "successor")))


def shape(state: Sets) -> Hashable:
    """All of a state but its sets: equal for two states that differ in sets only."""
    nodes = frozenset(
        (node_name, node.size, frozenset(node.writes), frozenset(map(_shape_of_bitmap, node.bitmaps.items())))
        for node_name, node in state.nodes.items()
    )
    return nodes, frozenset((job_id, _JOB(job)) for job_id, job in state.jobs.items())


def _shape_of_bitmap(named: tuple[str, Bitmap[Between]]) -> Hashable:
    name, bitmap = named
    return name, _BITMAP(bitmap), None if bitmap.successor is None else bitmap.successor.enabled


def together(one: Sets, other: Sets, put: Two, changes: bool = False) -> Sets:
    """Two states of the same shape as one, each set made of the two by `put`.

    `changes`: that makes another set also of two that are the same. If not, what is the same is left as it is.
    """
    nodes, jobs = {}, {}
    for name, node in one.nodes.items():
        its = other.nodes[name]
        nodes[name] = _node(node, its, put) if changes or node is not its else node
    for job_id, job in one.jobs.items():
        other_job = other.jobs[job_id]
        jobs[job_id] = _job(job, other_job, put) if changes or job is not other_job else job
    return replace(one, nodes=Table(nodes), jobs=Table(jobs))


def join(one: Sets, other: Sets) -> Sets:
    """What is known if the truth is one of the two, of the same shape."""
    return one if one is other else together(one, other, Between.join)


def meet(one: Sets, other: Sets) -> Sets:
    """What is known if both are right, of the same shape."""
    return one if one is other else together(one, other, Between.meet)


def equal(one: Sets, other: Sets) -> bool:
    """Whether two states of the same shape have the same sets."""
    alike = True

    def compare(first: Between, second: Between) -> Between:
        nonlocal alike
        alike = alike and first.same(second)
        return first

    together(one, other, compare)
    return alike


def agree_on(one: Sets, other: Sets, node_name: str) -> bool:
    """Whether something can be true of a disk of which both are right, of the same shape."""
    return all(map(_meet, _sets(one, node_name), _sets(other, node_name)))


def _meet(one: Between, other: Between) -> bool:
    return one.least <= other.most and other.least <= one.most


def agree(one: Sets, other: Sets) -> bool:
    """Whether something can be true of which both are right, of the same shape."""
    possible = True

    def compare(first: Between, second: Between) -> Between:
        nonlocal possible
        possible = possible and _meet(first, second)
        return first

    together(one, other, compare)
    return possible


def differing(states: Sequence[Sets], block: int) -> int:
    """In how many places states of the same shape differ: a bitmap, or its successor, counts twice at most, then
    namely if it differs in more than a granule. `block` is the unit of the sets, in bytes.
    """
    found: dict[str, int] = {}
    first = {where: marks for _, where, _, marks in all_marks(states[0])}
    for other in states[1:]:
        for _, where, bitmap, marks in all_marks(other):
            mine = first[where]
            if not (marks.dirty.same(mine.dirty) and marks.owed.same(mine.owed)):
                one, two = marks.dirty.most, mine.dirty.most
                many = (len(one - two) + len(two - one)) * block > bitmap.granularity
                found[where] = max(found.get(where, 1), 1 + many)
    return sum(found.values())


def differ_where_jobs_run(states: Sequence[Sets]) -> bool:
    """Whether states of the same shape differ in a disk that is being backed up, or in its jobs."""
    return any(differ_on(states, node_name) for node_name in {job.node for job in states[0].jobs.values()})


def differ_on(states: Sequence[Sets], node_name: str) -> bool:
    """Whether states of the same shape differ in a disk, or in its jobs."""
    first = states[0]
    return any(
        not one.same(two)
        for other in states[1:]
        for one, two in zip(_sets(first, node_name), _sets(other, node_name), strict=True)
    )


def _sets(state: Sets, node_name: str) -> Iterator[Between]:
    node = state.nodes[node_name]
    for _, bitmap in sorted(node.bitmaps.items()):
        for marks in (bitmap.marks, *(() if bitmap.successor is None else (bitmap.successor.marks,))):
            yield from (marks.dirty, marks.owed)
    yield from (blocks for _, blocks in sorted(node.writes.items()))
    for _, job in sorted(state.jobs.items()):
        if job.node == node_name:
            yield from (job.todo, job.copying, job.scope)


def noticed(state: Sets) -> Sets:
    """Only in work lists there is more (see `between`)."""

    def plain(one: Between, other: Between) -> Between:
        return without_more(one)

    bare = together(state, state, plain, changes=True)
    jobs = {job_id: replace(job, todo=state.jobs[job_id].todo) for job_id, job in bare.jobs.items()}
    return replace(bare, jobs=Table(jobs))


def without_causes(state: Sets, node_name: str) -> Sets:
    """The same, without the reasons why granules of a disk were made dirty last: nobody asks for them here."""
    node = state.nodes.get(node_name)
    if node is None:
        return state
    bitmaps = node.bitmaps
    for name, each in node.bitmaps.items():
        successor = each.successor
        if successor is None and each.enabled and each.marks.causes is not EMPTY:
            bitmaps = bitmaps.put(name, replace(each, marks=replace(each.marks, causes=EMPTY)))
        elif successor is not None and successor.enabled and successor.marks.causes is not EMPTY:
            bare = replace(successor, marks=replace(successor.marks, causes=EMPTY))
            bitmaps = bitmaps.put(name, replace(each, successor=bare))
    return replace(state, nodes=state.nodes.put(node_name, replace(node, bitmaps=bitmaps)))


def _node(one: Node[Between], other: Node[Between], put: Two) -> Node[Between]:
    bitmaps = Table({name: _bitmap(each, other.bitmaps[name], put) for name, each in one.bitmaps.items()})
    writes = Table({write_id: put(blocks, other.writes[write_id]) for write_id, blocks in one.writes.items()})
    return replace(one, bitmaps=bitmaps, writes=writes)


def _bitmap(one: Bitmap[Between], other: Bitmap[Between], put: Two) -> Bitmap[Between]:
    successor = one.successor
    if successor is not None and other.successor is not None:
        successor = replace(successor, marks=_marks(successor.marks, other.successor.marks, put))
    return replace(one, marks=_marks(one.marks, other.marks, put), successor=successor)


def _marks(one: Marks[Between], other: Marks[Between], put: Two) -> Marks[Between]:
    """Nobody asks here for what reason something is dirty: `causes` are dropped."""
    return Marks(put(one.dirty, other.dirty), put(one.owed, other.owed), EMPTY)


def _job(one: Job[Between], other: Job[Between], put: Two) -> Job[Between]:
    return replace(
        one,
        todo=put(one.todo, other.todo),
        copying=put(one.copying, other.copying),
        scope=put(one.scope, other.scope),
        intact=put(one.intact, other.intact),
        good=put(one.good, other.good),
    )
