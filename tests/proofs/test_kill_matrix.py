"""The kill matrix is what the checkers say: all of it anew with CBTSPEC_MATRIX=1, in minutes; else a sample of it."""

import os
from pathlib import Path

import pytest
from cbtcheck.adapters.mistakes import MISTAKES
from cbtproofs.mutants.catalogue import CANARY, EQUIVALENT, NOT_APPLICABLE, all_mutants, applied, mutant
from cbtproofs.mutants.harmless import NOT_FOUND_YET
from cbtproofs.mutants.kill_matrix.calls import CALLS
from cbtproofs.mutants.kill_matrix.killers import (
    OF_MISTAKES,
    OF_MUTANTS,
    Kill,
    explorer,
    prepare,
    proof,
    stateful,
    tour_walks,
)
from cbtproofs.mutants.kill_matrix.matrix import (
    IN_IMPLEMENTATION,
    IN_MODEL,
    CanaryError,
    Row,
    check_canary,
    check_right,
    row,
    tasks,
    unexplained,
    whole,
)
from cbtproofs.mutants.kill_matrix.page import (
    IMPLEMENTATION_CHECKERS,
    MODEL_CHECKERS,
    cells_of,
    is_named,
    kill_cell,
    page,
)

DOCUMENT = Path(__file__).parents[2] / "docs/understand" / "kill-matrix.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
QUICK = ("tour", "stateful")
SOON = {"tour": 2_000, "stateful": 400, "proof": 600, "explorer": 400, "refinement": 3_000}
"""A checker that has looked at more than this when it finds a mutant is asked with CBTSPEC_MATRIX=1 only."""

EVERY = 12
AGAIN = "run: python -m cbtproofs.mutants.kill_matrix matrix"

whole_matrix = pytest.mark.skipif(
    os.environ.get("CBTSPEC_MATRIX") != "1", reason="takes ten minutes: set CBTSPEC_MATRIX=1"
)


