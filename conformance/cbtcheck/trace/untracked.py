"""Bitmaps and jobs whose beginning a trace does not tell: what is about them is not judged, and they are forgotten
where something may have happened to them that the specification does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.record import replace
from cbtmodel.table import Table

from cbtcheck.scenario.actions import actions_of
from cbtcheck.trace.events import NO_REPLY, Event, Given
from cbtcheck.trace.shape import Sets


def mentions_untracked(state: Sets, strange: frozenset[str], act: Given) -> bool:
    """Whether a command is about a node, bitmap or job of which the trace has not told."""
    command = act.command
    if isinstance(command, c.OfJob):
        return command.job not in state.jobs
    if isinstance(command, c.EndWrite):
        return command.node not in state.nodes or command.write not in state.nodes[command.node].writes
    added: set[tuple[str, str]] = set()
    for each in actions_of(command):
        if isinstance(each, c.AddBitmap) and not act.refusal:
            added.add((each.node, each.name))
        if isinstance(each, c.StartBackup) and act.refusal == "exists" and each.job not in state.jobs:
            return True
        for node, name in names_in(each):
            if node not in state.nodes:
                return True
            if (
                node in strange
                and name is not None
                and name not in state.nodes[node].bitmaps
                and (node, name) not in added
            ):
                return True
    return False


def why_not_judged(event: Event, state: Sets, strange: frozenset[str], untracked: bool) -> str | None:
    """Why the reply of a command is not judged; None if it is, or if the event is none.

    `untracked`: there may be nodes, bitmaps and jobs of whose beginning nothing is known.
    """
    if not isinstance(event, Given):
        return None
    if not event.definite:
        return NO_REPLY if event.text == NO_REPLY else "replies that say nothing definite"
    if event.refusal == "?":
        return "refusals for reasons outside of the specification"
    if untracked and mentions_untracked(state, strange, event):
        return "commands about nodes, bitmaps or jobs whose beginning is not in the trace"
    return None


def names_in(command: Command | c.Abort) -> Iterator[tuple[str, str | None]]:
    """The bitmaps that a command or an action names, as (node, name); a node without one as (node, None)."""
    if isinstance(command, c.OnBitmap):
        yield command.node, command.name
        return
    if isinstance(command, c.OnJob):
        return
    match command:
        case c.MergeBitmaps(node, target, sources):
            yield node, target
            yield from ((each.node, each.name) for each in sources)
        case c.StartBackup():
            yield command.node, command.bitmap
        case c.AddBitmap(node, name):
            yield node, name
        case c.Write() | c.BeginWrite() | c.EndWrite():
            yield command.node, None
        case c.Transaction() | c.Abort() | c.Copy() | c.BeginCopy() | c.EndCopy():
            return  # a transaction names what its actions name
        case _:
            assert_never(command)


def names_one_of(used: frozenset[tuple[str | None, str]], command: Command) -> bool:
    """Whether a command names one of these bitmaps, (node, name) with a node of None for any."""
    return any(
        (node, name) in used or (None, name) in used
        for each in actions_of(command)
        for node, name in names_in(each)
        if name is not None
    )


def forget(state: Sets, node: str | None, names: tuple[str, ...] | None) -> tuple[Sets, frozenset[str]]:
    """The state without these bitmaps and the jobs that have them; and the nodes of which something was forgotten.

    `on`: the node, None for all. `names`: the bitmaps, None for all, and all jobs too.
    """
    nodes, listed = state.nodes, [node] if node is not None else list(state.nodes)
    gone: set[tuple[str, str]] = set()
    for each in listed:
        if each in nodes:
            bitmaps = nodes[each].bitmaps
            for name in bitmaps if names is None else names:
                if name in bitmaps:
                    gone.add((each, name))
                    bitmaps = bitmaps.drop(name)
            nodes = nodes.put(each, replace(nodes[each], bitmaps=bitmaps))
    lost = {job_id for job_id, job in state.jobs.items() if (job.node, job.bitmap) in gone}
    if names is None:
        lost |= {job_id for job_id, job in state.jobs.items() if job.node in listed}
    lost = {member for job_id in lost for member in state.jobs[job_id].group}
    jobs = Table({job_id: job for job_id, job in state.jobs.items() if job_id not in lost})
    # Bitmaps of jobs that are forgotten with their group cannot be followed either.
    for job_id in lost:
        job = state.jobs[job_id]
        if job.bitmap is not None and job.bitmap in nodes[job.node].bitmaps:
            nodes = nodes.put(job.node, replace(nodes[job.node], bitmaps=nodes[job.node].bitmaps.drop(job.bitmap)))
            gone.add((job.node, job.bitmap))
    changed = {node for node, _ in gone} if names is not None else set(listed)
    return replace(state, nodes=nodes, jobs=jobs), frozenset(changed)
