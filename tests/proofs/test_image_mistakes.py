"""Mistakes in what the specification says of images: RULE-DISK fails with each, in both provers."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cbtmodel import image, image_chain, image_offline
from cbtproofs.inductive.images import ID, SETTINGS, images, listed
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.restores_images import listed as listed_of_chains
from cbtproofs.inductive.restores_images import restores
from cbtproofs.inductive.script import Obligation
from cbtproofs.mutants.image_mistakes import IMAGE_MISTAKES
from cbtproofs.mutants.image_offline_mistakes import OFFLINE_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied


def wrong(prover: str) -> list[Obligation]:
    """What fails first, with any event in any setting."""
    prove = provers((prover,))[prover]
    for setting, what in listed():
        found = [each for each in prove(images(setting, what)) if each.counterexample is not None]
        if found:
            return found
    return []


@pytest.mark.parametrize("prover", PROVERS)
def test_the_rule_is_proved_of_every_setting(prover: str) -> None:
    prove, seen = provers((prover,))[prover], Counter[str]()
    for setting, what in listed():
        found = prove(images(setting, what))
        assert [each.where for each in found if each.counterexample is not None] == []
        seen[setting.name] += sum(each.id == ID for each in found)
    assert all(seen[each.name] > 100 for each in SETTINGS)


def statements(path: str) -> set[int]:
    """The first lines of what the functions of a file do, but for what can never be reached."""
    lines: set[int] = set()
    for function in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(function, ast.FunctionDef):
            for each in ast.walk(function):
                text = isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
                if isinstance(each, ast.stmt) and each is not function and not text:
                    lines.add(each.lineno)
    never = {number for number, line in enumerate(Path(path).read_text().splitlines(), 1) if "assert_never(" in line}
    return lines - never


def test_every_statement_of_the_specification_of_images_is_on_a_path_of_the_proof() -> None:
    """An event or a command that no scene has would be proved by nobody: as were openings that fail, once."""
    files: dict[str, set[int]] = {str(each.__file__): set() for each in (image, image_chain, image_offline)}

    def traced(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        files[frame.f_code.co_filename].add(frame.f_lineno)
        return traced

    prove, before = provers(PROVERS[:1])[PROVERS[0]], sys.gettrace()
    sys.settrace(traced)
    try:
        for script in (*(images(*each) for each in listed()), *(restores(*each) for each in listed_of_chains())):
            prove(script)
    finally:
        sys.settrace(before)
    assert {path: statements(path) - reached for path, reached in files.items()} == {path: set() for path in files}


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("mistake", [*IMAGE_MISTAKES, *OFFLINE_MISTAKES], ids=lambda each: each.name)
def test_a_mistake_is_found(prover: str, mistake: Mutant) -> None:
    with applied(mistake):
        assert ID in {each.id for each in wrong(prover)}
