"""The suite as the backup program, for implementations that only track: it runs the jobs and makes the copies.

Which clusters are copied, and when a job ends, is what the specification says of the suite's own jobs. But *what* is
to be copied is what the implementation reports for the frozen bitmap: a bit that it has lost is a cluster that the
backup does not have, and restoring it shows that. The content is that of the job's start.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from cbtmodel import jobs, node, transaction
from cbtmodel.backup import Ended
from cbtmodel.commands import BeginWrite, Command, EndWrite, StartBackup, Transaction, Write, malformed
from cbtmodel.image import Close, Crash, Event
from cbtmodel.node import State
from cbtmodel.refusal import Refused
from cbtmodel.step import Step, step
from msgspec import UNSET

from cbtcheck.adapter import ACCEPTED, POISON, Capabilities, Observation, Performed, Reply, SeenJob
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.conversation import Conversation
from cbtcheck.adapters.protocol.observation import reply_of
from cbtcheck.content import Content, assembled, part_of
from cbtcheck.follow.judge import judge, phase_of
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.scenario import spelled
from cbtcheck.sets.bitsets import Bits, BitSets, extents

MOST_DOUBTS = 3
"""So often an end is told again, if nobody is certain that it was understood."""

OWN_KINDS = ("invalid", "exists")
"""How a start is refused for reasons that are the suite's affair."""


@dataclass(frozen=True)
class Backup:
    """A backup that the suite makes of a disk of `size` bytes.

    `reported` is what the implementation says is to be copied, in whole clusters; None if it is everything. `then` is
    the disk at the start; None if it is read later, or not at all.
    """

    size: int
    reported: Bits | None
    then: Content | None


class Tracker(Protocol):
    """What the suite asks of an implementation that tracks, and copies nothing: `ExecAdapter`."""

    @property
    def capabilities(self) -> Capabilities:
        """What it claims."""

    @property
    def talk(self) -> Conversation:
        """The conversation with it."""

    def ask(self, asked: Played, sent: Played, fill: int) -> Performed:
        """Sends a command; what happened, where that is what was `asked` for if nothing else is said."""

    def wrong(self, what: str, hint: str = "") -> NoReturn:
        """What it said cannot be."""

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """What it says there is."""

    def bits(self, node: str, name: str) -> int | None:
        """The granules of a bitmap, as they were last observed."""

    def content(self, what: Any, name: str, size: int) -> Content | None:
        """What it shows of a disk of so many bytes; None if it does not claim that."""

    def bytes_of(self, said: m.SeenContent, size: int, where: str) -> Content:
        """The content that was told."""


