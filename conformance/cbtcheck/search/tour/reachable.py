"""Which edges of the specification can be reached at all, at the scope of a profile: computed, not written down.

A scope is a few *worlds*. A world is one disk (or three) of one or two blocks and a finite alphabet of commands, some
legal and some not. It is explored breadth first from the initial state, every command in every state, until nothing
new is found: no sampling, no depth limit. What a scope leaves out is what its alphabets, below, leave out. Scopes are
nested: `ci` has all worlds of `quick`, `deep` all of `ci`.

States are told apart by everything but the ghosts (what is owed, causes, intact, good), and that loses no edge: no
transition looks at a ghost, and neither does an edge, but for a job's `scope`, which is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import get_args

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.alphabet import merges
from cbtmodel.backup import BitmapMode, OnError, Sync
from cbtmodel.node import State, initial
from cbtmodel.step import step

from cbtcheck.search.tour.coverage import Edge, edges
from cbtcheck.sets.bitsets import Bits, BitSets

BLOCK = 512
SCOPES = ("quick", "ci", "deep")


@dataclass(frozen=True)
class World:
    """Disks by name with their sizes in blocks, and everything that can happen to them."""

    name: str
    disks: tuple[tuple[str, int], ...]
    alphabet: tuple[c.Command, ...]


Way = tuple[int, c.Command]


@dataclass(frozen=True)
class Explored:
    """A world explored: how many states and transitions there are, all edges, and a shortest way to each.

    `ways` gives for each edge, in the order in which they were found, the number of a state and the command that
    takes it from there; `parents` for each state the state and the command from which it was found first.
    """

    states: int
    transitions: int
    edges: frozenset[Edge]
    ways: dict[Edge, Way] = field(compare=False, repr=False)
    parents: tuple[Way | None, ...] = field(compare=False, repr=False)

    def path(self, edge: Edge) -> tuple[c.Command, ...]:
        """The shortest list of commands, from the initial state, of which the last takes this edge."""
        way: Way | None = self.ways[edge]
        commands: list[c.Command] = []
        while way is not None:
            state, command = way
            commands.append(command)
            way = self.parents[state]
        return tuple(reversed(commands))


@cache
def reachable(scope: str) -> frozenset[Edge]:
    """All edges that can be reached at a scope: *quick*, *ci* or *deep*. Computed once per process.

    Scenarios may be larger than the scope and cover other edges, too: see `Coverage.within` and `Coverage.beyond`.
    """
    return frozenset().union(*(explore(world).edges for world in worlds(scope)))


def missing(scope: str, covered: Iterable[Edge]) -> list[Edge]:
    """The edges of a scope that are not covered, in a fixed order."""
    return sorted(reachable(scope).difference(covered))


@cache
def explore(world: World, told_apart_by: Callable[[State[Bits]], Hashable] | None = None) -> Explored:
    """Every command in every state that can be reached; states are told apart by their `identity`."""
    tell = told_apart_by or identity
    first = initial(BitSets(BLOCK), {name: blocks * BLOCK for name, blocks in world.disks})
    known = {tell(first)}
    states = [first]
    parents: list[Way | None] = [None]
    ways: dict[Edge, Way] = {}
    for number, state in enumerate(states):  # which grows meanwhile
        for command in world.alphabet:
            result = step(state, command)
            new = [each for each in edges(state, command, result) if each not in ways]
            ways.update((each, (number, command)) for each in sorted(new))
            if result.state is state:
                continue
            key = tell(result.state)
            if key not in known:
                known.add(key)
                states.append(result.state)
                parents.append((number, command))
    return Explored(len(known), len(known) * len(world.alphabet), frozenset(ways), ways, tuple(parents))


def identity(state: State[Bits]) -> Hashable:
    """What tells a state from others, without the ghosts; the order in which things were made does not matter."""
    nodes = [
        (
            frozenset(
                (name, each.enabled, each.marks.dirty.word, None if (heir := each.successor) is None else
                 (heir.enabled, heir.marks.dirty.word))
                for name, each in node.bitmaps.items()
            ),
            frozenset((write_id, blocks.word) for write_id, blocks in node.writes.items()),
        )
        for node in state.nodes.values()
    ]  # fmt: skip
    jobs = frozenset(
        (job_id, job.node, job.bitmap, job.mode, job.group, job.auto_finalize, job.on_source_error,
         job.on_target_error, job.todo.word, job.copying.word, job.scope.word, job.phase, job.paused)
        for job_id, job in state.jobs.items()
    )  # fmt: skip
    return tuple(nodes), jobs


# Alphabets

Commands = tuple[c.Command, ...]
Place = tuple[str, str]  # a disk and the name of a bitmap

START: tuple[tuple[Sync, BitmapMode | None], ...] = (
    ("incremental", None), ("bitmap", "always"), ("bitmap", "never"), ("full", "on-success"), ("full", "always"),
    ("bitmap", "on-success"), ("incremental", "on-success"),
)  # fmt: skip
POLICIES: tuple[OnError, ...] = get_args(OnError)
D = "d"
A, B, ON_E, ON_F = (D, "a"), (D, "b"), ("e", "a"), ("f", "a")


def bitmap_life(place: Place) -> Commands:
    """What an operator does to one bitmap."""
    return (
        *alphabet.added(*place, BLOCK), *alphabet.on_bitmap(*place),
    )  # fmt: skip


def start(
    job: str, place: Place, sync: Sync, mode: BitmapMode | None, auto: bool = True, policy: OnError = "report"
) -> c.StartBackup:
    """A backup with a bitmap. One error policy for both sides: each copy that fails looks at only one of them."""
    return c.StartBackup(job, place[0], sync, place[1], mode, BLOCK, auto, policy, policy)


def start_without(job: str, node: str = D, auto: bool = True, policy: OnError = "report") -> c.StartBackup:
    """A full backup without a bitmap."""
    return c.StartBackup(job, node, "full", None, None, BLOCK, auto, policy, policy)


def one_of_each(job: str, place: Place) -> Commands:
    """Every bitmap mode, every error policy, and both ways to finalize; not every combination of them."""
    return (
        start(job, place, "incremental", None), start(job, place, "bitmap", "always", False, "stop"),
        start(job, place, "bitmap", "never", True, "ignore"), start(job, place, "full", "on-success", True, "stop"),
        start_without(job, place[0], False),
    )  # fmt: skip


def every_start(job: str, place: Place, policies: Iterable[OnError] = POLICIES) -> Commands:
    """Every legal combination of sync mode, bitmap mode, error policy and way to finalize."""
    ways = list(product((True, False), policies))
    with_bitmap = tuple(start(job, place, *each, auto, policy) for each in START for auto, policy in ways)
    return with_bitmap + tuple(start_without(job, place[0], auto, policy) for auto, policy in ways)


def control(job: str) -> Commands:
    """What an operator does to one job."""
    return alphabet.on_job(job)


def copies(job: str, blocks: int) -> Commands:
    """Copies on a disk of that many blocks, of one block and of all that is left, with every end."""
    every = blocks * BLOCK
    return (
        *(c.Copy(job, block * BLOCK, BLOCK) for block in range(blocks)),
        *(c.BeginCopy(job, block * BLOCK, BLOCK) for block in range(blocks)),
        *alphabet.copies(job, 0, every), *alphabet.ended_copies(job),
    )  # fmt: skip


def writes(node: str, blocks: int) -> Commands:
    """Plain guest writes of each block."""
    return tuple(c.Write(node, block * BLOCK, BLOCK) for block in range(blocks))


def writes_of_all_kinds(node: str, blocks: int) -> Commands:
    """Writes of the first block, of every kind and with every result; writes of nothing, and beyond the end.

    Nobody could bring it about that anything but a discard is without effect, so nothing else is *ignored* here.
    """
    return (
        *alphabet.writes(node, 0, BLOCK), c.Write(node, 0, BLOCK, "discard", "ignored"),
        *(c.Write(node, 0, 0, kind) for kind in alphabet.WRITE_KINDS), c.Write(node, 0, 0, "write", "copy failed"),
        c.Write(node, 0, 0, "write", "failed"), c.Write(node, blocks * BLOCK, 1), c.Write("nowhere", 0, 1),
    )  # fmt: skip


def in_flight(node: str, write: str = "w") -> Commands:
    """A write of the first block that stays in flight for a while."""
    return (c.BeginWrite(node, write, 0, BLOCK), c.EndWrite(node, write))


def in_flight_of_all_kinds(node: str, blocks: int, write: str = "w") -> Commands:
    """The same with every kind and result; of nothing, and beyond the end."""
    return (
        *alphabet.begun_writes(node, write, 0, BLOCK),
        c.BeginWrite(node, write, 0, 0), c.BeginWrite(node, write, 0, 0, "zeroes"), c.EndWrite(node, write),
        c.EndWrite(node, write, "failed"), c.BeginWrite(node, write, blocks * BLOCK, 1),
        c.BeginWrite("nowhere", write, 0, 1), c.EndWrite("nowhere", write),
    )  # fmt: skip


def mistakes(job: str, place: Place, blocks: int) -> Commands:
    """Commands with a wrong name, size, range or combination; a few are right in some states."""
    node, name = place
    plain = start(job, place, "incremental", None)
    combinations = product(get_args(Sync), (name, None), (None, *get_args(BitmapMode)))
    return (
        c.AddBitmap("nowhere", name, BLOCK), c.AddBitmap(node, "", BLOCK), c.AddBitmap(node, name, 1000),
        c.AddBitmap(node, name, 1 << 32), *alphabet.on_bitmap("nowhere", name),
        c.MergeBitmaps("nowhere", name, ()), c.MergeBitmaps(node, name, (c.Source("nowhere", name),)),
        c.MergeBitmaps(node, name, (c.Source(node, "nobody"),)),
        c.MergeBitmaps(node, "nobody", (c.Source(node, name),)),
        *(c.StartBackup(job, node, sync, bitmap, mode, BLOCK) for sync, bitmap, mode in combinations),
        replace(plain, job="1-job"), start_without("1-job", node),
        replace(plain, node="nowhere"), replace(plain, cluster=1000),
        c.Copy(job, 0, blocks * BLOCK + 1), c.BeginCopy(job, 0, blocks * BLOCK + 1),
        c.Transaction((plain, replace(plain, job="k"))), c.Transaction((plain, plain)),
        c.Transaction((replace(plain, node="nowhere"),)), c.Transaction((c.ClearBitmap(node, name),), True),
    )  # fmt: skip


def actions(place: Place, job: str) -> tuple[c.Action, ...]:
    """One action of each kind on one bitmap."""
    return (
        *alphabet.added(*place, BLOCK), *alphabet.on_bitmap(*place),
        c.MergeBitmaps(*place, (c.Source(*place),)),
        start(job, place, "incremental", None), start_without(job, place[0]),
    )  # fmt: skip


def transactions(listed: Iterable[c.Action], most: int) -> Commands:
    """All lists of up to `most` of these actions; those of up to two with an abort behind them, too."""
    listed = tuple(listed)
    lists = [each for count in range(most + 1) for each in product(listed, repeat=count)]
    aborted = [(*each, c.Abort()) for each in lists if len(each) < 3]
    return tuple(c.Transaction(each) for each in (*lists, *aborted))


def usual_transactions(place: Place, job: str) -> Commands:
    """The transactions that workflows are made of, and a few that must fail."""
    start_job, without = start(job, place, "incremental", None), start_without(job, place[0])
    clear, add, remove = c.ClearBitmap(*place), c.AddBitmap(*place, BLOCK), c.RemoveBitmap(*place)
    lists: tuple[tuple[c.Action, ...], ...] = (
        (clear, without), (add, without), (start_job,), (remove, add), (c.DisableBitmap(*place), clear),
        (clear, start(job, place, "full", "on-success")), (clear, c.Abort()), (start_job, c.Abort()), (c.Abort(),),
        (),
    )  # fmt: skip
    return (*map(c.Transaction, lists), c.Transaction((start_job,), True))


def together(first: c.StartBackup, second: c.StartBackup) -> Commands:
    """Two backups that start together, and end together or not."""
    return c.Transaction((first, second), True), c.Transaction((first, second))


# Worlds


def worlds(scope: str) -> tuple[World, ...]:
    """The worlds of a scope."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope '{scope}': one of {', '.join(SCOPES)}")
    return tuple(world for each in SCOPES[: SCOPES.index(scope) + 1] for world in WORLDS[each]())


