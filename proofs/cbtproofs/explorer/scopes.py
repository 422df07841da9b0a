"""What is explored: a few small disks, bitmaps and jobs, and the finite alphabet of what can happen to them.

A *scope* is a number of blocks, bitmaps, jobs and nodes, and one of two alphabets. Names are fixed: nodes `d`, `e`;
bitmaps `a`, `b`, `c`, dealt to the nodes in turn; jobs `j`, `k`, each the user of one bitmap, dealt in turn. So with
one bitmap and two jobs both want the same bitmap. Every second bitmap has granules of one block, whatever the others
have, so that a merge may have to round.

*small* is what the life of a bitmap and a job is made of: a bitmap is added, cleared, enabled, disabled and removed;
a backup starts in each bitmap mode, is paused, resumed, cancelled and finalized; any block is written or copied, or
its copy fails. With a second bitmap come merges, with a second job backups that complete together. *large* has all
else: what is in flight (writes and copies with a beginning and an end), full backups, jobs that stop at an error,
transactions, and commands that are refused in every state. *values* has every value of every field on top of that:
guest writes of each kind with each result, backups of each sync and bitmap mode, each error policy of either side,
bitmaps that are added disabled. With a third job, three backups complete together, in every alphabet.

Every command is either about one block (`of_block`) or about none or all of them (`of_disks`), and every block has
the same commands: that is what exploration up to permutation of blocks needs (see `symmetry`).

Not here: any limit to how long histories get. An alphabet is all that there is; whoever explores stops when nothing
new is found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Literal, get_args

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode, OnError, Sync
from cbtmodel.blocks import Space
from cbtmodel.node import State, initial

from cbtproofs.explorer.few_blocks import BLOCK, FewBlocks

Alphabet = Literal["small", "large", "values"]
Commands = tuple[c.Command, ...]

MOST = 5
"""How many bitmaps, jobs or nodes have a name."""


@dataclass(frozen=True)
class Scope:
    """So many blocks (on each node), bitmaps, jobs and nodes. `granularity` and `cluster`: in blocks, powers of two.

    Raises `ValueError` if that makes no sense.
    """

    blocks: int
    bitmaps: int = 1
    jobs: int = 1
    nodes: int = 1
    alphabet: Alphabet = "large"
    granularity: int = 1
    cluster: int = 1

    def __post_init__(self) -> None:
        for what, least in (("blocks", 1), ("bitmaps", 0), ("jobs", 0), ("nodes", 1)):
            number = getattr(self, what)
            if number < least or (what != "blocks" and number > MOST):
                raise ValueError(f"{what}: {least} to {MOST if what != 'blocks' else 'any number'}, not {number}")
        for what in ("granularity", "cluster"):
            if getattr(self, what).bit_count() != 1:
                raise ValueError(f"{what}: a power of two, not {getattr(self, what)}")

    def __str__(self) -> str:
        counts = ((self.blocks, "block"), (self.bitmaps, "bitmap"), (self.jobs, "job"), (self.nodes, "node"))
        words = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        words += [f"{what} {size}" for what in ("granularity", "cluster") if (size := getattr(self, what)) > 1]
        return f"{', '.join(words)}, {self.alphabet}"

    @property
    def symmetric(self) -> bool:
        """Whether blocks can be exchanged for each other: no granule and no cluster has two."""
        return self.granularity == self.cluster == 1

    @property
    def size(self) -> int:
        """The size of each disk in bytes."""
        return self.blocks * BLOCK

    @property
    def node_names(self) -> tuple[str, ...]:
        """Nodes."""
        return tuple("defgh"[: self.nodes])

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Bitmaps, each with its node."""
        return tuple((self.node_names[i % self.nodes], name) for i, name in enumerate("abcde"[: self.bitmaps]))

    @property
    def users(self) -> tuple[tuple[str, str, str | None], ...]:
        """Jobs, each with its node and the bitmap that it uses, if there is one."""
        names = enumerate("jklmn"[: self.jobs])
        if not self.places:
            return tuple((job, self.node_names[i % self.nodes], None) for i, job in names)
        return tuple((job, *self.places[i % self.bitmaps]) for i, job in names)

    @cached_property
    def commands(self) -> Commands:
        """The whole alphabet: what is about all blocks or none, and then what is about each block in turn."""
        return (*of_disks(self), *(each for block in range(self.blocks) for each in of_block(self, block)))

    def initial(self, space: Space[frozenset[int]] | None = None) -> State[frozenset[int]]:
        """Disks of that many blocks; no bitmaps, no jobs."""
        return initial(FewBlocks() if space is None else space, dict.fromkeys(self.node_names, self.size))


