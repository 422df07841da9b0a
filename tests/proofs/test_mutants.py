"""Mutants are applied and taken back for certain, have the names that they are known by, and one is always found."""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest
from cbtcheck.adapters.mistakes.registry import MISTAKES
from cbtcheck.search.tour.reachable import BLOCK, worlds
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import Frozensets, State, Step, backup, bitmap, initial, step
from cbtmodel.commands import AddBitmap, CancelJob, StartBackup, Write
from cbtmodel.properties import violations
from cbtproofs.mutants.catalogue import AFTER, CANARY, NOT_APPLICABLE, Mutant, all_mutants, applied, mutant
from cbtproofs.mutants.harmless import EQUIVALENT
from cbtproofs.mutants.mutant import replacement, same_code, tree_of
from cbtproofs.mutants.systematic import MODULES, mutated_functions

FIELD_BUGS = {
    "Q5", "Q6", "Q7", "Q8", "Q9", "Q10", "Q11", "Q16", "Q19", "Q23", "Q24", "Q26", "Q32", "Q33", "V1", "V2", "V3",
    "O2", "D2", "D3", "B1", "B2", "C1", "C2", "C3", "C4", "M2", "M3", "R2", "Z1", "Z2", "K1", "F1",
}  # fmt: skip
"""The entries of field-bugs.md."""

BY_RULE = [
    "bitmap.reclaim: bitmap.marks | bitmap.successor.marks -> bitmap.marks",
    "bitmap.Marks.__or__: self.owed | other.owed -> other.owed",
    "backup.copied: job.todo - clusters -> job.todo",
    "backup.hit_by_write: space.round_out(blocks, job.cluster, size) -> blocks",
    "backup.before_write: copy_ends(job) -> job",
    "bitmap.freeze: skipped",
    "bitmap.abdicate: replace(bitmap) without enabled",
    "bitmap.marked: Marks with nothing owed",
    "jobs.start: todo=scope -> todo=space.empty",
    "node.find_free_bitmap: require(not bitmap.busy(found)) dropped",
    "node.remove: find_free_bitmap(state, node, name) dropped",
    "jobs.start: not bitmap.busy(frozen) -> bitmap.busy(frozen)",
    "bitmap.busy: bitmap.successor is not None or bitmap.leaving -> bitmap.leaving",
    "bitmap.record: if not recording(bitmap): never",
    "bitmap.record: if not recording(bitmap): always",
    "backup.copy_fails: job.on_source_error if side == 'read error' else job.on_target_error -> job.on_target_error",
    "node.record: mapped(before.bitmaps): only the first",
    "transaction.transact: fold(command.actions): in reverse",
    "loops.fold: for each in items: only the first",
    "jobs.settles: (*ended, *more) -> (*ended,)",
    "step.transition: node.drain(state, node_name) -> state",
]
"""At least one of each rule. These names are relied upon; a name changes only with the text that it is made of."""


Transition = tuple[State[Any], object, Step[Any]]


@pytest.fixture(scope="module")
def transitions() -> list[Transition]:
    """Every command in every state of two worlds of one block: what the right specification does."""
    found: list[Transition] = []
    for world in worlds("quick")[1:]:
        first: State[Any] = initial(BitSets(BLOCK), {name: blocks * BLOCK for name, blocks in world.disks})
        known, waiting = {first}, [first]
        while waiting:
            state = waiting.pop()
            for command in world.alphabet:
                done = step(state, command)
                found.append((state, command, done))
                if done.state not in known:
                    known.add(done.state)
                    waiting.append(done.state)
    return found


def told_apart(transitions: list[Transition]) -> object:
    """The first command that does something else now, or None."""
    for state, command, right in transitions:
        now = step(state, command)
        if now.refusal is not None and right.refusal is not None and now.refusal.kind == right.refusal.kind:
            continue
        if now.refusal is not right.refusal or (now.state, now.ended) != (right.state, right.ended):
            return command
    return None


def functions() -> Iterator[FunctionType]:
    """Every function of the specification's modules, methods too."""
    for module in MODULES:
        for value in vars(module).values():
            members = vars(value).values() if isinstance(value, type) else (value,)
            yield from (each for each in members if isinstance(each, FunctionType))


def codes() -> dict[FunctionType, CodeType]:
    return {function: function.__code__ for function in functions()}


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [each.name for each in all_mutants()]
    assert len(names) > 400
    assert len(set(names)) == len(names)
    assert not [name for name in names if "\n" in name]


@pytest.mark.parametrize("name", BY_RULE)
def test_every_rule_makes_mutants(name: str) -> None:
    found = mutant(name)
    assert found.name.startswith(f"{found.place}: ")
    assert found.before != found.after


def test_every_module_is_mutated() -> None:
    assert {each.module for each in all_mutants()} == {each.__name__.rpartition(".")[2] for each in MODULES}


