"""Narrow mistakes: the tour finds each of its own by walks to edges in context, and nothing else of *quick* does."""

from __future__ import annotations

import os

import pytest
from cbtcheck.adapters import open_adapter
from cbtcheck.adapters.mistakes import MISTAKES, NARROW, NarrowMistake
from cbtcheck.run.found_alone import found_by_others, found_in_context
from cbtcheck.run.hunting import SHORTEST
from cbtcheck.scenario.verdict import worst

OF_THE_TOUR = {name: each for name, each in NARROW.items() if each.found_by == "the tour"}
ALL = os.environ.get("CBTSPEC_MATRIX") == "1"
"""Otherwise the first walk that finds one is the last, some are played to the other phases only, and a few to every
write history: that takes seconds each."""

BY_CHANCE = {"undone-from-the-first-on", "withdrawn-enables", "second-member-stays-frozen"}
"""What the scenarios that are drawn by default come upon, too."""

each_of_the_tour = pytest.mark.parametrize("mistake", OF_THE_TOUR.values(), ids=OF_THE_TOUR.keys())


@each_of_the_tour
def test_walks_to_edges_in_context_find_it(mistake: NarrowMistake) -> None:
    found = found_in_context(mistake, enough=None if ALL else mistake.verdict)
    verdicts = set().union(*found.values())
    assert verdicts, "not found"
    assert worst(verdicts) is mistake.verdict


@pytest.mark.parametrize("name", OF_THE_TOUR if ALL else [*OF_THE_TOUR][::3])
def test_nothing_else_finds_it(name: str) -> None:
    histories = ALL or name in [*OF_THE_TOUR][::12]
    assert found_by_others(OF_THE_TOUR[name], histories) == (["drawn"] if name in BY_CHANCE else [])


def test_each_is_told_and_has_no_trap() -> None:
    assert not NARROW.keys() & MISTAKES.keys()
    for each in NARROW.values():
        assert each.story.endswith(".")
        assert not (SHORTEST / f"{each.name}.json").exists()
        assert open_adapter("reference", mistake=each.name).version.endswith(f"'{each.name}'")


def test_there_are_some_of_each_line() -> None:
    lines = [each.line for each in OF_THE_TOUR.values()]
    assert {line: lines.count(line) >= 3 for line in lines} == dict.fromkeys(
        ("what is undone", "who else", "how many", "how often"), True
    )