def rows_of(heading: str) -> dict[str, list[str]]:
    """The rows of the document's table under a heading, by the name in their first cell."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [cells_of(each) for each in section.splitlines() if each.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in lines}


NAMED, BY_RULE = rows_of("After real bugs"), rows_of("By rule")


def written(name: str, where: str) -> dict[str, str]:
    """What the document says of a mistake, by checker."""
    if where == IN_IMPLEMENTATION:
        first = 3 + len(MODEL_CHECKERS)
        return dict(zip(IMPLEMENTATION_CHECKERS, NAMED[name][first:], strict=False))
    cells = NAMED[name][3:] if is_named(name) else BY_RULE[name][1:]
    return dict(zip(MODEL_CHECKERS, cells, strict=False))


def as_written(found: Row) -> bool:
    """Whether the document says this of the checkers that were asked."""
    said = written(found.name, found.where)
    return bool(found.kills) and all(kill_cell(found, of) == said[of] for of in found.kills)


# What the checkers say


@pytest.mark.parametrize("name", [each.name for each in all_mutants() if is_named(each.name)])
def test_what_quick_checkers_say_of_named_mutants_is_written(name: str) -> None:
    assert as_written(row((IN_MODEL, name), QUICK)), AGAIN


@pytest.mark.parametrize("name", [each.name for each in all_mutants() if not is_named(each.name)][::EVERY])
def test_what_checkers_say_of_mutants_by_rule_is_written(name: str) -> None:
    said = {of: int(cell.replace(",", "")) for of, cell in written(name, IN_MODEL).items() if cell != "-"}
    soon = [of for of, looked_at in said.items() if looked_at <= SOON[of]]
    assert as_written(row((IN_MODEL, name), soon or QUICK)), AGAIN


@pytest.mark.parametrize("name", [*MISTAKES][::9])
def test_what_checkers_say_of_mistakes_of_the_implementation_is_written(name: str) -> None:
    assert as_written(row((IN_IMPLEMENTATION, name))), AGAIN


def test_a_row_that_says_something_else_is_not_as_written() -> None:
    said = int(written(CANARY, IN_MODEL)["tour"].replace(",", ""))
    assert as_written(Row(IN_MODEL, CANARY, {"tour": Kill(said, "")}))
    for other in (Kill(said + 1, ""), None):
        assert not as_written(Row(IN_MODEL, CANARY, {"tour": other}))


@whole_matrix
def test_the_document_is_up_to_date() -> None:
    try:
        rows = whole(lambda *_: None)
    finally:
        CALLS.forget()
    assert page(rows) == TEXT, AGAIN
    assert unexplained(rows) == []


# The canary


def test_no_quick_checker_finds_anything_in_the_right_specification() -> None:
    prepare(recorded=False)
    check_right({"tour": tour_walks(), "stateful": stateful()})


def test_every_checker_finds_the_canary() -> None:
    check_canary(row((IN_MODEL, CANARY)))
    check_canary(row((IN_IMPLEMENTATION, CANARY)))


def test_a_matrix_in_which_the_canary_lives_is_refused() -> None:
    with pytest.raises(CanaryError, match="the canary was not found by: proof"):
        check_canary(Row(IN_MODEL, CANARY, {"tour": Kill(1, ""), "proof": None}))
    with pytest.raises(CanaryError, match="by: anybody"):
        check_canary(Row(IN_MODEL, CANARY))
    with pytest.raises(CanaryError, match="found in the right specification: tour: unsafe"):
        check_right({"tour": Kill(1, "unsafe"), "proof": None})


def test_a_specification_that_is_wrong_is_found_by_what_must_find_nothing() -> None:
    prepare(recorded=False)
    with applied(mutant(CANARY)):
        found = {"tour": tour_walks(), "stateful": stateful(), "proof": proof(), "explorer": explorer()}
    assert all(found.values())


# What is written


def test_every_mistake_has_a_row_and_no_other_has() -> None:
    rows = [(IN_MODEL, name) for name in BY_RULE]
    rows += [(IN_MODEL, name) for name in NAMED if any(written(name, IN_MODEL).values())]
    rows += [(IN_IMPLEMENTATION, name) for name in NAMED if any(written(name, IN_IMPLEMENTATION).values())]
    assert sorted(rows) == sorted(tasks())


def test_what_nobody_finds_is_explained() -> None:
    """And nothing else is: but the proof may object to a harmless mutant, in states that are never reached."""
    rows = []
    for where, name in tasks():
        said = written(name, where)
        assert set(said) == set(OF_MUTANTS if where == IN_MODEL else OF_MISTAKES)
        rows.append(Row(where, name, {of: None if cell == "-" else Kill(1, "") for of, cell in said.items()}))
    assert unexplained(rows) == []
    assert {each.name for each in rows if each.survives} <= EQUIVALENT.keys() | NOT_FOUND_YET.keys()


def test_a_survivor_without_a_reason_is_told_and_so_is_a_reason_without_a_survivor() -> None:
    survivor = Row(IN_MODEL, CANARY, {"tour": None})
    found = Row(IN_MODEL, next(iter(EQUIVALENT)), {"tour": Kill(1, "")})
    assert unexplained([survivor, found]) == [survivor.name, found.name]
    assert unexplained([Row(IN_MODEL, found.name, {"tour": None, "proof": Kill(1, "")})]) == []


def test_refinement_finds_every_mistake_of_the_implementation_that_it_can_see() -> None:
    """In its walks every request writes bytes that were never there (`refinement.subject`): none changes nothing."""
    missed = [name for name in MISTAKES if written(name, IN_IMPLEMENTATION)["refinement"] == "-"]
    assert missed == ["unchanged-not-marked"]


def test_whatever_breaks_safety_is_shown_by_eight_commands() -> None:
    """For every mutant with a scenario at all, and so for those that lose data; and for every unsafe mistake.

    But for a loop that is wrong for the third only: three of something must be there first, and only drawn scenarios,
    which nobody has shortened, have so many.
    """
    of_three = {name for name in BY_RULE if name.endswith(": only the first two")}
    lengths = {name: int(cells[-2]) for name, cells in BY_RULE.items() if cells[-2] and name not in of_three}
    lengths |= {name: cells[-1].count("<br>") + 1 for name, cells in NAMED.items()}
    assert len(lengths) > 400
    assert {name: length for name, length in lengths.items() if length > 8} == {}
    assert of_three


def test_every_field_bug_is_somewhere() -> None:
    section = TEXT.split("\n## Every field bug\n")[1]
    rows = {cells[0]: cells for each in section.splitlines()[3:] if (cells := cells_of(each))}
    known = {each.field_bug for each in all_mutants()} | {each.bug for each in MISTAKES.values()} | {*NOT_APPLICABLE}
    assert rows.keys() == known - {""}
    assert all(cells[1] or cells[2] for cells in rows.values())
