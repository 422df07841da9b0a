"""Lets whatever is going on come to its good end: writes land, jobs copy what is left, and complete.

So the data of every backup are compared, however its scenario leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cbtmodel import commands as c
from cbtmodel.node import State, initial
from cbtmodel.step import step

from cbtcheck.bitsets import Bits, BitSets


def to_the_end(disks: dict[str, int], commands: Iterable[c.Command], block: int) -> list[c.Command]:
    """The commands that, after these, leave no write in flight and no job. Sizes are in bytes."""
    state: State[Bits] = initial(BitSets(block), disks)
    more: list[c.Command] = []

    def happens(command: c.Command) -> None:
        nonlocal state
        more.append(command)
        state = step(state, command).state

    for command in commands:
        state = step(state, command).state
    for on, node in state.nodes.items():
        for write in node.writes:
            happens(c.EndWrite(on, write))
    for id, job in state.jobs.items():  # as they are now; each may end with another one
        if id in state.jobs and state.jobs[id].copying:
            happens(c.EndCopy(id))
        if id in state.jobs and state.jobs[id].paused:
            happens(c.ResumeJob(id))
        if id in state.jobs and state.jobs[id].todo:
            happens(c.Copy(id, 0, disks[job.node]))
    for id, job in state.jobs.items():
        if id in state.jobs and job.phase == "pending":
            happens(c.FinalizeJob(id))
    return more
