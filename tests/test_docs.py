"""What the documents show is what happens; what they name is there."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.run.ledger.ledger import entries
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict
from cbtmodel import properties

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs/understand/reading-the-specification.md"
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"])


def examples(document: Path) -> str:
    """All Python sessions of a document, one after the other."""
    return "\n\n".join(re.findall(r"^```pycon\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE))


def test_the_worked_example_prints_what_the_guide_shows() -> None:
    session: dict[str, Any] = {}
    test = doctest.DocTestParser().get_doctest(examples(GUIDE), session, GUIDE.name, str(GUIDE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 20


def test_the_guide_has_every_property() -> None:
    listed = re.findall(r"^\| ([A-Z-]+) \|", GUIDE.read_text(), re.MULTILINE)
    assert [each for each in listed if each != "ID"] == list(properties.IDS)


def test_the_guide_has_every_module_of_the_specification() -> None:
    modules = {path.name for path in (ROOT / "model/cbtmodel").glob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"`(\w+\.py)`", GUIDE.read_text()))


def test_the_readme_has_every_exit_code_and_every_verdict() -> None:
    text = (ROOT / "README.md").read_text()
    codes = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(code) for code in codes] == list(EXIT_CODES.values())
    for verdict in Verdict:
        assert re.search(rf"^\| \**{verdict.value}\** \|", text, re.MULTILINE), verdict


def test_the_page_about_versions_has_every_entry_of_the_ledger() -> None:
    page = (ROOT / "docs/findings/qemu-versions.md").read_text()
    listed = re.findall(r"^\| \[?((?:QEMU|CRASH)-\d+)", page, re.MULTILINE)
    assert list(dict.fromkeys(listed)) == [each.id for each in entries()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", document.read_text())
    assert not [each for each in links if not (document.parent / each).exists()]
