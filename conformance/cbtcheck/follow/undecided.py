"""Backups of which a history does not tell whether they restore: they need what is not in it.

An increment needs what became of its bitmap since the backup that it is laid over. Where something has happened to it
of which nobody knows how it ended, it is not said that it restores, and nobody is accused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cbtcheck.follow.chain_table import ChainTable, Row
from cbtcheck.follow.reasons import At


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is not in the history: of a bitmap, at a place. `how`: how it is recorded the next time."""

    node: str
    bitmap: str
    what: str
    at: At
    how: str


def with_the_undecided(table: ChainTable, unknown: Sequence[Unknown]) -> ChainTable:
    """The table, with each row *undecided* that would restore if what is not in the history went well."""
    if not unknown:
        return table
    rows: dict[str, Row] = {}
    for row in table.rows:
        rows[row.number] = row if _is_decided(row, rows, unknown) else replace(row, gives="undecided")
    needed = {(row.node, row.bitmap) for row in rows.values() if row.gives == "undecided"}
    said = [f"Not in this history: {each.what}: {each.at}; {each.how}"
            for each in unknown if (each.node, each.bitmap) in needed]  # fmt: skip
    return replace(table, rows=tuple(rows.values()), unknown=tuple(said))


def _is_decided(row: Row, rows: Mapping[str, Row], unknown: Sequence[Unknown]) -> bool:
    """Whether it needs nothing that is unknown: it is full, or is laid over one that is decided, and is later."""
    if row.full or row.gives not in ("restores", "assumed"):
        return True
    mine = [each.at for each in unknown if (each.node, each.bitmap) == (row.node, row.bitmap) and each.at < row.began]
    if not row.stacks_on:
        return not mine
    return any(
        number in rows and rows[number].gives != "undecided" and all(at < rows[number].began for at in mine)
        for number in row.stacks_on
    )
