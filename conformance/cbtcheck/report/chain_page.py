"""What a history's backups give back, as a file: one SVG, or an HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from markupsafe import Markup

from cbtcheck.follow import chain_words
from cbtcheck.follow.chain_strips import strips_of
from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.follow.chain_words import Named, ranges
from cbtcheck.follow.play import Frame
from cbtcheck.host.saving import write_whole
from cbtcheck.host.version import VERSION
from cbtcheck.report.cell_shapes import SHAPES
from cbtcheck.report.chain_svg import LINKS, chain_svg
from cbtcheck.report.html_report import ICONS, Pictures, environment, part, pictures, policy
from cbtcheck.run.outcome import BAD, GOOD, NONE, WARN

SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True)
class History:
    """A table, and how its blocks are named: `gaps` as in `chain_strips`."""

    table: ChainTable
    named: Named = ranges
    gaps: list[tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    heading: str
    pictures: list[Markup]
    text: str


def write_picture(path: Path, name: str, histories: Sequence[History], frames: list[Frame] | None = None) -> None:
    """Writes the file, of the kind that its name ends with. `ValueError` if there is nothing to draw, `OSError`."""
    listed = [each for each in histories if each.table.rows]
    if not listed:
        raise ValueError("there is no backup to be drawn")
    text = to_html(name, listed, frames) if path.suffix == ".html" else to_svg(listed)
    write_whole(path, text.encode(errors="replace"))


def to_svg(histories: Sequence[History]) -> str:
    """All disks of all histories, one below the other, as a file of its own."""
    drawn = [chain_svg(strips, each.named, alone=True) for each in histories
             for strips in strips_of(each.table, each.gaps)]  # fmt: skip
    if len(drawn) == 1:
        return drawn[0] + "\n"
    ET.register_namespace("", SVG)
    whole, y, width = ET.Element(f"{{{SVG}}}svg"), 0.0, 0.0
    for each in map(ET.fromstring, drawn):
        each.set("y", f"{y:.0f}")
        y, width = y + float(each.get("height", "0")), max(width, float(each.get("width", "0")))
        whole.append(each)
    whole.set("width", f"{width:.0f}")
    whole.set("height", f"{y:.0f}")
    return ET.tostring(whole, encoding="unicode") + "\n"


def to_html(name: str, histories: Sequence[History], frames: list[Frame] | None = None) -> str:
    """The page."""
    style = part("report.css") + SHAPES + LINKS
    said = [chain_words.verdict(each.table) for each in histories]
    unsafe = any(each.table.unsafe for each in histories)
    depends = any(each.table.depends for each in histories)
    tone = BAD if unsafe else WARN if depends else GOOD
    points = [row for each in histories for row in each.table.rows if row.complete]
    if not points:
        tone = NONE
    heading = {BAD: "Does not restore", WARN: "Restores only if nothing was written at the wrong time",
               GOOD: "Restores", NONE: "There is no restore point"}[tone]  # fmt: skip
    right = f"{len(points)} restore points: each gives back the disk of its instant"
    closing = "; ".join(filter(None, said)) or right
    steps: Pictures | None = pictures(frames) if frames else None
    return environment().get_template("chain.html").render(
        suite=VERSION, policy=policy(style, ""), style=Markup(style), tone=tone, icon=ICONS[tone],
        heading=heading, closing=closing, name=name, chains=[_drawn(each, histories) for each in histories],
        steps=steps,
    )  # fmt: skip


def _drawn(history: History, all_of_them: Sequence[History]) -> _Drawn:
    session = f", session {1 + [*all_of_them].index(history)}" if len(all_of_them) > 1 else ""
    nodes = ", ".join(dict.fromkeys(row.node for row in history.table.rows))
    return _Drawn(
        f"Backups of {nodes}{session}",
        [Markup(chain_svg(each, history.named)) for each in strips_of(history.table, history.gaps)],
        "\n".join(chain_words.lines(history.table, history.named, history.gaps)),
    )
