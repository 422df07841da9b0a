"""Who is on stage, and what happens: the casts and commands for which everything is proved.

Every kind of command is given to every cast, with every name that is on stage and with one that is not, in every
combination of its fields that the specification tells apart. Offsets and lengths stand for any: what they touch is an
arbitrary set. A transaction of any length is proved part by part: what drains, each action, and the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, product
from typing import Any, TypeAlias, get_args

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.backup import BitmapMode, OnError, Sync
from cbtmodel.node import LARGEST_GRANULARITY
from cbtmodel.step import step

from cbtproofs.inductive import images, laws, restores_images
from cbtproofs.inductive.casts import SIZE, Cast, Moment
from cbtproofs.inductive.covers import less_is_covered_too
from cbtproofs.inductive.instants import at_first, releases, unites
from cbtproofs.inductive.obligations import Act, goes_on, keeps
from cbtproofs.inductive.restores import restores, three_links
from cbtproofs.inductive.script import Item, Prover, Script
from cbtproofs.inductive.transactions import committing, draining, drains, preparing

A, B, C, ON_E = ("d", "a"), ("d", "b"), ("d", "c"), ("e", "b")
J = ("j", "d", "a")
OTHERS = frozenset({"b", "k"})
LAWS = "tables and sequences"
CHAIN = "a chain"

NOBODY = Cast("nobody")
A_BITMAP = Cast("a bitmap and a write", (A,), writes=("w",))
A_JOB = Cast("a job with a bitmap, and a write", (A,), (J,), writes=("w",))
WITHOUT = Cast("a job without a bitmap, a bitmap, and a write", (A,), (("j", "d", None),), writes=("w",))
TWO_BITMAPS = Cast("two bitmaps", (A, B))
TWO_DISKS = Cast("two bitmaps on two disks", (A, ON_E))
TWO_SIZES = Cast("two bitmaps on disks of two sizes", (A, ON_E), disks=(("d", SIZE), ("e", SIZE // 2)))
BESIDE = Cast("a bitmap beside a job", (A, B), (J,))
BESIDE_ANOTHER = Cast("a bitmap beside another job", (A, B), (("k", *B),), OTHERS, ("w",))
TWO_JOBS = Cast("two jobs", (A, B), (J, ("k", *B)), OTHERS)
A_PAUSED_JOB = Cast("two jobs, one paused", (A, B), (("k", *B), J), OTHERS, paused=frozenset({"k"}))
A_GROUP = Cast("a group", (A,), (J, ("k", "d", None)), OTHERS, together=True)
TWO_DISK_JOBS = Cast("two jobs on two disks", (A, ON_E), (J, ("k", *ON_E)), OTHERS)
TWO_DISK_GROUP = Cast("a group on two disks", (A, ON_E), (J, ("k", *ON_E)), OTHERS, together=True)

# Three of each: what is in focus comes first, in the middle and last, beside two others.

B_AND_C, K_AND_L = frozenset({"b", "c"}), frozenset({"k", "l"})
K, L = ("k", "d", None), ("l", "d", None)
F_E_D = (("f", SIZE), ("e", SIZE), ("d", SIZE))
THREE_BITMAPS = tuple(
    Cast(f"a bitmap and two others: {where}", order, foggy=B_AND_C, writes=("w",), disks=disks)
    for where, order, disks in (
        ("first", (A, B, C), F_E_D[::-1]), ("in the middle", (B, A, C), (F_E_D[0], F_E_D[2], F_E_D[1])),
        ("last", (B, C, A), F_E_D),
    )
)  # fmt: skip
TWO_WRITES = Cast("a bitmap and two writes", (A,), writes=("v", "w"))
THREE_WRITES = Cast("a bitmap and three writes", (A,), writes=("u", "v", "w"))
THREE_JOBS = tuple(
    Cast(f"a job and two others: {where}", (A,), order, K_AND_L, ("w",), paused=K_AND_L)
    for where, order in (("first", (J, K, L)), ("in the middle", (K, J, L)), ("last", (K, L, J)))
)
GROUP_OF_THREE = tuple(
    Cast(f"a group of three: {where}", (A,), order, K_AND_L, together=True)
    for where, order in (("first", (J, K, L)), ("in the middle", (K, J, L)), ("last", (K, L, J)))
)
THREE_SOURCES = Cast("four bitmaps", (A, B, C, ("e", "x")))

AMID = (
    Cast("a bitmap", (A,), moment="amid"),
    Cast("two bitmaps", (A, B), moment="amid"),
    Cast("two bitmaps on two disks", (A, ON_E), moment="amid"),
    Cast("a bitmap beside a job", (A, B), (J,), moment="amid"),
    Cast("a bitmap beside another job", (A, B), (("k", *B),), OTHERS, moment="amid"),
)
AMID_SOURCES = Cast("four bitmaps", THREE_SOURCES.bitmaps, moment="amid")

AT_COMMIT = (
    Cast("two bitmaps", (A, B), moment="at commit"),
    Cast("two bitmaps on two disks", (A, ON_E), moment="at commit"),
    Cast("a job and a bitmap", (A, B), (J,), moment="at commit"),
    Cast("two jobs", (A, B), (J, ("k", *B)), OTHERS, moment="at commit"),
    Cast("two jobs, one group", (A, B), (J, ("k", *B)), OTHERS, together=True, moment="at commit"),
    *(replace(each, writes=(), moment="at commit") for each in THREE_BITMAPS),
)

PLAIN = c.StartBackup("n", "d", "incremental", "a")
FULL = c.StartBackup("n", "d", "full")
REFUSED = c.Transaction((FULL, c.Abort()))
THREE_MERGED = c.MergeBitmaps(*A, (c.Source(*B), c.Source(*C), c.Source("e", "x")))


OnBitmaps: TypeAlias = c.AddBitmap | c.OnBitmap


def on_bitmaps(*places: tuple[str, str]) -> Iterator[OnBitmaps]:
    """What an operator does to bitmaps."""
    for place in places:
        yield from alphabet.added(*place, 512)
        yield from alphabet.on_bitmap(*place)


def merges(*places: tuple[str, str], most: int = 2) -> Iterator[c.MergeBitmaps]:
    """Merges of none of the bitmaps up to `most`, into each of them."""
    for target in places:
        yield from alphabet.merges(target, places, most)


def starts(job: str, *places: tuple[str, str]) -> Iterator[c.StartBackup]:
    """Every combination of sync mode and bitmap mode, with each bitmap and with none; finalized by itself, or not."""
    modes = (None, *get_args(BitmapMode))
    policies, clusters = cycle(product(get_args(OnError), repeat=2)), cycle((65536, 512, 4096, 1 << 20))
    for sync, mode, auto in product(get_args(Sync), modes, (True, False)):
        for node, name in (("d", None), *places):
            yield c.StartBackup(job, node, sync, name, mode, next(clusters), auto, *next(policies))


def on_jobs(*ids: str) -> Iterator[c.Command]:
    """What an operator and its environment do to jobs."""
    for job_id in ids:
        yield from alphabet.on_job(job_id)
        yield from (c.BeginCopy(job_id, *where) for where in ((0, 512), (SIZE, 1)))
        yield from alphabet.copies(job_id, 0, 512)
        yield from alphabet.ended_copies(job_id)


def guest(node: str = "d") -> Iterator[c.Command]:
    """What a guest does, and what its disk does to it."""
    yield from alphabet.writes(node, 0, 512)
    yield from (c.Write(node, 0, 512, kind, "ignored") for kind in alphabet.WRITE_KINDS)
    yield from (c.Write(node, 0, 0), c.Write(node, SIZE, 1))
    yield from alphabet.begun_writes(node, "v", 0, 512)
    yield from (c.BeginWrite(node, "w", 0, 512), c.EndWrite(node, "w"), c.EndWrite(node, "w", "failed"))
    yield c.EndWrite(node, "nobody")


def of_three(node: str = "d") -> Iterator[c.Command]:
    """What is done to everybody on a disk, or to everybody."""
    yield from (c.Write(node, 0, 512), c.Write(node, 0, 512, result="copy failed"), c.BeginWrite(node, "v", 0, 512))
    yield from (c.EndWrite(node, "w"), c.Transaction(()), FULL)


def wrong() -> Iterator[c.Command]:
    """Commands with names, sizes and numbers that nothing can be done with."""
    yield from on_bitmaps(("d", "x"), ("nowhere", "a"))
    yield from (c.AddBitmap("d", "x", size) for size in (256, 1000, LARGEST_GRANULARITY, LARGEST_GRANULARITY + 512))
    yield from (c.AddBitmap("d", name, 512) for name in ("", "x" * 1023, "x" * 1024, "ä" * 512))
    yield from merges(A, ("d", "x"), ("nowhere", "a"))
    yield from (
        c.StartBackup(job_id, "d", "full") for job_id in ("j", "k", "", "1", "-n", "n m", "ä", "nä", "N.m_0-")
    )
    yield from (c.StartBackup("n", "nowhere", "full"), *(c.StartBackup("n", "d", "full", cluster=each) for each in
                (0, 256, 1000, 1536, 1 << 31)))  # fmt: skip
    yield from on_jobs("nobody")
    yield from guest("nowhere")


def whole_transactions() -> Iterator[c.Transaction]:
    """Transactions of none, one and two actions, and groups."""
    others = (
        c.StartBackup("m", "d", "full"), c.StartBackup("m", "e", "full"),
        c.StartBackup("m", "d", "bitmap", "b", "always"),
    )  # fmt: skip
    merge = c.MergeBitmaps(*A, (c.Source(*B),))
    few = (*on_bitmaps(A), merge, PLAIN, others[0])
    yield from (c.Transaction(()), c.Transaction((few[0], c.Abort())), *(c.Transaction((each,)) for each in few))
    yield from (c.Transaction(pair) for pair in product(few, repeat=2))
    yield from (c.Transaction((PLAIN, other), True) for other in (*others, few[0]))
    yield from (c.Transaction(each) for each in THREE_ACTIONS)
    yield from (c.Transaction(each, True) for each in ((PLAIN,), (PLAIN, others[0], c.StartBackup("o", "e", "full"))))


THREE_ACTIONS: tuple[tuple[c.Action, ...], ...] = (
    (c.ClearBitmap(*A), c.MergeBitmaps(*A, (c.Source(*B),)), c.DisableBitmap(*A)),
    (c.MergeBitmaps(*A, (c.Source(*B),)), c.ClearBitmap(*B), c.EnableBitmap(*B)),
    (c.DisableBitmap(*A), PLAIN, c.AddBitmap(*C, 512)),
    (c.RemoveBitmap(*B), c.AddBitmap(*C, 512), c.MergeBitmaps(*C, (c.Source(*A),))),
)


PLAYS: dict[Cast, tuple[c.Command, ...]] = {
    NOBODY: (*on_bitmaps(A), *starts("n"), *wrong(), *guest()),
    A_BITMAP: (
        *on_bitmaps(A), *merges(A), c.Transaction((PLAIN,)), REFUSED, *starts("n", A, ("d", "x")), *wrong(), *guest(),
    ),
    A_JOB: (
        *on_bitmaps(A), *merges(A), c.Transaction((FULL,)), REFUSED, PLAIN, FULL, *wrong(), *on_jobs("j"), *guest(),
    ),
    WITHOUT: (*on_bitmaps(A), PLAIN, FULL, *on_jobs("j"), *guest()),
    TWO_BITMAPS: (*merges(A, B), *whole_transactions()),
    TWO_SIZES: tuple(merges(A, ON_E)),
    TWO_DISKS: tuple(merges(A, ON_E)),
    BESIDE: (*on_bitmaps(B), *merges(A, B), c.StartBackup("n", "d", "bitmap", "b", "always")),
    BESIDE_ANOTHER: (*on_bitmaps(A), PLAIN, *on_jobs("k")),
    TWO_JOBS: tuple(on_jobs("k")),
    A_PAUSED_JOB: (c.Write("d", 0, 512), c.BeginWrite("d", "v", 0, 512), FULL),
    TWO_DISK_JOBS: (c.Write("d", 0, 512), c.CancelJob("j"), c.StartBackup("n", "d", "full")),
    A_GROUP: (*on_jobs("j", "k"), c.Write("d", 0, 512), FULL),
    **dict.fromkeys(THREE_BITMAPS, tuple(of_three())),
    **dict.fromkeys(THREE_JOBS, tuple(of_three())),
    TWO_WRITES: (c.EndWrite("d", "v", "failed"),),
    THREE_WRITES: (c.Transaction(()), PLAIN, c.EndWrite("d", "v", "failed")),
    **dict.fromkeys(GROUP_OF_THREE, (
        c.CancelJob("j"), c.FinalizeJob("j"), c.Copy("j", 0, 512), c.EndCopy("j", "write error"),
    )),
    THREE_SOURCES: (THREE_MERGED,),
    TWO_DISK_GROUP: (
        c.CancelJob("k"), c.FinalizeJob("k"), c.Copy("k", 0, 512), c.Copy("k", 0, 512, "write error"),
        c.Write("d", 0, 512), c.Write("e", 0, 512),
    ),
}  # fmt: skip
"""Which commands each cast is given: all, or where others are on stage all that could have to do with them."""


def actions(cast: Cast) -> Iterator[Any]:
    """Every action of a transaction."""
    yield from on_bitmaps(*cast.bitmaps, ("d", "x"))
    yield from merges(*cast.bitmaps, most=1)
    yield from starts("n", *cast.bitmaps)
    yield c.Abort()


# Scripts


@dataclass(frozen=True)
class Scene:
    """One script, with what it plays: a cast, and a command or what else is done."""

    cast: str
    command: Any
    script: Script

    def without_script(self) -> Scene:
        """The same scene, for whoever only shows it."""
        return replace(self, script=nothing)


def nothing(_: Prover) -> Iterator[Item]:
    """A script that says nothing."""
    return iter(())


def scenes() -> Iterator[Scene]:
    """All scripts, in a fixed order."""
    yield Scene(LAWS, "by length", laws.laws(laws.by_length))
    yield Scene(LAWS, "exhaustively", laws.laws(laws.exhaustively))
    yield Scene("fresh disks", "nothing", at_first)
    for cast, commands in PLAYS.items():
        yield from (scene for command in commands for scene in all_of(cast.name, cast, command))
        yield from all_of(cast.name, cast, c.Transaction(()), draining(), "at commit")
    for cast in (A_BITMAP, A_JOB, WITHOUT, TWO_JOBS, A_GROUP):
        yield Scene(cast.name, "a drain", drains(cast))
    for cast in (A_JOB, WITHOUT, A_GROUP):
        yield Scene(cast.name, "every end", releases(cast))
    for cast in (A_BITMAP, A_JOB, WITHOUT, A_GROUP.only_what_is_left()):
        yield Scene(cast.name, "two writes", unites(cast))
    for cast in AMID:
        for action in actions(cast):
            command = c.Transaction((action,))
            yield from all_of(f"amid a transaction: {cast.name}", cast, command, preparing(action), "amid")
    merge = c.Transaction((THREE_MERGED,))
    yield from all_of("amid a transaction: four bitmaps", AMID_SOURCES, merge, preparing(THREE_MERGED), "amid")
    for cast in AT_COMMIT:
        yield from all_of(f"a transaction is committed: {cast.name}", cast, c.Transaction(()), committing())
    for setting, what in images.listed():
        yield Scene(f"an image: {setting.name}", type(what).__name__, images.images(setting, what))
    for setting, event in restores_images.listed():
        played = restores_images.restores(setting, event)
        yield Scene(f"chains and an image: {setting.name}", type(event).__name__, played)
    yield Scene(CHAIN, "three backups", three_links)
    yield Scene(CHAIN, "two points", less_is_covered_too)
    for cast in (A_BITMAP, A_JOB, WITHOUT, A_GROUP, TWO_DISK_GROUP):
        yield from (Scene(cast.name, command, restores(cast, command)) for command in PLAYS[cast])
    yield from left_out()


def left_out() -> Iterator[Scene]:
    """What is missing above, as mutants by rule have shown: each was proved before."""
    wrong_form: Any = c.AddBitmap("d", "x", 512, 1)  # type: ignore[arg-type]
    another, added = c.StartBackup("m", "d", "full"), c.AddBitmap(*C, 512)
    mixed = (c.Transaction(each, True) for each in ((PLAIN, added), (PLAIN, another, added)))
    for command in (wrong_form, *mixed):
        yield from all_of(TWO_BITMAPS.name, TWO_BITMAPS, command)
    first = GROUP_OF_THREE[0]
    yield Scene(first.name, "a copy, and what comes of it", goes_on(first, c.Copy("j", 0, 512)))


def all_of(name: str, cast: Cast, command: Any, act: Act = step, after: Moment = "at rest") -> Iterator[Scene]:
    """Everything that is to be proved of one command."""
    yield Scene(name, command, keeps(cast, command, act, after))
    if cast in (A_JOB, WITHOUT, A_GROUP, TWO_DISK_GROUP, THREE_JOBS[-1], GROUP_OF_THREE[-1], *AT_COMMIT):
        yield Scene(name, command, goes_on(cast, command, act, after))
