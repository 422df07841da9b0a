"""The contracts of the implementation are confirmed, each seeded mistake is found, and the runner itself can fail."""

import ast
import inspect
import json
import os
import sys
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.cli.contracts_checked import code_of
from cbtimpl import backup, bitmap, bits, granules
from cbtimpl.contracts.life_cycle import what_was_written_is_taken_back
from cbtimpl.contracts.registry import CONTRACTS, SUBJECT, Contract, subject
from cbtimpl.contracts.stores import NotWatched, OneGranule, Runs
from cbtproofs.contracts import runner
from cbtproofs.contracts.mistakes import MISTAKES, Mistake, function_named
from cbtproofs.contracts.runner import Outcome, Task, declared, replayed, run
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap64

DEEP = os.environ.get("CBTSPEC_DEEP") == "1"
EACH = 1 if DEEP else 4
"""Of the mistakes, every fourth is seeded; with CBTSPEC_DEEP=1 all are (a minute on two cores)."""

WITHOUT = {
    "GranuleSet": {"__init__", "__repr__", "__eq__", "new_store", "granules", "count"},
    "Bitmap": {"granularity", "size"},
    "BackupJob": {"__init__"},
}
"""Functions with no contract: they set fields, or are for people and tests."""


# The contracts


def test_every_contract_is_confirmed_on_all_paths() -> None:
    outcomes = run([Task(each) for each in declared()])
    assert len(outcomes) == len(CONTRACTS) >= 57
    assert [(each.contract, each.verdict, each.detail) for each in outcomes if each.verdict != "confirmed"] == []
    assert code_of(outcomes) == 0


def test_arithmetic_and_life_cycle_are_expected_to_be_confirmed() -> None:
    for group in ("arithmetic", "life_cycle"):
        assert {each.expected for each in declared(group)} == {"confirmed"}


def test_every_function_of_the_arithmetic_and_the_life_cycle_has_a_contract() -> None:
    under_contract = {name for each in CONTRACTS.values() for name in each.functions}
    own = {name for name, value in vars(granules).items() if inspect.isfunction(value)}
    assert {f"granules.{name}" for name in own} <= under_contract
    for part in (bits.GranuleSet, bitmap.Bitmap, backup.BackupJob):
        named = {
            name for name, value in vars(part).items() if inspect.isroutine(value) or isinstance(value, property)
        }
        missing = {name for name in named if f"{part.__name__}.{name}" not in under_contract}
        assert missing == WITHOUT[part.__name__]


def test_contracts_name_functions_that_there_are() -> None:
    for each in CONTRACTS.values():
        for name in each.functions:
            assert function_named(name)


def test_the_implementation_does_not_know_its_contracts() -> None:
    root = Path(granules.__file__).parent
    for path in root.glob("*.py"):
        imported = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.ImportFrom)]
        assert not [each for each in imported if str(each.module).startswith("cbtimpl.contracts")]


# Seeded mistakes


def test_every_function_under_contract_has_a_seeded_mistake() -> None:
    under_contract = {name for each in CONTRACTS.values() for name in each.functions}
    assert under_contract == {each.function for each in MISTAKES}
    assert all(each.function in CONTRACTS[each.contract].functions for each in MISTAKES)


def test_every_seeded_mistake_can_be_made() -> None:
    # Only some are made in each run: this asks all of them, so that a change of the source is noticed at once.
    for each in MISTAKES:
        compile(each.source(), each.name, "exec", dont_inherit=True)


def test_seeded_mistakes_are_found() -> None:
    seeded = MISTAKES[::EACH]
    outcomes = run([Task(CONTRACTS[each.contract], each.apply) for each in seeded])
    missed = {
        (each.name, outcome.verdict, outcome.detail)
        for each, outcome in zip(seeded, outcomes, strict=True)
        if outcome.verdict != "counterexample"
    }
    assert missed == set()
    assert all(outcome.detail.startswith(f"{outcome.contract}(") for outcome in outcomes)


def test_a_mistake_stays_in_its_process_and_is_found_in_the_same_place_again() -> None:
    mistake = next(each for each in MISTAKES if each.function == "Bitmap.reclaim")
    task = Task(CONTRACTS[mistake.contract], mistake.apply)
    first, right, second = run([task, Task(CONTRACTS[mistake.contract]), task])
    assert (first.verdict, right.verdict) == ("counterexample", "confirmed")
    assert first.detail == second.detail


def test_a_mistake_that_is_no_longer_in_the_source_is_an_error() -> None:
    gone = Mistake("granules.count", "this is not there", "nor this", "a_granule_exists_if_it_has_a_byte")
    (outcome,) = run([Task(CONTRACTS[gone.contract], gone.apply)])
    assert outcome.verdict == "error"
    assert "is there 0 times" in outcome.detail


def test_contracts_can_be_about_another_class() -> None:
    class Forgets(bitmap.Bitmap):
        def reclaim(self) -> bitmap.Bitmap:
            self.thaw()
            return self

    assert what_was_written_is_taken_back(0, False, True, True, True)
    with subject(bitmap=Forgets):
        assert not what_was_written_is_taken_back(0, False, True, True, True)
    assert SUBJECT.bitmap is bitmap.Bitmap


# The runner


def right(number: int) -> bool:
    """True.

    pre: number > 0
    post: _
    """
    return number + 1 > 1


def false_once(number: int) -> bool:
    """False of one number.

    pre: number > 0
    post: _
    """
    return number != 123_456_789


def never_run(number: int) -> bool:
    """False, and nobody sees it.

    pre: number > 0 and number < 0
    post: _
    """
    return False


