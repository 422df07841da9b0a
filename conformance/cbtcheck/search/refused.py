"""Draws commands that must be refused, or nearly so: a refusal must leave everything as it was."""

from __future__ import annotations

from dataclasses import replace

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.commands import Action, Command

from cbtcheck.search.draw import BITMAPS, WRITES, Hand, has_bitmaps, start_backup


def nonsense(hand: Hand) -> Command:
    """A command with a wrong name, size, range, mode or moment; now and then it is legal after all."""
    return hand.one((bad_bitmap, bad_job, bad_backup, bad_transaction, bad_write))(hand)


def some_name(hand: Hand, on: str) -> str:
    """The name of a bitmap of this disk, or of none."""
    return hand.one([*hand.state.nodes[on].bitmaps, "nobody"])


def bad_bitmap(hand: Hand) -> Command:
    """Bitmaps that do not exist, exist, or are busy; bad names and granularities."""
    on = hand.node()
    name = some_name(hand, on)
    source = c.Source(*(hand.bitmap() if has_bitmaps(hand) else (on, name)))
    options: tuple[Command, ...] = (
        c.AddBitmap(on, name, 65536), c.AddBitmap("nowhere", "b0", 65536),
        c.AddBitmap(on, "b0", hand.one((0, 256, 1000, 65537, 1 << 32, 1 << 31))),
        c.AddBitmap(on, "", 65536), c.AddBitmap(on, "n" * 1024, 65536),
        c.RemoveBitmap(on, name), c.ClearBitmap(on, name), c.EnableBitmap("nowhere", name),
        c.DisableBitmap(on, name), c.EnableBitmap(on, name), c.MergeBitmaps(on, name, (source,)),
        c.MergeBitmaps(on, name, (c.Source(on, "nobody"),)), c.RemoveBitmap(on, name), c.ClearBitmap(on, name),
        c.MergeBitmaps(on, name, (c.Source(on, name), c.Source(hand.node(), name))),
        *alphabet.on_bitmap(on, name, but=(c.RemoveBitmap, c.ClearBitmap, c.EnableBitmap, c.DisableBitmap)),
    )  # fmt: skip
    return hand.one(options)


def bad_job(hand: Hand) -> Command:
    """Jobs that do not exist, or cannot do that now."""
    id = hand.one([*hand.state.jobs, "nojob"])
    options: tuple[Command, ...] = (
        c.PauseJob(id), c.ResumeJob(id), c.FinalizeJob(id), c.CancelJob("nojob"), c.Copy(id, 0, 1),
        c.BeginCopy(id, 0, 1), c.EndCopy(id),
        *alphabet.on_job(id, but=(c.PauseJob, c.ResumeJob, c.FinalizeJob, c.CancelJob)),
    )  # fmt: skip
    return hand.one(options)


def bad_backup(hand: Hand) -> Command:
    """Combinations of sync, bitmap and bitmap mode that mean nothing; ids and bitmaps that are in use."""
    on = hand.node()
    name = some_name(hand, on)
    good = start_backup(hand)
    options: tuple[Command, ...] = (
        replace(good, node=on, sync="bitmap", bitmap=name, bitmap_mode="on-success"),
        replace(good, job=hand.one([*hand.state.jobs, "1-job"])), replace(good, node="nowhere"),
        replace(good, sync="incremental", bitmap=None, bitmap_mode=None),
        replace(good, node=on, sync="incremental", bitmap=name, bitmap_mode="never"),
        replace(good, node=on, sync="full", bitmap=name, bitmap_mode="never"),
        replace(good, node=on, sync="bitmap", bitmap=name, bitmap_mode=None),
        replace(good, sync="full", bitmap=None, bitmap_mode="always"),
        replace(good, sync="bitmap", bitmap="nobody", bitmap_mode="always"),
    )  # fmt: skip
    return hand.one(options)


def bad_transaction(hand: Hand) -> Command:
    """Transactions that fail at their last action."""
    on = hand.node()
    name = some_name(hand, on)
    good = start_backup(hand)
    first: tuple[Action, ...] = (
        c.ClearBitmap(on, name), good, c.DisableBitmap(on, name), c.EnableBitmap(on, name), c.RemoveBitmap(on, name),
        c.MergeBitmaps(on, name, (c.Source(*hand.bitmap()),)) if has_bitmaps(hand) else good,
        c.AddBitmap(on, hand.new_name(list(hand.state.nodes[on].bitmaps), BITMAPS), 65536),
    )  # fmt: skip
    last: tuple[Action, ...] = (
        c.Abort(), c.AddBitmap(on, name, 65536), c.EnableBitmap(on, name), c.ClearBitmap(on, "nobody"),
        replace(good, job="j2"), c.RemoveBitmap(on, name),
    )  # fmt: skip
    actions = (
        (hand.one(first), hand.one(last)) if hand.pick(3) else (hand.one(first), hand.one(first), hand.one(last))
    )
    return c.Transaction(actions, hand.rarely(8))


def bad_write(hand: Hand) -> Command:
    """Writes beyond the end of the disk, or just not."""
    on = hand.node()
    size = hand.state.nodes[on].size
    options: tuple[Command, ...] = (
        c.Write(on, size, 1), c.Write(on, size - 1, 2), c.Write(on, size, 0), c.EndWrite(on, "nowrite"),
        c.BeginWrite(on, hand.one(WRITES), size, 1),
    )  # fmt: skip
    return hand.one(options)