def quick() -> tuple[World, ...]:
    """One bitmap and one job: with two blocks what is usual, with one block everything else."""
    usual = (*bitmap_life(A), *one_of_each("j", A), *control("j"), *copies("j", 2), *writes(D, 2), *in_flight(D))
    guest = (
        *bitmap_life(A)[:2], *one_of_each("j", A)[:2], start_without("j"), c.CancelJob("j"), c.PauseJob("j"),
        c.BeginCopy("j", 0, BLOCK), c.EndCopy("j"), *writes_of_all_kinds(D, 1), *in_flight_of_all_kinds(D, 1),
        *in_flight(D, "v"),
    )  # fmt: skip
    wrong = (
        *bitmap_life(A), start("j", A, "incremental", None), c.CancelJob("j"), c.BeginCopy("j", 0, BLOCK),
        *writes(D, 1), *in_flight(D), *mistakes("j", A, 1), *merges(A, (A,)), *usual_transactions(A, "j"),
    )  # fmt: skip
    return (
        World("a bitmap and a job", ((D, 2),), usual), World("every guest write", ((D, 1),), guest),
        World("mistakes and transactions", ((D, 1),), wrong),
    )  # fmt: skip


def ci() -> tuple[World, ...]:
    """Two bitmaps, two jobs, groups, two disks; each only as large as what it is about needs."""
    starts = every_start("j", A, ("report",)) + every_start("j", A, ("stop",))[::3]
    job = (*bitmap_life(A), *starts, *control("j"), *copies("j", 2), *writes(D, 2))
    short = (
        *bitmap_life(A), start("j", A, "bitmap", "always"), c.CancelJob("j"), c.BeginCopy("j", 0, BLOCK),
        *writes(D, 1), *in_flight(D), *transactions(actions(A, "k"), 2), c.CancelJob("k"),
    )  # fmt: skip
    two = (
        *bitmap_life(A), *bitmap_life(B), *merges(A, (A, B)), start("j", A, "incremental", None),
        start("k", B, "incremental", None), c.CancelJob("j"), c.CancelJob("k"), *writes(D, 1), *in_flight(D),
        c.Transaction((c.AddBitmap(*B, BLOCK), c.MergeBitmaps(*B, (c.Source(*A),)))),
        c.Transaction((c.DisableBitmap(*A), c.MergeBitmaps(*B, (c.Source(*A),)), c.RemoveBitmap(*A))),
    )  # fmt: skip
    disks = (
        *bitmap_life(A), *bitmap_life(ON_E), *bitmap_life(ON_F)[:1], *merges(A, (ON_E, ON_F)), *merges(ON_F, (A,)),
        *writes(D, 1), *writes("e", 1), start("j", A, "incremental", None), c.CancelJob("j"),
    )  # fmt: skip
    return (
        World("every start", ((D, 2),), job), World("short transactions", ((D, 1),), short),
        World("two bitmaps", ((D, 1),), two), pairs("two jobs", 1, START[:1]),
        World("three disks", ((D, 1), ("e", 1), ("f", 2)), disks),
    )  # fmt: skip


