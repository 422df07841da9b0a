"""An implementation behind a program that speaks the adapter protocol: any language, any machine, no trust.

The program is started when the adapter is opened. Whatever it does wrong kills it at once, and the next scenario
begins with a new one, which must claim the same: so nothing late can ever be taken for another answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec
from cbtmodel.commands import BeginCopy, BeginWrite, Command, Copy, EndCopy, EndWrite, Write
from cbtmodel.image import Event
from msgspec import UNSET

from cbtcheck.adapter import (
    ACCEPTED,
    PERSISTENCE,
    Adapter,
    AdapterBroken,
    AdapterUnusable,
    Capabilities,
    Hint,
    Observation,
    Performed,
    Reply,
)
from cbtcheck.adapters.protocol import lines, observation
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.conversation import Conversation, Late, Start, whole_log
from cbtcheck.adapters.protocol.mistakes import ProtocolError, plain, printable
from cbtcheck.adapters.protocol.observation import reply_of
from cbtcheck.adapters.suite_copies import SuiteCopies
from cbtcheck.content import Content
from cbtcheck.host.child import CannotStart, Child, Limits
from cbtcheck.host.pace import Patience
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.scenario import LARGEST_DISK

BLOCK = 512
"""What the suite tells apart, in bytes."""

LARGEST_UNIT = 4 << 20
"""Disks have at least eight of the plainest granules and clusters, as long as these are not larger."""

MOST_LATE = 3
"""So often an adapter may be late; then it is not worth waiting for it any more."""

MOST_BROKEN = 60
"""So often an adapter may break: enough to make a scenario or two shorter."""

MOST_SECONDS = 10.0
"""So long the starts of broken adapters may take, all in all."""

BY_ITSELF = (Copy, BeginCopy, EndCopy, EndWrite)
"""What may happen without having been asked for."""

DONE = Performed(())


class ExecAdapter(Adapter):
    """Drives a program. Raises `AdapterUnusable` if it cannot be started, `AdapterBroken` if it says no hello."""

    name = "exec"

    def __init__(self, command: Sequence[str], limits: Limits | None = None, start: Start = Child) -> None:
        self.command = tuple(command)
        self._start = start
        self.limits = limits or Limits()
        self._times_late, self._times_broken = 0, 0
        self._starts = Patience(MOST_SECONDS)
        self._starts.pause()
        self._sizes: dict[str, int] = {}
        self._bits: dict[tuple[str, str], int] = {}
        self._talk = self._started()
        self.hello = self._talk.hello
        try:
            self.capabilities = capabilities_of(self.hello)
        except LookupError as problem:
            self._talk.kill()
            raise AdapterBroken(plain(f"hello: {problem.args[0]}"), whole_log(self._talk.child.log)) from None
        self.batches = self.hello.batch
        self._suite = SuiteCopies(self) if self.hello.copies == "suite" else None

    def _started(self) -> Conversation:
        try:
            return Conversation(self.command, self.limits, self._start)
        except CannotStart as problem:
            raise AdapterUnusable(str(problem)) from None

    @property
    def version(self) -> str:
        """What the implementation calls itself."""
        it = self.hello
        words = [it.name, it.version, f"({it.language})" if it.language else ""]
        return " ".join(printable(each.encode(errors="replace")) for each in words if each)

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        """It was late or broken so often that the run would take for ever."""
        late, broken = self._times_late + self._talk.late, self._times_broken + (not self._talk.alive)
        return late >= MOST_LATE or broken >= MOST_BROKEN or self._starts.expired()

    # Talking

    @property
    def talk(self) -> Conversation:
        """The conversation, for who makes the copies."""
        return self._talk

    def reset(self, disks: dict[str, int]) -> None:
        """Fresh disks, on a new program if the one before has broken."""
        self._reset(disks, images=False)

    def reset_in_images(self, disks: dict[str, int]) -> None:
        """The same, each disk in an image."""
        self._reset(disks, images=True)

    def _reset(self, disks: dict[str, int], images: bool) -> None:
        if not self._talk.alive:
            self._start_again()
        self._sizes, self._bits = dict(disks), {}
        if self._suite is not None:
            self._suite.reset(self._sizes)
        listed = [m.Disk(name=name, size=size) for name, size in disks.items()]
        self._talk.begin()
        told = images if PERSISTENCE in self.capabilities.features else UNSET
        self._talk.want(m.Done, m.Reset(seq=self._talk.next, block=BLOCK, disks=listed, images=told))

    def _start_again(self) -> None:
        self._times_late += self._talk.late
        self._times_broken += 1
        self._talk.late = False
        self._starts.go_on()
        try:
            self._talk = self._started()
        except Late:
            self._times_late += 1
            raise
        except AdapterUnusable as problem:
            raise AdapterBroken(f"it cannot be started again: {problem}") from None
        finally:
            self._starts.pause()
        now, then = (msgspec.structs.replace(each, seq=1) for each in (self._talk.hello, self.hello))
        if now != then:
            names = [each for each in then.__struct_fields__ if getattr(now, each) != getattr(then, each)]
            self._talk.kill()
            raise AdapterBroken(f"started again, it says another hello than at first: {', '.join(names)} differ")

    def perform(self, command: Command, hint: Hint) -> Performed:
        """Asks for a command, or does it, if that is the suite's affair."""
        if self._suite is not None:
            return self._suite.perform(command, hint.before, hint.fill)[0]
        return self.ask(command, command, hint.fill)

    def happen(self, event: Event, hint: Hint) -> Performed:
        """Asks for what happens to images. Where the suite makes the copies, it ends its jobs before that."""
        if self._suite is not None:
            return self._suite.happen(event, hint.before, hint.fill)
        return self.ask(event, event, hint.fill)

    def ask(self, asked: Played, sent: Played, fill: int) -> Performed:
        """Sends a command; what happened, where that is what was `asked` for if nothing else is said."""
        try:
            said = self._talk.command(sent, fill)
        except UnicodeEncodeError:
            return DONE  # a name that cannot be written in UTF-8: this cannot be made to happen here
        return self._performed(asked, said)

    def perform_many(self, commands: Sequence[Command], hints: Sequence[Hint]) -> list[Performed]:
        """Guest writes in a row; without waiting in between if the adapter can take that."""
        fills = [each.fill for each in hints]
        if self._suite is not None and hints and hints[0].before.jobs:
            performed, state = [], hints[0].before
            for command, fill in zip(commands, fills, strict=True):
                each, state = self._suite.perform(command, state, fill)
                performed.append(each)
            return performed
        writes = [each for each in commands if isinstance(each, Write)]
        if self._suite is not None:
            writes = [self._suite.as_sent(each) for each in writes]
        if not self.hello.batch or len(writes) != len(commands):
            return [self.ask(command, command, fill) for command, fill in zip(commands, fills, strict=True)]
        said = self._talk.writes(writes, fills)
        return [self._performed(command, each) for command, each in zip(commands, said, strict=True)]

    # Replies

    def _performed(self, asked: Played, said: m.Done) -> Performed:
        if said is lines.DONE:
            return Performed(((asked, ACCEPTED),))
        ended = () if said.ended is UNSET else tuple((each.job, each.outcome) for each in said.ended)
        if said.trace is UNSET:
            return Performed(((asked, reply_of(said)),), ended)
        if said.error is not UNSET:
            self.wrong("a reply with an error and a trace: in a trace, the entry that was refused has the error")
        return Performed(tuple(self._entry(asked, each) for each in said.trace), ended)

    def _entry(self, asked: Played, entry: dict[str, Any]) -> tuple[Played, Reply]:
        try:
            command, answer = lines.command_in(entry)
        except ProtocolError as wrong:
            self._talk.broken(wrong)
        if not isinstance(command, BY_ITSELF) and not _is_what_was_asked(asked, command):
            what = type(command).__name__
            self.wrong(f"a trace with a {what} that was not asked for, and does not happen by itself")
        return command, reply_of(answer)

    def wrong(self, what: str, hint: str = "") -> NoReturn:
        """What the adapter said cannot be."""
        self._talk.broken(ProtocolError(what, hint=hint))

    # Observing

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """What the adapter says there is, if that can be."""
        said = self._talk.want(m.SeenState, m.ObserveState(seq=self._talk.next))
        try:
            seen, self._bits = observation.observation(said, self._sizes, exact)
        except ProtocolError as wrong:
            self._talk.broken(wrong)
        return seen if self._suite is None else self._suite.observed(seen)

    def bits(self, node: str, name: str) -> int | None:
        """The granules of a bitmap, as they were last observed."""
        return self._bits.get((node, name))

    def disk(self, node: str) -> Content | None:
        """The content of a disk."""
        return self.content("disk", node, self._sizes[node])

    def content(self, what: Any, name: str, size: int) -> Content | None:
        """What `observe` shows of a disk or a target of so many bytes; None if the adapter does not claim that."""
        if "content" not in self.capabilities.features or size > self.capabilities.largest_content:
            return None
        said = self._talk.want(m.SeenContent, m.ObserveContent(seq=self._talk.next, what=what, name=name))
        return self.bytes_of(said, size, f"the {what} {printable(name.encode(errors='replace'))}")

    def bytes_of(self, said: m.SeenContent, size: int, where: str) -> Content:
        """The content that was told."""
        try:
            return observation.content(said.content, size, where)
        except ProtocolError as wrong:
            self._talk.broken(wrong)

    def target(self, job: str) -> Content | None:
        """The content of a target. How large it is, the adapter says: it must be as large as one of the disks."""
        if self._suite is not None:
            return self._suite.target(job)
        if "content" not in self.capabilities.features:
            return None
        said = self._talk.want(m.SeenContent, m.ObserveContent(seq=self._talk.next, what="target", name=job))
        size = sum(count for _, count in said.content)
        if size not in self._sizes.values():
            self.wrong(f"the target of {printable(job.encode(errors='replace'))} has {size} bytes, as no disk has")
        return self.bytes_of(said, size, "a target")

    def finish(self) -> None:
        """Nothing: the next reset forgets everything."""

    def close(self) -> None:
        """Says bye, and leaves nothing of it behind."""
        with contextlib.suppress(AdapterBroken):
            self._talk.bye()


