"""A scenario as a picture: rows are steps, columns are places on the disk, and the last row is what went wrong.

Below each step are the bitmaps, jobs and guest writes that it changed, each as a strip of cells; what did not change
is not repeated. Commands, ruler and differences are all in bytes, so that the one can be found in the other. The
same lines are printed in colour and in a plain log.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

from cbtmodel.step import step
from rich.console import Console, ConsoleOptions
from rich.text import Text

from cbtcheck.follow.play import Frame
from cbtcheck.host.printable import plain
from cbtcheck.report.contrast import Contrast, contrast
from cbtcheck.report.strips import MEANING, STYLE, Scale, Strip, guest_write, strips, unit_of
from cbtcheck.scenario.describe import describe, name_text, size_text
from cbtcheck.scenario.images import as_it_came, step_with
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import Restore
from cbtcheck.scenario.verdict import Finding, Verdict

MOST_COLUMNS = 64
NARROWEST_TEXT = 24
WIDEST_TEXT = 46
WIDEST_LABEL = 14

WORDS = {
    Verdict.UNSAFE: "a write is lost",
    Verdict.WASTEFUL: "more than there need be",
    Verdict.DIVERGES: "not what the specification says",
    Verdict.BROKEN: "no usable answer",
}


@dataclass
class Row:
    """A step, or the end of the picture: a number or a mark, its words, and the strips beside or below them."""

    mark: str
    words: str
    strips: list[Strip] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        self.words = plain(self.words)


@dataclass(frozen=True, slots=True)
class Picture:
    """Something that rich prints, in the width that there is."""

    frames: list[Frame]
    block: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from _lines(self.frames, options.max_width)


def picture(frames: list[Frame], block: int = 512) -> Picture:
    """The picture of the frames that a `Player` has played, for a rich console. `block` is the scenario's."""
    return Picture(frames, block)


def picture_text(frames: list[Frame], width: int = 100) -> str:
    """The same picture as plain text, no line wider than `width`."""
    return "\n".join(line.plain.rstrip() for line in _lines(frames, width)) + "\n"


def _lines(frames: list[Frame], width: int) -> list[Text]:
    if not frames:
        return [Text("nothing was played")]
    rows, scales = rows_of(frames, max(8, min(MOST_COLUMNS, width - 30)))
    page = _Page.that_fits(rows, scales, width)
    lines = [*page.head(), *(line for row in rows for line in page.row(row))]
    return [*lines, Text(), *_legend(rows, width)]


# What there is to show


def rows_of(frames: list[Frame], columns: int = MOST_COLUMNS) -> tuple[list[Row], dict[str, Scale]]:
    """What a picture of these frames (one at least) shows, in at most `columns` cells, and the scale of each disk."""
    nodes = frames[0].before.nodes
    scales = {
        node_name: Scale(node_name, node.size, unit_of(frames, node_name, columns))
        for node_name, node in nodes.items()
    }
    return [*_rows(frames, scales), *_end(frames[-1], scales)], scales


def _label(scales: dict[str, Scale], node: str, label: str) -> str:
    """With several disks a strip says whose it is."""
    return label if len(scales) == 1 else f"{name_text(node)}/{label}"


def _rows(frames: list[Frame], scales: dict[str, Scale]) -> Iterator[Row]:
    before = {node: strips(frames[0].before, scale) for node, scale in scales.items()}
    for number, frame in enumerate(frames, 1):
        row = Row(str(number), describe(frame.asked) + _came_of_it(frame))
        for node, scale in scales.items():
            for command, reply in frame.trace:
                written = None if reply.refusal else guest_write(frame.before, command, scale)
                if written is not None:
                    row.strips.append(_named(scales, node, written))
            now = strips(frame.state, scale)
            changed = [strip for key, strip in now.items() if before[node].get(key) != strip]
            row.strips += [_named(scales, node, strip) for strip in changed]
            before[node] = now
        yield row
        yield from _what_happened(frame)


def _named(scales: dict[str, Scale], node: str, strip: Strip) -> Strip:
    return Strip(_label(scales, node, strip.label), strip.cells, strip.note, node)


def _came_of_it(frame: Frame) -> str:
    """The reply if it is a refusal, and the jobs that ended."""
    if isinstance(frame.asked, Restore) or (not frame.trace and frame.seen is None):
        return ""
    if not frame.trace:
        return " → could not be made to happen"
    replies = [reply for command, reply in frame.trace if command == frame.asked]
    parts = [f"refused: {reply.refusal}" for reply in replies if reply.refusal]
    state, files = frame.before, frame.files
    for command, reply in frame.trace:
        if files is None:
            result = step(state, command)
        else:
            result, files = step_with(files, state, as_it_came(command, reply.refusal))
        parts += [f"{name_text(end.job_id)} {end.outcome}" for end in result.ended]
        state = result.state
    return f" → {', '.join(parts)}" if parts else ""


def _what_happened(frame: Frame) -> Iterator[Row]:
    """What happened instead of, or besides, what the scenario asked for."""
    if not frame.trace or [command for command, _ in frame.trace] == [frame.asked]:
        return
    for command, reply in frame.trace:
        refused = f" → refused: {reply.refusal}" if reply.refusal else ""
        yield Row("", f"↳ {describe(command)}{refused}", style="dim")


def _end(last: Frame, scales: dict[str, Scale]) -> Iterator[Row]:
    said: set[str] = set()
    for finding in last.findings:
        at_stake = f" ({finding.property})" if finding.property else ""
        yield Row("✗", f"{finding.verdict.value}: {_plainly(finding)}{at_stake}: {finding.where}", style="bold red")
        found = contrast(last, finding, scales)
        yield from _in_words(finding) if found is None else _in_strips(found, scales)
        if rule(finding) not in said:
            said.add(rule(finding))
            yield Row("", f"rule:     {rule(finding)}")


