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
from dataclasses import dataclass, field
from math import inf
from typing import Any

import msgspec
from msgspec import UNSET

from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.trace import form
from cbtcheck.trace.events import (
    AllCopied,
    EndOfJobs,
    Event,
    Forgotten,
    Given,
    LookAtJobs,
    Span,
    StoppedByError,
    TraceProblem,
)
from cbtcheck.trace.form import DoWrite
from cbtcheck.trace.qemu_io import HumanWrite, human_write
from cbtcheck.trace.qmp_commands import (
    DRAINING,
    FORGETTING,
    OF_ONE_NODE,
    Places,
    Untranslatable,
    is_known,
    refusal,
    to_command,
)
from cbtcheck.trace.qmp_sights import NODES, QUERIES, learn_places, sights, with_bitmaps
from cbtcheck.trace.verifier import Counts, Tell, Verifier
from cbtcheck.trace.wire import Message
from cbtcheck.trace.world import Rules

BLOCK = 512
MOST_WAITING = 1 << 14
"""Commands under way, and events that wait for one, at most."""

MOST_NODES = 1024

LARGEST = form.MOST_BLOCKS * BLOCK
"""The largest disk that is followed, in bytes."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that has not been answered. `moment` counts messages."""

    name: str
    arguments: Any
    id: Any
    moment: int


@dataclass
class Pairs:
    """Finds the command that a reply answers: by its id, or, without one, the oldest."""

    waiting: deque[Sent] = field(default_factory=deque)

    def sent(self, message: Message, moment: int) -> Sent:
        """A command is on its way."""
        data = message.data
        sent = Sent(str(data.get("execute", data.get("exec-oob"))), data.get("arguments", {}), data.get("id"), moment)
        self.waiting.append(sent)
        if len(self.waiting) > MOST_WAITING:
            raise TraceProblem(message.line, "too many commands without a reply; are the replies in this log?")
        return sent

    def answered(self, message: Message) -> Sent | None:
        """The command of a reply; None if it is not in the log."""
        id = message.data.get("id")
        for sent in self.waiting:
            if id is None or sent.id == id:
                self.waiting.remove(sent)
                return sent
        return None


@dataclass
class Session:
    """A connection, from one greeting to the next: what nodes there are, and those that have to do with bitmaps."""

    places: Places
    named: set[str] = field(default_factory=set)

    def disks(self) -> dict[str, int]:
        """The nodes that can be followed, with their sizes in bytes."""
        names = sorted({self.places.node(name) for name in self.named} - self.places.changing)
        return {name: self.places.sizes[name] for name in names if 0 < self.places.sizes.get(name, 0) <= LARGEST}

    def left_out(self) -> set[str]:
        """The nodes that cannot."""
        return {self.places.node(name) for name in self.named} - self.disks().keys()


def survey(messages: Iterator[Message], disks: dict[str, int]) -> list[Session]:
    """The first time through a log: what is known of the nodes in each of its sessions."""
    sessions, pairs = [Session(Places(dict(disks)), set(disks))], Pairs()
    for message in messages:
        places, named = sessions[-1].places, sessions[-1].named
        if message.kind == "greeting":
            pairs.waiting.clear()
            sessions.append(Session(Places(dict(disks)), set(disks)))
        elif message.kind == "command":
            sent = pairs.sent(message, 0)
            if is_known(sent.name):
                named |= set(_nodes_in(sent.arguments))
        elif message.kind == "reply":
            answered = pairs.answered(message)
            if answered is not None and answered.name in NODES and "return" in message.data:
                learn_places(places, answered.name, message.data["return"])
                named |= set(with_bitmaps(answered.name, message.data["return"]))
        if len(named) > MOST_NODES:
            raise TraceProblem(message.line, f"more than {MOST_NODES} disks")
    return sessions


def _nodes_in(arguments: Any) -> Iterator[str]:
    """What a command says a node is, at whatever depth an action of a transaction has it."""
    if not isinstance(arguments, dict):
        return
    for member in ("node", "device"):
        if isinstance(arguments.get(member), str):
            yield arguments[member]
    actions = arguments.get("actions")
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, dict):
            yield from _nodes_in(each.get("data"))