def raises(number: int) -> bool:
    """Raises for some.

    pre: number >= 0
    post: _
    """
    return 10 // number >= 0


def asks_too_much(number: int) -> bool:
    """Asks one granule for the next.

    pre: number >= 0
    post: _
    """
    return OneGranule(number).next_set_bit(0) == number


def too_hard(first: int, second: int, third: int) -> bool:
    """Fermat's last theorem, for cubes.

    pre: first > 0 and second > 0 and third > 0
    post: _
    """
    return first * first * first + second * second * second != third * third * third


def no_contract(number: int) -> bool:
    """Says nothing."""
    return True


def dies(number: int) -> bool:
    """Takes its process with it.

    pre: number == 0
    post: _
    """
    os._exit(7)


@pytest.mark.parametrize(
    ("holds", "verdict", "detail"),
    [
        (right, "confirmed", ""),
        (false_once, "counterexample", "false_once(123456789)"),
        (never_run, "error", "Unable to meet precondition."),
        (raises, "counterexample", "raises(0): ZeroDivisionError: integer division or modulo by zero"),
        (asks_too_much, "error", "NotWatched: one granule does not know the next in asks_too_much(0)"),
        (too_hard, "not refuted", ""),
        (no_contract, "error", "CrossHair sees no contract in it"),
        (dies, "error", "CrossHair's process ended with code 7"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_verdict_is_given_where_it_is_due(holds, verdict, detail) -> None:
    contract = Contract(holds.__name__, "", (), "confirmed", 1, holds)
    (outcome,) = run([Task(contract)])
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    assert outcome.as_expected == (verdict == "confirmed")


def test_a_counterexample_that_python_does_not_see_is_an_error() -> None:
    contract = Contract("right", "", (), "confirmed", 3, right)
    verdict, detail = replayed(contract, "false when calling right(number = 5) (which returns False)")
    assert (verdict, detail) == ("error", "is true when Python runs it: right(number=5)")
    assert replayed(contract, "something else") == ("error", "something else")


def outcome_of(verdict: runner.Verdict, expected: str = "confirmed") -> Outcome:
    return Outcome("c", "", (), expected, verdict, "", 0.0)


def test_the_exit_code_says_how_bad_it_is() -> None:
    confirmed, refuted = outcome_of("confirmed"), outcome_of("counterexample")
    assert code_of([confirmed, outcome_of("not refuted", "not refuted")]) == 0
    assert code_of([confirmed, outcome_of("not refuted")]) == 2
    assert code_of([confirmed, refuted]) == 2
    assert code_of([refuted, outcome_of("error")]) == 3
    assert code_of([]) == 64
    assert code_of([refuted], mistakes=True) == 0
    assert code_of([refuted, confirmed], mistakes=True) == 2


def test_the_command_reports_in_json() -> None:
    result = CliRunner().invoke(main, ["contracts", "--only", "a_clear_can_be_undone", "--format", "json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["counts"] == {"confirmed": 1, "not refuted": 0, "counterexample": 0, "error": 0}
    assert report["contracts"][0]["functions"] == ["Bitmap.clear"]


def test_the_command_needs_crosshair_and_a_name_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(main, ["contracts", "--only", "nonsense"]).exit_code == 64
    monkeypatch.setitem(sys.modules, "crosshair", None)
    result = CliRunner().invoke(main, ["contracts"])
    assert result.exit_code == 64
    assert result.stderr.startswith("cbtspec: contracts needs CrossHair: pip install 'cbtspec[proofs]' ")
    assert result.stderr.count("\n") == 1


# The stores that stand in for the compressed one

ranges = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add_range", "remove_range"]), ranges),
        st.tuples(st.just("clear"), st.just(())),
    ),
    max_size=8,
)


def after(store, steps):
    for name, arguments in steps:
        getattr(store, name)(*arguments)
    return store


def following(store, number: int) -> int | None:
    try:
        return int(store.next_set_bit(number))
    except ValueError:
        return None


@given(operations, operations)
def test_runs_are_as_the_compressed_store(steps, others) -> None:
    runs, real = after(Runs(), steps), after(BitMap64(), steps)
    before = runs.copy()
    runs |= after(Runs(), others)
    real |= after(BitMap64(), others)
    assert list(runs) == list(real)
    assert (bool(runs), len(runs)) == (bool(real), len(real))
    assert list(before) == list(after(BitMap64(), steps))
    assert all(end < start for (_, end), (start, _) in zip(runs.runs, runs.runs[1:], strict=False)), "maximal"
    for number in range(30):
        assert (number in runs) == (number in real)
        assert following(runs, number) == following(real, number)
        for past in range(number + 1, 31):
            assert runs.contains_range(number, past) == real.contains_range(number, past)


@given(operations, operations, st.integers(0, 28))
def test_one_granule_is_as_the_compressed_store(steps, others, number) -> None:
    real = after(BitMap64(), steps)
    real |= after(BitMap64(), others)
    answers = set()
    for keeps_rest in (True, False):
        seen = after(OneGranule(number, keeps_rest=keeps_rest), steps)
        seen |= after(OneGranule(number, keeps_rest=keeps_rest), others)
        assert (number in seen) == (number in real)
        assert (number in seen.copy()) == (number in real)
        answers.add(bool(seen))
    assert bool(real) in answers, "whether it is empty is one of the possibilities that are looked at"


@pytest.mark.parametrize("ask", [len, list, lambda store: 3 in store, lambda store: store.contains_range(0, 2)])
def test_one_granule_does_not_guess(ask) -> None:
    with pytest.raises(NotWatched):
        ask(OneGranule(7))