def of_block(scope: Scope, block: int) -> Commands:
    """Everything that can happen to one block."""
    at = (block * BLOCK, BLOCK)
    large = scope.alphabet != "small"
    found: list[c.Command] = []
    for node in scope.node_names:
        if scope.alphabet == "values":
            found += writes_of_all_kinds(node, at)
        found.append(c.Write(node, *at))
        if large:
            found += [c.Write(node, *at, result="copy failed"), c.BeginWrite(node, "w", *at)]
    for job, _, _ in scope.users:
        found += [c.Copy(job, *at), c.Copy(job, *at, "write error")]
        if large:
            found.append(c.BeginCopy(job, *at))
    return tuple(found)


def of_disks(scope: Scope) -> Commands:
    """Everything that can happen to bitmaps, to jobs and to whole disks."""
    found = [each for place in scope.places for each in bitmap_life(scope, *place)]
    found += [each for user in scope.users for each in job_life(scope, *user)]
    if scope.alphabet != "small" or scope.bitmaps > 1:
        found += merges(scope)
    for members in range(2, min(scope.jobs, 3) + 1):
        found.append(c.Transaction(tuple(of_group(scope, *user) for user in scope.users[:members]), True))
    if scope.alphabet != "small":
        found += [c.EndWrite(node, "w") for node in scope.node_names]
        found += transactions(scope)
        found += refused(scope)
    return tuple(found)


def bitmap_life(scope: Scope, node: str, name: str) -> Commands:
    """What an operator does to one bitmap."""
    disabled = (replace(add(scope, node, name), enabled=False),) if scope.alphabet == "values" else ()
    return (
        *disabled, add(scope, node, name), *alphabet.on_bitmap(node, name),
    )  # fmt: skip


def add(scope: Scope, node: str, name: str) -> c.AddBitmap:
    """The bitmap is added; every second one with granules of one block."""
    fine = scope.places.index((node, name)) % 2 == 1
    return c.AddBitmap(node, name, BLOCK if fine else scope.granularity * BLOCK)


def job_life(scope: Scope, job: str, node: str, name: str | None) -> Commands:
    """What an operator and the environment do to one job; copies of single blocks apart."""
    starts = (start_without(scope, job, node),) if name is None else starts_with(scope, job, node, name)
    control = alphabet.on_job(job)
    if scope.alphabet == "small":
        return (*starts, *control)
    return (
        *starts, *control, c.Copy(job, 0, scope.size), c.Copy(job, 0, scope.size, "read error"),
        c.EndCopy(job), c.EndCopy(job, "read error"), c.EndCopy(job, "write error"),
    )  # fmt: skip


def starts_with(scope: Scope, job: str, node: str, name: str) -> Commands:
    """A backup in each bitmap mode; one waits to be finalized. The large alphabet has every sync mode, too."""
    if scope.alphabet == "values":
        return every_start(scope, job, node, name)
    incremental = start(scope, job, node, name, "incremental", None)
    if scope.alphabet == "small":
        never = start(scope, job, node, name, "bitmap", "never", auto=False)
        return (incremental, never, start(scope, job, node, name, "bitmap", "always"))
    return (
        incremental, start(scope, job, node, name, "bitmap", "never"),
        start(scope, job, node, name, "bitmap", "always", False, "stop"),
        start(scope, job, node, name, "full", "on-success"), start(scope, job, node, name, "full", "always"),
        start_without(scope, job, node),
    )  # fmt: skip


STARTS: tuple[tuple[Sync, BitmapMode | None], ...] = (
    ("incremental", None), ("incremental", "on-success"), ("bitmap", "on-success"), ("bitmap", "never"),
    ("bitmap", "always"), ("full", "on-success"), ("full", "always"),
)  # fmt: skip


