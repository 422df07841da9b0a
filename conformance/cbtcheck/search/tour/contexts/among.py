"""Edges of who else is there, and of how many there are: for the command's object, which one it is of how many.

*The 2nd of 3* is counted by age: the oldest is the first. A guest write has an edge for what each bitmap of its disk
does with it, from the oldest to the newest, and one for what each job does; the end of a write in flight, and each
command on a job, for which one it is; a transaction for how many actions, backups and members it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cbtmodel import commands as c
from cbtmodel.backup import hit_by_write
from cbtmodel.bitmap import Bitmap
from cbtmodel.node import Node, State, jobs_of
from cbtmodel.step import Step

from cbtcheck.search.tour.contexts.undone import roles
from cbtcheck.search.tour.coverage import NAMES, Edge, outcome, recorders
from cbtcheck.sets.bitsets import Bits

BITMAPS, JOBS, WRITES, ACTIONS = 4, 3, 3, 5
"""So many are told apart; what is beyond is told as *so many or more*."""

ORDINALS = ("1st", "2nd", "3rd", "4th")


def among(before: State[Bits], command: object, result: Step[Bits]) -> Iterator[Edge]:
    """The edges of one step; of a refused one only that of a guest write whose copy failed."""
    came = outcome(result)
    if result.refusal is not None:
        if isinstance(command, c.Write) and result.refusal.kind == "copy failed":
            yield Edge("write: who else", "jobs", _copiers(before, command), came)
        return
    if isinstance(command, c.Action):
        yield from _bitmaps(before, command)
    if isinstance(command, c.StartBackup):
        yield Edge("start-backup: among", "", _drained(before, command.node), "accepted")
    elif isinstance(command, c.OfJob):
        yield from _jobs(before, command, came)
    elif isinstance(command, c.Write | c.EndWrite):
        yield from _write(before, command, came)
    elif isinstance(command, c.BeginWrite) and command.length:
        yield Edge("begin-write: who else", "jobs", _copiers(before, command), came)
    elif isinstance(command, c.Transaction):
        yield from _transaction(before, command)


def which(number: int, of: int, most: int, what: str) -> str:
    """Such as *the 2nd of 3 jobs*."""
    if of > most:
        return f"one of {most + 1}+ {what}"
    return f"the {ORDINALS[number]} of {of} {what}" if of > 1 else f"the only one of the {what}"


def counted(number: int, most: int) -> str:
    """A number up to `most`."""
    return str(number) if number < most else f"{most}+"


def _rank(key: str, keys: Collection[str], most: int, what: str) -> str:
    return which([*keys].index(key), len(keys), most, what)


# Bitmaps


def _bitmaps(before: State[Bits], command: c.Action) -> Iterator[Edge]:
    name = NAMES[type(command)]
    for (node_name, bitmap), role in roles(command):
        there = before.nodes[node_name].bitmaps
        how = role if isinstance(command, c.MergeBitmaps) else ""
        if isinstance(command, c.AddBitmap):
            yield Edge(f"{name}: among", how, f"beside {counted(len(there), BITMAPS)} bitmaps", "accepted")
        else:
            yield Edge(f"{name}: among", how, _rank(bitmap, there, BITMAPS, "bitmaps"), "accepted")
        if any(bitmap in node.bitmaps for other, node in before.nodes.items() if other != node_name):
            yield Edge(f"{name}: among", how, "with a namesake on another disk", "accepted")
    if isinstance(command, c.MergeBitmaps):
        different = dict.fromkeys(command.sources)
        disks = len({each.node for each in different})
        given = f"{counted(len(command.sources), BITMAPS)} sources, {counted(len(different), BITMAPS)} different"
        yield Edge(f"{name}: among", given, f"of {disks} disks", "accepted")


# Jobs


def _jobs(before: State[Bits], command: object, came: str) -> Iterator[Edge]:
    job = before.jobs[command.job]  # type: ignore[attr-defined]
    name = NAMES[type(command)]
    here = [job_id for job_id, each in before.jobs.items() if each.node == job.node]
    elsewhere = counted(len(before.jobs) - len(here), 2)
    place = _rank(command.job, here, JOBS, "jobs of the disk")  # type: ignore[attr-defined]
    yield Edge(f"{name}: among", "", f"{place}, {elsewhere} on other disks", came)
    if len(job.group) > 1:
        disks = len({before.jobs[job_id].node for job_id in job.group})
        place = _rank(command.job, job.group, JOBS, "members")  # type: ignore[attr-defined]
        yield Edge(f"{name}: among", "", f"{place}, of {disks} disks", came)


# Guest writes


def _write(before: State[Bits], command: c.Write | c.EndWrite, came: str) -> Iterator[Edge]:
    name = NAMES[type(command)]
    node = before.nodes[command.node]
    if isinstance(command, c.EndWrite):
        elsewhere = counted(sum(len(each.writes) for each in before.nodes.values()) - len(node.writes), 2)
        place = _rank(command.write, node.writes, WRITES, "writes in flight")
        yield Edge(f"{name}: among", command.result, f"{place}, {elsewhere} on other disks", recorders(node))
        frozen = [each.marks.dirty for each in node.bitmaps.values() if each.successor is not None]
        if frozen:
            hits = any(node.writes[command.write] & dirty for dirty in frozen)
            yield Edge(f"{name}: among", "", f"{place}, {'on' if hits else 'beside'} what a frozen bitmap has", came)
    elif command.result == "ignored" or not command.length:
        return
    else:
        yield Edge(f"{name}: who else", "jobs", _copiers(before, command), came)
    if node.bitmaps:
        yield Edge(f"{name}: who else", "bitmaps, by age", _recorders_by_age(node), "accepted")
    others = sum(bool(each.bitmaps) for node_name, each in before.nodes.items() if node_name != command.node)
    yield Edge(f"{name}: who else", "", f"bitmaps on {counted(others, 2)} other disks", "accepted")


def _recorders_by_age(node: Node[Bits]) -> str:
    if len(node.bitmaps) > BITMAPS:
        return f"{BITMAPS + 1}+ bitmaps"
    return ", ".join(map(_records, node.bitmaps.values()))


def _records(bitmap: Bitmap[Bits]) -> str:
    if bitmap.successor is None:
        return "enabled" if bitmap.enabled else "disabled"
    return "frozen" if bitmap.successor.enabled else "frozen and disabled"


def _copiers(before: State[Bits], command: c.Write | c.BeginWrite) -> str:
    """What the jobs of the disk do before the write, from the oldest on."""
    jobs = jobs_of(before, command.node)
    if len(jobs) > JOBS:
        return f"{JOBS + 1}+ jobs"
    blocks = before.space.blocks(command.offset, command.length)
    size = before.nodes[command.node].size
    copies = [bool(hit_by_write(before.space, job, blocks, size)) for job in jobs.values()]
    return ", ".join("copies" if each else "has nothing to copy" for each in copies) or "no job"


# Transactions, and what commands wait for


def _drained(before: State[Bits], node_name: str | None) -> str:
    """What is in flight, on this disk and on others, or anywhere."""
    writes = {name: len(node.writes) for name, node in before.nodes.items() if node.writes}
    copying = [job.node for job in before.jobs.values() if job.copying]
    here = writes.pop(node_name, 0) if node_name is not None else sum(writes.values())
    copies = sum(each == node_name for each in copying) if node_name is not None else len(copying)
    told = f"{counted(here, WRITES)} writes and {counted(copies, JOBS)} copies in flight"
    return (
        told
        if node_name is None
        else f"{told} here, {'some' if writes or len(copying) > copies else 'none'} elsewhere"
    )


def _transaction(before: State[Bits], command: c.Transaction) -> Iterator[Edge]:
    backups = [each for each in command.actions if isinstance(each, c.StartBackup)]
    actions = counted(len(command.actions), ACTIONS)
    yield Edge("transaction: among", f"{actions} actions", f"{counted(len(backups), JOBS)} backups", "accepted")
    yield Edge("transaction: among", "", _drained(before, None), "accepted")
    if command.grouped:
        members = f"{counted(len(backups), JOBS)} backups of {len({each.node for each in backups})} disks"
        yield Edge("transaction: among", "completing together", members, "accepted")
