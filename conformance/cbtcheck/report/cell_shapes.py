"""The shape of each kind of cell in a picture, as SVG paths: kinds are told apart without their colours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from cbtcheck.report import strips

NAMES = {
    strips.CLEAN: "clean",
    strips.DIRTY: "dirty",
    strips.IN_SUCCESSOR: "successor",
    strips.IN_BOTH: "both",
    strips.TO_DO: "todo",
    strips.COPYING: "copying",
    strips.COPIED: "copied",
    strips.WRITTEN: "written",
    strips.IN_FLIGHT: "flight",
    strips.MISSING: "missing",
    strips.EXTRA: "extra",
    strips.ALLOWED: "allowed",
}
"""The class of each kind of cell."""

SHAPES = """
.picture text { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: var(--ink); }
.picture .faint { fill: var(--faint); } .picture .strong { font-weight: 700; }
.picture .wrong-text { fill: var(--wrong); font-weight: 700; } .picture .wrong-row { fill: var(--wrong-row); }
.picture .rule { stroke: var(--rule); fill: none; } .picture .guide { stroke: var(--rule); stroke-dasharray: 2 3; }
.picture .track { fill: var(--track); } .picture .clean { fill: var(--faint); opacity: .45; }
.picture .dirty { fill: var(--dirty); } .picture .successor { fill: none; stroke: var(--heir); stroke-width: 1.6; }
.picture .both { fill: var(--dirty); } .picture .both-lines { stroke: var(--heir); stroke-width: 1.6; fill: none; }
.picture .todo { fill: none; stroke: var(--todo); stroke-width: 1.6; }
.picture .copying { fill: none; stroke: var(--flying); stroke-width: 1.6; }
.picture .copying-half { fill: var(--flying); } .picture .copied { fill: var(--job); }
.picture .written { fill: var(--ink); }
.picture .flight { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.picture .missing { fill: var(--wrong); } .picture .missing-lines { stroke: var(--cross, #fff); stroke-width: 2; }
.picture .extra { fill: var(--more); } .picture .extra-lines { stroke: #2b1d00; stroke-width: 2; }
.picture .allowed { fill: var(--faint); }
"""
"""What the classes mean, given the colours."""


def shape(cell: str, x: float, y: float, w: float, h: float) -> Iterator[tuple[str, str]]:
    """A cell as classes and paths, in a box of this size."""
    name = NAMES[cell]
    box = f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}z"
    middle, centre, radius = x + w / 2, y + h / 2, min(w, h) / 2 - 1.4
    ring = (f"M{middle - radius:.1f} {centre:.1f}a{radius:.1f} {radius:.1f} 0 1 1 {2 * radius:.1f} 0"
            f"a{radius:.1f} {radius:.1f} 0 1 1 {-2 * radius:.1f} 0")  # fmt: skip
    match cell:
        case strips.CLEAN:
            yield name, f"M{middle - 0.8:.1f} {centre - 0.8:.1f}h1.6v1.6h-1.6z"
        case strips.DIRTY:
            yield name, box
        case strips.IN_SUCCESSOR:
            yield name, _hatch(x, y, w, h)
        case strips.IN_BOTH:
            yield name, f"M{x:.1f} {y:.1f}h{w:.1f}L{x:.1f} {y + h:.1f}z"
            yield "both-lines", f"M{x + w:.1f} {y + h / 2:.1f}L{x + w / 2:.1f} {y + h:.1f}" + _frame(x, y, w, h)
        case strips.TO_DO:
            yield name, ring
        case strips.COPYING:
            yield name, ring
            arc = f"a{radius:.1f} {radius:.1f} 0 0 0 0 {2 * radius:.1f}z"
            yield "copying-half", f"M{middle:.1f} {centre - radius:.1f}{arc}"
        case strips.COPIED:
            yield name, ring + "z"
        case strips.WRITTEN:
            yield name, f"M{x + 1:.1f} {y + 2:.1f}h{w - 2:.1f}L{middle:.1f} {y + h - 2:.1f}z"
        case strips.IN_FLIGHT:
            yield name, (f"M{x + 1:.1f} {centre:.1f}q{w / 4 - 0.5:.1f} {-h / 2:.1f} {w / 2 - 1:.1f} 0"
                         f"t{w / 2 - 1:.1f} 0")  # fmt: skip
        case strips.MISSING:
            yield name, box
            yield "missing-lines", _cross(middle, centre, radius - 0.8)
        case strips.EXTRA:
            yield name, box
            across = f"M{middle - radius:.1f} {centre:.1f}h{2 * radius:.1f}"
            yield "extra-lines", f"{across}M{middle:.1f} {centre - radius:.1f}v{2 * radius:.1f}"
        case _:
            yield name, "".join(
                f"M{x + w * across - 1:.1f} {y + h * down - 1:.1f}h2v2h-2z"
                for across, down in product((0.27, 0.73), repeat=2)
            )


def _hatch(x: float, y: float, w: float, h: float) -> str:
    """A frame with lines that rise to the right."""
    return (f"M{x:.1f} {y + h / 2:.1f}L{x + w / 2:.1f} {y:.1f}M{x:.1f} {y + h:.1f}L{x + w:.1f} {y:.1f}"
            f"M{x + w / 2:.1f} {y + h:.1f}L{x + w:.1f} {y + h / 2:.1f}" + _frame(x, y, w, h))  # fmt: skip


def _frame(x: float, y: float, w: float, h: float) -> str:
    return f"M{x + 0.8:.1f} {y + 0.8:.1f}h{w - 1.6:.1f}v{h - 1.6:.1f}h{1.6 - w:.1f}z"


def _cross(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y - r:.1f}l{2 * r:.1f} {2 * r:.1f}m0 {-2 * r:.1f}l{-2 * r:.1f} {2 * r:.1f}"
