"""Where refinement is walked: small disks, and everything that can happen to them.

A *world* is a scope of the explorer with more commands: guest writes of every kind and result, writes that are not
aligned or cross granules, transactions that must be undone. Most worlds are tiny, each about one thing; there are
three lists of them: *quick*, *usual* beyond that, and *deep* beyond both.

No alphabet has a discard that is told to be *ignored*: whether it is, is the implementation's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.node import State, initial

from cbtproofs.explorer.few_blocks import BLOCK, Blocks, FewBlocks
from cbtproofs.explorer.scopes import Alphabet, Commands, Scope, start, start_without
from cbtproofs.refinement.failing import Given


@dataclass(frozen=True)
class World:
    """Disks by name with their sizes in bytes, and an alphabet. `images`: each disk lies in one of its own."""

    name: str
    disks: tuple[tuple[str, int], ...]
    commands: tuple[Given, ...]
    images: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """The disks."""
        return dict(self.disks)

    def initial(self, space: FewBlocks) -> State[Blocks]:
        """The disks without bitmaps and jobs."""
        return initial(space, self.sizes)


def of_scope(name: str, scope: Scope, *more: c.Command) -> World:
    """The world of a scope, with more commands."""
    disks = tuple((node, scope.size) for node in scope.node_names)
    return World(name, disks, tuple(dict.fromkeys((*scope.commands, *more))))


def guests(node: str) -> Commands:
    """Writes of every kind and result, also in flight; of nothing; of part of a block; and beyond the end."""
    return (
        *alphabet.writes(node, 0, BLOCK), *alphabet.begun_writes(node, "w", 0, BLOCK),
        *(c.Write(node, 0, 0, kind) for kind in alphabet.WRITE_KINDS), c.Write(node, 0, 0, result="copy failed"),
        c.Write(node, 100, 7), c.BeginWrite(node, "w", 0, 0), c.EndWrite(node, "w", "failed"),
        c.BeginWrite(node, "w", BLOCK, BLOCK), c.Write("nowhere", 0, 1), c.EndWrite("nowhere", "w"),
    )  # fmt: skip


def undone(scope: Scope, *befores: c.Action) -> Commands:
    """Transactions of one action, of it and another, and of it and an abort."""
    (node, name), (job, _, _) = scope.places[0], scope.users[0]
    add = c.AddBitmap(node, name, scope.granularity * BLOCK)
    actions: tuple[c.Action, ...] = (
        add, replace(add, enabled=False), *alphabet.on_bitmap(node, name),
        start(scope, job, node, name, "incremental", None), start(scope, job, node, name, "bitmap", "always"),
        start_without(scope, job, node),
        c.MergeBitmaps(node, name, (c.Source(node, name),)), *befores,
    )  # fmt: skip
    return (
        c.Transaction(()), *(c.Transaction((each,)) for each in actions),
        *(c.Transaction((each, c.Abort())) for each in actions),
        *(c.Transaction((each, add)) for each in actions), *(c.Transaction((add, each)) for each in actions),
        *(c.Transaction((c.ClearBitmap(node, name), each, c.Abort())) for each in actions),
        c.Transaction((start_without(scope, job, node),), True), c.Transaction((add,), True),
    )  # fmt: skip


def one_block() -> World:
    """All that guests can do to one block, with one bitmap and one job."""
    return of_scope("guest writes", Scope(1), *guests("d"))


def undoing() -> World:
    """Transactions, most of which are refused and must be undone."""
    scope = Scope(1, alphabet="small")
    more = undone(scope), (c.BeginWrite("d", "w", 0, BLOCK), c.EndWrite("d", "w"), c.BeginCopy("j", 0, BLOCK))
    return of_scope("transactions", scope, *(each for some in more for each in some), c.EndCopy("j"))


def tail(alphabet: Alphabet) -> World:
    """Granules and clusters of two blocks, on a disk of three: the last one is partial."""
    scope = Scope(3, granularity=2, cluster=2, alphabet=alphabet)
    across, part = c.Write("d", BLOCK, 2 * BLOCK), c.Write("d", 1000, 30)
    return of_scope(f"a partial last granule, {alphabet}", scope, across, part)


def two_blocks() -> World:
    """One bitmap, one job, two blocks; one of them has writes and copies in flight."""
    flying = c.BeginWrite("d", "w", 0, BLOCK), c.EndWrite("d", "w"), c.BeginCopy("j", 0, BLOCK), c.EndCopy("j")
    return of_scope("two blocks", Scope(2, alphabet="small"), *flying, c.EndCopy("j", "write error"))


def coarse_bitmap() -> World:
    """A granule is two clusters: what is left of it when a job fails."""
    scope = Scope(3, granularity=2, cluster=1, alphabet="small")
    return of_scope("granules of two clusters", scope, c.Write("d", BLOCK, 2 * BLOCK))


def coarse_cluster() -> World:
    """A cluster is two granules: more is copied than is dirty."""
    scope = Scope(3, granularity=1, cluster=2, alphabet="small")
    return of_scope("clusters of two granules", scope, c.Write("d", BLOCK, 2 * BLOCK))


def merges() -> World:
    """Bitmaps of two granularities are merged, alone and in transactions that fail."""
    fine, coarse = ("d", "a"), ("d", "b")
    to_coarse, to_fine = (c.MergeBitmaps(*into, (c.Source(*of),)) for into, of in ((coarse, fine), (fine, coarse)))
    scope = Scope(3, jobs=0, alphabet="small")
    return of_scope(
        "merges of two granularities", scope, c.AddBitmap(*coarse, 2 * BLOCK), c.ClearBitmap(*coarse),
        c.RemoveBitmap(*coarse), to_coarse, to_fine, c.Transaction((to_coarse, c.ClearBitmap(*fine))),
        c.Transaction((to_fine, c.Abort())), c.MergeBitmaps(*coarse, (c.Source(*fine), c.Source("d", "nobody"))),
    )  # fmt: skip


def in_use() -> World:
    """Two bitmaps, one of them in use by a job: what may be done with them meanwhile."""
    scope = Scope(1, bitmaps=2, alphabet="small")
    (node, a), (_, b) = scope.places
    lost = c.Transaction((c.ClearBitmap(node, b), c.MergeBitmaps(node, b, (c.Source(node, a),))))
    two = c.MergeBitmaps(node, b, (c.Source(node, b), c.Source(node, a)))
    return of_scope("two bitmaps", scope, lost, two, c.BeginWrite(node, "w", 0, BLOCK), c.EndWrite(node, "w"))


def two_disks() -> World:
    """Two disks, a bitmap and a job on each; and a third of another size, for merges that are refused."""
    scope = Scope(1, bitmaps=2, nodes=2, alphabet="small")
    odd = c.Source("f", "a")
    world = of_scope(
        "two disks and another", scope, c.AddBitmap("f", "a", BLOCK), c.MergeBitmaps("d", "a", (odd,)),
        c.Transaction((c.MergeBitmaps("d", "a", (c.Source("e", "b"), odd)), c.ClearBitmap("e", "b"))),
    )  # fmt: skip
    return replace(world, disks=(*world.disks, ("f", 2 * BLOCK)))


def groups() -> World:
    """Two jobs on one disk, one with the bitmap and one without, that end together or not, by themselves or not."""
    scope = Scope(1, alphabet="small")
    without = replace(start_without(scope, "k", "d"), auto_finalize=False)
    incremental = start(scope, "j", "d", "a", "incremental", None)
    always = start(scope, "j", "d", "a", "bitmap", "always", False, "stop")
    together = [c.Transaction((each, without), True) for each in (incremental, always)]
    apart = c.Transaction((incremental, replace(without, auto_finalize=True)))
    return of_scope(
        "groups", scope, *together, apart, c.CancelJob("k"), c.FinalizeJob("j"), c.FinalizeJob("k"),
        c.Copy("k", 0, BLOCK), c.Copy("k", 0, BLOCK, "read error"), c.BeginCopy("k", 0, BLOCK), c.EndCopy("k"),
        c.PauseJob("k"), c.ResumeJob("k"), c.Write("d", 0, BLOCK, result="copy failed"), c.BeginCopy("j", 0, BLOCK),
        c.EndCopy("j"), c.EndCopy("j", "write error"), c.BeginWrite("d", "w", 0, BLOCK), c.EndWrite("d", "w"),
    )  # fmt: skip


def groups_of_three() -> World:
    """Three jobs on two disks, one with a bitmap, that end together or not; each may end, or fail, first."""
    scope = Scope(1, nodes=2, alphabet="small")
    members = (start(scope, "j", "d", "a", "incremental", None), start_without(scope, "k", "e"))
    last = replace(start_without(scope, "l", "d"), auto_finalize=False)
    others = [
        each
        for job in ("k", "l")
        for each in (
            c.CancelJob(job), c.FinalizeJob(job), c.Copy(job, 0, BLOCK), c.Copy(job, 0, BLOCK, "read error"),
        )
    ]  # fmt: skip
    return of_scope(
        "groups of three", scope, c.Transaction((*members, last), True),
        c.Transaction((*members, replace(last, auto_finalize=True)), True), c.Transaction((*members, last)), *others,
    )


def every_value() -> World:
    """Every value of every field, on one block with one bitmap and one job."""
    scope = Scope(1, alphabet="values")
    ignored = c.Write("d", 0, BLOCK, "discard", "ignored")
    world = of_scope("every value", scope)
    return replace(world, commands=tuple(each for each in world.commands if each != ignored))


def sources_and_actions() -> World:
    """Merges of three sources, and transactions of up to five actions of which some are refused."""
    scope = Scope(1, bitmaps=3, jobs=0, alphabet="small")
    (node, a), (_, b), (_, third) = scope.places
    source = {name: c.Source(node, name) for name in (a, b, third, "nobody")}
    three = (source[a], source[b], source[third])
    merge = c.MergeBitmaps(node, a, (source[b], source[third]))
    changes: tuple[c.Action, ...] = (
        c.ClearBitmap(node, a), c.DisableBitmap(node, b), merge, c.EnableBitmap(node, a), c.ClearBitmap(node, third),
    )  # fmt: skip
    return of_scope(
        "three sources and five actions", scope, c.MergeBitmaps(node, a, three), c.MergeBitmaps(node, a, three[1:]),
        *(c.MergeBitmaps(node, a, (*three[1 : 1 + count], source["nobody"])) for count in (1, 2)),
        *(c.Transaction((*changes[:count], c.Abort())) for count in range(1, 6)), c.Transaction(changes),
        c.Transaction(changes[::-1]), c.Transaction((*changes[::-1], c.Abort())),
    )  # fmt: skip


def odd_values() -> World:
    """Granularities, clusters, names and ids just inside and just outside of what can be used; a word for a flag."""
    whole = start_without(Scope(1, jobs=0), "j-1.k_2", "d")
    malformed = c.AddBitmap("d", "a", BLOCK, "yes")  # type: ignore[arg-type]
    return World("odd values", (("d", BLOCK),), (
        c.AddBitmap("d", "a", 256), c.AddBitmap("d", "é" * 512, BLOCK), c.AddBitmap("d", "a" * 1023, 1 << 31),
        *(replace(whole, job=job_id) for job_id in ("é", "j k", "1j")), replace(whole, cluster=256), whole,
        c.CancelJob(whole.job), c.RemoveBitmap("d", "a" * 1023), malformed,
    ))  # fmt: skip


def two_at_once() -> tuple[World, ...]:
    """Where one command has to do with two of a kind: writes in flight, copies in flight, removals."""
    one = (("d", BLOCK),)
    two = (*one, ("e", BLOCK))
    adds = tuple(c.AddBitmap(node, name, BLOCK) for node, name in (("d", "a"), ("d", "b"), ("e", "b")))
    begun = (c.BeginWrite(node, job_id, 0, BLOCK) for node, job_id in (("d", "w"), ("d", "v"), ("e", "w")))
    removals = [(c.RemoveBitmap("d", "a"), c.RemoveBitmap(node, "b")) for node in ("d", "e")]
    scope, jobs = Scope(1, jobs=0), ("j", "k")
    copies = (each(job, 0, BLOCK) for job in jobs for each in (c.Copy, c.BeginCopy))
    starts = (start_without(scope, job, "d") for job in jobs)
    return (
        World("two writes in flight", two, (adds[0], adds[2], *begun, c.Transaction(()))),
        World("two copies in flight", one, (*starts, *copies, c.Transaction(()))),
        World("two removals", two, (*adds, *(c.Transaction(each) for each in removals))),
    )


def quick() -> tuple[World, ...]:
    """Seconds. The smallest come first, so that a mistake is found soon."""
    return (
        coarse_bitmap(), merges(), in_use(), two_disks(), tail("small"), coarse_cluster(),
        of_scope("two jobs for one bitmap", Scope(1, jobs=2, alphabet="small")), undoing(), one_block(), groups(),
        two_blocks(), odd_values(), *two_at_once(),
    )  # fmt: skip


def usual() -> tuple[World, ...]:
    """About a minute, together with the quick ones."""
    return (
        of_scope("two blocks, large", Scope(2)),
        of_scope("two bitmaps, large", Scope(1, bitmaps=2)),
        of_scope("two bitmaps with jobs", Scope(1, bitmaps=2, jobs=2, alphabet="small")),
        groups_of_three(), every_value(), sources_and_actions(),
    )  # fmt: skip


def deep() -> tuple[World, ...]:
    """Minutes."""
    return (
        of_scope("two jobs for one bitmap, large", Scope(1, jobs=2)), tail("large"),
        of_scope("two jobs for one bitmap of two blocks", Scope(2, jobs=2, alphabet="small")),
        of_scope("two disks with jobs", Scope(1, bitmaps=2, jobs=2, nodes=2, alphabet="small")),
        of_scope("two disks, large", Scope(1, bitmaps=2, nodes=2)),
    )  # fmt: skip


LISTS = {"quick": quick, "usual": usual, "deep": deep}


def worlds(name: str) -> tuple[World, ...]:
    """The worlds of a list and of those before it. Raises `KeyError`."""
    wanted = [*LISTS][: [*LISTS].index(name) + 1] if name in LISTS else [name]
    return tuple(world for each in wanted for world in LISTS[each]())
