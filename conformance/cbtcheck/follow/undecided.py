"""Backups of which a history does not tell whether they restore: they need what is not in it.

An increment needs what became of its bitmap since the backup that it is laid over. Where something has happened to it
of which nobody knows how it ended, it is not said that it restores, and nobody is accused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cbtcheck.follow.chain_table import NOWHERE, ChainTable, Row
from cbtcheck.follow.reasons import At

MOST_SAID = 8
"""Lines about what is not in a history, at most."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is not in the history: of a bitmap, or of all of a disk (""), at a place. `how`: how it is recorded the
    next time. `job`: it is how this one ended, which began there. `copied`: it is what a job had copied that ended
    there, of which its bitmap does not have the rest.
    """

    node: str
    bitmap: str
    what: str
    at: At
    how: str
    job: str = ""
    copied: bool = False

    def is_about(self, row: Row) -> bool:
        """Whether a backup may need it."""
        return self.node == row.node and self.bitmap in ("", row.bitmap)

    def is_end_of(self, row: Row) -> bool:
        """Whether it is how a backup itself ended."""
        return self.job == row.job and self.node == row.node and self.at == row.began


def with_the_undecided(table: ChainTable, unknown: Sequence[Unknown]) -> ChainTable:
    """The table, with each row *undecided* that would restore if what is not in the history went well."""
    if not unknown:
        return table
    rows: dict[str, Row] = {}
    for row in table.rows:
        rows[row.number] = row if _is_decided(row, rows, unknown) else replace(row, gives="undecided", lost=())
    open_rows = [row for row in rows.values() if row.gives == "undecided"]
    needed = [each for each in unknown if any(map(each.is_about, open_rows)) or any(map(each.is_end_of, open_rows))]
    said = [f"Not in this history: {each.what}: {each.at}; {each.how}" for each in needed[:MOST_SAID]]
    if len(needed) > MOST_SAID:
        said.append(f"Not in this history: {len(needed) - MOST_SAID} more of these")
    return replace(table, rows=tuple(rows.values()), unknown=tuple(said))


def _is_decided(row: Row, rows: Mapping[str, Row], unknown: Sequence[Unknown]) -> bool:
    """Whether it needs nothing that is unknown: it is full, or is laid over one that is decided, and is later."""
    if row.gives == "perhaps" and all(each.why == NOWHERE for each in row.lost):
        return not any(each.copied and each.is_about(row) and each.at <= row.began for each in unknown)
    if row.gives not in ("restores", "assumed"):
        return True
    if any(each.is_end_of(row) for each in unknown):
        return False
    if row.full:
        return True
    mine = [each.at for each in unknown if each.is_about(row) and each.at <= row.began and not each.copied]
    if not row.stacks_on:
        return not mine
    return any(
        number in rows and rows[number].gives != "undecided" and all(at < rows[number].began for at in mine)
        for number in row.stacks_on
    )
