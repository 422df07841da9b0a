"""The specification as one function: what a command does to a state.

`step` is total: whatever it is given, it answers with a new state, or with the old one and a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, assert_never

from cbtmodel import commands as c
from cbtmodel import jobs, node
from cbtmodel.backup import Ended
from cbtmodel.blocks import S
from cbtmodel.commands import malformed
from cbtmodel.jobs import Result, settle
from cbtmodel.node import State
from cbtmodel.refusal import Refused, require
from cbtmodel.transaction import act, transact


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """What came of a command: the state after it, the refusal if it was refused, and the jobs that it ended."""

    state: State[S]
    refusal: Refused | None = None
    ended: tuple[Ended[S], ...] = ()


def step(state: State[S], command: object) -> Step[S]:
    """What `command` does in `state`. Anything that is not a well formed command is refused as invalid."""
    try:
        problem = malformed(command)
        require(problem is None, "invalid", str(problem))
        after, ended = transition(state, command)  # type: ignore[arg-type]
    except Refused as refusal:
        return Step(state, refusal)
    return Step(after, None, ended)


def transition(state: State[S], command: c.Command) -> Result[S]:
    """The state after a well formed command, and the jobs that it ended; or `Refused`."""
    match command:
        case (
            c.AddBitmap() | c.RemoveBitmap() | c.ClearBitmap() | c.EnableBitmap() | c.DisableBitmap()
            | c.MergeBitmaps()
        ):  # fmt: skip
            return act(state, command, ()), ()
        case c.StartBackup(job=job_id, node=node_name):
            node.find_node(state, node_name)
            touched = (*node.jobs_of(state, node_name), job_id)
            return settle(act(node.drain(state, node_name), command, (job_id,)), touched)
        case c.Transaction():
            return transact(state, command)
        case c.PauseJob(job_id):
            return jobs.pause(state, job_id), ()
        case c.ResumeJob(job_id):
            return jobs.resume(state, job_id)
        case c.CancelJob(job_id):
            return jobs.cancel(state, job_id)
        case c.FinalizeJob(job_id):
            return jobs.finalize(state, job_id)
        case c.Write():
            return write(state, command)
        case c.BeginWrite():
            return begin_write(state, command)
        case c.EndWrite():
            return end_write(state, command), ()
        case c.Copy(job_id, offset, length, result):
            begun = jobs.begin_copy(state, job_id, offset, length)
            return jobs.end_copy(begun, job_id, None if result == "ok" else result)
        case c.BeginCopy(job_id, offset, length):
            return jobs.begin_copy(state, job_id, offset, length), ()
        case c.EndCopy(job_id, result):
            return jobs.end_copy(state, job_id, None if result == "ok" else result)
        case _:
            assert_never(command)


def write(state: State[S], command: c.Write) -> Result[S]:
    """A whole guest write."""
    blocks = written(state, command)
    if command.result == "ignored":
        require(command.kind == "discard", "invalid", "only a discard can be without effect")
        return state, ()
    may_begin(state, command, blocks)
    return whole_write(state, command.node, blocks)


def whole_write(state: State[S], node_name: str, blocks: S) -> Result[S]:
    """A guest write of `blocks`, and what that makes jobs do."""
    touched = tuple(node.jobs_of(state, node_name))
    return settle(node.write(state, node_name, blocks), touched)


def begin_write(state: State[S], command: c.BeginWrite) -> Result[S]:
    """The first half of a guest write."""
    blocks = written(state, command)
    taken = command.write in state.nodes[command.node].writes
    require(not taken, "exists", f"a write '{command.write}' is in flight already")
    may_begin(state, command, blocks)
    state = node.copy_before_write(state, command.node, blocks)
    touched = tuple(node.jobs_of(state, command.node))
    return settle(node.in_flight(state, command.node, command.write, blocks), touched)


def end_write(state: State[S], command: c.EndWrite) -> State[S]:
    """The second half of a guest write, which may have changed the disk even if it failed."""
    taken = command.write in node.find_node(state, command.node).writes
    require(taken, "not found", f"no write '{command.write}' is in flight")
    return node.finish_write(state, command.node, command.write)


def written(state: State[S], command: c.Write | c.BeginWrite) -> S:
    """The blocks that a guest write touches; it must lie on the disk."""
    size = node.find_node(state, command.node).size
    require(command.offset + command.length <= size, "invalid", "beyond the end of the disk")
    return state.space.blocks(command.offset, command.length)


def may_begin(state: State[S], command: c.Write | c.BeginWrite, blocks: S) -> None:
    """Refuses a guest write whose copy-before-write fails, if it needs one."""
    if command.result == "copy failed":
        needed = node.must_be_copied_first(state, command.node, blocks)
        require(not needed, "copy failed", "the old content could not be saved first")
