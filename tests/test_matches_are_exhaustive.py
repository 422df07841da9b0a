"""Every `match` over commands ends in `assert_never`, so that mypy says where a new command has been forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtmodel import commands as c

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {kind.__name__ for kind in (*c.COMMANDS, *c.ACTIONS)}
FOR_ALL = {
    "conformance/cbtcheck/scenario/describe.py": "is total: it says 'unknown command'",
    "conformance/cbtcheck/search/tour/one_cluster_at_a_time.py": "hands on whatever it does not take apart",
}


def open_matches(source: str) -> Iterator[int]:
    """The lines of matches over commands that do not end in `case _: assert_never(…)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Match) and any(_names(case.pattern) & COMMANDS for case in node.cases):
            last = node.cases[-1]
            wild = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
            if not wild or not ast.unparse(last.body[0]).startswith("assert_never("):
                yield node.lineno


def _names(pattern: ast.pattern) -> set[str]:
    found = [each.cls for each in ast.walk(pattern) if isinstance(each, ast.MatchClass)]
    return {ast.unparse(each).rpartition(".")[2] for each in found}


def sources() -> dict[str, str]:
    """Every module that may match commands, by its place in the tree."""
    packages = ("model/cbtmodel", "impl/cbtimpl", "wire/cbtwire", "conformance/cbtcheck", "proofs/cbtproofs")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in files}


def test_every_match_over_commands_ends_in_assert_never() -> None:
    found = {place: lines for place, text in sources().items() if (lines := [*open_matches(text)])}
    assert found.keys() == FOR_ALL.keys(), found


@pytest.mark.parametrize(
    "end", ["", "        case _:\n            return 2\n", "        case _ if x:\n            assert_never(x)\n"]
)
def test_one_that_does_not_is_found(end: str) -> None:
    source = f"def f(x):\n    match x:\n        case c.PauseJob():\n            return 1\n{end}"
    assert [*open_matches(source)] == [2]
    assert not [*open_matches(source.removesuffix(end) + "        case _:\n            assert_never(x)\n")]
