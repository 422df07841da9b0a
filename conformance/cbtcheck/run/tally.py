"""Counts what a run has exercised: commands by outcome, and properties by checks that could have failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from cbtmodel.backup import Ended
from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step
from cbtmodel.traits import traits_of

from cbtcheck.adapter import FEATURES, PERSISTENCE
from cbtcheck.follow.judge_images import RULE_DISK
from cbtcheck.follow.play import Frame
from cbtcheck.follow.worlds import Listener
from cbtcheck.run.report import CommandCount, PropertyCount
from cbtcheck.scenario.capabilities import needs
from cbtcheck.scenario.scenario import KINDS, Restore, spelled, word_for
from cbtcheck.scenario.verdict import Finding, Verdict, worst
from cbtcheck.sets.bitsets import Bits

WRITING = frozenset(name for name, kind in KINDS.items() if traits_of(kind).records)
BACKING_UP = frozenset(name for name, kind in KINDS.items() if traits_of(kind).starts)
NAMING = frozenset(name for name, kind in KINDS.items() if traits_of(kind).names)

PROPERTIES: dict[str, frozenset[str]] = {
    "NO-LOST-WRITE": WRITING,
    "POINT-IN-TIME": BACKING_UP,
    "DELIVERED": BACKING_UP,
    "FAILURE-KEEPS": BACKING_UP,
    "FROZEN-IS-STILL": BACKING_UP,
    "ONE-HEIR": BACKING_UP | NAMING,
    "ATOMIC": frozenset(KINDS),
    "EXACT": WRITING | {"merge-bitmaps"},
    "RELEASE": BACKING_UP,
    RULE_DISK: frozenset({PERSISTENCE}),
}
"""The properties that can be checked on an implementation, and the capabilities of which one is needed for that."""


class Tally:
    """The counts of a part of a run. `listen` is told the specification's steps, and passes them on."""

    def __init__(self, also: Listener[Bits]) -> None:
        self._also = also
        self.begin()

    def begin(self) -> None:
        """From here on it counts anew: the next part."""
        self.commands: defaultdict[str, CommandCount] = defaultdict(CommandCount)
        self.properties: defaultdict[str, PropertyCount] = defaultdict(PropertyCount)

    def listen(self, before: State[Bits], command: Command, result: Step[Bits]) -> None:
        """A step of the specification, which the implementation has followed."""
        self._also(before, command, result)
        count = self.commands[spelled(type(command).__name__)]
        if result.refusal is None:
            count.accepted += 1
        else:
            count.refused[result.refusal.kind] += 1
            self._checked("ATOMIC")
        if result.refusal is None or result.refusal.kind == "copy failed":  # which is what it was to do
            for each in needs(command):
                if each in FEATURES:
                    count.features[each] += 1
        for end in result.ended:
            self._ended(end)

    def finished(self, state: State[Bits]) -> None:
        """A scenario is over, and every job that was left could be ended."""
        self._checked("RELEASE", len(state.jobs))

    def _ended(self, end: Ended[Bits]) -> None:
        self._checked("POINT-IN-TIME")  # its target is compared
        if end.bitmap is not None:
            self._checked("DELIVERED" if end.outcome == "completed" else "FAILURE-KEEPS")

    def _checked(self, property_id: str, times: int = 1) -> None:
        if times:
            self.properties[property_id].checked += times

    def frames(self, frames: list[Frame], doubted: Collection[Finding] = ()) -> None:
        """The steps of a scenario, each with an observation that was judged. `doubted` did not come again."""

        def verdict_of(finding: Finding) -> Verdict:
            return Verdict.NOT_REPEATABLE if finding in doubted else finding.verdict

        for frame in frames:
            if frame.seen is not None:
                self._observed(frame.state)
            if frame.files is not None:
                self._with_images(frame)
            if not frame.findings:
                continue
            for finding in frame.findings:
                if finding.property:
                    count = self.properties[finding.property]
                    count.worst = worst([count.worst, verdict_of(finding)])
                    count.checked = max(count.checked, 1)
            verdict = worst([verdict_of(each) for each in frame.findings])
            if verdict is not Verdict.EXACT and not isinstance(frame.asked, Restore):
                command = self.commands[word_for(frame.asked)]
                command.worst = worst([command.worst, verdict])

    def _with_images(self, frame: Frame) -> None:
        """What `listen` is not told, because it is no step of the specification of commands alone."""
        for command, reply in frame.trace:
            count = self.commands[word_for(command)]
            if reply.refusal:
                count.refused[reply.refusal] += 1
                continue
            count.accepted += 1
            for each in needs(command):
                if each in FEATURES:
                    count.features[each] += 1
        if frame.seen is not None:
            entries = [each.entries or () for each in (frame.seen.images or {}).values()]
            self._checked(RULE_DISK, len(frame.seen.bitmaps) + sum(map(len, entries)))

    def _observed(self, state: State[Bits]) -> None:
        bitmaps = [bitmap for node in state.nodes.values() for bitmap in node.bitmaps.values()]
        self._checked("EXACT", len(bitmaps))
        self._checked("ONE-HEIR", len(bitmaps))
        self._checked("NO-LOST-WRITE", sum(bool(bitmap.marks.owed) for bitmap in bitmaps))
        self._checked("FROZEN-IS-STILL", sum(bitmap.successor is not None for bitmap in bitmaps))
        self._checked("POINT-IN-TIME", len(state.jobs))
