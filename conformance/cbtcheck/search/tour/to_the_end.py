"""Lets whatever is going on come to its good end: writes land, jobs copy what is left, and complete.

So the data of every backup are compared, however its scenario leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cbtmodel import commands as c
from cbtmodel.node import State, initial
from cbtmodel.step import step

from cbtcheck.sets.bitsets import Bits, BitSets


def to_the_end(disks: dict[str, int], commands: Iterable[c.Command], block: int) -> list[c.Command]:
    """The commands that, after these, leave no write in flight and no job. Sizes are in bytes."""
    state: State[Bits] = initial(BitSets(block), disks)
    for command in commands:
        state = step(state, command).state
    return on_to_the_end(state)


def on_to_the_end(state: State[Bits]) -> list[c.Command]:
    """The commands that, from this state, leave no write in flight and no job."""
    more: list[c.Command] = []

    def happens(command: c.Command) -> State[Bits]:
        nonlocal state
        more.append(command)
        state = step(state, command).state
        return state

    end_all(state, happens)
    return more


def end_all(state: State[Bits], happens: Callable[[c.Command], State[Bits]]) -> None:
    """Makes happen what leaves no write in flight and no job; `happens` returns the state after its command."""
    for node_name, node in state.nodes.items():
        for write in node.writes:
            state = happens(c.EndWrite(node_name, write))
    jobs = state.jobs
    for job_id, job in jobs.items():  # as they are now; each may end with another one
        if job_id in state.jobs and state.jobs[job_id].copying:
            state = happens(c.EndCopy(job_id))
        if job_id in state.jobs and state.jobs[job_id].paused:
            state = happens(c.ResumeJob(job_id))
        if job_id in state.jobs and state.jobs[job_id].todo:
            state = happens(c.Copy(job_id, 0, state.nodes[job.node].size))
    for job_id, job in state.jobs.items():
        if job_id in state.jobs and job.phase == "pending":
            state = happens(c.FinalizeJob(job_id))
