"""Plays commands on the specification and on an implementation side by side, and collects what differs.

The specification follows what happened (`Performed.trace`), each entry a command with the reply that the
implementation gave. After each step everything that can be seen is judged, and after each backup the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cbtmodel.commands import (
    BeginWrite,
    Command,
    Copy,
    EndWrite,
    Write,
)
from cbtmodel.image import Event
from cbtmodel.node import State, initial
from cbtmodel.traits import traits_of

from cbtcheck.adapter import POISON, Adapter, AdapterBroken, Hint, Observation, Performed, Reply
from cbtcheck.follow.judge import judge
from cbtcheck.follow.judge_images import judge_with_images
from cbtcheck.follow.restore import Contents, Restorer
from cbtcheck.follow.worlds import (
    MOST_WORLDS,
    Listener,
    World,
    different,
    follow,
    possible,
    with_waste,
)
from cbtcheck.host.printed_output import telling_lines
from cbtcheck.scenario.images import Files, Played, fresh
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.scenario.scenario import Step as ScenarioStep
from cbtcheck.scenario.verdict import Finding, Verdict, worst
from cbtcheck.sets.bitsets import Bits, BitSets

TurnAway = Callable[[State[Bits], Played], bool]
Excuse = Callable[[State[Bits], ScenarioStep, Finding], bool]
Together = Callable[[ScenarioStep, ScenarioStep], bool]


def in_the_environment(one: ScenarioStep, following: ScenarioStep) -> bool:
    """Both are what guests do, or what their environment does to jobs."""
    return not _is_an_operators(one) and not _is_an_operators(following)


def _is_an_operators(step: ScenarioStep) -> bool:
    return isinstance(step, Restore | Event) or traits_of(step).whose == "operator"


def alike(one: ScenarioStep, following: ScenarioStep) -> bool:
    """Both are whole guest writes, or both are whole copies."""
    return isinstance(one, Write | Copy) and type(one) is type(following)


@dataclass(frozen=True, slots=True)
class Frame:
    """One step as it was played: the command asked for, what happened, and the specification's state after it.

    `seen` is None if nobody looked (see `Player.closely`), or the implementation broke. `files` are the images before
    it, where disks lie in images.
    """

    asked: ScenarioStep
    trace: tuple[tuple[Played, Reply], ...]
    before: State[Bits]
    state: State[Bits]
    seen: Observation | None
    findings: tuple[Finding, ...]
    files: Files[Bits] | None = None


@dataclass
class Player:
    """Plays one scenario after another on one adapter.

    `listen` is told every step of the specification; a command that `turn_away` says yes to is not played at all.
    With `self_check` every property of the specification is checked too, at every step.

    `closely`: everything is observed after every step. Otherwise, for speed, guest writes and copies that follow
    each other are observed together (BATCH makes that sound: what they mark and copy adds up), and exact bits are
    asked for when something else than a guest write has changed them, and of all bitmaps at the end; until then their
    counts are compared. `together` says which commands that follow each other are then observed together.

    A scenario ends with the first step that differs. If `tolerant`, waste does not end it: it is kept in
    `tolerated_findings`, and what was reported too much is taken for dirty from then on, so that whatever is worse
    can be seen behind it. Waste that `excuse` says yes to, given the state before the command, is known: it ends
    nothing, is kept nowhere, and is followed in the same way.
    """

    adapter: Adapter
    block: int = 512
    listen: Listener[Bits] | None = None
    turn_away: TurnAway | None = None
    closely: bool = True
    together: Together = in_the_environment
    self_check: bool = False
    tolerant: bool = False
    excuse: Excuse | None = None
    worlds: list[World[Bits]] = field(init=False)
    disks: dict[str, int] = field(default_factory=dict)
    tolerated_findings: list[Finding] = field(default_factory=list)
    excused: int = 0
    otherwise: bool = False  # something else has happened in this scenario than was asked for
    frames: list[Frame] = field(default_factory=list)
    not_realised: Counter[str] = field(default_factory=Counter)
    _files: Files[Bits] | None = None

    @property
    def compared(self) -> int:
        """How many restored chains this scenario has compared with a disk."""
        return self._restorer.compared

    @property
    def _restorer(self) -> Restorer:
        restorer = self.worlds[0].restorer
        assert isinstance(restorer, Restorer)
        return restorer

    @property
    def state(self) -> State[Bits]:
        """The specification's state now; where several are possible, the first of them."""
        return self.worlds[0].state

    @property
    def files(self) -> Files[Bits] | None:
        """The images now, where disks lie in images."""
        return self.worlds[0].files

    def begin(self, disks: dict[str, int], images: bool = False) -> None:
        """A new scenario on fresh disks of these sizes in bytes, in images or not. Raises `AdapterBroken`."""
        self.space = BitSets(self.block, self.adapter.capabilities.alignment)
        self.contents = Contents(self.adapter, disks)
        files = fresh(disks) if images else None
        self.worlds = [World(initial(self.space, disks), Restorer(self.space, self.contents), files=files)]
        self.disks, self.frames, self.tolerated_findings, self.excused = disks, [], [], 0
        self.otherwise = False
        self._files = files
        if images:
            self.adapter.reset_in_images(disks)
        else:
            self.adapter.reset(disks)

    def play(self, asked: ScenarioStep, observed: bool = True) -> list[Finding]:
        """One step. Returns what differs; a crash or hang is a finding too. `observed`: look at the result."""
        if isinstance(asked, Restore):
            return self._framed(asked, (), self.state, None, self._restored(asked))
        before = self.state
        try:
            performed = self._performed(asked)
            return self._came_of(asked, before, performed, observed)
        except AdapterBroken as broken:
            return self._framed(asked, (), before, None, [_broke(type(asked).__name__, "an answer", broken)])

    def _performed(self, asked: Played) -> Performed:
        """What came of a step, by whomever it is made to happen."""
        hint = self._hint()
        return self.adapter.happen(asked, hint) if isinstance(asked, Event) else self.adapter.perform(asked, hint)

    def _restored(self, asked: Restore) -> list[Finding]:
        """What differs when backups are restored. Behind waste some may not have ended: they had more to copy."""
        if (self.tolerated_findings or self.excused) and any(job in self.state.jobs for job in asked.jobs):
            return []
        restorer = self._restorer
        if self.otherwise and (not restorer.has(asked.jobs) or restorer.leaves_out(asked.jobs)):
            self.not_realised["Restore"] += 1  # a backup of them did not happen, or one that was to fail succeeded
            return []
        return restorer.restore(asked.jobs)

    def play_writes(self, asked: Sequence[Command]) -> list[Finding]:
        """Whole guest writes that follow each other, with nothing looked at in between."""
        before = self.state
        first = len(self.frames)
        hints = [self._hint(first + number) for number in range(len(asked))]
        try:
            performed = self.adapter.perform_many(asked, hints)
            for each, result in zip(asked, performed, strict=True):
                findings = self._came_of(each, self.state, result, None)
                if findings:
                    return findings
        except AdapterBroken as broken:
            return self._framed(asked[0], (), before, None, [_broke("Write", "an answer", broken)])
        return []

    def _hint(self, number: int | None = None) -> Hint:
        return Hint(self.state, (len(self.frames) if number is None else number) % (POISON - 1) + 1)

    def _came_of(
        self, asked: Played, before: State[Bits], performed: Performed, observed: bool | None
    ) -> list[Finding]:
        """Follows what happened, and looks at the result if that is `observed`, or a job has come or gone.

        None: it cannot be looked at, because later commands have been performed already. May raise `AdapterBroken`.
        """
        if not performed.trace:
            self.not_realised[type(asked).__name__] += 1
        self.otherwise |= all(command != asked for command, _ in performed.trace)
        self.contents.forget(job_id for job_id, _ in performed.ended)
        self._follow(performed)
        look = observed or self.worlds[0].findings or len(self.state.jobs) != len(before.jobs)
        seen = self.adapter.observe(self._exactly(before, asked)) if look and observed is not None else None
        if seen is not None:
            self._look(seen)
        return self._framed(asked, performed.trace, before, seen, self.worlds[0].findings)

    def _follow(self, performed: Performed) -> None:
        """The worlds after what was performed; those that its replies rule out are gone, unless that would be all."""
        for world in self.worlds:
            world.begin()
        for command, reply in performed.trace:
            self.worlds = follow(self.worlds, command, reply, self.listen, self.self_check)
            if not reply.definite:
                self.worlds = different(possible(self.worlds))
                if len(self.worlds) > MOST_WORLDS:
                    raise AdapterBroken(
                        "so many errors in a row were indefinite that nothing can be judged any more"
                    )
        for world in self.worlds:
            world.has_ended(performed.ended)
        self.worlds = different(possible(self.worlds))

    def _look(self, seen: Observation) -> None:
        """What was seen, judged in every world; those that it rules out are gone, unless that would be all."""
        for world in self.worlds:
            known = (seen, self.adapter.bits, world.shown)
            if world.files is None:
                world.findings += judge(self.space, world.state, *known)
            else:
                world.findings += judge_with_images(self.space, world.state, world.files, *known)
                world.files = world.files.looked_at(world.state.nodes)
        self.worlds = possible(self.worlds)

    def _framed(
        self, asked: ScenarioStep, trace: tuple[tuple[Played, Reply], ...], before: State[Bits],
        seen: Observation | None, findings: list[Finding],
    ) -> list[Finding]:  # fmt: skip
        """Keeps the frame of a step. Returns what differs, but for waste that is known or to be tolerated."""
        excuse = self.excuse
        known = [each for each in findings if excuse is not None and excuse(before, asked, each)]
        findings = [each for each in findings if each not in known]
        self.excused += len(known)
        files, self._files = self._files, self.worlds[0].files
        self.frames.append(Frame(asked, trace, before, self.state, seen, tuple(findings), files))
        if findings and (not self.tolerant or verdict_of(findings) is not Verdict.WASTEFUL):
            return findings
        if not findings and not known:
            return findings
        self.tolerated_findings += findings
        if seen is not None:
            for world in self.worlds:
                world.state = with_waste(world.state, seen, self.adapter.bits)
        return []

    def _exactly(self, before: State[Bits], asked: Played) -> frozenset[tuple[str, str]] | None:
        """The bitmaps whose exact bits are to be seen after this step; None for all."""
        if self.closely:
            return None
        if isinstance(asked, Write | BeginWrite | EndWrite) and len(before.jobs) == len(self.state.jobs):
            return frozenset()
        then, now = before.nodes, self.state.nodes
        return frozenset(
            (node_name, name)
            for node_name, node in now.items()
            for name, bitmap in node.bitmaps.items()
            if node_name not in then
            or (was := then[node_name].bitmaps.get(name)) is None
            or was.marks is not bitmap.marks
        )

    def play_scenario(self, scenario: Scenario) -> list[Finding]:
        """A whole scenario; stops at the first step that differs."""
        self.block = scenario.block
        try:
            self.begin(scenario.disks, scenario.images)
        except AdapterBroken as broken:
            return [_broke("reset", "fresh disks", broken)]
        return self.play_steps(scenario.commands) or self._finish()

    def _finish(self) -> list[Finding]:
        """All bits are as they should be, every job can end, and nothing is broken then."""
        try:
            if not self.closely:
                seen = self.adapter.observe()
                for world in self.worlds:
                    world.begin()
                self._look(seen)
                findings = self.worlds[0].findings
                if findings and not (self.tolerant and verdict_of(findings) is Verdict.WASTEFUL):
                    return findings
                self.tolerated_findings += findings
            self.adapter.finish()
        except AdapterBroken as broken:
            return [_broke("the end", "every job can end", broken)]
        return []

    def play_steps(self, steps: Iterable[ScenarioStep]) -> list[Finding]:
        """Steps until the first that differs."""
        following = [*steps]
        writes: list[Command] = []
        for number, each in enumerate(following):
            rest = following[number + 1 : number + 2]
            look = self.closely or not rest or not self.together(each, rest[0])
            put_off = isinstance(each, Write) and not look and self.adapter.batches
            findings = [] if put_off else self._all_at_once(writes)
            if findings:
                return findings
            if self.turn_away is not None and not isinstance(each, Restore) and self.turn_away(self.state, each):
                continue
            if isinstance(each, Write) and put_off:
                writes.append(each)
                continue
            findings = self.play(each, look)
            if findings:
                return findings
        return self._all_at_once(writes)

    def _all_at_once(self, writes: list[Command]) -> list[Finding]:
        """Plays the writes that have been put off, in one go."""
        findings = self.play_writes(writes) if writes else []
        writes.clear()
        return findings


def _broke(where: str, expected: str, broken: AdapterBroken) -> Finding:
    """The implementation broke; with its last words."""
    return Finding(
        Verdict.BROKEN, "", where, expected, last_words(broken), died=broken.died, output=broken.output
    )


def last_words(broken: AdapterBroken) -> str:
    """How it broke, and what it has printed that says why, in one line."""
    return " | ".join([str(broken), *telling_lines(broken.output)])


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The worst verdict among findings."""
    return worst([each.verdict for each in findings])
