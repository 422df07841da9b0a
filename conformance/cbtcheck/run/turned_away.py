"""What is turned away because of known defects, and the sample of it that is played anyway.

A trigger says that a command would run into a known defect. It may be wrong, or something worse may be behind the
same start. So a few of the commands that were turned away are played after all, each at the end of a scenario of its
own: what comes of it is the known defect as it is listed, or nothing, or else a failure of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cbtmodel import commands as c
from cbtmodel.node import State

from cbtcheck.run.ledger.ledger import Entry, matches
from cbtcheck.run.ledger.triggers import Trigger, triggered
from cbtcheck.scenario.images import Files, Played
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.bitsets import Bits

SAMPLES = 6
"""So many commands that a trigger has turned away are played, each of another shape."""

SLOW_SAMPLES = 2
"""So many if the defect is a hang: each takes as long as it is waited for."""

LOOK = 512
"""Bytes that a guest writes to each disk after the command, to see whether they are recorded."""


def shape(command: Played | c.Abort) -> Hashable:
    """What a command is, without the names and places in it: the kinds and modes of its actions, in their order."""
    if isinstance(command, c.Transaction):
        return (command.grouped, *map(shape, command.actions))
    if isinstance(command, c.StartBackup):
        return type(command).__name__, command.sync, command.bitmap is not None, command.bitmap_mode
    if isinstance(command, c.MergeBitmaps):
        return type(command).__name__, min(len(command.sources), 2)
    return (type(command).__name__,)


@dataclass(frozen=True)
class Sample:
    """A scenario that ends in a command which was turned away, and the defects that it may run into, by their id.

    Of the first of them `most` samples are played, each of another `shape`.
    """

    scenario: Scenario
    ids: tuple[str, ...]
    shape: Hashable
    most: int


@dataclass
class Behind:
    """The defects that hold in a run, each with its trigger, and the samples of what they have turned away.

    Waste ends no scenario, so what is wasteful turns nothing away: it is recognised where it occurs (`excuses`).
    """

    known: list[tuple[Entry, Trigger]]
    samples: list[Sample] = field(default_factory=list)
    _shapes: dict[str, set[Hashable]] = field(default_factory=lambda: defaultdict(set))

    def begin(self, shapes: Mapping[str, frozenset[Hashable]]) -> None:
        """From here on these shapes are kept already, by the id of the defect, and no others."""
        self.samples = []
        self._shapes = defaultdict(set, {job_id: set(kept) for job_id, kept in shapes.items()})

    def is_known(self, sample: Sample, findings: list[Finding]) -> bool:
        """Whether this is one of the sample's defects as it is listed, and nothing else."""
        return any(matches(entry, findings) for entry, _ in self.known if entry.id in sample.ids)

    def turns_away(self, state: State[Bits], command: Played, files: Files[Bits] | None = None) -> list[Entry]:
        """The defects that a command would run into, first those that were listed first."""
        return [
            entry
            for entry, trigger in self.known
            if entry.verdict is not Verdict.WASTEFUL and triggered(trigger, state, command, files)
        ]

    def excuses(self, state: State[Bits], command: Any, finding: Finding) -> bool:
        """Whether waste is a known defect of just this command, and of a bitmap that it names."""
        if finding.verdict is not Verdict.WASTEFUL or not isinstance(command, c.Transaction):
            return False
        place = finding.where.split()[0]
        named = {
            f"{each.node}/{each.bitmap}" for each in command.actions if isinstance(each, c.StartBackup)
        }
        return place in named and any(
            entry.verdict is Verdict.WASTEFUL and triggered(trigger, state, command)
            for entry, trigger in self.known
        )

    def keep(self, entries: list[Entry], played: Scenario, command: Played) -> None:
        """Keeps a command that was turned away after what was played, if it is of a shape that was not kept yet."""
        entry = entries[0]
        shapes, most = self._shapes[entry.id], SLOW_SAMPLES if _is_a_hang(entry) else SAMPLES
        if len(shapes) >= most or shape(command) in shapes:
            return
        shapes.add(shape(command))
        look = (c.Write(disk, 0, min(LOOK, size)) for disk, size in played.disks.items() if size)
        title = f"turned away: {', '.join(each.id for each in entries)}"
        scenario = replace(played, commands=(*played.commands, command, *look), title=title)
        ids = tuple(each.id for each in entries)
        self.samples.append(Sample(scenario, ids, shape(command), most))


def _is_a_hang(entry: Entry) -> bool:
    return all("hang" in each for each in entry.seen)


def the_race(
    races: Iterable[tuple[Entry, Trigger | None]], findings: list[Finding], happened: Callable[[Trigger], bool]
) -> Entry | None:
    """The race of the ledger that this failure is, if it is one: it looks like it, and its cause was there."""
    for entry, trigger in races:
        if matches(entry, findings) and (trigger is None or happened(trigger)):
            return entry
    return None
