"""One way in which things may have happened: a state of the specification, and what restoring gives in it.

There is one world, as a rule. An implementation that cannot tell whether a command has happened makes two of it: one
in which it has, one in which it has not. Whatever is seen later rules worlds out; if none is left, what the best of
them is at odds with is what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cbtmodel.commands import Command
from cbtmodel.node import State, with_bitmap
from cbtmodel.properties import violations
from cbtmodel.step import Step, step

from cbtcheck.adapter import AdapterBroken, Observation, Performed, Reply
from cbtcheck.bitsets import Bits, BitSets
from cbtcheck.replies import judge_ends, judge_reply
from cbtcheck.restore import Restorer
from cbtcheck.verdict import Finding, worst

Listener = Callable[[State[Bits], Command, Step[Bits]], None]

MOST_WORLDS = 64


@dataclass
class World:
    """A state, what restoring gives in it, and in the present step: what is at odds with it, and the jobs ended."""

    state: State[Bits]
    restorer: Restorer
    findings: list[Finding] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def fork(self) -> World:
        """The same once more, to go its own way."""
        return World(self.state, self.restorer.fork(), list(self.findings), list(self.ended))

    def begin(self) -> None:
        """A new step."""
        self.findings, self.ended = [], []
        self.restorer.begin()

    def takes(self, command: Command, reply: Reply, self_check: bool = False) -> Step[Bits]:
        """Takes the command's step, and judges a definite reply to it."""
        before = self.state
        result = step(before, command)
        self.state = result.state
        if self_check:
            wrong = violations(before, command, result)
            assert not wrong, f"the specification itself is wrong: {wrong} after {command}"
        if reply.definite:
            self.findings += judge_reply(command, reply, result)
        if result.refusal is None and not (reply.definite and reply.refusal):
            self.findings += self.restorer.follow(before, command, result)
        self.ended += [(end.id, end.outcome) for end in result.ended]
        return result


def follow(
    worlds: list[World], performed: Performed, listen: Listener | None, self_check: bool = False
) -> list[World]:
    """The worlds after what was performed; those that its replies rule out are gone, unless that would be all.

    `listen` is told what the only world does, as long as there is only one. Raises `AdapterBroken` if there are more
    than can be followed.
    """
    for command, reply in performed.trace:
        if reply.definite:
            for world in worlds:
                before = world.state
                result = world.takes(command, reply, self_check)
                if listen is not None and len(worlds) == 1:
                    listen(before, command, result)
            continue
        others = [world.fork() for world in worlds]
        for world in others:
            world.takes(command, reply, self_check)
        worlds = different(possible([*others, *worlds]))
        if len(worlds) > MOST_WORLDS:
            raise AdapterBroken("so many errors in a row were indefinite that nothing can be judged any more")
    for world in worlds:
        if sorted(world.ended) != sorted(performed.ended):
            world.findings.append(judge_ends(world.ended, performed.ended))
    return different(possible(worlds))


def different(worlds: list[World]) -> list[World]:
    """Of worlds in the same state the first: it is the one in which more may have been written."""
    if len(worlds) == 1:
        return worlds
    found: list[World] = []
    for world in worlds:
        if not any(world.state == each.state and world.ended == each.ended for each in found):
            found.append(world)
    return found


def possible(worlds: list[World]) -> list[World]:
    """The worlds that nothing is at odds with; if there are none, the one that is least at odds."""
    if len(worlds) == 1:
        return worlds
    return [each for each in worlds if not each.findings] or [
        min(worlds, key=lambda each: (worst([f.verdict for f in each.findings]).severity, len(each.findings)))
    ]


def with_waste(
    state: State[Bits], seen: Observation, read_bits: Callable[[str, str], int | None]
) -> State[Bits]:
    """The state in which what was reported beyond what is dirty is dirty, so that what comes of it is no surprise.

    Nothing is owed for it. Bits that cannot be read now are left as they are, unless their count says that all are
    set.
    """
    space = state.space
    assert isinstance(space, BitSets)
    for on, node in state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            shown = seen.bitmaps.get((on, name))
            if shown is None:
                continue
            granules = -(-node.size // bitmap.granularity)
            found = (1 << granules) - 1 if shown.count == granules else read_bits(on, name)
            if found is None:
                continue
            extra = space.from_granules(found, bitmap.granularity, node.size) - bitmap.marks.dirty
            if extra:
                marks = replace(
                    bitmap.marks, dirty=bitmap.marks.dirty | extra, causes=bitmap.marks.causes | extra
                )
                state = with_bitmap(state, on, name, replace(bitmap, marks=marks))
    return state