def _is_what_was_asked(asked: Played, command: Played) -> bool:
    """What happened is what was asked for; with guest writes, the environment may have done something else to it."""
    if isinstance(asked, Write | BeginWrite) and isinstance(command, Write | BeginWrite):
        same = all(getattr(asked, each) == getattr(command, each) for each in ("node", "offset", "length", "kind"))
        return same and type(command) is type(asked)
    return asked == command


# What it claims


def capabilities_of(hello: m.Hello) -> Capabilities:
    """What an adapter claims, in the suite's words. Raises `LookupError`, with the reason."""
    for name in ("granularities", "clusters"):
        odd = [each for each in getattr(hello, name) if each.bit_count() != 1]
        if odd:
            raise LookupError(f"'{name}' has {odd[0]}, which is no power of two")
    words = claims.expanded(hello.capabilities)
    suite = hello.copies == "suite"
    if suite:
        words |= claims.JOB_CONTROL | claims.WITH_JOB_CONTROL
    low, high = hello.min_granularity, hello.max_granularity
    within = [each for each in hello.granularities if low <= each <= high]
    if not within:
        raise LookupError("none of 'granularities' lies between 'min_granularity' and 'max_granularity'")
    disks = layouts(hello)
    claimed = limits(hello)
    least = max(size for each in disks for size in each.values())
    if claimed.get("largest_disk", least) < least:
        raise LookupError(f"'largest_disk' has {hello.largest_disk}, where its units take a disk of {least}")
    return Capabilities(
        commands=words & claims.COMMANDS,
        clusters=tuple(dict.fromkeys(hello.clusters)),
        granularities=tuple(dict.fromkeys(within)),
        picks_clusters=suite or hello.picks_clusters,
        max_jobs=hello.max_jobs,
        disks=disks,
        features=words - claims.COMMANDS,
        smallest_granularity=low,
        largest_granularity=high,
        any_cluster=suite,
        max_disks=hello.max_disks,
        tails=hello.tails,
        suite_copies=suite,
        ascii_names=hello.ascii_names,
        alignment=_alignment(hello),
        by_default=frozenset(LIMITS) - frozenset(each for each in LIMITS if getattr(hello, each) is not UNSET),
        **claimed,
    )


