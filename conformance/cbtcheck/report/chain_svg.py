"""The chain of a disk's backups as SVG: a row for each link, a line to the one below it, and what is lost.

It shows the rows of `cbtcheck.follow.chain_strips`. As in `picture_svg`, a shape says whatever a colour says, the
picture is there in words, too, and text becomes XML through ElementTree, which escapes it.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from cbtcheck.follow import chain_strips
from cbtcheck.follow.chain_strips import ChainStrips, Drawn
from cbtcheck.follow.chain_words import GIVES, Named, in_words, ranges
from cbtcheck.report import strips
from cbtcheck.report.cell_shapes import SHAPES, shape
from cbtcheck.report.junit import legal_in_xml
from cbtcheck.report.picture_svg import CELL, CHARACTER, GAP, LINE, PADDING, STYLE

GLYPHS = {
    chain_strips.SUPPLIED: strips.DIRTY,
    chain_strips.IN_PART: strips.IN_SUCCESSOR,
    chain_strips.BELOW: strips.CLEAN,
    chain_strips.LOST: strips.MISSING,
    chain_strips.PERHAPS: strips.EXTRA,
}
"""Cells have the shapes of other pictures."""

LINKS = """
.chain .link { stroke: var(--job); stroke-width: 2.4; fill: none; }
.chain .broken { stroke: var(--wrong); stroke-width: 2.4; stroke-dasharray: 3 4; fill: none; }
.chain .point { fill: var(--job); } .chain .bad-point { fill: var(--wrong); }
.chain .part-point { fill: none; stroke: var(--faint); stroke-width: 2; }
.chain .cross { stroke: var(--wrong); stroke-width: 2.4; fill: none; }
"""
"""What a chain has besides the cells of `cell_shapes`."""

GUTTER, RADIUS, COLUMN, WORDS = 76.0, 6.0, 12.0, 32
MOST_CHARACTERS = 128


def chain_svg(drawn: ChainStrips, named: Named = ranges, *, alone: bool = False) -> str:
    """The chain of a disk as one `<svg>` element. `named` says which blocks; `alone`: with colours of its own."""
    drawing = _Drawing(drawn, named)
    drawing.draw()
    return drawing.text(alone)


@dataclass
class _Drawing:
    """An `<svg>` that grows downwards. All lengths are in pixels."""

    drawn: ChainStrips
    named: Named
    root: ET.Element = field(init=False)
    y: float = PADDING
    at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
        ET.SubElement(self.root, "title").text = legal_in_xml(f"The backups of {self.drawn.node}, and what is lost")
        ET.SubElement(self.root, "desc").text = legal_in_xml("\n".join(
            line for each in self.drawn.links for line in in_words(each.row, self.named)
        ))  # fmt: skip

    @property
    def cells(self) -> float:
        """Where the cells begin."""
        return GUTTER + (WORDS + 1) * CHARACTER

    @property
    def width(self) -> float:
        """Of all: there is room for a line of what is lost."""
        return max(self.cells + 64 * COLUMN, GUTTER + MOST_CHARACTERS * CHARACTER) + PADDING

    def text(self, alone: bool) -> str:
        """The whole element as text."""
        size = f"{self.width:.0f}", f"{self.y + PADDING:.0f}"
        for name, value in (("class", "picture chain"), ("viewBox", f"0 0 {size[0]} {size[1]}"), ("width", size[0]),
                            ("height", size[1])):  # fmt: skip
            self.root.set(name, value)
        if alone:
            style = ET.Element("style")
            style.text = STYLE + SHAPES + LINKS
            self.root.insert(2, style)
        return ET.tostring(self.root, encoding="unicode")

    def draw(self) -> None:
        """Everything, from top to bottom."""
        first, last = self.drawn.ends
        end = self.cells + self.drawn.columns * self._column
        self.y += LINE
        self._words(PADDING, self.y - 5, f"Backups of {self.drawn.node}", "strong")
        self._words(self.cells, self.y - 5, first, "faint")
        if self.drawn.columns * self._column > (len(first) + len(last) + 2) * CHARACTER:
            self._words(end - len(last) * CHARACTER, self.y - 5, last, "faint")
        self._path("rule", f"M{self.cells:.1f} {self.y:.1f}H{end:.1f}")
        if self.drawn.left_out:
            self.y += LINE
            self._words(GUTTER, self.y - 5, f"{self.drawn.left_out} older ones are not drawn", "faint")
        self.y += PADDING
        for link in self.drawn.links:
            self._row(link)
        links = ET.SubElement(self.root, "g")
        for number, link in enumerate(self.drawn.links):
            self._link(links, number, link)
        self._legend()

    @property
    def _column(self) -> float:
        return max(COLUMN, min(18.0, 64 * COLUMN / self.drawn.columns))

    # Parts

    def _words(self, x: float, y: float, words: str, style: str = "") -> None:
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "xml:space": "preserve"}
        ET.SubElement(self.root, "text", attributes | ({"class": style} if style else {})).text = legal_in_xml(words)

    def _path(self, style: str, d: str, under: ET.Element | None = None) -> None:
        ET.SubElement(self.root if under is None else under, "path", {"class": style, "d": d})

    def _row(self, link: Drawn) -> None:
        row = link.row
        said = in_words(row, self.named)[1:]
        lines = [part for each in said for part in textwrap.wrap(each, MOST_CHARACTERS - 2, subsequent_indent="  ")]
        height = LINE * (2 + len(lines)) + PADDING
        if row.lost:
            ET.SubElement(self.root, "rect", {
                "class": "wrong-row", "x": "0", "y": f"{self.y:.1f}", "width": f"{self.width:.0f}",
                "height": f"{height:.1f}"
            })  # fmt: skip
        self._path("rule", f"M0 {self.y:.1f}H{self.width:.0f}")
        top = self.y + PADDING / 2
        self.at[row.number] = top + LINE / 2
        name = row.job if len(row.job) <= WORDS - 4 else f"{row.job[: WORDS - 5]}…"
        self._words(GUTTER, top + 13, f"{row.number:>2}  {name}", "strong")
        kind = "full" if row.full else f"increment with {row.bitmap}"
        self._words(GUTTER, top + 13 + LINE, f"    {f'{kind}, {row.began.short}'[: WORDS - 4]}", "faint")
        wrong = row.gives in ("does not restore", "perhaps")
        self._words(self.cells, top + 13 + LINE, GIVES[row.gives], "wrong-text" if wrong else "faint")
        self._cells(link.cells, self.cells, top + (LINE - CELL) / 2)
        for number, line in enumerate(lines):
            self._words(GUTTER, top + 13 + (2 + number) * LINE, line, "wrong-text")
        self.y += height

    def _cells(self, cells: str, left: float, top: float) -> None:
        length, shapes = len(cells) * self._column, dict[str, str]()
        self._path("track", f"M{left:.1f} {top:.1f}h{length - GAP:.1f}v{CELL}h{GAP - length:.1f}z")
        for column, cell in enumerate(cells):
            x = left + column * self._column
            if cell == chain_strips.LATER:
                continue
            for style, d in shape(GLYPHS[cell], x, top, self._column - GAP, CELL):
                shapes[style] = shapes.get(style, "") + d
        for style, d in shapes.items():
            self._path(style, d)

    def _link(self, links: ET.Element, number: int, link: Drawn) -> None:
        """The point of a link, and the line to the one that it is laid over; a cross where something is lost."""
        row, y, x = link.row, self.at[link.row.number], GUTTER - 3 * RADIUS
        style = "part-point" if not row.complete else "bad-point" if row.lost else "point"
        below = self.at.get(link.older) if link.older is not None else None
        lost = bool(row.lost)
        if below is not None:
            between = next(at for at, each in enumerate(self.drawn.links) if each.row.number == link.older)
            bend = min(GUTTER - 5 * RADIUS, 10.0 * (number - between - 1))
            d = f"M{x:.1f} {y - RADIUS:.1f}C{x - bend:.1f} {y - LINE:.1f} {x - bend:.1f} {below + LINE:.1f} "
            self._path("broken" if lost else "link", d + f"{x:.1f} {below + RADIUS:.1f}", links)
            if lost:
                middle, centre = x - 0.75 * bend, (y + below) / 2
                self._path("cross", f"M{middle - 5:.1f} {centre - 5:.1f}l10 10m0 -10l-10 10", links)
        elif row.gives == "assumed" or link.older is not None:
            self._path("link" if not lost else "broken", f"M{x:.1f} {y - RADIUS:.1f}V{y - LINE:.1f}", links)
        circle = {"class": style, "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{RADIUS}"}
        ET.SubElement(links, "circle", circle)

    def _legend(self) -> None:
        """The meaning of the cells that are there, and of no others."""
        self._path("rule", f"M0 {self.y:.1f}H{self.width:.0f}")
        self.y += PADDING + LINE
        x = GUTTER
        for cell, meaning in chain_strips.MEANING.items():
            if any(cell in link.cells for link in self.drawn.links):
                for style, d in shape(GLYPHS[cell], x, self.y - LINE + (LINE - CELL) / 2, CELL, CELL):
                    self._path(style, d)
                self._words(x + 20, self.y - 5, meaning, "faint")
                x += 20 + (len(meaning) + 2) * CHARACTER