class SuiteCopies:
    """The suite's own jobs, by their ids."""

    def __init__(self, adapter: Tracker) -> None:
        self._adapter = adapter
        self.reset({})

    def reset(self, sizes: dict[str, int]) -> None:
        """No jobs."""
        self._sizes = sizes
        self._backups: dict[str, Backup] = {}
        self._targets: dict[str, Content | None] = {}
        self._phases: dict[str, str] = {}

    # Commands

    def perform(self, command: Command, before: State[Bits], fill: int) -> tuple[Performed, State[Bits]]:
        """Makes a command happen in the specification's state `before`. Also gives the state afterwards."""
        if not before.jobs and isinstance(command, Write | BeginWrite | EndWrite):
            return self._sent(command, fill), before  # nobody makes a backup: the state is not looked at
        expected = step(before, command)
        own = self._own_reply(command, before, expected)
        if own is not None:
            return Performed(((command, own),)), before
        performed = Performed(((command, ACCEPTED),)) if is_own(command) else self._sent(command, fill)
        return self._follow(before, performed, command, expected)

    def happen(self, event: Event, before: State[Bits], fill: int) -> Performed:
        """What happens to images. A close cancels the jobs of its disk first, and a crash takes them all along."""
        ended: list[tuple[str, str]] = []
        state = before
        if isinstance(event, Crash):
            self._backups, self._phases = {}, {}
        if isinstance(event, Close) and event.node in before.nodes:
            state = node.drain(before, event.node)
            for job in node.jobs_of(state, event.node):
                if job in state.jobs:
                    state, ends = jobs.cancel(state, job)
                    for end in ends:
                        self._end(end, state)
                        ended.append((end.job_id, end.outcome))
            self._phases = {each: phase_of(job) for each, job in state.jobs.items() if each in self._backups}
        performed = self._adapter.ask(event, event, fill)
        if performed.ended:
            self._adapter.wrong("a reply that tells of ended jobs: they are the suite's affair")
        return dataclasses.replace(performed, ended=tuple(ended))

    def _sent(self, command: Command, fill: int) -> Performed:
        performed = self._adapter.ask(command, self.as_sent(command), fill)
        if performed.ended or any(is_own(each) for each, _ in performed.trace):
            self._adapter.wrong("a reply tells of jobs: they are the suite's affair, if it makes the copies")
        return performed

    def _own_reply(self, command: Command, before: State[Bits], expected: Step[Bits]) -> Reply | None:
        """A refusal that is the suite's own affair; None if the command is to be done."""
        refusal = expected.refusal
        if refusal is None:
            return None
        own = is_own(command)
        if isinstance(command, Write | BeginWrite):
            own = refusal.kind == "copy failed"
        elif isinstance(command, StartBackup | Transaction):
            own = refusal.kind in OWN_KINDS and isinstance(_refused_in(command, before), StartBackup)
        return Reply(refusal.kind, refusal.reason) if own else None

    def as_sent(self, command: Any) -> Any:
        """A guest write is just a write: that saving something for it would fail is nothing to the implementation."""
        if isinstance(command, Write | BeginWrite) and command.result == "copy failed":
            return dataclasses.replace(command, result="ok")
        return command

    def _follow(
        self, before: State[Bits], performed: Performed, asked: Command, expected: Step[Bits]
    ) -> tuple[Performed, State[Bits]]:
        """Does the suite's part of what happened: begins backups and ends them."""
        trace, ended, state = list(performed.trace), [], before
        for number, (happened, reply) in enumerate(performed.trace):
            assert not isinstance(happened, Event), "what happens to images is not what was asked for"
            result = expected if happened is asked and state is before else step(state, happened)
            if result.refusal is None and (not reply.refusal or not reply.definite):
                if not reply.definite and not self._has_happened(happened, state, result.state):
                    continue
                self._begin(happened, result.state)
                for end in result.ended:
                    answer = self._end(end, result.state)
                    if answer.refusal:
                        trace[number] = happened, answer
                    ended.append((end.job_id, end.outcome))
            state = result.state
        self._phases = {job_id: phase_of(job) for job_id, job in state.jobs.items() if job_id in self._backups}
        return Performed(tuple(trace), tuple(ended)), state

    # Backups

    def _begin(self, happened: Command, state: State[Bits]) -> None:
        """Takes up the backups that have begun."""
        starts = starts_of(happened)
        frozen = self._frozen() if any(each.sync != "full" for each in starts) else {}
        for each in starts:
            size = self._sizes[each.node]
            reported = None
            if each.sync != "full":
                dirty = frozen.get((each.node, each.bitmap), [])
                reported = _clusters(state.space, dirty, each.cluster, size)
            then = None if self._reads else self._adapter.content("disk", each.node, size)
            self._backups[each.job] = Backup(size, reported, then)

    @property
    def _reads(self) -> bool:
        """Whether the implementation itself keeps the content of a backup's start."""
        return "read" in self._adapter.capabilities.features

    def _frozen(self) -> dict[tuple[str, str | None], list[tuple[int, int]]]:
        """What is dirty in each bitmap, as (offset, length) within the disk."""
        seen = self._adapter.observe(frozenset())
        found: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
        for place, each in seen.bitmaps.items():
            unit, size = each.granularity, self._sizes[place[0]]
            assert unit is not None
            runs = extents(self._adapter.bits(*place) or 0)
            found[place] = [(first * unit, min(count * unit, size - first * unit)) for first, count in runs]
        return found

    def _has_happened(self, command: Command, before: State[Bits], after: State[Bits]) -> bool:
        """Whether a command of which nobody is certain has happened, if that means something for backups: what is
        seen tells. If it does not tell, backups have not begun, and a write has been written.
        """
        starts = starts_of(command)
        if not starts and before.jobs == after.jobs:
            return True
        seen = self._adapter.observe(frozenset())
        named = [(each.node, each.bitmap) for each in starts if each.bitmap is not None]
        if named:
            return all(place in seen.bitmaps and seen.bitmaps[place].busy for place in named)
        space, bits = before.space, self._adapter.bits
        assert isinstance(space, BitSets)

        def at_odds(state: State[Bits]) -> int:
            jobs = {job_id: SeenJob(phase_of(job), None) for job_id, job in state.jobs.items()}
            return len(judge(space, state, dataclasses.replace(seen, jobs=jobs), bits))

        if starts:
            begun = at_odds(after) < at_odds(before)
            for each in starts if not begun else ():
                self._tell_the_end(each.job, False, [], None)  # now it is certain
            return begun
        if isinstance(command, Write | BeginWrite):  # the bitmaps of backups that it ends are frozen as yet
            node_name, blocks = command.node, space.blocks(command.offset, command.length)
            after = node.copy_before_write(before, node_name, blocks)
            if isinstance(command, Write):
                after = node.record(after, node_name, blocks)
            else:
                after = node.in_flight(after, node_name, command.write, blocks)
        return at_odds(after) <= at_odds(before)

    def _end(self, end: Ended[Bits], state: State[Bits]) -> Reply:
        """Copies what there was to copy, and tells the implementation how it has ended. Returns what that answers.

        With the content of the start it is all the same when something is copied; so it is done last, when the guest
        has had all the time to spoil it. What is reported and need not be is copied too, if the backup completes.
        """
        backup = self._backups.pop(end.job_id)
        left, done = end.job.todo, end.job.scope - end.job.todo
        if backup.reported is not None:
            left, extra = left & backup.reported, backup.reported - end.job.scope
            done = done & backup.reported
            if end.outcome == "completed":
                done = done | extra
            else:
                left = left | extra
        self._targets[end.job_id] = self._copied(end.job_id, backup, _in_bytes(state.space, done, backup.size))
        frozen = None if end.job.bitmap is None else (end.job.node, end.job.bitmap)
        success = end.outcome == "completed"
        return self._tell_the_end(end.job_id, success, _in_bytes(state.space, left, backup.size), frozen)

    def _tell_the_end(
        self, job: str, success: bool, left: list[tuple[int, int]], frozen: tuple[str, str] | None
    ) -> Reply:
        """Tells the implementation that a backup has ended, until it is certain that it has been understood.

        `frozen` is the backup's bitmap, which shows that. Returns what is answered.
        """
        talk, doubts = self._adapter.talk, 0
        while True:
            said = talk.request(m.Done, m.EndBackup(seq=talk.next, job=job, success=success, left=left))
            if said.ended is not UNSET or said.trace is not UNSET:
                self._adapter.wrong("a reply to end-backup that tells of more than an error")
            answer = reply_of(said)
            if doubts and answer.refusal == "not found":
                return ACCEPTED
            if answer.definite or doubts == MOST_DOUBTS:
                return answer
            if frozen is not None and not self._is_busy(frozen):
                return ACCEPTED
            doubts += 1

    def _is_busy(self, place: tuple[str, str]) -> bool:
        """Whether there is such a bitmap, and it is busy."""
        seen = self._adapter.observe(frozenset()).bitmaps
        return place in seen and seen[place].busy is True

    def _copied(self, job: str, backup: Backup, ranges: list[tuple[int, int]]) -> Content | None:
        """The target: what it was made of, and over it these (offset, length) of the disk at the start."""
        then = backup.then
        if backup.size > self._adapter.capabilities.largest_content or (then is None and not self._reads):
            return None
        pieces = [
            (offset, self._read(job, offset, length) if then is None else part_of(then, offset, length))
            for offset, length in ranges
        ]
        return assembled(backup.size, POISON, pieces)

    def _read(self, job: str, offset: int, length: int) -> Content:
        talk = self._adapter.talk
        said = talk.want(m.SeenContent, m.Read(seq=talk.next, job=job, offset=offset, length=length))
        return self._adapter.bytes_of(said, length, f"read of [{offset},{length}]")

    # What can be seen of them

    def observed(self, seen: Observation) -> Observation:
        """What the implementation shows, and the suite's own jobs."""
        if seen.jobs:
            self._adapter.wrong("an observation with jobs: they are the suite's affair, if it makes the copies")
        return dataclasses.replace(
            seen, jobs={job_id: SeenJob(phase, None) for job_id, phase in self._phases.items()}
        )

    def target(self, job: str) -> Content | None:
        """The content of the target of a backup that has ended."""
        return self._targets.pop(job, None)