def pairs(name: str, blocks: int, modes: Iterable[tuple[Sync, BitmapMode | None]]) -> World:
    """A job with a bitmap and one without, together or not, with writes of all kinds."""
    both = [
        each
        for sync, mode in modes
        for auto in (True, False)
        for each in together(start("j", A, sync, mode), start_without("k", D, auto))
    ]
    alphabet = (
        *bitmap_life(A)[:2], *both, *(start("j", A, sync, mode) for sync, mode in START), start_without("k"),
        *control("j"), *control("k"), *copies("j", blocks), *copies("k", blocks), *writes_of_all_kinds(D, blocks),
        *writes(D, blocks), *in_flight(D),
    )  # fmt: skip
    return World(name, ((D, blocks),), alphabet)


def deep() -> tuple[World, ...]:
    """Every combination of start, policy and end; pairs with every mode; two bitmaps, each with a job."""
    job = (*bitmap_life(A), *every_start("j", A), *control("j"), *copies("j", 2), *writes(D, 2), *in_flight(D))
    two = (
        *bitmap_life(A), *bitmap_life(B), *merges(A, (A, B)), *control("j"), *control("k"), *writes(D, 1),
        *copies("j", 1), *copies("k", 1), *in_flight(D), start("j", A, "incremental", None),
        start("k", B, "bitmap", "always"),
        *together(start("j", A, "incremental", None), start("k", B, "full", "always")),
    )  # fmt: skip
    return (
        World("every start and policy", ((D, 2),), job), pairs("two jobs of every mode", 1, START[:5]),
        World("two bitmaps with jobs", ((D, 1),), two),
    )  # fmt: skip


WORLDS = {"quick": quick, "ci": ci, "deep": deep}
