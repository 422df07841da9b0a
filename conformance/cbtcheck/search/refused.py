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


def some_name(hand: Hand, node: str) -> str:
    """The name of a bitmap of this disk, or of none."""
    return hand.one([*hand.state.nodes[node].bitmaps, "nobody"])


def bad_bitmap(hand: Hand) -> Command:
    """Bitmaps that do not exist, exist, or are busy; bad names and granularities."""
    node = hand.node()
    name = some_name(hand, node)
    source = c.Source(*(hand.bitmap() if has_bitmaps(hand) else (node, name)))
    options: tuple[Command, ...] = (
        c.AddBitmap(node, name, 65536), c.AddBitmap("nowhere", "b0", 65536),
        c.AddBitmap(node, "b0", hand.one((0, 256, 1000, 65537, 1 << 32, 1 << 31))),
        c.AddBitmap(node, "", 65536), c.AddBitmap(node, "n" * 1024, 65536),
        c.RemoveBitmap(node, name), c.ClearBitmap(node, name), c.EnableBitmap("nowhere", name),
        c.DisableBitmap(node, name), c.EnableBitmap(node, name), c.MergeBitmaps(node, name, (source,)),
        c.MergeBitmaps(node, name, (c.Source(node, "nobody"),)), c.RemoveBitmap(node, name),
        c.ClearBitmap(node, name), c.MergeBitmaps(node, name, (c.Source(node, name), c.Source(hand.node(), name))),
        *alphabet.on_bitmap(node, name, but=(c.RemoveBitmap, c.ClearBitmap, c.EnableBitmap, c.DisableBitmap)),
    )  # fmt: skip
    return hand.one(options)


def bad_job(hand: Hand) -> Command:
    """Jobs that do not exist, or cannot do that now."""
    job_id = hand.one([*hand.state.jobs, "nojob"])
    options: tuple[Command, ...] = (
        c.PauseJob(job_id), c.ResumeJob(job_id), c.FinalizeJob(job_id), c.CancelJob("nojob"), c.Copy(job_id, 0, 1),
        c.BeginCopy(job_id, 0, 1), c.EndCopy(job_id),
        *alphabet.on_job(job_id, but=(c.PauseJob, c.ResumeJob, c.FinalizeJob, c.CancelJob)),
    )  # fmt: skip
    return hand.one(options)


def bad_backup(hand: Hand) -> Command:
    """Combinations of sync, bitmap and bitmap mode that mean nothing; ids and bitmaps that are in use."""
    node = hand.node()
    name = some_name(hand, node)
    good = start_backup(hand)
    options: tuple[Command, ...] = (
        replace(good, node=node, sync="bitmap", bitmap=name, bitmap_mode="on-success"),
        replace(good, job=hand.one([*hand.state.jobs, "1-job"])), replace(good, node="nowhere"),
        replace(good, sync="incremental", bitmap=None, bitmap_mode=None),
        replace(good, node=node, sync="incremental", bitmap=name, bitmap_mode="never"),
        replace(good, node=node, sync="full", bitmap=name, bitmap_mode="never"),
        replace(good, node=node, sync="bitmap", bitmap=name, bitmap_mode=None),
        replace(good, sync="full", bitmap=None, bitmap_mode="always"),
        replace(good, sync="bitmap", bitmap="nobody", bitmap_mode="always"),
    )  # fmt: skip
    return hand.one(options)


def bad_transaction(hand: Hand) -> Command:
    """Transactions that fail at their last action."""
    node = hand.node()
    name = some_name(hand, node)
    good = start_backup(hand)
    first: tuple[Action, ...] = (
        c.ClearBitmap(node, name), good, c.DisableBitmap(node, name), c.EnableBitmap(node, name),
        c.RemoveBitmap(node, name),
        c.MergeBitmaps(node, name, (c.Source(*hand.bitmap()),)) if has_bitmaps(hand) else good,
        c.AddBitmap(node, hand.new_name(list(hand.state.nodes[node].bitmaps), BITMAPS), 65536),
    )  # fmt: skip
    last: tuple[Action, ...] = (
        c.Abort(), c.AddBitmap(node, name, 65536), c.EnableBitmap(node, name), c.ClearBitmap(node, "nobody"),
        replace(good, job="j2"), c.RemoveBitmap(node, name),
    )  # fmt: skip
    actions = (
        (hand.one(first), hand.one(last)) if hand.pick(3) else (hand.one(first), hand.one(first), hand.one(last))
    )
    return c.Transaction(actions, hand.rarely(8))


def bad_write(hand: Hand) -> Command:
    """Writes beyond the end of the disk, or just not."""
    node = hand.node()
    size = hand.state.nodes[node].size
    options: tuple[Command, ...] = (
        c.Write(node, size, 1), c.Write(node, size - 1, 2), c.Write(node, size, 0), c.EndWrite(node, "nowrite"),
        c.BeginWrite(node, hand.one(WRITES), size, 1),
    )  # fmt: skip
    return hand.one(options)
