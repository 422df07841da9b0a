"""Which edges of the specification a run has covered.

An *edge* is (control state, command, outcome), cut down to what is finite and means something to a reader: no names,
no sizes, no sets of blocks; of a set only whether it is empty. Each edge has the control state of what its command
touches, and of nothing else:

- a bitmap: absent, or enabled or disabled, clean or dirty, and frozen or not; a successor is clean or dirty too;
- a job: absent, or running, paused, waiting or pending; what is left to do; its bitmap mode; alone or in a group;
- a disk: how many jobs (0, 1, 2+), whether writes or copies are in flight;
- where a guest write lands: on the copy in flight, on what is yet to be copied, on what has been copied, or outside;
  and who records it: a bitmap, a successor, both or nobody.

What has no say is left out: an error policy unless there is an error, and in a refusal everything for which nobody is
refused (then a bitmap is absent, free or frozen, and a job has a phase). The outcome is the kind of refusal, or that
the command was accepted, with how jobs ended and the phase in which it leaves its job.

A *transaction* gives an edge for itself (which groups of actions it has, whether they complete together), and if it
is accepted one for each action, with the state from before the transaction, or *after X* if an earlier action X has
had the same bitmap. A merge gives an edge for each source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from cbtmodel import commands as c
from cbtmodel.backup import Job
from cbtmodel.bitmap import Bitmap
from cbtmodel.jobs import usable_id
from cbtmodel.node import LONGEST_NAME, Node, State, jobs_of, usable_granularity
from cbtmodel.step import Step

from cbtcheck.scenario.scenario import KINDS
from cbtcheck.sets.bitsets import Bits

NAMES = {kind: name for name, kind in KINDS.items()}


class Edge(NamedTuple):
    """One edge, in words. `command` is spelled as in a scenario; an action is `transaction: clear-bitmap`.

    `given` are the parameters that matter, `state` is the control state of what the command touches.
    """

    command: str
    given: str
    state: str
    outcome: str

    def __str__(self) -> str:
        given = f" ({self.given})" if self.given else ""
        return f"{self.command}{given} | {self.state} | {self.outcome}"


@dataclass
class Coverage:
    """The edges that were covered so far. `listen` is for `Player.listen`; runs can be united by their `edges`.

    Compare with a scope's set of `reachable`. Scenarios that are larger than the scope cover edges that
    are not in that set, so the share to report is `len(covered & reachable)` of `len(reachable)` (`within`), and how
    many there are on top (`beyond`) is reported apart.
    """

    edges: set[Edge] = field(default_factory=set)

    def listen(self, before: State[Bits], command: object, result: Step[Bits]) -> None:
        """One step of the specification."""
        self.edges.update(edges(before, command, result))

    @property
    def covered(self) -> int:
        """How many edges were covered, in the scope or not."""
        return len(self.edges)

    def within(self, reachable: frozenset[Edge]) -> int:
        """How many of these edges were covered."""
        return len(self.edges & reachable)

    def beyond(self, reachable: frozenset[Edge]) -> int:
        """How many edges were covered that are not among these."""
        return len(self.edges - reachable)

    def by_command(self) -> dict[str, int]:
        """How many edges were covered, by the command's name; the actions of a transaction count as its own."""
        return dict(sorted(_by_command(self.edges).items()))

    def reached(self, reachable: frozenset[Edge]) -> Counter[str]:
        """How many of these edges were covered, by command."""
        return _by_command(self.edges & reachable)


def _by_command(edges: set[Edge]) -> Counter[str]:
    return Counter(each.command.partition(":")[0] for each in edges)


def edges(before: State[Bits], command: object, result: Step[Bits]) -> frozenset[Edge]:
    """The edges of one step: `result` is what `step(before, command)` gave."""
    if result.refusal is not None and result.refusal.kind == "invalid" and c.malformed(command) is not None:
        return frozenset((Edge(NAMES.get(type(command), "unknown command"), "malformed", "any", "refused: invalid"),))
    return frozenset(_edges(before, command, result))  # type: ignore[arg-type]  # for it is well formed


def _edges(before: State[Bits], command: c.Command, result: Step[Bits]) -> Iterator[Edge]:
    came = outcome(result)
    accepted = result.refusal is None
    if isinstance(command, c.OnJob | c.BeginCopy):
        job_id = command.job
        yield Edge(NAMES[type(command)], "", job_state(before, job_id, accepted), came + _now(job_id, result))
        return
    if isinstance(command, c.AddBitmap | c.OnBitmap | c.MergeBitmaps):
        flying = ", writes in flight" if accepted and before.nodes[command.node].writes else ""
        for each in _of_bitmap(command, Scene(before, accepted), "", came):
            yield each._replace(state=each.state + flying)
        return
    match command:
        case c.Transaction():
            yield from _of_transaction(before, command, came, accepted)
        case c.StartBackup(job, node):
            scene = Scene(before, accepted)
            if accepted:
                state = f"{_frozen(command, scene)}, {disk(before, node)}"
                yield Edge("start-backup", _modes(command), state, came + _now(job, result))
            else:
                yield Edge("start-backup", *_refused_start(command, scene, came), came)
        case c.Copy(job_id, _, _, ends) | c.EndCopy(job_id, ends):
            given = _copy_ends(before.jobs[job_id], ends) if accepted else ""
            yield Edge(NAMES[type(command)], given, job_state(before, job_id, accepted), came + _now(job_id, result))
        case c.Write() | c.BeginWrite():
            yield _of_write(before, command, came, accepted)
        case c.EndWrite(node, job_id, ends):
            if accepted:
                yield Edge("end-write", ends, f"{_jobs(before, node)}, {recorders(before.nodes[node])}", came)
            else:
                yield Edge("end-write", "", "not in flight" if node in before.nodes else "no disk", came)
        case _:
            assert_never(command)


