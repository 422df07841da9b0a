"""`cbtspec prove`: what it prints, how it ends, and that it says so when something is not as it ought to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.cli import proving as command
from cbtcheck.cli.command import main
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive import generic_block, vacuity
from cbtproofs.inductive.prove import prove
from cbtproofs.inductive.script import Assume, GaveUp, Item, Prover
from cbtproofs.inductive.stage import A_JOB, Scene, scenes
from cbtproofs.inductive.statements import THEOREMS, statement
from cbtproofs.mutants.mutant import applied
from click.testing import CliRunner, Result

README = (Path(__file__).parents[2] / "docs/understand/proving.md").read_text()


def run(*options: str) -> Result:
    return CliRunner().invoke(main, ["prove", *options], catch_exceptions=False)


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scenes of one job; what is seen in them is all that is to be seen."""
    few = [each for each in scenes() if each.cast == A_JOB.name]
    monkeypatch.setattr(command, "scenes", lambda: few)


@pytest.fixture
def nothing_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which a mutant is applied already."""
    monkeypatch.setattr(vacuity, "found", lambda property_id, known: {"none": dict.fromkeys(known, True)})


def masked(text: str) -> str:
    """Without what differs from run to run: seconds, and how wide that makes the columns."""
    return re.sub(r"[ ─]+", " ", re.sub(r"\d+\.\d+", "N", text)).replace(" \n", "\n")


def test_everything_is_proved_and_the_readme_shows_it() -> None:
    result = run()
    assert result.exit_code == 0, result.stdout
    for property_id in (*THEOREMS, *(each.id for each in theorems())):
        assert re.search(rf"^ {re.escape(property_id)} +proved ", result.stdout, re.MULTILINE), property_id
    last = result.stdout.strip().splitlines()[-1]
    assert re.fullmatch(
        r"PROVED: \d+ theorems, [\d,]+ obligations twice, for disks of every size, in .* about 64-bit integers in .*",
        last,
    )
    found = re.search(r"<!-- output: \./run cbtspec prove -->\n```\n(.*?)```\n<!-- end -->", README, re.DOTALL)
    assert found is not None
    shown = [line for line in masked(found[1]).splitlines() if line.strip() and line.strip() != "…"]
    assert len(shown) > 40
    printed = masked(result.stdout).splitlines()
    assert [line for line in shown if line not in printed and not line.startswith("PROVED")] == []
    assert re.sub(r"[\d,]+ about", "N about", masked(last)) in re.sub(r"[\d,]+ about", "N about", masked(found[1]))


@pytest.mark.usefixtures("few_scenes")
def test_one_theorem_and_json() -> None:
    result = run("--only", "FAILURE-KEEPS", "--format", "json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    (one,) = data["theorems"]
    assert (one["id"], one["verdict"], data["proved"]) == ("FAILURE-KEEPS", "proved", True)
    assert one["statement"] == statement("FAILURE-KEEPS")
    assert one["obligations"] > 0
    both = {"universal disk": True, "generic block": True}
    assert one["found_by"] == both
    assert one["seeded_mistakes"] == {"abdicate-on-failure": both, "leftovers-only-where-dirty": both}
    assert data["failures"] == data["disagreements"] == data["never_seen"] == data["unknown"] == []


def test_one_theorem_about_numbers() -> None:
    result = run("--only", "granules-cover-the-disk")
    assert result.exit_code == 0
    assert "PROVED: 1 theorem, 7 about 64-bit integers" in result.stdout


@pytest.mark.usefixtures("few_scenes", "nothing_seeded")
def test_a_theorem_that_fails_is_shown_with_its_block() -> None:
    with applied(vacuity.mutant("drop-successor-on-failure")):
        result = run("--only", "FAILURE-KEEPS")
        data = json.loads(run("--only", "FAILURE-KEEPS", "--format", "json").stdout)
    assert result.exit_code == 2
    text = result.stdout
    assert re.search(r"FAILURE-KEEPS +fails ", text)
    assert "a job with a bitmap, and a write: cancel j  (universal disk, generic block)" in text
    assert re.search(r"d/a's successor owed +█", text)
    assert re.search(r"d/a owed +· +·", text)
    assert re.search(r"j +running, never  →  not there", text)
    assert "✗ j: owed before, so owed still" in text
    assert text.count("our block") == 2, "not more than the first two"
    assert "again: cbtspec prove --only FAILURE-KEEPS" in text
    assert text.strip().endswith("NOT PROVED.")
    assert data["proved"] is False
    shortest = data["failures"][0]
    assert shortest["counterexample"]["before"]["sets"]["d/a's successor owed"] is True
    assert data["disagreements"] == []


@pytest.mark.usefixtures("few_scenes", "nothing_seeded")
@pytest.mark.parametrize("name", ["lists-blocks", "compares-sets"])
def test_a_specification_that_looks_inside_a_set_fails_clearly(name: str) -> None:
    with applied(vacuity.mutant(name)):
        result = run("--only", "OPAQUE")
    assert result.exit_code == 2
    assert "✗ the specification looks inside a set: it " in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.usefixtures("few_scenes")
def test_a_dead_pipeline_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = vacuity.Mistake("lists-blocks", A_JOB.name, "no such command")
    monkeypatch.setitem(vacuity.SEEDED, "ATOMIC", (*vacuity.SEEDED["ATOMIC"], nowhere))
    result = run("--only", "ATOMIC")
    assert result.exit_code == 2
    assert "lists-blocks is not found by the universal disk: ATOMIC says nothing" in result.stdout


@pytest.mark.usefixtures("few_scenes")
def test_what_was_never_seen_is_a_failure() -> None:
    result = run()
    assert result.exit_code == 2
    assert "never seen: MergeBitmaps in a transaction" in result.stdout


def test_a_scene_without_a_possible_path_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(prover: Prover) -> Iterator[Item]:
        from cbtmodel.claims import Fact

        yield Assume(Fact("no", False))

    monkeypatch.setattr(command, "scenes", lambda: [Scene("contradiction", "nothing", impossible)])
    result = run("--only", "ATOMIC")
    assert result.exit_code == 2
    assert "assumptions: contradiction: nothing" in result.stdout


@pytest.mark.usefixtures("few_scenes", "nothing_seeded")
def test_provers_that_disagree_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(self: Any, claim: Any) -> None:
        return None

    monkeypatch.setattr(generic_block.GenericBlock, "witness", blind)
    with applied(vacuity.mutant("drop-successor-on-failure")):
        result = run("--only", "FAILURE-KEEPS")
    assert result.exit_code == 2
    assert "the provers disagree: a job with a bitmap, and a write: cancel j: FAILURE-KEEPS" in result.stdout
    assert "(universal disk)" in result.stdout


@pytest.mark.usefixtures("few_scenes", "nothing_seeded")
def test_a_prover_that_gives_up_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsure(self: Any, known: Any, formula: Any) -> bool:
        raise GaveUp("no idea")

    monkeypatch.setattr(generic_block.Solver, "possible", unsure)
    result = run("--only", "ATOMIC")
    assert result.exit_code == 2
    assert "unknown: a job with a bitmap, and a write" in result.stdout
    assert "generic block: no idea" in result.stdout


def test_an_unknown_theorem_is_a_usage_error() -> None:
    result = run("--only", "NOTHING")
    assert result.exit_code == 64
    assert "there is no theorem 'NOTHING'; there are: NO DIRTY WRITE IS EVER LOST, " in result.stderr
    assert result.stderr.count("\n") == 1


def test_each_theorem_has_a_statement_and_a_mistake() -> None:
    assert set(vacuity.SEEDED) == set(THEOREMS)
    for property_id in THEOREMS:
        assert statement(property_id).endswith("."), property_id
    with pytest.raises(KeyError):
        statement("NOTHING")


def test_only_leaves_the_rest_out() -> None:
    few = [each for each in scenes() if each.cast == A_JOB.name][:20]
    *_, proved = prove(listed=few, only="ATOMIC")
    assert set(proved.obligations) == {"ATOMIC", "OPAQUE"}
