"""Arbitrary states: who is on stage is fixed, everything else is open.

A *cast* is which bitmaps, jobs and writes in flight there are. The sets, flags, phases and modes of a state of the
cast are arbitrary; nothing says that it is legal. A cast has one or two bitmaps *in focus*, with their jobs. All else
on stage is there to disturb them: its sets are fog, but for what a job has left to do (and it has nothing in flight).

docs/understand/why-one-block-is-enough.md argues why a few casts stand for any number of disks, bitmaps and jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from cbtmodel.backup import BitmapMode, Job, OnError, Phase
from cbtmodel.bitmap import Bitmap, Marks, Successor
from cbtmodel.node import Node, State
from cbtmodel.table import Table

from cbtproofs.effects.during import Part
from cbtproofs.inductive.paths import Undecided
from cbtproofs.inductive.script import Claim, Prover

SIZE = (1 << 30) + 512
"""The size of most disks, in bytes; no multiple of a cluster, so that there is a partial one at the end."""

Moment: TypeAlias = Literal["at rest", "amid", "at commit"]
"""Between commands; between two actions of a transaction; and when all of them have been accepted."""


@dataclass(frozen=True)
class Cast:
    """Who is on stage. `bitmaps` are (disk, name), `jobs` (id, disk, name of its bitmap); `foggy` are names.

    `disks` are all that there are, with their sizes in bytes, in this order. With `together` all jobs are one group.
    Jobs in `paused` are paused. `moment` says what need not hold of the state yet. Unless `marks_matter`, everybody
    is in the fog, and only what jobs have left to do is a set.
    """

    name: str
    bitmaps: tuple[tuple[str, str], ...] = ()
    jobs: tuple[tuple[str, str, str | None], ...] = ()
    foggy: frozenset[str] = frozenset()
    writes: tuple[str, ...] = ()
    together: bool = False
    moment: Moment = "at rest"
    paused: frozenset[str] = frozenset()
    marks_matter: bool = True
    disks: tuple[tuple[str, int], ...] = (("d", SIZE), ("e", SIZE))

    def state(self, prover: Prover) -> State[Any]:
        """An arbitrary state with this cast, legal or not."""
        taken = {(node, name) for _, node, name in self.jobs}
        nodes: dict[str, Node[Any]] = {node: Node(size) for node, size in self.disks}
        for number, (node, name) in enumerate(self.bitmaps):
            granularity = 4096 << number
            made = self._bitmap(prover, f"{node}/{name}", name in self.foggy, granularity, (node, name) in taken)
            nodes[node] = Node(nodes[node].size, nodes[node].bitmaps.put(name, made))
        writes = Table({write_id: prover.arbitrary(f"{write_id} in flight") for write_id in self.writes})
        nodes["d"] = Node(nodes["d"].size, nodes["d"].bitmaps, writes)
        ids = tuple(job_id for job_id, _, _ in self.jobs)
        jobs = {
            job_id: self._job(
                prover, job_id, node, name, job_id in self.foggy, 65536 << number, ids if self.together else (job_id,)
            )
            for number, (job_id, node, name) in enumerate(self.jobs)
        }
        return State(prover.space, Table(nodes), Table(jobs))

    def only_what_is_left(self) -> Cast:
        """The same cast, with nothing known but what its jobs have left to do."""
        return replace(self, marks_matter=False, foggy=frozenset())

    def part(self, after: Moment) -> Part:
        """Which part of a transaction leads from this moment to the one after it; or it is a whole step."""
        parts: dict[tuple[Moment, Moment], Part] = {
            ("at rest", "at commit"): "drain", ("amid", "amid"): "prepare", ("at commit", "at rest"): "commit",
        }  # fmt: skip
        return parts.get((self.moment, after), "step")

    def focused(self, claims: Iterable[Claim]) -> Iterable[Claim]:
        """The claims that are about nobody in the fog. One names its subject first: *job: …*, *disk/bitmap's …*."""
        return (each for each in claims if subject(each) not in self.foggy) if self.foggy else claims

    def _bitmap(self, prover: Prover, where: str, foggy: bool, granularity: int, frozen: bool) -> Bitmap[Any]:
        def marks(of: str) -> Marks[Any]:
            dim = foggy or not self.marks_matter
            return Marks(*(prover.arbitrary(f"{of} {what}", dim) for what in ("dirty", "owed", "causes")))

        def flag() -> Any:
            return Undecided(prover.path, (True, False))

        heir = Successor(flag(), marks(f"{where}'s successor")) if frozen else None
        leaving = False if frozen or self.moment == "at rest" else flag()
        return Bitmap(granularity, flag(), marks(where), heir, leaving)

    def _job(
        self,
        prover: Prover,
        job_id: str,
        node: str,
        bitmap: str | None,
        foggy: bool,
        cluster: int,
        group: tuple[str, ...],
    ) -> Job[Any]:
        def any_of(kind: Any) -> Any:
            return Undecided(prover.path, get_args(kind))

        def flag() -> Any:
            return Undecided(prover.path, (True, False))

        left = (
            prover.arbitrary(f"{job_id} todo"),
            prover.space.empty if foggy else prover.arbitrary(f"{job_id} copying"),
        )
        dim = foggy or not self.marks_matter
        ghosts = (prover.arbitrary(f"{job_id} {what}", dim) for what in ("scope", "intact", "good"))
        # Nothing depends on a mode but what becomes of the job's own bitmap: in the fog, one is enough.
        mode: BitmapMode | None = None if bitmap is None else "never" if foggy else any_of(BitmapMode)
        policies = any_of(OnError), any_of(OnError)
        stage = ("running", True) if job_id in self.paused else (any_of(Phase), flag())
        return Job(node, bitmap, mode, cluster, group, flag(), *policies, *left, *ghosts, *stage)


def subject(claim: Claim) -> str:
    """The name of the bitmap, job or disk that a claim is about."""
    return claim.where.partition(":")[0].partition("'")[0].rpartition("/")[2]
