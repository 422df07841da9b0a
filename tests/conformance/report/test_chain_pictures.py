"""Pictures of chains: as text and SVG compared with the files in golden/; what is lost is marked where it is lost."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow import chain_strips, chain_words
from cbtcheck.follow.chain_strips import ChainStrips, strips_of
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.report.chain_page import History, to_html
from cbtcheck.report.chain_svg import chain_svg
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.vectors.histories.told import HISTORIES, scenario_of
from cbtmodel import commands as c
from click.testing import CliRunner

WRONG = sorted((Path(__file__).parents[3] / "examples/wrong-orders").glob("*.json"))
OF = {each.name: each for each in HISTORIES}
SVG = "{http://www.w3.org/2000/svg}"


def drawn(scenario: Scenario) -> list[ChainStrips]:
    frames, _ = course.replay(ReferenceAdapter(), scenario)
    return list(strips_of(chains_of(frames, scenario.block)))


def text_of(name: str) -> str:
    frames, _ = course.replay(ReferenceAdapter(), scenario_of(OF[name]))
    return "\n".join(chain_words.lines(chains_of(frames, 512))) + "\n"


SHOWN = ("three-increments", "always-cancelled-and-cleared", "two-disks-one-cleared", "differential-and-increment")


@pytest.mark.parametrize("name", SHOWN)
def test_a_chain_as_text(name: str, golden: Any) -> None:
    golden(f"chain-{name}.txt", text_of(name))


@pytest.mark.parametrize("name", ["always-cancelled-and-cleared", "differential-and-increment"])
def test_a_chain_as_svg(name: str, golden: Any) -> None:
    (strips,) = drawn(scenario_of(OF[name]))
    golden(f"chain-{name}.svg", chain_svg(strips, alone=True) + "\n")


@pytest.mark.parametrize("history", HISTORIES, ids=lambda each: each.name)
def test_cells_mark_what_is_lost_and_nothing_else(history: Any) -> None:
    """From the vectors' own expectation: where blocks are lost, and in which links."""
    for strips in drawn(scenario_of(history)):
        for link in strips.links:
            lost = {column for column, cell in enumerate(link.cells) if cell == chain_strips.LOST}
            said = [extent for _, extent in history.lost.get(link.row.job, ())]
            wanted = {offset // strips.unit + more for offset, length in said
                      for more in range(-(-(offset % strips.unit + length) // strips.unit))}  # fmt: skip
            assert lost == wanted, link
            assert bool(said) == (chain_strips.under(link)[:1] == chain_strips.BROKEN)


def svg_of(strips: ChainStrips) -> ET.Element:
    return ET.fromstring(chain_svg(strips))


def test_a_broken_line_has_a_cross_and_a_sound_one_has_none() -> None:
    (strips,) = drawn(scenario_of(OF["always-cancelled-and-cleared"]))
    svg = svg_of(strips)
    classes = [each.get("class") for each in svg.iter()]
    assert (classes.count("broken"), classes.count("cross")) == (1, 1)
    assert [classes.count(each) for each in ("point", "part-point", "bad-point")] == [1, 1, 1]
    (strips,) = drawn(scenario_of(OF["three-increments"]))
    classes = [each.get("class") for each in svg_of(strips).iter()]
    assert (classes.count("link"), classes.count("broken"), classes.count("cross")) == (3, 0, 0)


def test_an_svg_says_the_same_in_words() -> None:
    (strips,) = drawn(scenario_of(OF["always-cancelled-and-cleared"]))
    words = svg_of(strips).findtext(f"{SVG}desc") or ""
    for link in strips.links:
        for line in chain_words.in_words(link.row, chain_words.ranges):
            assert line in words


def test_only_the_youngest_links_are_drawn_and_it_says_so() -> None:
    more = tuple(c.StartBackup(f"x{number}", "d", "bitmap", "b", "on-success") for number in range(30))
    (strips,) = drawn(Scenario({"d": 524288}, (*OF["increment-of-nothing"].commands, *more)))
    assert len(strips.links) == chain_strips.MOST_DRAWN
    assert f"{strips.left_out} older ones are not drawn" in "\n".join(chain_strips.lines_of(strips))
    assert f"{strips.left_out} older ones are not drawn" in chain_svg(strips)
    ET.fromstring(chain_svg(strips))


def test_wide_disks_have_at_most_so_many_columns() -> None:
    size = 48 << 20
    start = c.Transaction((c.AddBitmap("d", "b", 65536), c.StartBackup("full", "d", "full")))
    waived = (c.Write("d", 0, 1), c.ClearBitmap("d", "b"), c.Write("d", size - 1, 1))
    last = (c.StartBackup("inc", "d", "bitmap", "b", "on-success"), c.Copy("inc", 0, size))
    (strips,) = drawn(Scenario({"d": size}, (start, c.Copy("full", 0, size), *waived, *last)))
    assert strips.columns <= chain_strips.MOST_COLUMNS
    assert all(len(link.cells) == strips.columns for link in strips.links)
    assert strips.links[-1].cells[0] == chain_strips.LOST
    assert strips.links[-1].cells[-1] == chain_strips.SUPPLIED


# As files


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))


def cbtspec(*arguments: str) -> Any:
    return CliRunner().invoke(main, [*arguments])


@pytest.mark.parametrize("path", WRONG, ids=lambda each: each.stem)
def test_replay_draws_into_a_page_and_into_an_svg(path: Path, tmp_path: Path) -> None:
    page, image = tmp_path / "chain.html", tmp_path / "chain.svg"
    for each in (page, image):
        assert cbtspec("replay", str(path), "--picture", str(each)).exit_code == 7
    text = page.read_text()
    assert "Does not restore" in text
    assert text.count('class="picture chain"') == 1
    found = Elements()
    found.feed(text)
    assert not [tag for tag, _ in found.seen if tag in ("script", "link", "img", "iframe")]
    assert not re.search(r'(?:href|src)="(?!#)', text)
    assert ET.parse(image).getroot().get("class") == "picture chain"


def test_two_disks_are_drawn_below_each_other_in_one_svg(tmp_path: Path) -> None:
    from cbtcheck.scenario.scenario import to_data

    scenario, image = tmp_path / "two.json", tmp_path / "two.svg"
    scenario.write_text(json.dumps(to_data(scenario_of(OF["two-disks-one-cleared"]))))
    assert cbtspec("replay", str(scenario), "--picture", str(image)).exit_code == 7
    inner = ET.parse(image).getroot().findall(f"{SVG}svg")
    assert [each.get("class") for each in inner] == ["picture chain"] * 2
    assert float(inner[1].get("y", "0")) >= float(inner[0].get("height", "0"))


def test_names_are_escaped() -> None:
    evil = "<script>alert(1)</script>&\x1b[31m"
    history = OF["cleared-when-the-full-has-ended"]
    frames, _ = course.replay(ReferenceAdapter(), scenario_of(history))
    page = to_html(evil, [History(chains_of(frames, 512))])
    assert "<script>" not in page
    assert "\x1b" not in page


def test_verify_draws_gaps_between_lines(tmp_path: Path) -> None:
    messages = [
        {"execute": "query-named-block-nodes"},
        {"return": [{"node-name": "d", "image": {"virtual-size": 1048576, "filename": "x", "format": "raw"}}]},
        {"execute": "blockdev-backup",
         "arguments": {"job-id": "full", "device": "d", "target": "t", "sync": "full"}}, {"return": {}},
        {"timestamp": {"seconds": 1, "microseconds": 1}, "event": "BLOCK_JOB_COMPLETED",
         "data": {"device": "full", "type": "backup", "len": 1, "offset": 1, "speed": 0}},
        {"execute": "block-dirty-bitmap-add", "arguments": {"node": "d", "name": "b"}}, {"return": {}},
        {"execute": "blockdev-backup",
         "arguments": {"job-id": "inc", "device": "d", "target": "t2", "sync": "incremental", "bitmap": "b"}},
        {"return": {}},
        {"timestamp": {"seconds": 1, "microseconds": 1}, "event": "BLOCK_JOB_COMPLETED",
         "data": {"device": "inc", "type": "backup", "len": 1, "offset": 1, "speed": 0}},
    ]  # fmt: skip
    log, page = tmp_path / "qmp.log", tmp_path / "chain.html"
    log.write_text("\n".join(map(json.dumps, messages)))
    done = cbtspec("verify", str(log), "--picture", str(page))
    assert done.exit_code == 7
    assert re.search(r"^   1 +█ +full$", done.output, re.MULTILINE), "what came later is not its business"
    assert re.search(r"^   2 ✗ 1 +·\?\?█ +inc$", done.output, re.MULTILINE)
    assert "Restores only if nothing was written at the wrong time" in page.read_text()


@pytest.mark.parametrize(
    ("name", "code", "problem"),
    [
        ("chain.png", 64, "the name of the picture ends with .svg or .html, not '.png'"),
        ("nowhere/chain.svg", 74, "cannot be written: No such file or directory"),
    ],
)
def test_where_it_cannot_be_drawn_is_said_first(name: str, code: int, problem: str, tmp_path: Path) -> None:
    done = cbtspec("replay", str(WRONG[0]), "--picture", str(tmp_path / name))
    assert (done.exit_code, done.stdout) == (code, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") <= 2


def test_where_there_is_no_backup_nothing_is_drawn(tmp_path: Path) -> None:
    scenario, image = tmp_path / "none.json", tmp_path / "none.svg"
    scenario.write_text(json.dumps({
        "format": "cbtspec-scenario", "version": 1, "disks": {"d": 65536}, "commands": [
            {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 65536}
        ]
    }))  # fmt: skip
    done = cbtspec("replay", str(scenario), "--picture", str(image))
    assert done.exit_code == 0
    assert "was not written: there is no backup to be drawn" in done.stderr
    assert not image.exists()