def test_a_mutant_is_other_code_with_the_same_docstring() -> None:
    for each in all_mutants():
        assert not same_code(each.code, each.function.__code__), each.name
        assert each.docstring, each.name
        if ":" in each.name:
            assert each.code.co_consts[0] == each.function.__doc__, each.name


def test_no_two_mutants_of_a_function_are_the_same() -> None:
    for function in mutated_functions():
        of_it = [each for each in all_mutants() if each.function is function and ":" in each.name]
        for index, one in enumerate(of_it):
            assert not [other.name for other in of_it[:index] if same_code(one.code, other.code)], one.name


def test_one_function_changes_and_then_nothing_has() -> None:
    right = codes()
    for each in all_mutants():
        with applied(each):
            assert [function for function, code in codes().items() if code is not right[function]] == [each.function]
        assert all(code is right[function] for function, code in codes().items())


def test_what_is_imported_elsewhere_is_the_mutant() -> None:
    assert vars(backup)["reclaim"] is bitmap.reclaim
    assert found_by_hand() == set()
    with applied(mutant(CANARY)):
        assert "FAILURE-KEEPS" in found_by_hand()
    assert found_by_hand() == set()


def test_it_is_taken_back_after_an_error() -> None:
    right = bitmap.reclaim.__code__
    with pytest.raises(ZeroDivisionError), applied(mutant(CANARY)):
        raise ZeroDivisionError
    assert bitmap.reclaim.__code__ is right
    with applied(mutant(CANARY)):
        pass


def test_there_is_one_at_a_time() -> None:
    right = codes()
    with applied(mutant(CANARY)):
        with pytest.raises(RuntimeError, match="applied already"), applied(mutant("clear-at-start")):
            pass
        with pytest.raises(RuntimeError, match="applied already"), applied(mutant(CANARY)):
            pass
        assert bitmap.reclaim.__code__ is mutant(CANARY).code
    assert codes() == right


def test_mutants_are_made_of_what_runs_only() -> None:
    assert tree_of(bitmap.reclaim).name == "reclaim"
    with applied(mutant(CANARY)), pytest.raises(RuntimeError, match="is not what runs"):
        tree_of(bitmap.reclaim)
    with applied(mutant(BY_RULE[0])), pytest.raises(RuntimeError, match="is not what runs"):
        tree_of(bitmap.reclaim)


def test_a_replacement_means_what_it_says() -> None:
    def unmarked(space: object) -> object:
        return MISTAKES

    def clear(space: object) -> object:
        return space

    with pytest.raises(TypeError, match="'MISTAKES' means something else there"):
        replacement("x", "", bitmap.unmarked, unmarked)
    with pytest.raises(TypeError, match="other parameters"):
        replacement("x", "", bitmap.clear, clear)


def test_a_mistake_has_one_name_and_one_field_bug() -> None:
    named = {each.name: each.field_bug for each in all_mutants() if ":" not in each.name}
    both = named.keys() & MISTAKES.keys()
    assert len(both) > 30
    assert {name: named[name] for name in both} == {name: MISTAKES[name].bug for name in both}


def test_every_field_bug_is_a_mutant_or_it_is_said_why_not() -> None:
    seeded = {each.field_bug for each in all_mutants()} - {""}
    assert seeded.isdisjoint(NOT_APPLICABLE)
    assert seeded | NOT_APPLICABLE.keys() == FIELD_BUGS


@pytest.mark.parametrize("name", [*EQUIVALENT, *AFTER, CANARY])
def test_what_is_said_of_a_mutant_is_said_of_one_that_exists(name: str) -> None:
    assert isinstance(mutant(name), Mutant)


def test_a_reason_is_one_line() -> None:
    for reason in (*EQUIVALENT.values(), *NOT_APPLICABLE.values()):
        assert reason.strip()
        assert "\n" not in reason


def test_what_is_called_equivalent_does_the_same_in_a_small_world(transitions: list[Transition]) -> None:
    for name in EQUIVALENT:
        with applied(mutant(name)):
            assert told_apart(transitions) is None, name


@pytest.mark.parametrize("name", ["abdicate-on-failure", "leftovers-are-not-owed", "hook-never-called"])
def test_what_is_not_equivalent_is_told_apart(transitions: list[Transition], name: str) -> None:
    with applied(mutant(name)):
        assert told_apart(transitions) is not None


def test_an_unknown_mutant_is_an_error() -> None:
    with pytest.raises(LookupError):
        mutant("nobody")


def found_by_hand() -> set[str]:
    """The properties that the canary's four commands violate."""
    state = initial(Frozensets(512), {"d": 512})
    found: set[str] = set()
    for command in (
        AddBitmap("d", "b", 512), StartBackup("j", "d", "incremental", "b", cluster=512, auto_finalize=False),
        Write("d", 0, 512), CancelJob("j"),
    ):  # fmt: skip
        done = step(state, command)
        assert done.refusal is None
        found |= {property_id for property_id, _ in violations(state, command, done)}
        state = done.state
    return found


def test_the_canary_is_a_seeded_mistake_of_the_implementation_too() -> None:
    assert CANARY in MISTAKES