def every_start(scope: Scope, job: str, node: str, name: str) -> Commands:
    """Every sync and bitmap mode with both ways to finalize, and all pairs of error policies; not every triple."""
    policies = list(product(get_args(OnError), repeat=2))
    found: list[c.Command] = []
    for number, (sync, mode) in enumerate(STARTS):
        plain = c.StartBackup(job, node, sync, name, mode, scope.cluster * BLOCK)
        found.append(replace(plain, auto_finalize=False))
        for source, target in policies[number % 3 :: 3]:
            found.append(replace(plain, on_source_error=source, on_target_error=target))
    return (*found, start_without(scope, job, node))


def writes_of_all_kinds(node: str, at: tuple[int, int]) -> Commands:
    """Guest writes of each kind with each result that it can have, whole and in flight."""
    return (
        *alphabet.writes(node, *at),
        c.Write(node, *at, "discard", "ignored"), c.EndWrite(node, "w", "failed"),
        *alphabet.begun_writes(node, "w", *at),
    )  # fmt: skip


def start(
    scope: Scope, job: str, node: str, name: str, sync: Sync, mode: BitmapMode | None, auto: bool = True,
    policy: OnError = "report",
) -> c.StartBackup:  # fmt: skip
    """A backup with a bitmap. The policy is for errors of the target."""
    return c.StartBackup(job, node, sync, name, mode, scope.cluster * BLOCK, auto, "report", policy)


def start_without(scope: Scope, job: str, node: str) -> c.StartBackup:
    """A full backup without a bitmap."""
    return c.StartBackup(job, node, "full", cluster=scope.cluster * BLOCK)


def merges(scope: Scope) -> Commands:
    """Each bitmap into each other, and all of them into each (itself included)."""
    everything = tuple(c.Source(*place) for place in scope.places)
    pairs = [
        c.MergeBitmaps(*into, (source,))
        for into in scope.places
        for source in everything
        if (source.node, source.name) != into
    ]
    return (*pairs, *(c.MergeBitmaps(*into, everything) for into in scope.places))


def transactions(scope: Scope) -> Commands:
    """What workflows are made of, what must be undone, and one of nothing, which drains."""
    found: list[c.Command] = [c.Transaction(())]
    for node, name in scope.places:
        clear, remove = c.ClearBitmap(node, name), c.RemoveBitmap(node, name)
        found += [
            c.Transaction((remove,)), c.Transaction((remove, add(scope, node, name))),
            c.Transaction((clear, c.Abort())),
        ]  # fmt: skip
        for job, user_on, used in scope.users:
            if (user_on, used) == (node, name):
                found.append(c.Transaction((clear, start_without(scope, job, node))))
    if len(scope.places) > 1:
        (node, name), into = scope.places[:2]
        merge = c.MergeBitmaps(*into, (c.Source(node, name),))
        found.append(c.Transaction((c.DisableBitmap(node, name), merge, c.RemoveBitmap(node, name))))
    return tuple(found)


def of_group(scope: Scope, job: str, node: str, name: str | None) -> c.StartBackup:
    """A member of a group."""
    return start_without(scope, job, node) if name is None else start(scope, job, node, name, "incremental", None)


def refused(scope: Scope) -> Commands:
    """Commands that are refused in every state."""
    node = scope.node_names[0]
    found: list[c.Command] = [
        c.Write(node, scope.size, 1), c.AddBitmap(node, "a", 1000), c.ClearBitmap(node, "nobody"),
        c.MergeBitmaps("nowhere", "a", ()),
    ]  # fmt: skip
    found += [replace(start_without(scope, job, user_on), cluster=1000) for job, user_on, _ in scope.users]
    return tuple(found)


def standard() -> tuple[tuple[Scope, bool], ...]:
    """What `cbtspec explore` explores if it is not told otherwise; with symmetry or without."""
    return (
        (Scope(1), False), (Scope(2), False), (Scope(3, alphabet="small"), False),
        (Scope(2, granularity=2, alphabet="small"), False), (Scope(2, cluster=2, alphabet="small"), False),
        (Scope(2, bitmaps=2, jobs=0, granularity=2, alphabet="small"), False),
        (Scope(1, bitmaps=2, jobs=2, alphabet="small"), False),
        (Scope(1, bitmaps=2, jobs=2, nodes=2, alphabet="small"), False),
        (Scope(1, bitmaps=0, jobs=3, nodes=3, alphabet="small"), False),
        (Scope(1, bitmaps=0, jobs=3, alphabet="small"), False), (Scope(1, alphabet="values"), False),
        (Scope(32, alphabet="small"), True),
    )  # fmt: skip
