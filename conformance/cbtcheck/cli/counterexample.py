"""A violation that the explorer found, played again so that it can be drawn like any failing scenario.

The picture is that of `cbtcheck.report.picture`: blocks are columns, steps are rows, and the last row says which
property of the specification does not hold, and where. Nothing but the specification is played.
"""

from __future__ import annotations

from dataclasses import replace

from cbtmodel.commands import Command
from cbtmodel.node import State, initial
from cbtmodel.step import step
from cbtproofs.explorer.checked import Checks, Failed
from cbtproofs.explorer.exploration import Violation
from cbtproofs.explorer.few_blocks import BLOCK
from cbtproofs.explorer.scopes import Scope

from cbtcheck.adapter import Reply
from cbtcheck.follow.play import Frame
from cbtcheck.scenario.describe import size_text
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.bitsets import Bits, BitSets, extents

LOSSES = ("NO-LOST-WRITE", "POINT-IN-TIME", "DELIVERED", "FAILURE-KEEPS")
"""Properties without which a write is lost."""


def frames_of(scope: Scope, violation: Violation) -> list[Frame]:
    """The commands of a violation, one after the other; the last frame has the findings."""
    state = initial(BitSets(BLOCK), dict.fromkeys(scope.node_names, scope.size))
    frames: list[Frame] = []
    for command in violation.commands:
        frames.append(_frame(state, command))
        state = frames[-1].state
    if frames:
        last = frames[-1]
        frames[-1] = replace(last, findings=tuple(map(finding, _failed(last, violation))))
    return frames


def _frame(before: State[Bits], command: Command) -> Frame:
    try:
        result = step(before, command)
    except Exception:  # a broken specification may trip; the violation says over what
        return Frame(command, (), before, before, None, ())
    reply = Reply("" if result.refusal is None else result.refusal.kind)
    return Frame(command, ((command, reply),), before, result.state, None, ())


def _failed(last: Frame, violation: Violation) -> tuple[Failed, ...]:
    """What the explorer found, with the blocks of this disk."""
    try:
        result = step(last.before, last.asked)
        checks = Checks()
        return (*checks.step(last.before, last.asked, result), *checks.state(result.state)) or violation.failed
    except Exception:
        return violation.failed


def finding(failed: Failed) -> Finding:
    """What does not hold, as the suite says it."""
    verdict = Verdict.UNSAFE if failed.id in LOSSES else Verdict.DIVERGES
    seen = "it is not so"
    if isinstance(failed.blocks, Bits):
        seen = f"not so of {_ranges(failed.blocks)}"
    return Finding(verdict, failed.id, failed.where, "that this holds, always", seen)


def _ranges(blocks: Bits) -> str:
    """Ranges of bytes, as commands have them."""
    return ", ".join(
        f"{size_text(first * BLOCK)}+{size_text(count * BLOCK)}" for first, count in extents(blocks.word)
    )
