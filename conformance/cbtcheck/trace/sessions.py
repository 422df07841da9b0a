"""The first time through a log: its monitors, their sessions, and what is known of the disks in each.

A session is a conversation with one QEMU, from one greeting or `qmp_capabilities` to the next: nothing that was known
before counts, for it may be another QEMU (the first was killed), and bitmaps may have been loaded or lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cbtcheck.trace import form
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.known_jobs import KnownOfJobs
from cbtcheck.trace.pairs import Pairs
from cbtcheck.trace.places import Places, snapshots
from cbtcheck.trace.qemu_io import written_by
from cbtcheck.trace.qmp_actions import actions_in
from cbtcheck.trace.qmp_commands import JOBS, is_known
from cbtcheck.trace.qmp_sights import NODES, learn_places, with_bitmaps
from cbtcheck.trace.wire import Message

BLOCK = 512

MOST_NODES = 1024
MOST_MONITORS = 256

LARGEST = form.MOST_BLOCKS * BLOCK
"""The largest disk that is followed, in bytes."""

ADDRESS = "0x"
"""How the name of a monitor begins that may be used again for another QEMU: libvirt's are addresses."""

ASSUMED = 1 << 40
"""The size in bytes that a disk is given of which the log tells none: its replies are judged, and no sizes."""


@dataclass
class Session:
    """What nodes there are in one session, and those that have to do with bitmaps.

    `used` are those of which a bitmap command was accepted: so they exist. `alike` are pairs of nodes between which
    bitmaps were merged: so they have the same size. `unsure`: see `pairs`. `jobs`: what is known of their ends.
    `written` are the nodes and devices that the log says a guest has written to, with the end of that in bytes.
    """

    places: Places
    named: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    alike: set[tuple[str, str]] = field(default_factory=set)
    unsure: bool = False
    jobs: KnownOfJobs = field(default_factory=KnownOfJobs)
    written: dict[str, int] = field(default_factory=dict)

    def unplaced(self) -> list[str]:
        """Devices that a guest has written to, and of which the log does not say which node they are."""
        return sorted(name for name in self.written if not self.places.knows(name))

    def disks(self) -> dict[str, int]:
        """The nodes that are followed, with their sizes in bytes as they were first seen."""
        names = sorted(self.places.node(name) for name in self.named)
        found = {name: self.places.sizes[name] for name in names if 0 < self.places.sizes.get(name, 0) <= LARGEST}
        unknown = self.without_size()
        assumed = {name: self._as_another(name) for name in sorted(unknown)}
        return found | assumed

    def _as_another(self, name: str) -> int:
        """The size of a node that the log does not tell: that of one that it was merged with, at whatever remove."""
        reached, waiting = {name}, [name]
        pairs = [tuple(map(self.places.node, pair)) for pair in self.alike]
        while waiting:
            here = waiting.pop(0)
            if 0 < self.places.sizes.get(here, 0) <= LARGEST:
                return self.places.sizes[here]
            new = {other for pair in pairs if here in pair for other in pair} - reached
            reached |= new
            waiting += sorted(new)
        return ASSUMED

    def without_size(self) -> set[str]:
        """The nodes whose size is not in the log, but which have bitmaps."""
        return {self.places.node(name) for name in self.used} - self.places.sizes.keys()

    def left_out(self) -> set[str]:
        """The nodes that cannot be followed."""
        return {self.places.node(name) for name in self.named} - self.disks().keys()


class Beginnings:
    """Tells where a session begins: at a greeting, or at `qmp_capabilities` if no greeting came just before.

    A client that connects to a QEMU which others go on talking to begins none. `last`: for each connection the
    numbers of the first and the last message from each greeting on, if they are known; if not, no further connection
    begins a session.
    """

    def __init__(self, last: Mapping[str, Sequence[Sequence[int]]]) -> None:
        self._last = last
        self._fresh: dict[str, bool] = {}
        self._number = 0

    def begins(self, message: Message) -> bool:
        """Whether this message does not belong to the session of the message before."""
        self._number += 1
        channel = message.channel
        is_another = bool(self._fresh) and channel not in self._fresh
        fresh = self._fresh.get(channel, True)
        negotiates = message.kind == "command" and message.data.get("execute") == "qmp_capabilities"
        if message.kind == "greeting":
            self._fresh[channel] = True
            begins = not fresh or is_another
        else:
            begins = negotiates and (not fresh or is_another)
            self._fresh[channel] = fresh and message.kind in ("event", "reply")
        if not begins or not self._last:
            return begins and not is_another
        others = (talk for name, talks in self._last.items() if name != channel for talk in talks)
        return not any(talk[0] < self._number < talk[-1] for talk in others)


@dataclass
class Monitor:
    """A monitor of a log: its sessions, and how many messages of each kind there were.

    `last`: of each of its connections the numbers of the first and the last message from each greeting on.
    """

    sessions: list[Session]
    kinds: Counter[str] = field(default_factory=Counter)
    last: dict[str, list[list[int]]] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """How many there were of any kind."""
        return self.kinds.total()


