"""What has to be found under a name, whoever looks: kept beside the specification, over closes, opens and crashes.

The specification's own ghosts (`Marks.owed`) are stored with a bitmap and lost with it. So a mistake that loses a
bitmap's marks, or believes those of long ago, has ghosts that agree with it. What is *due* is kept apart from images:
it follows what operators say (add, clear, remove, enable, disable, merge), what the guest writes and what backups
deliver, and nothing that happens to a file makes it less. Whoever shows a sound bitmap must show all that is due.

A bitmap that was removed, or is openly gone, is due all the same: should it ever come back without being added anew,
it has to have everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.claims import Fact, Inclusion, counts_as_delivered
from cbtmodel.image import Close, Crash, Happened, Open, Persist, Reopen, Stored, WrittenByOthers
from cbtmodel.table import Table

from cbtproofs.explorer.few_blocks import Blocks
from cbtproofs.explorer.image_scopes import DISK, Asked

NOTHING: Blocks = frozenset()


@dataclass(frozen=True, slots=True)
class Due:
    """What is due under a name. `since`: what of it was written since a job has the bitmap; None if none has it.

    `records`: whether a write is due now; `stored`: the same of what is in the file. They differ only while the image
    is open for reading only, where who enables or disables a bitmap changes what is in memory.
    """

    records: bool
    stored: bool
    blocks: Blocks = NOTHING
    since: Blocks | None = None


Ledger: TypeAlias = Table[Due]
"""By the name of the bitmap."""


def followed(ledger: Ledger, before: Stored[Blocks], asked: Asked, happened: Happened[Blocks]) -> Ledger:
    """What is due after something has happened: first writes land, then commands do what they do, then jobs end."""
    if happened.refusal is not None:
        return ledger
    blocks = landed(before, asked, happened.stored)
    ledger = Table({name: _written(due, blocks) for name, due in ledger.items()})
    for each in asked.actions if isinstance(asked, c.Transaction) else (asked,):
        ledger = _said(ledger, before, each)
    for end in happened.ended:
        ledger = _ended(ledger, end)
    return ledger


def landed(before: Stored[Blocks], asked: Asked, after: Stored[Blocks]) -> Blocks:
    """What may have changed on the disk: a whole write; writes in flight that have ended, or were left by a crash."""
    blocks, there, now = NOTHING, before.state.nodes.get(DISK), after.state.nodes.get(DISK)
    if isinstance(asked, c.Write):
        blocks |= before.state.space.blocks(asked.offset, asked.length)
    for write, touched in there.writes.items() if there is not None else ():
        blocks |= touched if now is None or write not in now.writes else NOTHING
    return blocks


def _written(due: Due, blocks: Blocks) -> Due:
    if not due.records:
        return due
    return replace(due, blocks=due.blocks | blocks, since=None if due.since is None else due.since | blocks)


def _said(ledger: Ledger, before: Stored[Blocks], asked: Asked | c.Action) -> Ledger:
    """What somebody says with this of what is due."""
    match asked:
        case c.AddBitmap(name=name, enabled=enabled) | Persist(c.AddBitmap(name=name, enabled=enabled)):
            return ledger.put(name, Due(enabled, enabled))
        case c.ClearBitmap(name=name):
            return ledger.put(name, replace(ledger[name], blocks=NOTHING))
        case c.EnableBitmap(name=name):
            return ledger.put(name, _switched(ledger[name], before, True))
        case c.DisableBitmap(name=name):
            return ledger.put(name, _switched(ledger[name], before, False))
        case c.MergeBitmaps(target=name, sources=sources):
            more = frozenset().union(*(ledger[each.name].blocks for each in sources))
            return ledger.put(name, replace(ledger[name], blocks=ledger[name].blocks | more))
        case c.StartBackup(bitmap=used):
            return ledger if used is None else ledger.put(used, replace(ledger[used], since=NOTHING))
        case WrittenByOthers():
            everything = before.state.space.everything(before.images[DISK].size)
            return Table({name: _written(due, everything) for name, due in ledger.items()})
        case Close() | Crash():
            return Table({name: replace(due, records=due.stored, since=None) for name, due in ledger.items()})
        case Reopen(writable=True, fails=""):
            return Table({name: replace(due, stored=due.records) for name, due in ledger.items()})
        case (
            c.RemoveBitmap() | c.Abort() | c.Transaction() | c.Write() | c.BeginWrite() | c.EndWrite() | c.Copy()
            | c.BeginCopy() | c.EndCopy() | c.PauseJob() | c.ResumeJob() | c.CancelJob() | c.FinalizeJob() | Open()
            | Reopen()
        ):  # fmt: skip
            return ledger
        case _:
            assert_never(asked)


def _switched(due: Due, before: Stored[Blocks], records: bool) -> Due:
    writable = before.opened[DISK].writable
    return replace(due, records=records, stored=records if writable else due.stored)


def _ended(ledger: Ledger, end: Ended[Blocks]) -> Ledger:
    """A backup that counts has delivered what was due when it began; of mode *always*, only what it has copied."""
    name, job = end.job.bitmap, end.job
    if name is None:
        return ledger
    due = ledger[name]
    blocks = due.blocks
    if counts_as_delivered(end):
        left = NOTHING if end.outcome == "completed" else due.blocks - job.good | job.todo
        blocks = (due.since or NOTHING) | left
    return ledger.put(name, replace(due, blocks=blocks, since=None))


def nothing_is_missed(stored: Stored[Blocks], ledger: Ledger) -> Iterator[Inclusion[Blocks] | Fact]:
    """Each bitmap that is there and seems sound has all that is due under its name."""
    opened = stored.opened.get(DISK)
    for name, bitmap in stored.state.nodes[DISK].bitmaps.items() if DISK in stored.state.nodes else ():
        if opened is not None and opened.persistent.get(name) == "inconsistent":
            continue
        yield Fact(f"{DISK}/{name}: there, so it was added", name in ledger)
        if name in ledger:
            heir = bitmap.successor
            has = bitmap.marks.dirty | (NOTHING if heir is None else heir.marks.dirty)
            yield Inclusion(f"{DISK}/{name}: due, so dirty", ledger[name].blocks, has)
