"""Holds a look against the guesses of a world, too: bounds may allow what no single history gives.

A transaction clears two bitmaps, and a write overlaps it: either both bitmaps have the write afterwards, or neither
has. The bounds of each bitmap allow that one has it and the other has not; the two guesses do not.
"""

from __future__ import annotations

from dataclasses import replace

from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.between import BetweenSets
from cbtcheck.trace.events import Look, LookAtJobs
from cbtcheck.trace.guesses import narrowed
from cbtcheck.trace.judgement import Judged, judge
from cbtcheck.trace.refute import refute
from cbtcheck.trace.shape import Sets
from cbtcheck.trace.world import Traced


def judge_whole(space: BetweenSets, world: Traced, seen: Look | LookAtJobs) -> tuple[Judged, Traced]:
    """What is at odds with a world, and the world without the guesses that this look refutes."""
    judged = judge(space, world, seen)
    if judged.findings or not isinstance(seen, Look) or not world.guesses or seen.node not in world.state.nodes:
        return judged, world
    world = refute(space.inner, world, seen)

    def right(state: Sets) -> bool:
        return not judge(space, replace(world, state=state, guesses=()), seen).findings

    left = narrowed(world, seen.node, right)
    if left is not None:
        return judged, left
    judged.findings.append(_mixture(seen))
    return judged, replace(world, guesses=())


def _mixture(look: Look) -> Finding:
    listed = ", ".join(look.bitmaps)
    expected = "what one order of the writes and commands that overlapped gives in all bitmaps"
    seen = "with what was seen before, a part of one order and a part of another one"
    return Finding(Verdict.DIVERGES, "", f"{look.node}/{listed} bits", expected, seen)


def may_be_mixed(world: Traced, look: Look) -> bool:
    """Whether a look that is allowed may be a mixture all the same: its bits were open, and guesses given up."""
    node = world.state.nodes.get(look.node)
    if node is None or not world.mixed:
        return False
    for name, seen in look.bitmaps.items():
        told = (seen.dirty, seen.count, seen.digest) != (None, None, None)
        if told and name in node.bitmaps and not node.bitmaps[name].marks.dirty.exact:
            return True
    return False