class _Surveyor:
    """Goes through the messages of one monitor."""

    def __init__(self, disks: dict[str, int], last: Mapping[str, Sequence[Sequence[int]]]) -> None:
        self._disks, self._beginnings, self._pairs = disks, Beginnings(last), Pairs()
        self.monitor, self._moment = Monitor([self._session()]), 0

    def _session(self) -> Session:
        return Session(Places(dict(self._disks)), set(self._disks))

    def take(self, message: Message) -> None:
        """One more message."""
        self.monitor.kinds[message.kind] += 1
        self._moment += 1
        talks = self.monitor.last.setdefault(message.channel, [])
        if not talks or message.kind == "greeting":
            talks.append([self._moment, self._moment])
        talks[-1][1] = self._moment
        if self._beginnings.begins(message):
            self.end()
            self.monitor.sessions.append(self._session())
        session = self.monitor.sessions[-1]
        if message.kind == "command":
            sent = self._pairs.sent(message, self._moment)
            if is_known(sent.name):
                session.named |= set(_nodes_in(sent.name, sent.arguments))
        elif message.kind == "reply":
            self._reply(message, session)
        elif message.kind == "event":
            session.jobs.told(message.data, self._pairs)
        elif message.kind == "guest":
            self._wrote(str(message.data.get("node")), message.data.get("offset"), message.data.get("length"))
        if len(session.named) > MOST_NODES:
            raise TraceProblem(message.line, f"more than {MOST_NODES} disks")

    def _reply(self, message: Message, session: Session) -> None:
        sent, lost = self._pairs.answered(message)
        session.jobs.lost(lost)
        if sent is not None:
            session.jobs.answered(sent, message.data)
        if "return" not in message.data:
            return
        said = message.data["return"]
        query = nodes_query(said) if sent is None else sent.name
        if query in NODES:
            learn_places(session.places, query, said, message.line)
            session.named |= set(with_bitmaps(query, said))
        elif sent is not None and is_known(sent.name):
            session.used |= set(_nodes_in(sent.name, sent.arguments))
            session.alike |= set(_merged(sent.name, sent.arguments))
        elif sent is not None:
            for lower, overlay in snapshots(sent.name, sent.arguments):
                session.places.covered(session.places.node(lower), overlay, message.line)
            made = written_by(sent.name, sent.arguments, said)
            if made is not None:
                self._wrote(made.device, made.offset, made.length)
            if sent.name == "block_resize" and isinstance(sent.arguments, dict):
                name, size = sent.arguments.get("node-name", sent.arguments.get("device")), sent.arguments.get("size")
                if isinstance(name, str) and type(size) is int:
                    session.places.last_sizes[session.places.node(name)] = size

    def _wrote(self, name: str, offset: Any, length: Any) -> None:
        end = offset + length if type(offset) is int and type(length) is int else 0
        written = self.monitor.sessions[-1].written
        written[name] = max(written.get(name, 0), end)

    def end(self) -> None:
        """The session has ended."""
        self.monitor.sessions[-1].unsure = self._pairs.is_unsure
        self.monitor.sessions[-1].jobs.lost(self._pairs.end())
        self._pairs = Pairs()


def survey(
    messages: Iterator[Message], disks: dict[str, int], last: Mapping[str, Mapping[str, Sequence[Sequence[int]]]]
) -> dict[str, Monitor]:
    """The monitors of a log by name, in the order in which they are first seen. `last`: see `Beginnings`."""
    found: dict[str, _Surveyor] = {}
    for message in messages:
        if message.monitor not in found:
            if len(found) == MOST_MONITORS:
                raise TraceProblem(message.line, f"more than {MOST_MONITORS} monitors")
            found[message.monitor] = _Surveyor(disks, last.get(message.monitor, {}))
        found[message.monitor].take(message)
    for name, each in found.items():
        each.end()
        if not name.startswith(ADDRESS):
            _as_in_others(each.monitor.sessions)
    return {name: each.monitor for name, each in found.items()}


def _as_in_others(sessions: list[Session]) -> None:
    """What a session does not tell of disks is as in the one before; if none has told it before, as in the next."""
    for before, session in pairwise(sessions):
        session.named |= before.named
        session.places.as_in(before.places, True, session.written)
    for later, session in pairwise(reversed(sessions)):
        session.places.as_in(later.places, False, session.written)


def nodes_query(reply: Any) -> str:
    """Which query a reply answers whose command is not in the log, if it shows nodes; "" for another one."""
    first = reply[0] if isinstance(reply, list) and reply else None
    if not isinstance(first, dict):
        return ""
    if isinstance(first.get("node-name"), str):
        return "query-named-block-nodes"
    return "query-block" if "inserted" in first or "qdev" in first else ""


def _nodes_in(name: str, arguments: Any) -> Iterator[str]:
    """What a command, or an action of a transaction, says a node is. A job is no node."""
    for action, data in actions_in(name, arguments):
        for member in ("node", "device") if action not in JOBS else ():
            if isinstance(data.get(member), str):
                yield data[member]


def _merged(name: str, arguments: Any) -> Iterator[tuple[str, str]]:
    """Each two nodes between which a command, or an action of a transaction, merges bitmaps."""
    for action, data in actions_in(name, arguments):
        sources = data.get("bitmaps") if action == "block-dirty-bitmap-merge" else None
        for each in sources if isinstance(sources, list) else ():
            nodes = data.get("node"), each.get("node") if isinstance(each, dict) else None
            if all(isinstance(node, str) for node in nodes):
                yield str(nodes[0]), str(nodes[1])
