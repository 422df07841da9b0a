"""One way in which things may have happened: a state of the specification, and what restoring gives in it.

There is one world, as a rule. An implementation that cannot tell whether a command has happened makes two of it: one
in which it has, one in which it has not. Whatever is seen later rules worlds out; if none is left, what the best of
them is at odds with is what is wrong. The suite and the oracle follow a `World`; a trace, in which much is not seen,
follows `cbtcheck.trace.world.Traced`. Which of them are possible still is decided here, by one rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from cbtmodel.blocks import S
from cbtmodel.commands import Command
from cbtmodel.image import Event, Happened, Stored
from cbtmodel.image_properties import across, all_sound, comes_back
from cbtmodel.node import State, with_bitmap
from cbtmodel.properties import violations
from cbtmodel.step import Step

from cbtcheck.adapter import Observation, Reply
from cbtcheck.follow.chain_events import chained
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.judge import ReadBits
from cbtcheck.follow.reasons import BEGINNING, At
from cbtcheck.follow.refusals import judge_ends, judge_reply
from cbtcheck.follow.seen import Shown
from cbtcheck.scenario.images import Files, Played, as_it_came, happens
from cbtcheck.scenario.verdict import Finding, worst
from cbtcheck.sets.bitsets import Bits, BitSets

MOST_WORLDS = 64
"""How many worlds are followed at the same time."""

MOST_CHAINS = 16
"""Histories that have led to the same state, of which what backups give back is followed."""

W = TypeVar("W")


class Restoring(Protocol[S]):
    """Whoever follows what backups give: see `restore`."""

    def begin(self) -> None:
        """A new step, in which no job has ended yet."""
        ...

    def fork(self) -> Restoring[S]:
        """Another one that has followed the same, and may follow something else from now on."""
        ...

    def follow(self, before: State[S], command: Command, step: Step[S]) -> list[Finding]:
        """A command was accepted, with this result. Returns what differs."""
        ...

    def follow_event(self, before: State[S], event: Event, step: Step[S]) -> list[Finding]:
        """The same of something that has happened to images."""
        ...


@dataclass
class World(Generic[S]):
    """A state, what restoring gives in it, and in the present step: what is at odds with it, and the jobs ended.

    `restorer` is None if no data are compared. `shown` is what was seen of bitmaps, `last` what the specification
    says of the last command, None if that has not happened. `chains` is what backups give back, nothing if nobody
    asks, and more than one if histories have led to the same state; `chains_left_out` more are followed no longer.
    `at` is where in the history the next command is, for that. `files` are the images in which disks lie, if they do.
    """

    state: State[S]
    restorer: Restoring[S] | None = None
    findings: list[Finding] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    shown: Shown = field(default_factory=Shown)
    last: Step[S] | None = None
    chains: tuple[ChainsFollowed[S], ...] = ()
    chains_left_out: int = 0
    at: At = BEGINNING
    files: Files[S] | None = None

    def fork(self) -> World[S]:
        """The same once more, to go its own way."""
        restorer = None if self.restorer is None else self.restorer.fork()
        return World(
            self.state, restorer, list(self.findings), list(self.ended), self.shown.fork(), None, self.chains,
            self.chains_left_out, self.at, self.files,
        )

    def begin(self) -> None:
        """A new step."""
        self.findings, self.ended, self.last = [], [], None
        if self.restorer is not None:
            self.restorer.begin()

    def takes(self, command: Played, reply: Reply | None, self_check: bool = False) -> Step[S]:
        """Takes the command's step, and judges a definite reply to it; None: nobody has seen a reply."""
        before, files = self.state, self.files
        command = as_it_came(command, "" if reply is None else reply.refusal)
        result = self._step(command, self_check)
        self.state, self.last = result.state, result
        definite = reply is not None and reply.definite
        if reply is not None and definite:
            self.findings += judge_reply(command, reply, result)
        if result.refusal is None:
            self.shown.follow(command, result)
            if self.restorer is not None and not (reply is not None and definite and reply.refusal):
                self.findings += self._restored(before, command, result)
        self.ended += [(end.job_id, end.outcome) for end in result.ended]
        if self.chains:
            now = self.files
            self.chains = tuple(
                chained(each, self.at, before, files, command, result, now) for each in self.chains
            )
        return result

    def _restored(self, before: State[S], command: Played, result: Step[S]) -> list[Finding]:
        assert self.restorer is not None
        if isinstance(command, Event):
            return self.restorer.follow_event(before, command, result)
        return self.restorer.follow(before, command, result)

    def _step(self, command: Played, self_check: bool) -> Step[S]:
        """What the command does to the state, and to the images beside it."""
        files = self.files
        result, self.files = happens(files, self.state, command)
        if not self_check:
            return result
        wrong: list[Any] = []
        if self.files is not None and files is not None:
            wrong = _image_violations(files.beside(self.state), command, self.files.beside(result.state), result)
        elif not isinstance(command, Event):
            wrong = violations(self.state, command, result)
        assert not wrong, f"the specification itself is wrong: {wrong} after {command}"
        return result

    def has_ended(self, jobs: Iterable[tuple[str, str]]) -> None:
        """These jobs were seen to have ended in this step, with their outcomes, and no others."""
        self.findings += judge_ends(self.ended, jobs)


