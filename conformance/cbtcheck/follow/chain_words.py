"""The table of a history's restore points in words, and as data for JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cbtcheck.follow.chain_strips import lines_of, strips_of
from cbtcheck.follow.chain_table import ChainTable, Lost, NoIncrement, Row
from cbtcheck.scenario.describe import size_text
from cbtcheck.sets.granules import Granules

Named = Callable[[Granules], str]
"""Says in words which blocks."""

Listed = Callable[[Granules], list[tuple[int, int]]]
"""The same for JSON, in pairs of numbers."""

RANGES_SHOWN = 8
"""Ranges of bytes that are named in a line; of the rest only how many there are."""

GIVES = {
    "restores": "restores",
    "assumed": "restores if what it is laid over does, which is not in this history",
    "does not restore": "DOES NOT RESTORE",
    "perhaps": "restores only if nothing was written then",
    "undecided": "not known to restore, for want of what is not in this history",
    "in part": "is no restore point: it did not complete",
}


def lines(
    table: ChainTable, named: Named | None = None, gaps: list[tuple[int, int]] | None = None
) -> Iterator[str]:
    """The table and its picture; nothing if there was no backup that counts, and nothing waived.

    `named` says which blocks. `gaps`: they are gaps between lines, see `chain_strips`.
    """
    named = named or ranges
    drawn = {strips.node: strips for strips in strips_of(table, gaps)}
    for node in dict.fromkeys(row.node for row in table.rows):
        yield f"Backups of {node}, each laid over the older ones:"
        for row in (row for row in table.rows if row.node == node):
            said, *lost = in_words(row, named)
            yield f"  {row.number:>2}  {said}"
            yield from (f"        {each}" for each in lost)
        yield from lines_of(drawn[node])
    yield from _instants(table)
    for failed in table.failed:
        began, ended = failed.began, failed.ended.short
        yield f"No backup: {failed.job} of {failed.node}, begun by {began}, {failed.outcome} at {ended}"
    for waived in table.waived:
        blocks = waived.certain if len(waived.certain) else waived.perhaps
        place = f"{waived.node}/{waived.bitmap}"
        yield f"Waived, and in no backup that completed: {named(blocks)} of {place}, by {waived.at}"
    yield from table.unknown
    for each in table.no_increment:
        yield f"No increment with {each.node}/{each.bitmap} any more, {each.why}: {each.at}"
    if table.forgotten:
        yield f"Forgotten: the {table.forgotten:,} oldest backups; nothing is said of chains that need them."


def in_words(row: Row, named: Named) -> list[str]:
    """A link in a line, and one more for each reason why something is lost."""
    first = f"{row.job} ({_kind(row)}), {row.began.short}: {GIVES[row.gives]}{_stacks(row)}"
    return [first, *(_lost(each, named) for each in row.lost)]


def verdict(table: ChainTable) -> str:
    """What is said of the commands, in a sentence; empty if every restore point restores."""
    if table.unsafe:
        wrong = ", ".join(row.job for row in table.rows if row.gives == "does not restore")
        return f"unsafe (the commands): what was backed up does not give the disk back: {wrong}"
    if table.depends:
        unsure = ", ".join(row.job for row in table.rows if row.gives == "perhaps")
        return f"unsafe (the commands), if something was written then: {unsure}"
    if table.undecided:
        unknown = ", ".join(row.job for row in table.rows if row.gives == "undecided")
        return f"undecided: whether these restore is not in this history: {unknown}"
    return ""


def one_instant(table: ChainTable) -> list[list[Row]]:
    """Of several disks: which restore points are of one instant."""
    together: dict[int, list[Row]] = {}
    for row in table.rows:
        if row.complete:
            together.setdefault(row.began.number, []).append(row)
    return [rows for rows in together.values() if len({row.node for row in rows}) > 1]


def ranges(blocks: Granules) -> str:
    """As offset+length in bytes."""
    found = blocks.extents(RANGES_SHOWN + 1)
    text = ", ".join(f"{size_text(offset)}+{size_text(length)}" for offset, length in found[:RANGES_SHOWN])
    return text if len(found) <= RANGES_SHOWN else f"{text}, … ({len(blocks) * blocks.granularity:,} bytes in all)"


def _kind(row: Row) -> str:
    return "full" if row.full else f"increment with {row.bitmap}"


def _stacks(row: Row) -> str:
    if not row.complete or (row.full and not row.lost):
        return ""
    said = f" on {', '.join(row.stacks_on)}" if row.stacks_on else ""
    return said + (f", not on {', '.join(row.not_on)}" if row.not_on else "")


def _lost(lost: Lost, named: Named) -> str:
    at_risk = "lost" if len(lost.certain) else "lost if it was written"
    more = lost.perhaps - lost.blocks
    besides = f" (and {named(more)}, if it was written)" if len(more) else ""
    return f"{at_risk}: {named(lost.blocks)}{besides}, {lost}"


def _instants(table: ChainTable) -> Iterator[str]:
    complete = [row for row in table.rows if row.complete]
    if len({row.node for row in complete}) < 2:
        return
    shared = one_instant(table)
    for rows in shared:
        yield f"One instant for {' and '.join(row.node for row in rows)}: {rows[0].began}"
    if not shared:
        yield f"No instant is shared by {' and '.join(dict.fromkeys(row.node for row in complete))}: each has its own"


def as_data(table: ChainTable, listed: Listed | None = None) -> dict[str, Any]:
    """The table for JSON; blocks are [offset, length] in bytes, or as `listed` has them."""
    listed = listed or Granules.extents
    return {
        "restore_points": [
            {
                "number": int(row.number), "job": row.job, "node": row.node, "bitmap": row.bitmap,
                "at": row.began.number, "full": row.full, "complete": row.complete, "gives": row.gives,
                "stacks_on": [int(each) for each in row.stacks_on], "not_on": [int(each) for each in row.not_on],
                "lost": [_lost_data(each, listed) for each in row.lost],
            }
            for row in table.rows
        ],
        "waived": [
            {
                "node": each.node, "bitmap": each.bitmap, "at": each.at.number,
                "certain": listed(each.certain), "perhaps": listed(each.perhaps - each.certain),
            }
            for each in table.waived
        ],
        "failed": [
            {"job": each.job, "node": each.node, "began": each.began.number, "ended": each.ended.number,
             "outcome": each.outcome}
            for each in table.failed
        ],
        "forgotten": table.forgotten,
        **({"no_increment": [_no_increment(each) for each in table.no_increment]} if table.no_increment else {}),
        **({"unknown": [*table.unknown]} if table.unknown else {}),
    }  # fmt: skip


def _no_increment(each: NoIncrement) -> dict[str, Any]:
    return {"node": each.node, "bitmap": each.bitmap, "why": each.why, "at": each.at.number}


def _lost_data(lost: Lost, listed: Listed) -> dict[str, Any]:
    return {
        "why": lost.why, "blame": lost.blame.number, "from": lost.first.number, "to": lost.last.number,
        "certain": listed(lost.certain), "perhaps": listed(lost.perhaps - lost.certain),
    }  # fmt: skip