# Commands


@dataclass
class Scene:
    """What a command, or an action of a transaction, finds: the state, and what earlier actions have had."""

    before: State[Bits]
    accepted: bool
    earlier: dict[tuple[str, str], str] = field(default_factory=dict)

    def bitmap(self, node_name: str, name: str) -> str:
        """The state of a bitmap, as far as it has a say."""
        if (node_name, name) in self.earlier:
            return f"after {self.earlier[node_name, name]}"
        node = self.before.nodes.get(node_name)
        if node is None:
            return "no disk"
        bitmap = node.bitmaps.get(name)
        if self.accepted or bitmap is None:
            return bitmap_state(bitmap)
        return "free" if bitmap.successor is None else "frozen"


def _of_bitmap(
    command: c.AddBitmap | c.OnBitmap | c.MergeBitmaps, scene: Scene, prefix: str, came: str
) -> Iterator[Edge]:
    name = prefix + NAMES[type(command)]
    if isinstance(command, c.OnBitmap):
        yield Edge(name, "", scene.bitmap(command.node, command.name), came)
        return
    match command:
        case c.AddBitmap(node, bitmap, granularity, enabled):
            given = "enabled" if enabled else "disabled"
            if not scene.accepted:
                usable = 0 < len(bitmap.encode(errors="surrogatepass")) <= LONGEST_NAME
                given = "" if usable else "unusable name"
                if not usable_granularity(granularity):
                    given = "unusable granularity"
            yield Edge(name, given, scene.bitmap(node, bitmap), came)
        case c.MergeBitmaps(node, target, sources):
            into = f"into {scene.bitmap(node, target)}"
            number = "one source" if len(sources) == 1 else "several sources" if sources else "no source"
            if not sources:
                yield Edge(name, number, into, came)
            for each in sources:
                where = "the same disk" if each.node == node else "another disk"
                itself = (each.node, each.name) == (node, target)
                source = "itself" if itself else f"{scene.bitmap(each.node, each.name)}, on {where}"
                yield Edge(name, number, f"{into}, from {source}", came)
        case _:
            assert_never(command)


def _modes(command: c.StartBackup) -> str:
    return f"{command.sync}, {command.bitmap_mode or 'no mode'}"


def _frozen(command: c.StartBackup, scene: Scene) -> str:
    """The state of the bitmap that a backup is to freeze."""
    return "no bitmap" if command.bitmap is None else scene.bitmap(command.node, command.bitmap)


def _refused_start(command: c.StartBackup, scene: Scene, came: str) -> tuple[str, str]:
    """The parameters for which a backup may be refused, and the state."""
    if came != "refused: invalid":
        return "", "no disk" if command.node not in scene.before.nodes else _frozen(command, scene)
    bitmap = "no bitmap" if command.bitmap is None else "a bitmap"
    if not usable_id(command.job):
        return "unusable id", bitmap
    cluster_usable = command.cluster >= 512 and command.cluster.bit_count() == 1
    return _modes(command) if cluster_usable else "unusable cluster", bitmap


GROUPS = {c.StartBackup: "backups", c.RemoveBitmap: "removals", c.Abort: "an abort"}


def _of_transaction(before: State[Bits], command: c.Transaction, came: str, accepted: bool) -> Iterator[Edge]:
    groups = sorted({GROUPS.get(type(each), "changes of bitmaps") for each in command.actions})
    together = ", completing together" if command.grouped else ""
    drained = "writes in flight" if any(node.writes for node in before.nodes.values()) else "no writes in flight"
    if any(job.copying for job in before.jobs.values()):
        drained += ", copies in flight"
    yield Edge("transaction", (" and ".join(groups) or "nothing") + together, drained, came)
    if not accepted:
        return  # which of the actions was refused is not known
    scene = Scene(before, accepted)
    for each in command.actions:
        if isinstance(each, c.Abort):
            continue
        if isinstance(each, c.StartBackup):
            yield Edge("transaction: start-backup", _modes(each) + together, _frozen(each, scene), came)
            if each.bitmap is not None:
                scene.earlier[each.node, each.bitmap] = "start-backup"
        else:
            yield from _of_bitmap(each, scene, "transaction: ", came)
            bitmap = each.target if isinstance(each, c.MergeBitmaps) else each.name
            scene.earlier[each.node, bitmap] = NAMES[type(each)]