def _plainly(finding: Finding) -> str:
    if finding.verdict is Verdict.UNSAFE and finding.property == "POINT-IN-TIME":
        return "the copied data are wrong"
    return WORDS.get(finding.verdict, "")


def _in_words(finding: Finding) -> Iterator[Row]:
    yield Row("", f"expected: {finding.expected}")
    yield Row("", f"seen:     {finding.seen}")


def _in_strips(found: Contrast, scales: dict[str, Scale]) -> Iterator[Row]:
    label = _label(scales, found.node, found.label)
    if found.expected:
        yield Row("", "expected", [Strip(label, found.expected, node=found.node)])
    yield Row("", f"seen: {found.difference}", [Strip(label, found.seen, node=found.node)])


# Where it goes on the page


@dataclass(frozen=True, slots=True)
class _Page:
    """The page: words beside their strips if there is room for both, else above them."""

    width: int
    scales: dict[str, Scale]
    text: int
    label: int
    beside: bool

    @classmethod
    def that_fits(cls, rows: list[Row], scales: dict[str, Scale], width: int) -> _Page:
        """The page for these rows."""
        all_strips = [strip for row in rows for strip in row.strips]
        label = min(WIDEST_LABEL, max((len(each.label) for each in all_strips), default=4))
        note = max((len(each.note) for each in all_strips), default=0)
        cells = max(scale.columns for scale in scales.values())
        room = width - 4 - (label + 2) - cells - (note + 2 if note else 0)
        wanted = max((len(row.words) for row in rows if row.strips), default=0)
        text = min(room - 2, WIDEST_TEXT, max(wanted, NARROWEST_TEXT))
        beside = text >= NARROWEST_TEXT
        return cls(width, scales, text if beside else 4, label, beside)

    @property
    def margin(self) -> int:
        """Where strips begin."""
        return 4 + self.text + 2

    def head(self) -> Iterator[Text]:
        """For each disk its size, the unit of a cell, and a ruler in bytes; equal disks share them."""
        for words, scale in headings(self.scales):
            indent = self.margin + self.label + 2
            labels, ticks = _ruler(scale)
            if len(words) + 2 <= indent:
                yield Text(f"{words:<{indent}}{labels}")
            else:
                yield Text(words)
                yield Text(" " * indent + labels)
            yield Text(" " * indent + ticks, style="dim")

    def row(self, row: Row) -> Iterator[Text]:
        """The lines of a row."""
        narrow = self.beside and bool(row.strips)
        wrapped = textwrap.wrap(
            row.words, self.text if narrow else self.width - 4, subsequent_indent="  "
        ) or [""]  # fmt: skip
        drawn = [self._strip(strip) for strip in row.strips]
        for index in range(max(len(wrapped), len(drawn)) if narrow else len(wrapped)):
            line = Text(f"{row.mark if index == 0 else '':>2}  ", style=row.style, end="\n")
            line.append(wrapped[index] if index < len(wrapped) else "")
            if narrow and index < len(drawn):
                line.append(" " * (self.margin - len(line.plain)))
                line.append_text(drawn[index])
            yield line
        if not narrow:
            for each in drawn:
                yield Text(" " * self.margin).append_text(each)

    def _strip(self, strip: Strip) -> Text:
        label = strip.label if len(strip.label) <= self.label else f"…{strip.label[1 - self.label :]}"
        line = Text(f"{label:<{self.label}}  ")
        for cell in strip.cells:
            line.append(cell, STYLE.get(cell, ""))
        if strip.note:
            line.append(f"  {strip.note}", "dim")
        return line


def headings(scales: dict[str, Scale]) -> Iterator[tuple[str, Scale]]:
    """The names of the disks with their size and the unit of a column; equal disks share a heading."""
    alike: dict[tuple[int, int], list[Scale]] = {}
    for scale in scales.values():
        alike.setdefault((scale.size, scale.unit), []).append(scale)
    for (size, unit), (scale, *others) in alike.items():
        names = ", ".join(name_text(each.node) for each in (scale, *others))
        yield f"{names}: {size_text(size)}{' each' if others else ''}, a column is {size_text(unit)}", scale


def offsets_of(scale: Scale, room: float = 1) -> dict[int, str]:
    """Columns with their offsets, as many as do not touch each other; a character takes `room` columns."""
    every = 4
    while True:
        offsets = {column: size_text(column * scale.unit) for column in range(0, scale.columns, every)}
        if (max(len(each) for each in offsets.values()) + 1) * room <= every:
            return offsets
        every *= 2


def _ruler(scale: Scale) -> tuple[str, str]:
    """Offsets, and the ticks below them."""
    offsets = offsets_of(scale)
    every = 1 if len(offsets) == 1 else sorted(offsets)[1]
    labels = "".join(f"{each:<{every}}" for each in offsets.values()).rstrip()
    return labels, "".join("┬" if column in offsets else "─" for column in range(scale.columns))


def _legend(rows: list[Row], width: int) -> list[Text]:
    """The meaning of the cells that are there, and of no others."""
    drawn = {cell for row in rows for strip in row.strips for cell in strip.cells}
    entries = [f"{glyph} {meaning}" for glyph, meaning in MEANING.items() if glyph in drawn]
    lines: list[str] = []
    for entry in entries:
        if lines and len(lines[-1]) + 3 + len(entry) <= width:
            lines[-1] += f"   {entry}"
        else:
            lines.append(entry)
    return [Text(line, style="dim") for line in lines]