def is_own(command: object) -> bool:
    """Whether a command is the suite's own affair."""
    return spelled(type(command).__name__) in claims.JOB_CONTROL


def starts_of(command: object) -> list[StartBackup]:
    """The backups that a command starts."""
    actions = actions_of(command)
    return [each for each in actions if isinstance(each, StartBackup)]


def _refused_in(command: StartBackup | Transaction, state: State[Bits]) -> object:
    """What of a command that is refused the reason is: an action of it, or itself."""
    if isinstance(command, StartBackup):
        return command
    starts = starts_of(command)
    if malformed(command) is not None:
        return next((each for each in starts if malformed(each) is not None), command)
    if command.grouped and len(starts) < len(command.actions):
        return command
    state = transaction.drain_all(state)
    together = tuple(each.job for each in starts) if command.grouped else ()
    for action in command.actions:
        try:
            state = transaction.prepare(state, action, together)
        except Refused:
            return action
    return command


def _clusters(space: Any, ranges: list[tuple[int, int]], cluster: int, size: int) -> Bits:
    """The blocks of all clusters that (offset, length) ranges of a disk touch."""
    touched: Bits = space.empty
    for offset, length in ranges:
        touched = touched | space.blocks(offset, length)
    rounded: Bits = space.round_out(touched, cluster, size)
    return rounded


def _in_bytes(space: Any, blocks: Bits, size: int) -> list[tuple[int, int]]:
    """Blocks of a disk as (offset, length), in bytes."""
    runs = ((first * space.block, (first + count) * space.block) for first, count in extents(blocks.word))
    return [(first, min(past, size) - first) for first, past in runs]
