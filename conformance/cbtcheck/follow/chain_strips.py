"""The chain of a disk's backups as rows of cells: what each link has itself, and what is lost, and where.

The text that `replay` and `verify` print, and the drawings of `cbtcheck.report.chain_svg`, are made of the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cbtcheck.follow.chain_table import ChainTable, Row
from cbtcheck.scenario.describe import size_text
from cbtcheck.sets.granules import Granules

SUPPLIED = "█"
IN_PART = "▒"
BELOW = "·"
LOST = "✗"
PERHAPS = "?"
LATER = " "
"""What is written in this gap is written after the instant of the backup."""

MEANING = {
    SUPPLIED: "in this backup",
    IN_PART: "perhaps in this backup",
    BELOW: "from those below",
    LOST: "lost",
    PERHAPS: "lost if it was written",
}
"""The legend. Where blocks share a cell, it shows the worst of them."""

STACKS, BROKEN, UNKNOWN = "→", "✗", "→ ?"
MOST_COLUMNS = 64
MOST_DRAWN = 16
"""Links of a disk that are drawn, the youngest ones."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A link as a row. `older` is the one that it is laid over, None if there is none; `stacks`: without loss."""

    row: Row
    older: str | None
    stacks: bool
    cells: str


@dataclass(frozen=True, slots=True)
class ChainStrips:
    """The links of a disk, the oldest first. A cell is `unit` wide, in bytes or in gaps between lines of a log.

    `left_out` older links are not drawn; `ends` are the words for both ends of the ruler.
    """

    node: str
    unit: int
    columns: int
    ends: tuple[str, str]
    links: tuple[Drawn, ...]
    left_out: int


def strips_of(table: ChainTable, gaps: list[tuple[int, int]] | None = None) -> Iterator[ChainStrips]:
    """The rows of each disk. `gaps`: blocks are these gaps between lines, in which writes were not seen."""
    for node in dict.fromkeys(row.node for row in table.rows):
        rows = [row for row in table.rows if row.node == node]
        size = rows[0].supplied.size if gaps is None else len(gaps) * rows[0].supplied.granularity
        unit = rows[0].supplied.granularity
        while -(-size // unit) > MOST_COLUMNS:
            unit *= 2
        drawn = rows[-MOST_DRAWN:]
        columns = -(-size // unit)
        links = tuple(_drawn(row, rows[: rows.index(row)], unit, columns, gaps) for row in drawn)
        ends = ("0", size_text(size)) if not gaps else (f"line {gaps[0][0] or 1}", f"line {gaps[-1][1]}")
        width = unit if gaps is None else unit // rows[0].supplied.granularity
        yield ChainStrips(node, width, columns, ends, links, len(rows) - len(drawn))


def _drawn(
    row: Row, older: list[Row], unit: int, columns: int, gaps: list[tuple[int, int]] | None
) -> Drawn:
    numbers = [each.number for each in older]
    stacks = [each for each in numbers if each in row.stacks_on]
    below = stacks[-1] if stacks else numbers[-1] if numbers and not row.full else None
    lost = [(each.certain, each.perhaps) for each in row.lost]
    step = unit // row.supplied.granularity
    cells = "".join(
        LATER if gaps and gaps[at * step][0] >= row.began.number else _cell(row, lost, at * unit, unit, bool(gaps))
        for at in range(columns)
    )
    return Drawn(row, below, bool(stacks) and not row.lost, cells)


def _cell(row: Row, lost: list[tuple[Granules, Granules]], first: int, unit: int, gaps: bool) -> str:
    past = first + unit
    if any(certain.any_in(first, past) for certain, _ in lost):
        return LOST
    if any(perhaps.any_in(first, past) for _, perhaps in lost):
        return PERHAPS
    if row.supplied.any_in(first, past):
        return SUPPLIED
    if row.perhaps_supplied.any_in(first, past):
        return SUPPLIED if gaps else IN_PART
    return BELOW


def lines_of(strips: ChainStrips) -> Iterator[str]:
    """A disk, as lines of text; nothing if there is only one link, of which the table says all."""
    if len(strips.links) < 2:
        return
    first, last = strips.ends
    yield f"{'':12}{first}{last:>{max(len(last) + 1, strips.columns + 1 - len(first))}}"
    if strips.left_out:
        yield f"{'':12}{strips.left_out} older ones are not drawn"
    for link in strips.links:
        yield f"  {link.row.number:>2} {under(link):<6} {link.cells}  {link.row.job}"
    used = dict.fromkeys(cell for link in strips.links for cell in link.cells if cell in MEANING)
    yield f"{'':12}" + "   ".join(f"{cell} {MEANING[cell]}" for cell in MEANING if cell in used)


def under(link: Drawn) -> str:
    """What a link is laid over: *→ 1*, or with a loss *✗ 1*."""
    if link.row.gives in ("assumed", "undecided"):
        return UNKNOWN
    if link.older is None:
        return BROKEN if link.row.lost else ""
    return f"{STACKS if link.stacks or not link.row.lost else BROKEN} {link.older}"
