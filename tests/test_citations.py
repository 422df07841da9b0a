"""What is cited is there: each document that a comment names, each section of it, and each bug by its ID."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtproofs.mutants.field_bugs import field_bug_mutants

TOP = Path(__file__).parents[1]
ROOMS = ("model", "impl", "wire", "proofs", "conformance", "benchmarks")
FACTS = TOP / "docs/understand/qemu-facts.md"
BUGS = TOP / "docs/findings/field-bugs.md"
NUMBERS = re.compile(r"qemu-facts\.md ((?:\d+(?:\.\d+)?(?:, | and | to )?)+)")


def sources() -> Iterator[tuple[Path, str]]:
    for room in ROOMS:
        for path in sorted((TOP / room).rglob("*.py")):
            yield path, path.read_text()


def documents() -> set[str]:
    listed = [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "conformance").rglob("*.md")]
    return {each.name for each in listed} | {each.name for each in (TOP / "examples").rglob("*.md")}


def uncited(text: str, there: set[str]) -> set[str]:
    """Documents that a text names and that are not there; what has a path of a test or an output is none."""
    return {name for name in re.findall(r"(?<![\w/{}*-])([A-Za-z][\w-]*\.md)\b", text) if name not in there}


def sections() -> set[str]:
    headings = r"^(?:#{2,3} |- \*\*)(\d+(?:\.\d+)?)\b"
    return set(re.findall(headings, FACTS.read_text(), re.MULTILINE))


@pytest.mark.parametrize("room", ROOMS)
def test_each_document_that_is_named_is_in_the_tree(room: str) -> None:
    there = documents() | {"summary.md"}  # an output of CI
    wrong = {str(path.relative_to(TOP)): missing for path, text in sources()
             if path.is_relative_to(TOP / room) and (missing := uncited(text, there))}  # fmt: skip
    assert not wrong


def test_each_section_that_is_named_is_on_the_page() -> None:
    cited = {
        number
        for _, text in sources()
        for numbers in NUMBERS.findall(text)
        for number in re.findall(r"\d+(?:\.\d+)?", numbers)
    }
    assert len(cited) > 20
    assert cited - sections() == set()


def test_each_bug_that_is_named_is_on_the_page() -> None:
    there = set(re.findall(r"\*\*([A-Z]\d+) ", BUGS.read_text()))
    named = {bug for _, text in sources() for bug in re.findall(r"field-bugs\.md ([A-Z]\d+)", text)}
    named |= {each.field_bug for each in field_bug_mutants() if each.field_bug}
    assert len(named) > 15
    assert named - there == set()


def test_a_document_that_is_not_there_is_seen() -> None:
    assert uncited("Source: NOWHERE.md 4.1, and field-bugs.md Q32.", documents()) == {"NOWHERE.md"}