def _image_violations(before: Stored[S], asked: Played, after: Stored[S], result: Step[S]) -> list[str]:
    """Every claim about images that fails after a step; normally none."""
    happened = Happened(after, result.refusal, result.ended)
    claims = [*all_sound(after)]
    if isinstance(asked, Event):
        claims += [*across(before, happened), *comes_back(before, asked, happened)]
    return [claim.where for claim in claims if not claim.holds()]


Listener = Callable[[State[S], Command, Step[S]], None]


def follow(
    worlds: Sequence[World[S]], command: Played, reply: Reply | None, listen: Listener[S] | None = None,
    self_check: bool = False,
) -> list[World[S]]:  # fmt: skip
    """The worlds after a command: each as it takes it, and if the reply is indefinite also as it was.

    `listen` is told what the only world does, as long as there is only one, and its disks lie in no images.
    """
    if reply is not None and not reply.definite:
        others = [world.fork() for world in worlds]
        for world in others:
            world.takes(command, reply, self_check)
        return [*others, *worlds]
    for world in worlds:
        before = world.state
        result = world.takes(command, reply, self_check)
        if listen is not None and len(worlds) == 1 and world.files is None and not isinstance(command, Event):
            listen(before, command, result)
    return list(worlds)


def possible(worlds: Sequence[World[S]]) -> list[World[S]]:
    """The worlds that nothing is at odds with; if there are none, those that are least at odds."""
    return least_at_odds(worlds, lambda world: world.findings)


def least_at_odds(worlds: Sequence[W], findings: Callable[[W], Sequence[Finding]]) -> list[W]:
    """Those without a finding; if there are none, those with the least: by the worst, then by number."""
    if len(worlds) == 1:
        return list(worlds)

    def at_odds(world: W) -> tuple[int, int]:
        found = findings(world)
        return (worst([each.verdict for each in found]).severity, len(found)) if found else (-1, 0)

    ranked = [(at_odds(world), world) for world in worlds]
    least = min((rank for rank, _ in ranked), default=(-1, 0))
    return [world for rank, world in ranked if rank == least]


def different(worlds: Sequence[World[S]]) -> list[World[S]]:
    """Of worlds in the same state the first: it is the one in which more may have been written.

    What backups give back may differ in them all the same: it is followed on for each, up to `MOST_CHAINS`.
    """
    if len(worlds) == 1:
        return list(worlds)
    found: list[World[S]] = []
    for world in worlds:
        same = next((each for each in found if _alike(each, world)), None)
        if same is None:
            found.append(world)
            continue
        same.chains_left_out += world.chains_left_out
        for each in world.chains:
            if each in same.chains:
                continue
            if len(same.chains) < MOST_CHAINS:
                same.chains = (*same.chains, each)
            else:
                same.chains_left_out += 1
    return found


def _alike(one: World[S], other: World[S]) -> bool:
    return one.state == other.state and one.ended == other.ended and one.files == other.files


def distinct(worlds: Sequence[W], alike: Callable[[W, W], bool]) -> list[W]:
    """The first of those that are alike."""
    if len(worlds) == 1:
        return list(worlds)
    found: list[W] = []
    for world in worlds:
        if not any(alike(each, world) for each in found):
            found.append(world)
    return found


def with_waste(state: State[Bits], seen: Observation, read_bits: ReadBits) -> State[Bits]:
    """The state in which what was reported beyond what is dirty is dirty, so that what comes of it is no surprise.

    Nothing is owed for it. Bits that cannot be read now are left as they are, unless their count says that all are
    set.
    """
    space = state.space
    assert isinstance(space, BitSets)
    for node_name, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            shown = seen.bitmaps.get((node_name, name))
            if shown is None:
                continue
            granules = -(-node.size // bitmap.granularity)
            found = (1 << granules) - 1 if shown.count == granules else read_bits(node_name, name)
            if found is None:
                continue
            extra = space.from_granules(found, bitmap.granularity, node.size) - bitmap.marks.dirty
            if extra:
                marks = replace(
                    bitmap.marks, dirty=bitmap.marks.dirty | extra, causes=bitmap.marks.causes | extra
                )
                state = with_bitmap(state, node_name, name, replace(bitmap, marks=marks))
    return state
