"""The picture of a scenario as SVG: blocks are columns, time goes down, the last rows are what went wrong.

It shows the rows and strips of `picture`. Every kind of cell has a shape of its own, so that colour never says what
the shape does not, and the whole picture is there in words, too. Classes are coloured by the page that it is in;
`STYLE` is for a picture that stands alone. All text becomes XML through ElementTree, which escapes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from cbtcheck.follow.play import Frame
from cbtcheck.report.cell_shapes import SHAPES, shape
from cbtcheck.report.junit import legal_in_xml
from cbtcheck.report.picture import WIDEST_TEXT, Row, headings, offsets_of, rows_of
from cbtcheck.report.strips import MEANING, Scale, Strip
from cbtcheck.scenario.describe import size_text

CHARACTER = 7.3  # the width of a character, in pixels, with room for fonts that are wider than most
LINE, CELL, GAP = 18.0, 14.0, 1.0
NUMBER, PADDING = 30.0, 8.0
NARROWEST, WIDEST_LABEL = 40, 16  # in characters
WIDEST, NARROWEST_CELL = 1080.0, 7.0

STYLE = """
svg.picture { --ink: #1c2330; --faint: #647084; --rule: #e3e7ee; --track: #f1f3f7; --dirty: #0b7c9c;
  --heir: #9a3fb5; --job: #2f6f3e; --todo: #33609f; --flying: #9a6a00; --wrong: #c8102e; --more: #f2b21b;
  --wrong-row: #fdeff0; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg.picture { --ink: #e6e9f0; --faint: #98a3b5; --rule: #2b3342;
  --track: #1d2430; --dirty: #3fb6d8; --heir: #cf86e6; --job: #6cc07e; --todo: #8ab4f0; --flying: #e2b04a;
  --wrong: #ff5a6e; --more: #f2b21b; --wrong-row: #36191f; background: #141922; } }
"""
"""Colours for a picture that stands alone; a page has its own."""

def picture_svg(frames: list[Frame], *, beside: bool = True, alone: bool = False) -> str:
    """The picture of the frames that a `Player` has played (one at least), as one `<svg>` element.

    `beside`: the words stand beside their strips, as on a wide page; else above them. `alone`: with its own colours,
    as a file of its own.
    """
    rows, scales = rows_of(frames)
    drawing = _Drawing.of(rows, scales, beside)
    drawing.draw(rows)
    return drawing.text(alone)


def in_words(rows: list[Row], scales: dict[str, Scale]) -> str:
    """The picture for those who do not see it: each step, and the bytes that each strip marks."""
    lines = [f"{words}." for words, _ in headings(scales)]
    for row in rows:
        mark = f"Step {row.mark}: " if row.mark.isdigit() else ""
        marked = "; ".join(_strip_in_words(strip, scales[strip.node]) for strip in row.strips)
        lines.append(f"{mark}{row.words}. {marked}".strip())
    return "\n".join(lines)


def _strip_in_words(strip: Strip, scale: Scale) -> str:
    runs = []
    for cell, column, count in _runs(strip.cells):
        if cell in MEANING:
            at = column * scale.unit
            runs.append(f"{MEANING[cell]} at {size_text(at)}+{size_text(min(count * scale.unit, scale.size - at))}")
    note = f" ({strip.note})" if strip.note else ""
    return f"{strip.label}{note}: {', '.join(runs) or 'nothing'}"


def _runs(cells: str) -> Iterator[tuple[str, int, int]]:
    """Equal cells that follow each other: the cell, the first column, and how many."""
    first = 0
    for column in range(1, len(cells) + 1):
        if column == len(cells) or cells[column] != cells[first]:
            yield cells[first], first, column - first
            first = column


@dataclass
class _Drawing:
    """An `<svg>` that grows downwards. All lengths are in pixels."""

    root: ET.Element
    scales: dict[str, Scale]
    beside: bool
    characters: int
    labels: float
    column: float
    width: float
    y: float = 0.0

    @classmethod
    def of(cls, rows: list[Row], scales: dict[str, Scale], beside: bool) -> _Drawing:
        """An empty drawing with room for these rows."""
        drawn = [strip for row in rows for strip in row.strips]
        label = min(WIDEST_LABEL, max((len(each.label) for each in drawn), default=4))
        note = max((len(each.note) for each in drawn), default=0)
        columns = max(scale.columns for scale in scales.values())
        column = 18.0 if columns <= 16 else 14.0 if columns <= 32 else 10.0
        labels = (label + 1.5) * CHARACTER
        words = min(WIDEST_TEXT, max((len(row.words) for row in rows if row.strips), default=0)) if beside else 0
        notes = (note + 2) * CHARACTER if note else 0
        spare = WIDEST - NUMBER - (words + 2) * CHARACTER - labels - notes
        column = max(NARROWEST_CELL, min(column, spare // columns))
        strip = labels + columns * column + notes
        characters = words if beside else max(NARROWEST, int(strip / CHARACTER))
        room = strip + (words + 2) * CHARACTER if beside else max(strip, characters * CHARACTER)
        root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
        drawing = cls(root, scales, beside, characters, labels, column, NUMBER + room + PADDING)
        ET.SubElement(root, "title").text = "The failing scenario, step by step"
        ET.SubElement(root, "desc").text = legal_in_xml(in_words(rows, scales))
        return drawing

    @property
    def margin(self) -> float:
        """Where strips begin, with their labels."""
        return NUMBER + ((self.characters + 2) * CHARACTER if self.beside else 0)

    @property
    def cells(self) -> float:
        """Where the cells of strips begin."""
        return self.margin + self.labels

    def text(self, alone: bool) -> str:
        """The whole element as text."""
        height = self.y + PADDING
        size = f"{self.width:.0f}", f"{height:.0f}"
        self.root.set("class", f"picture {'beside' if self.beside else 'above'}")
        self.root.set("viewBox", f"0 0 {size[0]} {size[1]}")
        self.root.set("width", size[0])
        self.root.set("height", size[1])
        if alone:
            style = ET.Element("style")
            style.text = STYLE + SHAPES
            self.root.insert(2, style)
        return ET.tostring(self.root, encoding="unicode")

    def draw(self, rows: list[Row]) -> None:
        """Everything, from top to bottom."""
        self._rulers()
        guides = ET.SubElement(self.root, "path", {"class": "guide"})
        top = self.y
        for row in rows:
            self._row(row)
        first, *others = self.scales.values()
        if not self.beside or any((each.size, each.unit) != (first.size, first.unit) for each in others):
            top = self.y  # words are in the way, or columns are not the same bytes in all strips
        at = [self.cells + column * self.column - GAP / 2 for column in offsets_of(first, CHARACTER / self.column)]
        guides.set("d", "".join(f"M{x:.1f} {top:.1f}V{self.y:.1f}" for x in at))
        self._legend(rows)

    # Parts

    def _words(self, x: float, y: float, words: str, style: str = "") -> None:
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "xml:space": "preserve"}
        ET.SubElement(self.root, "text", attributes | ({"class": style} if style else {})).text = legal_in_xml(words)

    def _path(self, style: str, d: str, under: ET.Element | None = None) -> None:
        ET.SubElement(self.root if under is None else under, "path", {"class": style, "d": d})

    def _rulers(self) -> None:
        for words, scale in headings(self.scales):
            lines = textwrap.wrap(words, max(NARROWEST, self.characters + int(self.labels / CHARACTER)))
            for line in lines:
                self.y += LINE
                self._words(PADDING, self.y - 5, line, "strong")
            if not self.beside or len(words) * CHARACTER > self.cells - PADDING:
                self.y += LINE
            offsets = offsets_of(scale, CHARACTER / self.column)
            for column, offset in offsets.items():
                self._words(self.cells + column * self.column, self.y - 5, offset, "faint")
            end = self.cells + scale.columns * self.column
            self._path("rule", f"M{self.cells:.1f} {self.y:.1f}H{end:.1f}")
        self.y += 4

    def _row(self, row: Row) -> None:
        beside = self.beside and bool(row.strips)
        room = self.characters if beside or not self.beside else int((self.width - NUMBER) / CHARACTER) - 2
        lines = textwrap.wrap(row.words, room, subsequent_indent="  ", break_on_hyphens=False) or [""]
        height = LINE * (max(len(lines), len(row.strips)) if beside else len(lines) + len(row.strips)) + PADDING
        wrong = row.mark == "✗" or not (row.mark or row.style)
        if wrong:
            ET.SubElement(
                self.root, "rect",
                {"class": "wrong-row", "x": "0", "y": f"{self.y:.1f}", "width": f"{self.width:.0f}",
                 "height": f"{height:.1f}"},
            )  # fmt: skip
        if row.mark:
            self._path("rule", f"M0 {self.y:.1f}H{self.width:.0f}")
        top = self.y + PADDING / 2
        style = "wrong-text" if row.mark == "✗" else "faint" if row.style == "dim" else ""
        self._words(PADDING, top + 13, row.mark, style or "faint")
        for number, line in enumerate(lines):
            self._words(NUMBER, top + 13 + number * LINE, line, style)
        first = top if beside else top + len(lines) * LINE
        for number, strip in enumerate(row.strips):
            self._strip(strip, first + number * LINE)
        self.y += height

    def _strip(self, strip: Strip, y: float) -> None:
        label = strip.label if len(strip.label) <= WIDEST_LABEL else f"…{strip.label[1 - WIDEST_LABEL :]}"
        self._words(self.margin, y + 13, label, "strong" if label != "guest" else "")
        top, length = y + (LINE - CELL) / 2, len(strip.cells) * self.column
        self._path("track", f"M{self.cells:.1f} {top:.1f}h{length - GAP:.1f}v{CELL}h{GAP - length:.1f}z")
        self._cells(strip.cells, self.cells, top)
        if strip.note:
            self._words(self.cells + length + CHARACTER, y + 13, strip.note, "faint")

    def _cells(self, cells: str, left: float, top: float) -> None:
        shapes: dict[str, str] = {}
        for column, cell in enumerate(cells):
            x = left + column * self.column
            for style, d in shape(cell, x, top, self.column - GAP, CELL):
                shapes[style] = shapes.get(style, "") + d
        for style, d in shapes.items():
            self._path(style, d)

    def _legend(self, rows: list[Row]) -> None:
        """The meaning of the cells that are there, and of no others."""
        drawn = {cell for row in rows for strip in row.strips for cell in strip.cells} & MEANING.keys()
        if not drawn:
            return
        self._path("rule", f"M0 {self.y:.1f}H{self.width:.0f}")
        self.y += PADDING + LINE
        x = PADDING
        for cell, meaning in MEANING.items():
            if cell not in drawn:
                continue
            length = 20 + (len(meaning) + 2) * CHARACTER
            if x > PADDING and x + length > self.width:
                x, self.y = PADDING, self.y + LINE
            top = self.y - LINE + (LINE - CELL) / 2
            for style, d in shape(cell, x, top, CELL, CELL):
                self._path(style, d)
            self._words(x + 20, self.y - 5, meaning, "faint")
            x += length
