"""When a command is refused: exactly when there is a reason, and for a reason that there is.

Each reason is said a second time here, in no order: which of several is named first is left open. A transaction is
refused as its actions are, one by one (`inductive.transactions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, assert_never

from cbtmodel import commands as c
from cbtmodel.bitmap import Bitmap
from cbtmodel.claims import Fact
from cbtmodel.commands import malformed
from cbtmodel.node import State
from cbtmodel.refusal import Refused

from cbtproofs.effects.during import Claims

Reasons = Iterator[tuple[str, Callable[[], Any]]]


def of_refusals(before: State[Any], command: Any, refusal: Refused | None) -> Claims:
    """Refused exactly if there is a reason, and for one of those that there are."""
    listed = reasons(before, command)
    if refusal is None:
        for kind, is_so in listed:
            yield Fact(f"accepted, so it is not: {kind}", not is_so())
    else:
        named = any(is_so() for kind, is_so in listed if kind == refusal.kind)
        yield Fact(f"refused for a reason that there is: {refusal.kind}", named)


def reasons(state: State[Any], command: c.Command | c.Abort) -> Reasons:
    """All reasons that there could be to refuse a command, each with whether there is."""
    yield "invalid", lambda: not isinstance(command, c.Abort) and malformed(command) is not None
    match command:
        case c.Abort():
            yield "aborted", lambda: True
        case c.AddBitmap(node, name, granularity):
            yield "not found", lambda: node not in state.nodes
            yield "invalid", lambda: not name or len(name.encode(errors="surrogatepass")) > 1023
            yield "invalid", lambda: granularity not in [512 << shift for shift in range(23)]
            yield "exists", lambda: node in state.nodes and name in state.nodes[node].bitmaps
        case c.RemoveBitmap() | c.ClearBitmap() | c.EnableBitmap() | c.DisableBitmap():
            node, name = command.node, command.name
            yield "not found", lambda: bitmap(state, node, name) is None
            yield "busy", lambda: in_use(state, node, name)
        case c.MergeBitmaps(node, target, sources):
            yield "not found", lambda: bitmap(state, node, target) is None
            yield "not found", lambda: any(bitmap(state, each.node, each.name) is None for each in sources)
            yield "busy", lambda: bool(sources) and in_use(state, node, target)
            yield "busy", lambda: any(in_use(state, each.node, each.name) for each in sources)
            yield "size mismatch", lambda: node in state.nodes and any(
                each.node in state.nodes and state.nodes[each.node].size != state.nodes[node].size for each in sources
            )
        case c.StartBackup():
            yield from of_start(state, command)
        case c.PauseJob(job_id):
            yield "not found", lambda: job_id not in state.jobs
            yield (
                "wrong phase",
                lambda: job_id in state.jobs and not (running(state, job_id) and not state.jobs[job_id].paused),
            )
        case c.ResumeJob(job_id):
            yield "not found", lambda: job_id not in state.jobs
            yield (
                "wrong phase",
                lambda: job_id in state.jobs and not (running(state, job_id) and state.jobs[job_id].paused),
            )
        case c.CancelJob(job_id):
            yield "not found", lambda: job_id not in state.jobs
        case c.FinalizeJob(job_id):
            yield "not found", lambda: job_id not in state.jobs
            yield "wrong phase", lambda: job_id in state.jobs and state.jobs[job_id].phase != "pending"
        case c.Write() | c.BeginWrite():
            yield from of_write(state, command)
        case c.EndWrite(node, write):
            yield "not found", lambda: node not in state.nodes or write not in state.nodes[node].writes
        case c.Copy(job_id) | c.BeginCopy(job_id):
            yield from of_copy(state, job_id, command.offset, command.length)
        case c.EndCopy(job_id):
            yield "not found", lambda: job_id not in state.jobs
            yield "invalid", lambda: job_id in state.jobs and not state.jobs[job_id].copying
        case c.Transaction():
            raise TypeError("a transaction is refused as its actions are")
        case _:
            assert_never(command)


def bitmap(state: State[Any], node: str, name: str) -> Bitmap[Any] | None:
    """The bitmap, if there is one."""
    return state.nodes[node].bitmaps.get(name) if node in state.nodes else None


def in_use(state: State[Any], node: str, name: str) -> bool:
    """Whether a job has the bitmap, or a transaction has removed it."""
    found = bitmap(state, node, name)
    return found is not None and (found.successor is not None or bool(found.leaving))


def running(state: State[Any], job_id: str) -> bool:
    """Whether a job that there is runs."""
    return bool(state.jobs[job_id].phase == "running")


def of_start(state: State[Any], command: c.StartBackup) -> Reasons:
    """Reasons to refuse a backup."""
    node, name, sync, asked = command.node, command.bitmap, command.sync, command.bitmap_mode
    mode = "on-success" if sync == "incremental" else asked
    yield "not found", lambda: node not in state.nodes
    yield "not found", lambda: name is not None and bitmap(state, node, name) is None
    yield "busy", lambda: name is not None and in_use(state, node, name)
    yield "exists", lambda: command.job in state.jobs
    yield "invalid", lambda: sync != "full" and name is None
    yield "invalid", lambda: sync == "incremental" and asked not in (None, "on-success")
    yield "invalid", lambda: (name is None) != (mode is None)
    yield "invalid", lambda: mode == "never" and sync != "bitmap"
    yield "invalid", lambda: not usable(command.job)
    yield "invalid", lambda: command.cluster not in [512 << shift for shift in range(32)]


@cache
def usable(job_id: str) -> bool:
    """Whether a job may have this id: a letter, and then letters, digits and some marks."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return job_id[:1] in [*letters] and not set(job_id) - set(letters + "0123456789-._")


def of_write(state: State[Any], command: c.Write | c.BeginWrite) -> Reasons:
    """Reasons to refuse a guest write."""
    node_name, result = command.node, command.result
    yield "not found", lambda: node_name not in state.nodes
    if node_name not in state.nodes:
        return
    node = state.nodes[node_name]
    yield "invalid", lambda: command.offset + command.length > node.size
    if isinstance(command, c.BeginWrite):
        yield "exists", lambda: command.write in node.writes
    elif result == "ignored":
        yield "invalid", lambda: command.kind != "discard"
    if result == "copy failed":
        blocks = state.space.blocks(command.offset, command.length)
        for job in state.jobs.values():
            if job.node == node_name:
                hit = job.todo & state.space.round_out(blocks, job.cluster, node.size)
                yield "copy failed", lambda hit=hit, job=job: bool(hit - job.copying)  # type: ignore[misc]


def of_copy(state: State[Any], job_id: str, offset: int, length: int) -> Reasons:
    """Reasons why a job cannot copy there now."""
    yield "not found", lambda: job_id not in state.jobs
    if job_id not in state.jobs:
        return
    job = state.jobs[job_id]
    size = state.nodes[job.node].size
    yield "invalid", lambda: offset + length > size
    yield "wrong phase", lambda: job.phase != "running" or bool(job.paused) or bool(job.copying)
    touched = state.space.round_out(state.space.blocks(offset, length), job.cluster, size)
    yield "invalid", lambda: not job.todo & touched