class QmpReader:
    """Gives the messages of a log to a verifier, the second time through."""

    def __init__(self, tell: Tell, sessions: list[Session], guest: str) -> None:
        self.counts = Counts()
        self._tell, self._guest_seen = tell, guest == "recorded"
        self._sessions = iter(sessions)
        self._pairs = Pairs()
        self._begin()
        self._moment = 0
        self._held: list[tuple[int, Callable[[], None]]] = []

    def _begin(self) -> None:
        """A session begins: it may be with another QEMU, so nothing that was known counts."""
        session = next(self._sessions)
        disks = session.disks()
        self.places = session.places
        space, rules = CompressedSets(BLOCK), Rules(copies_seen=False, untracked=True)
        self.verifier = Verifier(space, disks, self._tell, rules, self._guest_seen, frozenset(disks), self.counts)

    def read(self, messages: Iterator[Message]) -> None:
        """All messages."""
        for message in messages:
            self._moment += 1
            match message.kind:
                case "command":
                    self._pairs.sent(message, self._moment)
                case "reply":
                    sent = self._pairs.answered(message)
                    if sent is not None:
                        self._reply(message, sent)
                case "event":
                    self._event(message)
                case "guest":
                    self._guest(message)
                case "greeting":
                    self._pairs.waiting.clear()
                    self._release()
                    self.verifier.finish()
                    self._begin()
            if self._held and not self._draining():
                self._release()
            if len(self._held) > MOST_WAITING:
                raise TraceProblem(message.line, "too many events while a command is under way")
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
        if is_known(sent.name):
            self._known(message, sent, error)
        elif error is not None:
            return
        elif sent.name in QUERIES:
            for seen in sights(sent.name, sent.arguments, message.data.get("return"), self.places):
                if isinstance(seen, LookAtJobs) or seen.bitmaps or seen.node in self.verifier.disks:
                    self._at(message, seen)
        elif sent.name == "human-monitor-command":
            line = sent.arguments.get("command-line") if isinstance(sent.arguments, dict) else None
            asked = human_write(line) if isinstance(line, str) else None
            if asked is not None:
                self._human(message, asked)
        elif sent.name in FORGETTING:
            self._at(message, Forgotten(None))
        elif sent.name in OF_ONE_NODE and isinstance(sent.arguments, dict):
            named = sent.arguments.get("node-name", sent.arguments.get("device"))
            if isinstance(named, str):
                self._at(message, Forgotten(self.places.node(named)))
        elif sent.name in ("block-export-add", "nbd-server-add"):
            self._exported(message, sent.arguments)

    def _known(self, message: Message, sent: Sent, error: Any) -> None:
        text = str(error.get("desc", "")) if isinstance(error, dict) else ""
        try:
            command = to_command(sent.name, sent.arguments, self.places)
        except Untranslatable:
            self.verifier.counts.commands += 1
            self.verifier.counts.unjudged["commands in a form that the specification does not know"] += 1
            if error is None:
                self._from(message, sent, Forgotten(None))
            return
        kind = "" if error is None else refusal(sent.name, sent.arguments, text)
        self._from(message, sent, Given(command, kind, True, text))

    def _human(self, message: Message, asked: HumanWrite) -> None:
        on = self.places.node(asked.device)
        size = self.verifier.disks.get(on)
        if size is None:
            return
        first, past = asked.offset // BLOCK, -(-size // BLOCK)
        if asked.length is not None:
            if asked.offset + asked.length > size or not asked.length:
                return  # qemu-io refuses it, and says so elsewhere
            past = (asked.offset + asked.length - 1) // BLOCK + 1
        line, moment, end, sure = message.line, self._moment, inf if asked.later else None, asked.sure
        self._then(moment, lambda: self.verifier.write(line, on, first, past, moment, end, sure))

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

    def _exported(self, message: Message, arguments: Any) -> None:
        """An export makes bitmaps busy, which the specification does not know."""
        if not isinstance(arguments, dict):
            return
        listed = arguments.get("bitmaps", [arguments.get("bitmap")])
        names = [each.get("name") if isinstance(each, dict) else each for each in listed if each is not None]
        texts = tuple(sorted({name for name in names if isinstance(name, str)}))
        if texts:
            self._at(message, Forgotten(None, texts))

    # Events

    def _event(self, message: Message) -> None:
        name, data = message.data["event"], message.data.get("data")
        if name == "SHUTDOWN":
            self._at(message, Forgotten(None))
        if not isinstance(data, dict):
            return
        id = data.get("id" if name in ("JOB_STATUS_CHANGE", "BLOCK_JOB_PENDING") else "device")
        if not isinstance(id, str) or data.get("type", "backup") != "backup":
            return
        match name:
            case "BLOCK_JOB_COMPLETED":
                self._at(message, EndOfJobs(((id, "failed" if "error" in data else "completed"),)))
            case "BLOCK_JOB_CANCELLED":
                self._at(message, EndOfJobs(((id, "cancelled"),)))
            case "BLOCK_JOB_PENDING":
                self._at(message, AllCopied(id))
            case "JOB_STATUS_CHANGE" if data.get("status") in ("waiting", "pending"):
                self._at(message, AllCopied(id))
            case "BLOCK_JOB_ERROR" if data.get("action") == "stop":
                self._at(message, StoppedByError(id))
