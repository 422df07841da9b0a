"""The HTML report: one page that is whole, loads nothing, and takes nothing from an implementation for markup."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cbtcheck.report import html_report, strips
from cbtcheck.report.cell_shapes import NAMES, SHAPES, shape
from cbtcheck.report.html_report import to_html, write_html
from cbtcheck.report.picture_svg import STYLE, picture_svg
from cbtcheck.run.report import CommandCount, MissedEdge, Report
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel.commands import AddBitmap, StartBackup, Write

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7 * 7 }}\x00"
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page as a browser takes it apart: elements that are balanced, their attributes, and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)

    def text(self, tag: str) -> str:
        return " ".join(self.words.get(tag, []))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture
def evil(failing: Report) -> Report:
    """Everything that an implementation, or its user, may have a say in."""
    failing.implementation = failing.adapter = EVIL
    failing.skipped[EVIL] = EVIL
    failing.unreached[EVIL] = 1
    failing.missed = [MissedEdge(EVIL, EVIL, EVIL)]
    failing.commands[EVIL] = CommandCount(1, Counter({EVIL: 2}))
    failing.ledger[0].title = failing.ledger[0].detail = EVIL
    failing.failures[0].findings.append(Finding(Verdict.BROKEN, "", EVIL, EVIL, EVIL))
    failing.failures[0].saved = Path(f"reports/{EVIL}".replace("\x00", ""))
    failing.tour.in_part[EVIL] = 1
    failing.not_realised[EVIL] = 2
    return failing


def test_a_page_is_balanced_and_has_its_parts(failing: Report) -> None:
    page = Page(to_html(failing, "--mistake m"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"failures", "properties", "commands", "coverage", "ledger", "not-verified"} <= set(ids)
    links = {attributes["href"][1:] for tag, attributes in page.elements if tag == "a"}
    assert links
    assert links <= set(ids)
    assert page.text("h1") == "Not conformant"
    assert "cbtspec replay 'reports/lost write.json' --adapter reference --mistake m" in page.text("pre")
    assert '"do": "write"' in page.text("pre")
    assert "NO-LOST-WRITE" in page.text("th")
    assert "copy: not made to happen" in page.text("td")


def test_a_scenario_that_was_not_saved_is_said_so_and_is_there(failing: Report) -> None:
    assert "Not saved" not in Page(to_html(failing)).text("strong")
    failing.failures[0].saved, failing.failures[0].not_saved = None, "reports cannot be written: <disk full>"
    page = Page(to_html(failing))
    assert "Not saved" in page.text("strong")
    assert "reports cannot be written: <disk full>. The scenario" in page.text("p")
    assert "open" in next(attributes for tag, attributes in page.elements if tag == "details")


def test_a_page_loads_nothing_and_runs_only_what_its_policy_names(evil: Report) -> None:
    html = to_html(evil)
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "srcset", "style", "xlink:href", "action", "background"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.findall(r"url\((?!#)|@import|https?:(?!//www\.w3\.org/2000/svg\")", html)
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = page.words[tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_that_an_implementation_says_is_markup(evil: Report) -> None:
    html = to_html(evil)
    page = Page(html)
    assert page.count("script") == 1
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "\x00" not in html
    assert "49" not in page.text("dd")
    assert EVIL.replace("\x00", "?") in page.text("dd")
    assert EVIL.replace("\x00", "?") in page.text("td")


@pytest.mark.parametrize("name", ["agreeing", "failing", "nothing"])
def test_every_kind_of_report_becomes_a_page(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    report = request.getfixturevalue(name)
    write_html(report, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    headings = {"agreeing": "Agrees, incomplete", "failing": "Not conformant", "nothing": "No result"}
    assert page.text("h1") == headings[name]


def test_nothing_run_is_shown_as_no_pass(nothing: Report) -> None:
    page = Page(to_html(nothing))
    chips = [a["class"] for tag, a in page.elements if tag == "span" and (a.get("class") or "").startswith("chip")]
    assert chips
    assert not [each for each in chips if "good" in each]
    assert "nothing was judged" in page.text("small")


def test_a_known_failure_is_not_shown_as_good(failing: Report) -> None:
    failing.failures = []
    for each in failing.commands.values(), failing.properties.values():
        for count in each:
            count.worst = Verdict.EXACT
    page = Page(to_html(failing))
    tones = {a["class"] for tag, a in page.elements if "tile" in (a.get("class") or "").split()}
    assert "tile warn" in tones  # safety, but for what is known
    assert "but for what is known: merge-loses" in page.text("small")


def test_every_way_to_look_at_a_page_is_thought_of() -> None:
    style = html_report.part("report.css")
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    used = set(re.findall(r"var\((--[a-z-]+)", style + SHAPES))
    assert used - {"--tone", "--tone-soft"} <= set(re.findall(r"(--[a-z-]+):", style))


# Pictures


@pytest.fixture
def frames(play, mirror):
    steps = [
        AddBitmap("disk0", "b<0&", 65536), Write("disk0", 65536, 4096),
        StartBackup("j0", "disk0", "incremental", "b<0&"), Write("disk0", 0, 4096), Write("disk0", 65536, 1),
    ]  # fmt: skip
    return play(steps, adapter=mirror(lost=1)).frames


@pytest.mark.parametrize("beside", [True, False])
def test_a_picture_is_xml_with_a_title_and_the_whole_in_words(frames, beside: bool) -> None:
    svg = ET.fromstring(picture_svg(frames, beside=beside))
    assert svg.tag == f"{SVG}svg"
    assert (svg.get("role"), svg[0].tag, svg[1].tag) == ("img", f"{SVG}title", f"{SVG}desc")
    words = svg[1].text or ""
    assert "Step 1: add bitmap disk0/b<0& (64K)" in words
    assert "guest: written by the guest at 64K+64K" in words
    assert "missing or wrong at 0+64K" in words
    drawn = " ".join(each.text or "" for each in svg.iter(f"{SVG}text"))
    assert "b<0&" in drawn
    assert not svg.findall(f".//{SVG}script")


def test_a_picture_stays_inside_its_box(frames) -> None:
    for beside in (True, False):
        svg = ET.fromstring(picture_svg(frames, beside=beside))
        width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
        for text in svg.iter(f"{SVG}text"):
            x, y = float(text.get("x", 0)), float(text.get("y", 0))
            assert 0 <= x <= x + 7.2 * len(text.text or "") <= width + 1, text.text
            assert 0 < y < height


def test_the_cells_of_the_picture_are_those_of_the_strips(frames) -> None:
    paths = {each.get("class"): each.get("d", "") for each in ET.fromstring(picture_svg(frames)).iter(f"{SVG}path")}
    assert paths.keys() >= {"clean", "dirty", "written", "missing", "successor"}


def test_a_picture_may_stand_alone(frames) -> None:
    alone = ET.fromstring(picture_svg(frames, alone=True))
    (style,) = alone.findall(f"{SVG}style")
    assert "prefers-color-scheme: dark" in (style.text or "")
    assert set(re.findall(r"var\((--[a-z-]+)\)", SHAPES)) <= set(re.findall(r"(--[a-z-]+):", STYLE))
    assert not ET.fromstring(picture_svg(frames)).findall(f"{SVG}style")


def test_every_kind_of_cell_has_a_shape_of_its_own() -> None:
    assert set(NAMES) == {strips.CLEAN, *strips.MEANING}
    shapes = {cell: "".join(d for _, d in shape(cell, 0, 0, 14, 14)) for cell in NAMES}
    assert len(set(shapes.values())) == len(NAMES)
    for cell in NAMES:
        for name, _ in shape(cell, 0, 0, 14, 14):
            assert f".picture .{name} {{" in SHAPES
