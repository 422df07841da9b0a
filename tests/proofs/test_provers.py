"""The two provers: what they take sets to be, that they agree on whatever is asked, and that they notice mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations, permutations, product
from pathlib import Path as File
from typing import Any

import pytest
from cbtmodel.claims import Fact, Inclusion
from cbtproofs.effects import contract
from cbtproofs.inductive import generic_block, universal_disk, vacuity
from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.opaque import LooksInside
from cbtproofs.inductive.paths import Fog, Impossible, Path, Undecidable, Undecided, every_path
from cbtproofs.inductive.prove import differences, prove, provers
from cbtproofs.inductive.script import Assume, Item, Obligation, Prove, Prover, Script
from cbtproofs.inductive.statements import THEOREMS
from cbtproofs.inductive.truth_table import ALL, NONE, Rows, a_row, common, is_in, less, meet, rows, union
from cbtproofs.inductive.universal_disk import Column, UniversalDisk
from cbtproofs.mutants.catalogue import mutant
from cbtproofs.mutants.improper import IMPROPER
from cbtproofs.mutants.mutant import applied
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = File(__file__).parents[2]
NAMES = ("a", "b", "c")

Expression = tuple[Any, ...] | str


def expressions(most: int = 8) -> st.SearchStrategy[Expression]:
    """Sets made of `a`, `b` and `c`."""
    leaves: st.SearchStrategy[Any] = st.sampled_from((*NAMES, "empty", "everything"))
    return st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from("|&-"), inner, inner) | st.tuples(st.just("round"), inner),
        max_leaves=most,
    )


def value(expression: Expression, sets: dict[str, Any], space: Any) -> Any:
    match expression:
        case "empty":
            return space.empty
        case "everything":
            return space.everything(SIZE)
        case str(name):
            return sets[name]
        case ("round", inner):
            return space.round_out(value(inner, sets, space), 4096, SIZE)
    operation, left, right = expression
    one, other = value(left, sets, space), value(right, sets, space)
    return one | other if operation == "|" else one & other if operation == "&" else one - other


def plain(expression: Expression, block: frozenset[str]) -> bool:
    """Whether a block in just these sets is in it; without rounding."""
    match expression:
        case "empty":
            return False
        case "everything":
            return True
        case str(name):
            return name in block
    operation, left, right = expression
    one, other = plain(left, block), plain(right, block)
    return one or other if operation == "|" else one and other if operation == "&" else one and not other


def rounds(expression: Expression) -> bool:
    return not isinstance(expression, str) and ("round" in expression or any(map(rounds, expression[1:])))


def random_script(steps: list[tuple[str, Expression, Expression]]) -> Script:
    """Assumptions, questions whether a set is empty, and claims, one after the other."""

    def script(prover: Prover) -> Iterator[Item]:
        sets = {name: prover.arbitrary(name) for name in NAMES}
        for number, (what, left, right) in enumerate(steps):
            small, large = value(left, sets, prover.space), value(right, sets, prover.space)
            if what == "assume":
                yield Assume(Inclusion(str(number), small, large))
            elif what == "decide":
                yield Prove("NON-EMPTY", Fact(f"{number} is not empty", bool(small)))
            else:
                yield Prove("CLAIM", Inclusion(str(number), small, large))

    return script


def both(script: Script) -> tuple[list[Obligation], list[Obligation]]:
    one, other = (prover(script) for prover in provers().values())
    return one, other


scripts = st.lists(
    st.tuples(st.sampled_from(["assume", "decide", "prove", "prove"]), expressions(), expressions()), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(expressions().filter(lambda each: not rounds(each)), expressions().filter(lambda each: not rounds(each)))
def test_an_inclusion_holds_exactly_if_it_holds_of_every_block(small: Expression, large: Expression) -> None:
    blocks = [frozenset(n for i, n in enumerate(NAMES) if number >> i & 1) for number in range(8)]
    holds = not any(plain(small, block) and not plain(large, block) for block in blocks)
    for found in both(random_script([("prove", small, large)])):
        assert [each.counterexample is None for each in found if each.id == "CLAIM"] == [holds]


@settings(max_examples=300, deadline=None)
@given(scripts)
def test_the_provers_agree_on_any_script(steps: list[tuple[str, Expression, Expression]]) -> None:
    one, other = both(random_script(steps))
    assert list(differences(one, other)) == []
    assert [(each.id, each.path, each.where) for each in one] == [(each.id, each.path, each.where) for each in other]


@settings(max_examples=200, deadline=None)
@given(expressions(4), expressions(4))
def test_rounding_out_contains_distributes_and_stays(one: Expression, other: Expression) -> None:
    rounded, twice = ("round", one), ("round", ("round", one))
    united, apart = ("round", ("|", one, other)), ("|", ("round", one), ("round", other))
    steps = [(one, rounded), (rounded, twice), (twice, rounded), (united, apart), (apart, united)]
    for found in both(random_script([("prove", *each) for each in steps])):
        assert all(each.counterexample is None for each in found)


def test_nothing_else_is_known_of_rounding_out() -> None:
    inside = [("prove", ("round", "a"), "a"), ("prove", ("round", "a"), ("round", "b"))]
    assert [[each.counterexample is None for each in found] for found in both(random_script(inside))] == [
        [False, False, True]
    ] * 2


def test_what_is_rounded_out_of_nothing_is_nothing() -> None:
    later = [("prove", ("round", "a"), "empty"), ("assume", "a", "empty"), ("prove", ("round", "a"), "empty")]
    for found in both(random_script(later)):
        assert [each.counterexample is None for each in found] == [False, True, True]


@pytest.mark.parametrize("sizes", [*permutations((SIZE, SIZE // 2, SIZE // 4))])
def test_a_smaller_disk_has_some_of_the_blocks_of_a_larger_one(sizes: tuple[int, ...]) -> None:
    def script(prover: Prover) -> Iterator[Item]:
        of = {size: prover.space.everything(size) for size in sizes}
        some = prover.arbitrary("some")
        yield Assume(Inclusion("on the smallest", some, of[SIZE // 4]))
        for one, other in product(sorted(sizes), repeat=2):
            yield Prove("SIZES", Inclusion(f"{one} in {other}", of[one], of[other]))
        for size in sorted(sizes):
            yield Prove("SIZES", Inclusion(f"on {size}", some, of[size]))

    for found in both(script):
        holds = [each.counterexample is None for each in found if each.id == "SIZES"]
        assert holds == [True, True, True, False, True, True, False, False, True, True, True, True]


def test_no_disk_is_larger_than_the_one_whose_blocks_there_are() -> None:
    for space in (UniversalDisk(Path()), generic_block.GenericBlock(Path(), generic_block.Solver())):
        with pytest.raises(ValueError, match="no disk is larger"):
            space.everything(2 * SIZE)


def test_emptiness_splits_only_where_both_may_be() -> None:
    steps: list[tuple[str, Expression, Expression]] = [
        ("decide", "a", "a"), ("decide", ("|", "a", "b"), "a"), ("decide", ("-", "a", "a"), "a"),
        ("prove", "a", "empty"),
    ]  # fmt: skip
    for found in both(random_script(steps)):
        assert {each.path for each in found if each.where == "0 is not empty"} == {(1,), (0,)}
        after = {(each.path, each.where): each.counterexample is None for each in found}
        assert after[(1,), "1 is not empty"] is True, "it contains a set that is not empty"
        assert {path for path, where in after if where == "1 is not empty"} == {(1,), (0, 1), (0, 0)}
        assert not any(holds for (_, where), holds in after.items() if where == "2 is not empty")
        assert {path: holds for (path, where), holds in after.items() if where == "3"} == {
            (1,): False, (0, 1): True, (0, 0): True,
        }  # fmt: skip


def test_a_contradiction_has_no_path() -> None:
    steps: list[tuple[str, Expression, Expression]] = [("assume", "everything", "empty"), ("prove", "a", "b")]
    assert both(random_script(steps)) == ([], [])


def test_the_universal_disk_has_one_block_of_each_condition() -> None:
    disk = UniversalDisk(Path())
    columns = [disk.arbitrary(name) for name in NAMES]
    assert disk.possible is ALL
    for condition in product((True, False), repeat=len(NAMES)):
        blocks = disk.everything(SIZE)
        for column, inside in zip(columns, condition, strict=True):
            blocks = blocks & column if inside else blocks - column
        block = a_row(blocks.rows)
        assert tuple(is_in(block, each.rows) for each in columns) == condition


def test_columns_are_combined_row_by_row() -> None:
    """All columns of a truth table of three sets, beside sets of rows."""
    table = [*product((False, True), repeat=3)]
    of_one = {number: rows(number, NONE, ALL) for number in (1, 2, 3)}

    def column(true: frozenset[int]) -> Rows:
        made = NONE
        for row in true:
            alone = ALL
            for number, inside in enumerate(table[row], 1):
                alone = common(alone, of_one[number]) if inside else less(alone, of_one[number])
            made = union(made, alone)
        return made

    columns = {true: column(true) for true in map(frozenset, chain(*(combinations(range(8), k) for k in range(9))))}
    for true, one in columns.items():
        inside = [row for row in range(8) if is_in(frozenset(n for n, yes in enumerate(table[row], 1) if yes), one)]
        assert set(inside) == true
        assert (one is NONE, one is ALL) == (not true, len(true) == 8)
        assert not true or is_in(a_row(one), one)
    for (true, one), (true_too, other) in product(columns.items(), repeat=2):
        assert union(one, other) is columns[true | true_too]
        assert common(one, other) is columns[true & true_too]
        assert less(one, other) is columns[true - true_too]
        assert meet(one, other) == bool(true & true_too)


@pytest.mark.parametrize("make", [
    lambda: UniversalDisk(Path()).arbitrary("a"),
    lambda: generic_block.GenericBlock(Path(), generic_block.Solver()).arbitrary("a"),
    lambda: Fog(Path()),
], ids=["universal disk", "generic block", "fog"])  # fmt: skip
def test_a_set_can_do_nothing_else(make: Callable[[], Any]) -> None:
    one, other = make(), make()
    for forbidden in (
        len, iter, hash, int, lambda s: s == other, lambda s: s != other, lambda s: s <= other, lambda s: s < other,
        lambda s: s >= other, lambda s: s > other, lambda s: s ^ other, lambda s: ~s, lambda s: s + other,
        lambda s: 1 in s, lambda s: s[0], lambda s: {s}, lambda s: sorted([s, other]), lambda s: s.bit_count(),
        lambda s: s.difference_update, lambda s: range(10)[s],
    ):  # fmt: skip
        with pytest.raises(LooksInside):
            forbidden(one)
    assert one == one  # a table asks this of what it did not touch


def test_nothing_is_decided_when_a_path_is_over() -> None:
    kept: list[Column] = []

    def run(path: Path) -> None:
        kept.append(UniversalDisk(path).arbitrary("a"))

    list(every_path(run))
    with pytest.raises(Undecidable):
        bool(kept[0])


@given(st.lists(st.integers(1, 3), max_size=5))
def test_every_path_takes_every_decision_in_every_way(options: list[int]) -> None:
    def run(path: Path) -> tuple[int, ...]:
        for count in options:
            path.decide(tuple(range(count)))
        return path.taken

    taken = list(every_path(run))
    expected = 1
    for count in options:
        expected *= count
    assert len(taken) == len(set(taken)) == expected


def test_an_impossible_path_gives_nothing_and_its_siblings_are_run() -> None:
    def run(path: Path) -> int:
        if path.decide((0, 1)) == 0:
            raise Impossible
        return 1

    assert list(every_path(run)) == [1]


def test_what_is_undecided_is_decided_once_and_only_as_far_as_it_must_be() -> None:
    def run(path: Path) -> tuple[Any, ...]:
        phase = Undecided(path, ("running", "waiting", "pending"))
        return (phase == "waiting"), (phase == "waiting"), repr(phase)

    assert sorted(every_path(run)) == [(False, False, "'running' or 'pending'"), (True, True, "'waiting'")]
    assert sorted(every_path(lambda path: Undecided(path, (1, 2, 3)).value())) == [1, 2, 3]
    assert list(every_path(lambda path: Undecided(path, (1, 2)) == 7)) == [False]


@pytest.mark.parametrize("property_id", THEOREMS)
def test_each_theorem_fails_with_its_mistake_and_the_provers_agree_on_all_that_fails(property_id: str) -> None:
    known = provers()
    assert vacuity.found(property_id, known) == {
        each.mutant: dict.fromkeys(known, True) for each in vacuity.SEEDED[property_id]
    }
    for mistake in vacuity.SEEDED[property_id]:
        with applied(vacuity.mutant(mistake.mutant)):
            for scene in mistake.scenes():
                one, other = (prover(scene.script) for prover in known.values())
                assert list(differences(one, other)) == []
        for scene in mistake.scenes():
            assert all(each.counterexample is None for prover in known.values() for each in prover(scene.script))


def test_what_a_failed_job_of_mode_always_leaves_is_owed_and_but_for_its_effect_nothing_else_says_so() -> None:
    left = {"j: left to copy, so owed", "j: left to copy, so dirty"}
    with applied(vacuity.mutant("leftovers-only-where-dirty")):
        for prover in provers().values():
            wrong = {
                each.where
                for mistake in vacuity.SEEDED["FAILURE-KEEPS"] for scene in mistake.scenes()
                for each in prover(scene.script) if each.counterexample is not None and each.id != contract.EFFECT
            }  # fmt: skip
            assert wrong == left


@pytest.mark.parametrize("improper", IMPROPER[:2], ids=lambda each: each.name)
def test_whoever_looks_inside_a_set_is_told_so(improper: Any) -> None:
    with applied(improper):
        for prover in provers().values():
            found = [each for scene in vacuity.SEEDED["OPAQUE"][0].scenes() for each in prover(scene.script)]
            wrong = {each.where for each in found if each.counterexample is not None}
            assert wrong in (
                {"the specification looks inside a set: it looks at single blocks"},
                {"the specification looks inside a set: it compares a set"},
            )


def test_whatever_the_specification_raises_is_a_failure_of_that_path() -> None:
    def script(prover: Prover) -> Iterator[Item]:
        yield Prove("X", Fact("first", True))
        raise KeyError("gone")

    for found in both(script):
        assert [each.where for each in found] == ["first", "the specification fails: KeyError"]
        assert found[1].counterexample is not None
        assert found[1].counterexample.note == "'gone'"


def test_what_a_sceptic_reads_is_short() -> None:
    room = ROOT / "proofs/cbtproofs/inductive"
    read = [(room / name).read_text() for name in ("universal_disk.py", "obligations.py")]
    assert sum(len(each.splitlines()) for each in read) <= 300
    assert len((room / "truth_table.py").read_text().splitlines()) <= 85


def test_the_universal_disk_needs_no_z3() -> None:
    assert "z3" not in (ROOT / "proofs/cbtproofs/inductive/universal_disk.py").read_text()
    assert universal_disk.obligations(random_script([("prove", "a", "a")]))


@pytest.mark.parametrize(
    "name",
    [
        "node.with_jobs_of: mapped(state.jobs): only the first",
        "node.with_jobs_of: change(job) if job.node == node else job -> change(job)",
        "transaction.without_leaving: mapped(state.nodes): only the first",
        "jobs.settles: some(group): only the first two", "step.step: require(problem is None) dropped",
        "transaction.transact: every(command.actions): only the first two",
        "zeroes-not-marked", "discard-cleans", "transaction-without-drain", "tail-not-copied",
    ],
)  # fmt: skip
def test_mistakes_that_once_got_past_the_proofs_are_found(name: str) -> None:
    with applied(mutant(name)):
        assert any(proved.failures for proved in prove(("universal disk",)))
