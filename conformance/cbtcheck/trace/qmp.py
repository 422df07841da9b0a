"""Reads a QMP log (see `wire`), and gives it to a verifier.

QEMU executes one command after the other, and what it sends is in the order in which it happened: so a command took
effect when its reply was sent, after all events before. Only in the course of commands that drain may jobs end while
the command is under way: those are intervals, from when they were sent to when they were answered.

What a log does not tell is taken to be unknown: guest writes (unless `guest` is "recorded"), how far a job is with
its copies, and bitmaps from before it begins, which are followed from when they are first seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import msgspec
from cbtmodel.commands import Command
from msgspec import UNSET

from cbtcheck.scenario.actions import actions_of
from cbtcheck.sets.between import BetweenSets
from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.trace import form
from cbtcheck.trace.across import AcrossRestarts
from cbtcheck.trace.chains import OfGaps, OfWorlds
from cbtcheck.trace.doubts import Doubts
from cbtcheck.trace.events import (
    NO_REPLY,
    Event,
    Forgotten,
    Given,
    LookAtJobs,
    Resized,
    Span,
    TraceProblem,
)
from cbtcheck.trace.form import DoWrite
from cbtcheck.trace.gathered import Counts
from cbtcheck.trace.known_jobs import job_of
from cbtcheck.trace.pairs import MOST_WAITING, Pairs, Sent
from cbtcheck.trace.places import Untranslatable, snapshots
from cbtcheck.trace.qemu_io import HumanWrite, written_by
from cbtcheck.trace.qmp_commands import DRAINING, is_known, not_whole, refusal, starts, to_command
from cbtcheck.trace.qmp_jobs import QmpJobs
from cbtcheck.trace.qmp_sights import NODES, QUERIES, sights, sizes
from cbtcheck.trace.sessions import BLOCK, LARGEST, Beginnings, Monitor, nodes_query
from cbtcheck.trace.stretches import stretches
from cbtcheck.trace.unspecified import effects, is_of_unknown_effect
from cbtcheck.trace.untracked import names_in
from cbtcheck.trace.verifier import Tell, Verifier
from cbtcheck.trace.wire import Message
from cbtcheck.trace.world import Rules

MOST_EVENTS = 64
"""Events that are remembered: one QEMU tells each of its monitors of each."""


def read(
    messages: Iterator[Message], monitors: dict[str, Monitor], tell: Tell, guest: str, counts: Counts,
    alignment: int = 1,
) -> list[QmpReader]:  # fmt: skip
    """Judges the conversations of these monitors, each by itself; messages of others are passed over."""
    readers = {
        name: QmpReader(tell, each, guest, counts, alignment, name) for name, each in monitors.items()
    }
    for message in messages:
        if message.monitor in readers:
            readers[message.monitor].take(message)
    for each in readers.values():
        each.finish()
    return list(readers.values())


class QmpReader:
    """Gives the messages of one monitor to a verifier, the second time through a log."""

    def __init__(
        self, tell: Tell, monitor: Monitor, guest: str, counts: Counts, alignment: int = 1, name: str = ""
    ) -> None:
        self.counts, self._alignment = counts, alignment
        self.chains: list[OfGaps | OfWorlds] = []
        self._name = name
        self._tell, self._guest_seen = tell, guest == "recorded"
        sessions = monitor.sessions
        disks = stretches(name, sessions, self._guest_seen)
        self._sessions = iter(zip(sessions, disks, strict=True))
        self._several = len(monitor.last) > 1
        self._beginnings = Beginnings(monitor.last if self._several else {})
        self.restarts = AcrossRestarts(tell)
        self._stretch: dict[str, int] = {}
        self._begin()
        self._doubts = Doubts(self.verifier.chains)
        self._moment = 0
        self._held: list[tuple[int, Callable[[], None]]] = []
        self._events: deque[tuple[str, object]] = deque(maxlen=MOST_EVENTS)

    def _begin(self) -> None:
        """A session begins: it may be with another QEMU, so nothing that was known counts, but for backups."""
        session, stretch = next(self._sessions)
        disks = session.disks()
        self.places, self._pairs = session.places, Pairs(session.unsure)
        self._session, self._jobs = session, QmpJobs(session.jobs, session.places)
        space, rules = CompressedSets(BLOCK, self._alignment), Rules(copies_seen=False, untracked=True)
        if stretch is not self._stretch or self.chains[-1].lost_from:
            self._stretch = stretch
            self.chains.append(
                OfWorlds(BetweenSets(space), space.block, dict(stretch), frozenset(stretch))
                if self._guest_seen
                else OfGaps(stretch, rules)
            )
        self.chains[-1].monitor = self._name
        self.verifier = Verifier(
            space, disks, self._tell, rules, self._guest_seen, frozenset(disks), self.counts, self.chains[-1]
        )

    def take(self, message: Message) -> None:
        """One more message."""
        if self._beginnings.begins(message):
            self.finish()
            self._begin()
            self.restarts.begin()
            self._doubts = self._doubts.begins(message.line, self.verifier.chains, self.places)
        self._moment += 1
        self.places.now = message.line
        match message.kind:
            case "command":
                asked = self._pairs.sent(message, self._moment)
                self._jobs.asked(asked.name, asked.arguments)
            case "reply":
                sent, lost = self._pairs.answered(message)
                for each in lost:
                    self._lost(message, each)
                if sent is not None:
                    self._reply(message, sent)
                elif not lost:
                    self._stranger(message)
            case "event":
                self._event(message)
            case "guest":
                self._guest(message)
            case "unreadable":
                self.counts.unjudged["messages that cannot be read"] += 1
                self.restarts.forget()
                self._at(message, Forgotten(None))
        if self._held and not self._draining():
            self._release()
        if len(self._held) > MOST_WAITING:
            raise TraceProblem(message.line, "too many events while a command is under way")

    def finish(self) -> None:
        """The session is over."""
        left = [each for each in self._pairs.end() if is_known(each.name) or each.name in QUERIES]
        if left:
            self.counts.unjudged[NO_REPLY] += len(left)
        if any(is_known(each.name) for each in left):
            self.restarts.forget()
        for each in left:
            self._doubts.unanswered(each.line, each.name, each.arguments, self.places)
        self._release()
        self.verifier.finish()

    def _draining(self) -> bool:
        return any(sent.name in DRAINING for sent in self._pairs.waiting)

    def _release(self) -> None:
        held, self._held = self._held, []
        for _, happen in sorted(held, key=lambda each: each[0]):
            happen()

    def _then(self, moment: int, happen: Callable[[], None]) -> None:
        """Now; or when what is under way has been answered, so that all comes in the order of its begin."""
        if self._held or self._draining():
            self._held.append((moment, happen))
        else:
            happen()

    def _at(self, message: Message, event: Event) -> None:
        span = Span(message.line, self._moment, self._moment, True)
        self._then(self._moment, lambda: self.verifier.happen(event, span))

    def _from(self, message: Message, sent: Sent, event: Event) -> None:
        """It took effect between when it was sent and now; now, if nothing else has happened in between."""
        if sent.name in DRAINING and self._held:
            span = Span(message.line, sent.moment, self._moment, False)
            self._held.append((sent.moment, lambda: self.verifier.happen(event, span)))
        else:
            self._at(message, event)

    # Replies

    def _reply(self, message: Message, sent: Sent) -> None:
        error = message.data.get("error")
        if error is None and sent.name not in QUERIES:
            self.restarts.did(message.line, sent.name, sent.arguments, self.places)
            self._doubts.accepted(message.line, sent.name, sent.arguments, self.places)
            for lower, overlay in snapshots(sent.name, sent.arguments):
                self._doubts.snapshot(message.line, self.places.node(lower), overlay)
        elif error is not None:
            self._doubts.refused(sent.name, sent.arguments, str(error), self.places)
        if is_known(sent.name):
            self._known(message, sent, error)
        elif error is not None:
            return
        elif sent.name in QUERIES:
            self._seen(message, sent.name, sent.arguments)
        elif sent.name in ("stop", "cont"):
            self._runs(message, sent.name == "cont")
        else:
            said = message.data.get("return")
            made = written_by(sent.name, sent.arguments, said)
            if made is not None:
                self._human(message, made)
            if sent.name != "human-monitor-command" or not isinstance(said, str) or not said.strip():
                self._did(message, sent)

    def _did(self, message: Message, sent: Sent) -> None:
        """A command that the specification does not know was accepted, or may have been."""
        if is_of_unknown_effect(sent.name):
            self.counts.unjudged["commands about block devices that the specification does not know"] += 1
        for each in effects(sent.name, sent.arguments, self.places):
            self._at(message, each)

    def _seen(self, message: Message, query: str, arguments: Any) -> None:
        """What the reply of a query shows. Its disks may have another size than before."""
        reply = message.data.get("return")
        if query in NODES:
            self.restarts.shown(message.line, query, reply, self.places)
            self._doubts.shown(query, reply)
            for before, after in self.places.changed_at(message.line):
                self._doubts.snapshot(message.line, before, after)
            for node, size in sizes(query, reply):
                if self.verifier.disks.get(node, size) != size <= LARGEST:
                    self._at(message, Resized(node, size))
        over = self._jobs.shown(query, reply)
        if over is not None:
            self._at(message, over)
        for seen in sights(query, arguments, reply, self.places):
            if isinstance(seen, LookAtJobs) or seen.bitmaps or seen.node in self.verifier.disks:
                self._at(message, seen)

    def _proven(self, message: Message, job_id: str) -> None:
        """A job is seen that runs. If the reply of the command that began it is not in the log, it was accepted."""
        for sent in [*self._pairs.waiting]:
            if sent.moment in self._session.jobs.proven and job_id in starts(sent.name, sent.arguments):
                self._pairs.waiting.remove(sent)
                self._accepted(message, sent)

    def _accepted(self, message: Message, sent: Sent) -> None:
        self._reply(replace(message, kind="reply", data={"return": {}}), sent)

    def _lost(self, message: Message, sent: Sent) -> None:
        """The reply of a command is not in the log, and can no longer come: perhaps it was done."""
        if sent.moment in self._session.jobs.proven:
            self._accepted(message, sent)
            return
        self.restarts.forget()
        self._doubts.unanswered(sent.line, sent.name, sent.arguments, self.places)
        if not is_known(sent.name):
            self._did(message, sent)
            return
        try:
            command = to_command(sent.name, sent.arguments, self.places)
        except Untranslatable:
            self._did(message, sent)
        else:
            self._at(message, Given(command, definite=False, text=NO_REPLY))

    def _stranger(self, message: Message) -> None:
        """The command of a reply is not in the log. If it says that something was done, that may be anything."""
        if "return" not in message.data:
            return
        said = message.data["return"]
        query = nodes_query(said)
        if query:
            self._seen(message, query, None)
        elif said == {}:
            self.restarts.forget()
            self.counts.unjudged["replies whose commands are not in the log"] += 1
            self._at(message, Forgotten(None))
        elif isinstance(said, str) and not said.strip():
            self._anywhere(message)

    def _known(self, message: Message, sent: Sent, error: Any) -> None:
        text = str(error.get("desc", "")) if isinstance(error, dict) else ""
        try:
            command = to_command(sent.name, sent.arguments, self.places)
        except Untranslatable:
            self.verifier.counts.commands += 1
            self.verifier.counts.unjudged["commands in a form that the specification does not know"] += 1
            if error is None:
                for each in effects(sent.name, sent.arguments, self.places) if sent.name == "transaction" else ():
                    self._from(message, sent, each)
                if sent.name != "transaction":
                    self._from(message, sent, Forgotten(None))
            return
        kind = "" if error is None else refusal(sent.name, sent.arguments, text)
        command = self._jobs.as_far_as_heard(command)
        self.verifier.chains.apart |= set(not_whole(sent.name, sent.arguments))
        self._from(message, sent, Given(command, kind, True, text))
        if kind:
            return
        self._perhaps_filters(message, command)
        self._jobs.began(command)
        changes, unheard = self._jobs.unheard(command, sent.moment)
        for each in changes:
            self._at(message, each)
        for job in unheard:
            self._doubts.unheard(job, message.line)

    def _perhaps_filters(self, message: Message, command: Command) -> None:
        """Where no event tells when a backup ended, a device may stand for its filter, or for the disk again."""
        if self._session.jobs.unheard:
            for node in {places for each in actions_of(command) for places, _ in names_in(each)}:
                disk = self.places.below_filter(node)
                if disk is not None:
                    self._at(message, Forgotten(disk, None, closed=True))
                    self._doubts.perhaps_filter(message.line, disk, node)

    def _human(self, message: Message, asked: HumanWrite) -> None:
        node = self.places.node(asked.device)
        size = self.verifier.disks.get(node)
        if size is None:
            if not self.places.knows(asked.device):
                self.counts.unjudged["guest writes to a device of which the log does not say which node it is"] += 1
                self._anywhere(message)
            return
        first, past = asked.offset // BLOCK, -(-size // BLOCK)
        if asked.length is not None:
            if asked.offset + asked.length > size or not asked.length:
                return  # qemu-io refuses it, and says so elsewhere
            past = (asked.offset + asked.length - 1) // BLOCK + 1
        line, moment, end, sure = message.line, self._moment, inf if asked.later else None, asked.sure
        self._then(moment, lambda: self.verifier.write(line, node, first, past, moment, end, sure))

    def _guest(self, message: Message) -> None:
        try:
            asked = msgspec.convert(message.data, DoWrite)
        except (msgspec.ValidationError, UnicodeError) as problem:  # half a surrogate pair is in JSON, and no text
            raise TraceProblem(message.line, str(problem)) from None
        if asked.at is not UNSET or asked.begin is not UNSET or asked.end is not UNSET:
            raise TraceProblem(message.line, "in a QMP log, a guest write is where its line is: no times")
        if asked.ended is not UNSET:
            raise TraceProblem(message.line, "in a QMP log, jobs end by events")
        if asked.reply in ("accepted", "indefinite") and asked.result not in ("ignored", "copy failed"):
            sure = asked.reply == "accepted"
            self._human(message, HumanWrite(asked.node, asked.offset, asked.length, sure))
        else:
            refusal = "" if asked.reply in ("accepted", "indefinite") else asked.reply
            self._at(message, Given(form.to_command(asked), refusal, asked.reply != "indefinite"))

    def _anywhere(self, message: Message) -> None:
        """Something may have been written, to any disk."""
        line, moment = message.line, self._moment
        for node, size in self.verifier.disks.items():
            past = -(-size // BLOCK)
            self._then(moment, partial(self.verifier.write, line, node, 0, past, moment, None, False))

    def _runs(self, message: Message, runs: bool) -> None:
        """The guest is stopped, or goes on: in between it writes nothing."""
        chains, line = self.verifier.chains, message.line
        if isinstance(chains, OfGaps):
            self._then(self._moment, lambda: chains.guest_runs(line, runs))

    # Events

    def _event(self, message: Message) -> None:
        name = message.data["event"]
        if self._several:
            told = (message.channel, message.data)
            if any(each == message.data for channel, each in self._events if channel != message.channel):
                return
            self._events.append(told)
        if name in ("STOP", "RESUME"):
            self._runs(message, name == "RESUME")
        if name == "SHUTDOWN":
            self.restarts.quits()
            self._at(message, Forgotten(None, closed=True))
        job_id = job_of(message.data)
        if job_id is not None:
            self._proven(message, job_id)
        change = self._jobs.event(message.data)
        if change is not None:
            self._at(message, change)
