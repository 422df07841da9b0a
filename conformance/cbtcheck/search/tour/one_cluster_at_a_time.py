"""For an implementation that copies the next cluster whichever is asked for: a scenario that asks for nothing else.

A copy of a range becomes a copy of each of its clusters; the specification is followed to know which are left. In
flight there is only the first cluster of a range; the others are copied when that has ended well. What the
environment of jobs and guests cannot do now (a copy of a job that is not there, the end of a write that was not
begun) nobody can be asked for: it is left out, and named.
"""

from __future__ import annotations

from dataclasses import replace

from cbtmodel import commands as c
from cbtmodel.backup import may_copy
from cbtmodel.image import Event
from cbtmodel.node import State, initial
from cbtmodel.step import step

from cbtcheck.scenario.scenario import Restore, Scenario, Step, spelled
from cbtcheck.sets.bitsets import Bits, BitSets

UNASKABLE = (c.Copy, c.BeginCopy, c.EndCopy, c.EndWrite)


def one_cluster_at_a_time(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with copies of one cluster each, and the names of the commands that are left out."""
    space = BitSets(scenario.block)
    state: State[Bits] = initial(space, scenario.disks)
    begun: dict[str, tuple[int, int]] = {}
    commands: list[Step] = []
    left_out: list[str] = []

    def happens(command: c.Command) -> None:
        nonlocal state
        result = step(state, command)
        if result.refusal is not None and isinstance(command, UNASKABLE):
            left_out.append(spelled(type(command).__name__))
            return
        commands.append(command)
        state = result.state

    def copy_all(job_id: str, offset: int, length: int) -> None:
        for at in _clusters(space, state, job_id, offset, length):
            happens(c.Copy(job_id, *at))

    for each in scenario.commands:
        if isinstance(each, Event):
            raise AssertionError("no walk of the tour has images")
        match each:
            case c.Copy(job_id, offset, length, "ok") if _clusters(space, state, job_id, offset, length):
                copy_all(job_id, offset, length)
            case c.BeginCopy(job_id, offset, length) if clusters := _clusters(space, state, job_id, offset, length):
                begun[job_id] = offset, length
                happens(c.BeginCopy(job_id, *clusters[0]))
            case c.EndCopy(job_id, "ok") if job_id in begun:
                happens(each)
                copy_all(job_id, *begun.pop(job_id))
            case Restore():
                commands.append(each)
            case _:
                happens(each)
    return replace(scenario, commands=tuple(commands)), tuple(left_out)


def _clusters(space: BitSets, state: State[Bits], job_id: str, offset: int, length: int) -> list[tuple[int, int]]:
    """The (offset, length) of the clusters of a range that the job has yet to copy, if it may copy now."""
    job = state.jobs.get(job_id)
    if job is None or not may_copy(job) or offset + length > state.nodes[job.node].size:
        return []
    size, cluster = state.nodes[job.node].size, job.cluster
    word = space.granules(job.todo, cluster, size)
    numbers = range(offset // cluster, -(-(offset + length) // cluster))
    return [(each * cluster, min(cluster, size - each * cluster)) for each in numbers if word >> each & 1]
