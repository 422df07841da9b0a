"""Draws commands: what an operator, a guest and the environment could do next, and now and then what they must not.

Every draw goes through `Pick`: a whole number below a bound, 0 being the plainest choice, so that whatever makes the
picks (Hypothesis, usually) can also shrink them. The specification's state says what exists; sizes and offsets are
drawn next to the edges that matter: of granules, of clusters, of what is being copied, of the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from cbtmodel import commands as c
from cbtmodel.alphabet import ON_BITMAP, ON_JOB
from cbtmodel.backup import BitmapMode, Job, Sync, may_copy
from cbtmodel.bitmap import busy
from cbtmodel.commands import Action, Command
from cbtmodel.node import State

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.scenario import spelled
from cbtcheck.sets.bitsets import Bits, BitSets

Pick = Callable[[int], int]
CopyResult = Literal["ok", "read error", "write error"]
T = TypeVar("T")

BITMAPS = ("b0", "b1", "b2")
JOBS = ("j0", "j1", "j2")
WRITES = ("w0", "w1", "w2")
CROWD_OF_BITMAPS = (*BITMAPS, "b3", "b4")
CROWD_OF_WRITES = (*WRITES, "w3")


@dataclass(frozen=True)
class Hand:
    """Everything that a draw depends on. `crowded`: there is more of everything (see `of_a_crowd`)."""

    pick: Pick
    state: State[Bits]
    capabilities: Capabilities
    crowded: bool = False

    def one(self, options: Sequence[T]) -> T:
        """One of the options; the first is the plainest."""
        return options[self.pick(len(options))] if len(options) > 1 else options[0]

    def rarely(self, often: int = 12) -> bool:
        """True about once in `often` times."""
        return self.pick(often) == often - 1

    def able(self, kind: type) -> bool:
        """Whether the implementation claims this command."""
        return spelled(kind.__name__) in self.capabilities.commands

    # Names

    def node(self) -> str:
        """A disk."""
        return self.one(list(self.state.nodes))

    def bitmap(self) -> tuple[str, str]:
        """The node and name of a bitmap that exists; there must be one."""
        return self.one([(node_name, name) for node_name, node in self.state.nodes.items() for name in node.bitmaps])

    def free_bitmap(self) -> tuple[str, str]:
        """The same, of one that is not in use if there is one."""
        free = [
            (node_name, n)
            for node_name, node in self.state.nodes.items()
            for n, b in node.bitmaps.items()
            if not busy(b)
        ]
        return self.one(free) if free else self.bitmap()

    def dirty_bitmap(self) -> tuple[str, str]:
        """The same, of one that has something to copy if there is one, mostly."""
        dirty = [
            (node_name, name)
            for node_name, node in self.state.nodes.items()
            for name, bitmap in node.bitmaps.items()
            if bitmap.marks.dirty and not busy(bitmap)
        ]
        return self.one(dirty) if dirty and not self.rarely(6) else self.free_bitmap()

    def new_name(self, taken: Sequence[str], names: Sequence[str]) -> str:
        """A name that is not taken yet, if there is one."""
        return self.one([name for name in names if name not in taken] or names)

    # Byte ranges

    def edge(self, node_name: str) -> int:
        """A unit whose multiples matter on this disk: a granularity or a cluster size in use, or a block."""
        node = self.state.nodes[node_name]
        units = {bitmap.granularity for bitmap in node.bitmaps.values()}
        units |= {job.cluster for job in self.state.jobs.values() if job.node == node_name}
        return self.one([*sorted(u for u in units if u <= node.size), 512])

    def range(self, node: str) -> tuple[int, int]:
        """An offset and a length on a disk, in bytes."""
        size = self.state.nodes[node].size
        jobs = [job for job in self.state.jobs.values() if job.node == node and job.todo]
        if jobs and self.pick(3) > 0:
            offset = self.cluster_of(self.one(jobs))
            unit = 512
        else:
            unit = self.edge(node)
            offset = self.pick(-(-size // unit)) * unit
        shift = self.one((0, 0, 0, 0, 1, 511, -1, -512))
        offset = min(max(0, offset + shift), size - 1)
        length = self.one((unit, 1, 512, unit + 1, 2 * unit, 4096, 0, size))
        return offset, min(length, size - offset)

    def cluster_of(self, job: Job[Bits]) -> int:
        """The offset of a cluster of interest to a job: usually one that it has yet to copy, or is copying."""
        blocks = self.one((job.todo, job.todo, job.copying, job.scope)) or job.todo or job.scope
        size = self.state.nodes[job.node].size
        starts = bit_numbers(BitSets().granules(blocks, job.cluster, size))
        return self.one(starts) * job.cluster if starts else 0

    def job(self, *, of: Callable[[Job[Bits]], bool] = lambda job: True) -> str:
        """A job for which `of` holds, if there is one, else any."""
        return self.one(
            [job_id for job_id, job in self.state.jobs.items() if of(job)] or list(self.state.jobs) or JOBS
        )


def bit_numbers(word: int) -> list[int]:
    """The numbers of the bits that are set."""
    found = []
    while word:
        low = word & -word
        found.append(low.bit_length() - 1)
        word ^= low
    return found


# Commands that are usually legal; each has a condition for being drawn at all


def add_bitmap(hand: Hand) -> c.AddBitmap:
    """A new bitmap."""
    node = hand.node()
    name = hand.new_name(list(hand.state.nodes[node].bitmaps), CROWD_OF_BITMAPS if hand.crowded else BITMAPS)
    return c.AddBitmap(node, name, hand.one(hand.capabilities.granularities), not hand.rarely(6))


def one_bitmap(kind: type) -> Callable[[Hand], Any]:
    """A command on one bitmap."""

    def draw(hand: Hand) -> Any:
        return kind(*hand.free_bitmap())

    return draw


def merge_bitmaps(hand: Hand) -> c.MergeBitmaps:
    """A merge of one or two bitmaps into another; in a crowd of up to four."""
    node_name, target = hand.free_bitmap()
    others = [(each, name) for each, node in hand.state.nodes.items() for name in node.bitmaps]
    others = [place for place in others if place != (node_name, target)] or others
    count = hand.one((3, 2, 4, 1) if hand.crowded else (1, 1, 2, 0))
    sources = tuple(c.Source(*hand.one(others)) for _ in range(count))
    return c.MergeBitmaps(node_name, target, sources)


def start_backup(hand: Hand) -> c.StartBackup:
    """A backup, usually with a bitmap."""
    job = hand.new_name(list(hand.state.jobs), JOBS)
    cluster = hand.one(hand.capabilities.clusters)
    more: dict[str, Any] = {"cluster": cluster, "auto_finalize": not hand.rarely(4)}
    more["on_source_error"] = hand.one(("report", "report", "stop", "ignore"))
    more["on_target_error"] = hand.one(("report", "report", "stop", "ignore"))
    if not has_bitmaps(hand) or hand.rarely(8):
        return c.StartBackup(job, hand.node(), "full", **more)
    node, name = hand.dirty_bitmap()
    combinations: tuple[tuple[Sync, BitmapMode | None], ...] = (
        ("incremental", None), ("bitmap", "always"), ("bitmap", "never"), ("full", "on-success"),
        ("full", "always"), ("bitmap", "on-success"),
    )  # fmt: skip
    sync, mode = hand.one(combinations)
    return c.StartBackup(job, node, sync, name, mode, **more)


def job_command(kind: type, of: Callable[[Job[Bits]], bool]) -> Callable[[Hand], Any]:
    """A command on one job."""

    def draw(hand: Hand) -> Any:
        return kind(hand.job(of=of))

    return draw


def write(hand: Hand) -> c.Write:
    """A whole guest write."""
    node = hand.node()
    kind = hand.one(("write", "write", "write", "zeroes", "discard"))
    result = hand.one(("ok", "ok", "ok", "ok", "copy failed", "failed"))
    return c.Write(node, *hand.range(node), kind, result)  # type: ignore[arg-type]


def begin_write(hand: Hand) -> c.BeginWrite:
    """A guest write that stays in flight."""
    node = hand.node()
    name = hand.new_name(list(hand.state.nodes[node].writes), CROWD_OF_WRITES if hand.crowded else WRITES)
    kind = hand.one(("write", "write", "zeroes"))
    result = hand.one(("ok", "ok", "ok", "copy failed"))
    return c.BeginWrite(node, name, *hand.range(node), kind, result)  # type: ignore[arg-type]


def end_write(hand: Hand) -> c.EndWrite:
    """The end of a write in flight."""
    node_name, name = hand.one(
        [(node_name, name) for node_name, node in hand.state.nodes.items() for name in node.writes]
    )
    return c.EndWrite(node_name, name, hand.one(("ok", "ok", "failed")))


def copy(hand: Hand) -> c.Copy:
    """A copy of one cluster, now and then of a longer range."""
    job_id = hand.job(of=may_copy)
    job = hand.state.jobs[job_id]
    results: tuple[CopyResult, ...] = ("ok", "ok", "ok", "ok", "read error", "write error")
    result = hand.one(results)
    return c.Copy(job_id, hand.cluster_of(job), hand.one((1, 1, 1, job.cluster + 1)), result)


def begin_copy(hand: Hand) -> c.BeginCopy:
    """A copy that stays in flight."""
    job_id = hand.job(of=may_copy)
    return c.BeginCopy(job_id, hand.cluster_of(hand.state.jobs[job_id]), 1)


def end_copy(hand: Hand) -> c.EndCopy:
    """The end of a copy in flight."""
    return c.EndCopy(hand.job(of=lambda job: bool(job.copying)), hand.one(("ok", "ok", "write error", "read error")))


def transaction(hand: Hand) -> c.Transaction:
    """A few actions; now and then one that must fail."""
    if hand.crowded and not hand.state.jobs and hand.pick(2):
        return group_of_three(hand)
    if hand.rarely(3):
        first = start_backup(hand)
        others = [job_id for job_id in JOBS if job_id != first.job and job_id not in hand.state.jobs]
        second = replace(start_backup(hand), job=hand.one(others or JOBS))
        return c.Transaction((first, second), hand.one((True, True, False)))
    drawers = [one_bitmap(c.ClearBitmap), add_bitmap, start_backup, one_bitmap(c.DisableBitmap),
               one_bitmap(c.EnableBitmap), merge_bitmaps, one_bitmap(c.RemoveBitmap)]  # fmt: skip
    if not has_bitmaps(hand):
        drawers = [add_bitmap, start_backup]
    count = hand.one((4, 3, 5) if hand.crowded else (2, 1, 3))
    actions: list[Action] = [hand.one(drawers)(hand) for _ in range(count)]
    if hand.rarely(4):
        actions.insert(hand.pick(len(actions) + 1), c.Abort())
    return c.Transaction(tuple(actions), hand.rarely(10))


def group_of_three(hand: Hand) -> c.Transaction:
    """Three backups that begin together, and mostly end together."""
    starts = tuple(replace(start_backup(hand), job=job) for job in JOBS)
    return c.Transaction(starts, hand.one((True, True, False)))


# What can be drawn, and when


def has_bitmaps(hand: Hand) -> bool:
    """There is a bitmap."""
    return any(node.bitmaps for node in hand.state.nodes.values())


def several_bitmaps(hand: Hand) -> bool:
    """There is more than one bitmap."""
    return sum(len(node.bitmaps) for node in hand.state.nodes.values()) > 1


def can_pause(job: Job[Bits]) -> bool:
    """The job could be paused, also with a copy in flight."""
    return job.phase == "running" and not job.paused


def some_job(of: Callable[[Job[Bits]], bool]) -> Callable[[Hand], bool]:
    """There is a job for which `of` holds."""
    return lambda hand: any(of(job) for job in hand.state.jobs.values())


def _always(hand: Hand) -> bool:
    return True


def _room_for_jobs(hand: Hand) -> bool:
    return len(hand.state.jobs) < hand.capabilities.max_jobs


def _write_in_flight(hand: Hand) -> bool:
    return any(node.writes for node in hand.state.nodes.values())


def _room_for_writes(hand: Hand) -> bool:
    return sum(len(node.writes) for node in hand.state.nodes.values()) < (4 if hand.crowded else 2)


def _few_bitmaps(hand: Hand) -> bool:
    return sum(len(node.bitmaps) for node in hand.state.nodes.values()) < 4


def of_a_crowd(disks: dict[str, int], capabilities: Capabilities) -> dict[str, int]:
    """The disks of a crowded scenario: a third one, as large as the first, if the implementation can have three.

    It has up to five bitmaps on a disk, four writes in flight, merges of up to four sources, three backups that begin
    together, and transactions of up to five actions.
    """
    more = {"disk2": next(iter(disks.values()))} if capabilities.max_disks > 2 and len(disks) == 2 else {}
    return {**disks, **more}


@dataclass(frozen=True)
class Drawer:
    """How a kind of command is drawn, and when it makes sense. `weight`: how many times it is among the choices."""

    kind: type
    draw: Callable[[Hand], Any]
    when: Callable[[Hand], bool] = _always
    weight: int = 1


def unnamed(kinds: Iterable[type], drawers: Iterable[Drawer]) -> list[type]:
    """The kinds that have no drawer of their own: they are drawn whenever there is what they are said of."""
    named = {each.kind for each in drawers}
    return [kind for kind in kinds if kind not in named]


OPERATOR: tuple[Drawer, ...] = (
    Drawer(c.AddBitmap, add_bitmap, lambda hand: not has_bitmaps(hand), 6),
    Drawer(c.AddBitmap, add_bitmap),
    Drawer(c.StartBackup, start_backup, _room_for_jobs, 3),
    Drawer(c.Transaction, transaction, _room_for_jobs, 2),
    Drawer(c.ClearBitmap, one_bitmap(c.ClearBitmap), has_bitmaps),
    Drawer(c.DisableBitmap, one_bitmap(c.DisableBitmap), has_bitmaps),
    Drawer(c.EnableBitmap, one_bitmap(c.EnableBitmap), has_bitmaps),
    Drawer(c.MergeBitmaps, merge_bitmaps, has_bitmaps),
    Drawer(c.MergeBitmaps, merge_bitmaps, several_bitmaps, 2),
    Drawer(c.RemoveBitmap, one_bitmap(c.RemoveBitmap), has_bitmaps),
)
OPERATOR += tuple(Drawer(kind, one_bitmap(kind), has_bitmaps) for kind in unnamed(ON_BITMAP, OPERATOR))

CROWD: tuple[Drawer, ...] = (*OPERATOR, Drawer(c.AddBitmap, add_bitmap, _few_bitmaps, 6))
"""What operators do in a crowded scenario."""

GUEST: tuple[Drawer, ...] = (
    Drawer(c.Write, write, _always, 3),
    Drawer(c.BeginWrite, begin_write, _room_for_writes),
    Drawer(c.EndWrite, end_write, _write_in_flight, 2),
)

JOB: tuple[Drawer, ...] = (
    Drawer(c.Copy, copy, some_job(may_copy), 4),
    Drawer(c.BeginCopy, begin_copy, some_job(may_copy), 2),
    Drawer(c.EndCopy, end_copy, some_job(lambda job: bool(job.copying)), 2),
    Drawer(c.PauseJob, job_command(c.PauseJob, can_pause), some_job(can_pause)),
    Drawer(c.ResumeJob, job_command(c.ResumeJob, lambda job: job.paused), some_job(lambda job: job.paused)),
    Drawer(
        c.FinalizeJob,
        job_command(c.FinalizeJob, lambda job: job.phase == "pending"),
        some_job(lambda job: job.phase == "pending"),
    ),
    Drawer(c.CancelJob, job_command(c.CancelJob, lambda job: True), some_job(lambda job: True), 2),
)
JOB += tuple(
    Drawer(kind, job_command(kind, lambda job: True), some_job(lambda job: True)) for kind in unnamed(ON_JOB, JOB)
)


def drawn(hand: Hand, drawers: tuple[Drawer, ...]) -> Command:
    """A command of one of these kinds. If none of them makes sense now, what would make it make sense."""
    ready = [each for each in drawers if hand.able(each.kind) and each.when(hand) for _ in range(each.weight)]
    if ready:
        command: Command = hand.one(ready).draw(hand)
        return command
    return start_backup(hand) if hand.able(c.StartBackup) else write(hand)