def _of_write(before: State[Bits], command: c.Write | c.BeginWrite, came: str, accepted: bool) -> Edge:
    name = NAMES[type(command)]
    node = before.nodes.get(command.node)
    if node is None:
        return Edge(name, "", "no disk", came)
    if not accepted and came != "refused: copy failed":
        if came == "refused: exists":
            return Edge(name, "", "id taken", came)
        beyond = command.offset + command.length > node.size
        return Edge(name, "beyond the end" if beyond else f"{command.kind}, {command.result}", "any", came)
    if command.length == 0:
        return Edge(name, "of nothing", _jobs(before, command.node), came)
    # a copy that would have failed, had there been one, is as good as any
    ends = "ok" if accepted and command.result == "copy failed" else command.result
    where = f"{_jobs(before, command.node)}, {landing(before, node, command)}"
    if not accepted:
        return Edge(name, f"{command.kind}, {ends}", where, came)
    flying = ", writes in flight" if node.writes else ""
    return Edge(name, f"{command.kind}, {ends}", f"{where}, {recorders(node)}{flying}", came)


def _copy_ends(job: Job[Bits], ends: str) -> str:
    """How a copy ends, with the error policy if it fails."""
    if ends == "ok":
        return ends
    return f"{ends}, {job.on_source_error if ends == 'read error' else job.on_target_error}"


# Outcomes


def outcome(result: Step[Bits]) -> str:
    """What came of a command: accepted or the kind of refusal, and how jobs ended."""
    if result.refusal is not None:
        return f"refused: {result.refusal.kind}"
    if not result.ended:
        return "accepted"
    if len(result.ended) == 1:
        return f"accepted, a job {result.ended[0].outcome}"
    return f"accepted, jobs {' and '.join(sorted({end.outcome for end in result.ended}))}"


def _now(job_id: str, result: Step[Bits]) -> str:
    """The phase in which an accepted command has left its job; nothing if it has ended."""
    job = result.state.jobs.get(job_id)
    return "" if job is None or result.refusal is not None else f", now {phase(job)}"


# Control states


def bitmap_state(bitmap: Bitmap[Bits] | None) -> str:
    """The control state of a bitmap."""
    if bitmap is None:
        return "absent"
    records = "enabled" if bitmap.enabled else "disabled"
    marks = "dirty" if bitmap.marks.dirty else "clean"
    if bitmap.successor is None:
        return f"{records} {marks}"
    return f"frozen {records} {marks} with a {'dirty' if bitmap.successor.marks.dirty else 'clean'} successor"


def phase(job: Job[Bits]) -> str:
    """The phase as a user sees it."""
    return "paused" if job.paused else job.phase


def job_state(state: State[Bits], job_id: str, accepted: bool) -> str:
    """The control state of a job; no more than the phase and the work if its command was refused."""
    job = state.jobs.get(job_id)
    if job is None:
        return "absent"
    if not job.copying:
        left = "to do" if job.todo else "all copied"
    else:
        left = "copying, more to do" if job.todo - job.copying else "copying the last"
    if not accepted:
        return f"{phase(job)}, {left}"
    return f"{phase(job)}, {left}, {job.mode or 'no bitmap'}{', grouped' if len(job.group) > 1 else ''}"


def disk(state: State[Bits], node: str) -> str:
    """What a starting backup finds on its disk: other jobs, and what is in flight."""
    others = jobs_of(state, node).values()
    beside = "beside other jobs" if others else "the only job"
    flying = ", writes in flight" if state.nodes[node].writes else ""
    return beside + flying + (", copies in flight" if any(job.copying for job in others) else "")


def _jobs(state: State[Bits], node: str) -> str:
    count = sum(job.node == node for job in state.jobs.values())
    return ("no job", "one job", "several jobs")[min(count, 2)]


def recorders(node: Node[Bits]) -> str:
    """Who records a guest write to this disk."""
    named = anonymous = False
    for bitmap in node.bitmaps.values():
        if bitmap.successor is None:
            named |= bitmap.enabled
        else:
            anonymous |= bitmap.successor.enabled
    if named and anonymous:
        return "recorded by a bitmap and a successor"
    return "recorded by a bitmap" if named else "recorded by a successor" if anonymous else "not recorded"


LANDINGS = ("outside", "on what is copied", "on what is to be copied", "on the copy in flight")


def landing(state: State[Bits], node: Node[Bits], command: c.Write | c.BeginWrite) -> str:
    """Where a guest write lands, as seen by the job that it concerns most."""
    if command.length == 0:
        return "nowhere"
    blocks = state.space.blocks(command.offset, command.length)
    most = 0
    for job in state.jobs.values():
        if job.node == command.node:
            touched = state.space.round_out(blocks, job.cluster, node.size)
            concern = 3 if touched & job.copying else 2 if touched & job.todo else 1 if touched & job.scope else 0
            most = max(most, concern)
    return LANDINGS[most]