def _alignment(hello: m.Hello) -> int:
    """What writes may be padded to, in bytes. Raises `LookupError` if that is no size, or larger than a cluster."""
    if hello.alignment > min(hello.clusters):
        raise LookupError(
            f"'alignment' has {hello.alignment}, and 'clusters' {min(hello.clusters)}: no cluster may be smaller"
        )
    if hello.alignment.bit_count() != 1:
        raise LookupError(f"'alignment' has {hello.alignment}, which is no power of two")
    return hello.alignment


LIMITS = {
    "largest_disk": ("largest_disk",),
    "largest_content": ("largest_content",),
    "max_granules": ("most_granules", "most_clusters"),
    "max_dirty": ("most_marked",),
    "max_write": ("longest_write",),
    "max_writes": ("max_writes",),
    "max_name": ("longest_name",),
}
"""Members of hello that are limits, and what they are in `Capabilities`."""


def limits(hello: m.Hello) -> dict[str, int]:
    """The limits that are claimed, as far as scenarios go."""
    found: dict[str, int] = {}
    for member, fields in LIMITS.items():
        said = getattr(hello, member)
        if said is not UNSET:
            found |= dict.fromkeys(fields, min(said, LARGEST_DISK) if member.startswith("largest_") else said)
    return found


def layouts(hello: m.Hello) -> tuple[dict[str, int], ...]:
    """Disks worth trying, plainest first: eight of the plainest units each, or five and a tail, if that may be."""
    unit = min(LARGEST_UNIT, max(hello.granularities[0], hello.clusters[0]))
    even, tailed = 8 * unit, 5 * unit + min(1536, unit - 512)
    if not hello.tails:
        whole = max(*hello.granularities, *hello.clusters)
        even = tailed = -(-even // whole) * whole
    several = hello.max_disks > 1
    found = [{"disk0": even}]
    if several:
        found.append({"disk0": even, "disk1": even})
    if tailed != even:
        found.append({"disk0": tailed})
        if several:
            found.append({"disk0": tailed, "disk1": even})
    return tuple(found)
