"""In which order concurrent things happened: any order that explains what was seen will do.

When a command makes QEMU wait for I/O in flight, copies end and jobs may complete before the command takes effect or
after it. Nobody outside can tell; both are right. So all orders are tried on the specification, and the first in
which every reply is what the specification says is taken to be what happened (linearizability, in other words).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import step

from cbtcheck.adapter import ACCEPTED, Reply
from cbtcheck.adapters.qemu.gate import Passed
from cbtcheck.follow.refusals import is_answered_by

Trace = list[tuple[Command, Reply]]


def copies(job: str, passed: Sequence[Passed], last_in_flight: bool) -> Trace:
    """The copies that a job made, as commands. The last may be left in flight, for the next command to end."""
    trace: Trace = []
    for index, (start, end, begun) in enumerate(passed):
        stays = last_in_flight and index == len(passed) - 1
        if begun:
            if not stays:
                trace.append((c.EndCopy(job), ACCEPTED))
        elif stays:
            trace.append((c.BeginCopy(job, start, end - start), ACCEPTED))
        else:
            trace.append((c.Copy(job, start, end - start), ACCEPTED))
    return trace


def orders(
    asked: tuple[Command, Reply], made: dict[str, list[Passed]], ends: Trace, elsewhere: Trace
) -> Iterator[Trace]:
    """Every order of a command and of what happened while it waited: copies by job, and ends of guest writes.

    `elsewhere` are copies that the specification's own drain does not end.
    """
    choices = [False, True] if made else [False]
    if asked[1].refusal:
        after = [each for job, passed in made.items() for each in copies(job, passed, False)]
        yield [asked, *after, *elsewhere, *ends]
        yield [*after, *elsewhere, asked, *ends]
        return
    for done in product(choices, repeat=len(made)):
        before = [
            each
            for (job, passed), complete in zip(made.items(), done, strict=True)
            for each in copies(job, passed, not complete)
        ]
        yield [*before, asked, *elsewhere, *ends]
        if elsewhere:
            yield [*before, *elsewhere, asked, *ends]


def explains(state: State[Any], trace: Trace) -> bool:
    """Whether the specification gives every one of these replies, in this order."""
    for command, reply in trace:
        result = step(state, command)
        if not is_answered_by(result, command, reply.refusal):
            return False
        state = result.state
    return True


def explanation(state: State[Any], candidates: Iterator[Trace]) -> Trace:
    """The first order that explains what was seen; if there is none, the first one, which then differs."""
    first: Trace | None = None
    for trace in candidates:
        if explains(state, trace):
            return trace
        first = trace if first is None else first
    assert first is not None
    return first
