"""The report of a run as one HTML page that needs nothing else: no network, no script, no fonts.

Everything that comes from an implementation is escaped by the template engine, and pictures by ElementTree; the
page's own policy (CSP) allows its one style and its one script, by their hashes, and nothing besides.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cbtcheck.follow.play import Frame
from cbtcheck.host.printable import plain_json
from cbtcheck.host.saving import write_whole
from cbtcheck.report import report_format as form
from cbtcheck.report.cell_shapes import SHAPES
from cbtcheck.report.exported import to_document
from cbtcheck.report.junit import legal_in_xml
from cbtcheck.report.picture import picture_text
from cbtcheck.report.picture_svg import picture_svg
from cbtcheck.run.outcome import BAD, GOOD, NONE, WARN, outcome
from cbtcheck.run.part import HISTORIES, TOUR
from cbtcheck.run.report import Failure, Report
from cbtcheck.run.results import exactness_in_words, how_often, safety_in_words, tour

TONES = {
    None: NONE, "skipped": NONE, "exact": GOOD, "known": WARN, "not repeatable": WARN, "wasteful": WARN,
    "diverges": BAD, "unsafe": BAD, "broken": BAD,
}  # fmt: skip

MARKS = {None: "–", "skipped": "–", "exact": "✓", "known": "!", "not repeatable": "?", "wasteful": "+"}  # noqa: RUF001

OUTCOMES = {"known": WARN, "gone": BAD, "changed": BAD}

ICONS = {
    GOOD: "M12 21l6 6L29 14",
    WARN: "M20 11v12M20 29v.1",
    BAD: "M14 14l12 12M26 14L14 26",
    NONE: "M13 20h14",
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """A failure's picture for a wide and for a narrow page, and as text."""

    beside: Markup
    above: Markup
    text: str


def write_html(report: Report, path: Path, more_options: str = "") -> None:
    """Writes the page. Raises `OSError` if the file cannot be written."""
    write_whole(path, to_html(report, more_options).encode(errors="replace"))


def to_html(report: Report, more_options: str = "") -> str:
    """The page. `more_options` are added to the lines that reproduce failures."""
    it = to_document(report, more_options)
    style = part("report.css") + SHAPES
    script = part("report.js")
    came = outcome(report)
    reasons = {each.name: each.reason for each in it.not_verified if each.kind in ("command", "property")}
    edges = it.edges
    return environment().get_template("report.html").render(
        it=it,
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        heading=came.heading,
        header_tone=came.tone,
        icon=ICONS[came.tone],
        closing=came.closing.partition(": ")[2],
        safety=_result(it.safety, safety_in_words(report)),
        exactness=_result(it.exactness, exactness_in_words(report)),
        share=f"{100 * edges.covered // edges.reachable} %" if edges.reachable else "not counted",
        scenarios=report.scenarios,
        failures=_drawn(it.failures, report.failures),
        not_repeatable=_drawn(it.not_repeatable, report.not_repeatable),
        missed_edges=report.missed,
        tone=TONES.__getitem__,
        mark=lambda verdict: MARKS.get(verdict, "✗"),
        outcome_tone=lambda outcome: OUTCOMES.get(outcome, NONE),
        why=lambda name: reasons.get(name, ""),
        details_of=lambda phase: _details_of(report, phase),
        scenario_text=_scenario_text,
    )  # fmt: skip


def _drawn(shown: list[form.FailedScenario], failures: list[Failure]) -> list[tuple[Any, ...]]:
    pairs = zip(shown, failures, strict=True)
    return [(one, pictures(each.frames), how_often(each), each.not_saved) for one, each in pairs]


def _result(verdict: str | None, words: str) -> dict[str, str]:
    """A result as tone and words; what is good but for something known is not good."""
    known = "known" in words and verdict == "exact"
    return {"tone": WARN if known else TONES[verdict], "words": words if verdict else "nothing was judged"}


def _details_of(report: Report, phase: str) -> str:
    """What else is to be said of a phase."""
    if phase == TOUR:
        return f" on {report.tour.walks:,} walks to the edges of the specification"
    if phase == HISTORIES:
        return f": {tour(report.tour)}"
    return ""


def pictures(frames: list[Frame]) -> Pictures | None:
    """The picture of these frames, None if there are none."""
    if not frames:
        return None
    beside, above = (Markup(picture_svg(frames, beside=each)) for each in (True, False))
    return Pictures(beside, above, picture_text(frames))


def _scenario_text(failure: form.FailedScenario) -> str:
    return plain_json(msgspec.json.format(msgspec.json.encode(failure.scenario), indent=1).decode())


def environment() -> Environment:
    """Templates in which whatever is put in is escaped."""
    return Environment(
        loader=FunctionLoader(part), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: legal_in_xml(value) if type(value) is str else value,
    )  # fmt: skip


def part(name: str) -> str:
    """A file of the page."""
    return files("cbtcheck.report").joinpath("templates", name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """What the page may load and run: this style and this script."""

    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
