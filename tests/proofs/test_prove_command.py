"""`cbtspec prove`: what it prints, how it ends, and that it says so when something is not as it ought to be."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.cli import kept_proof
from cbtcheck.cli import proving as command
from cbtcheck.cli.command import main
from cbtcheck.cli.problem import Problem
from cbtcheck.cli.proof_tasks import Numbers, Scenes, Seeded, each_done
from cbtcheck.cli.proved import Outcome, to_plain
from cbtcheck.cli.proved_before import outcome_of
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive import generic_block, vacuity
from cbtproofs.inductive.prove import PROVERS, Proved, batches, prove, prove_together
from cbtproofs.inductive.script import Assume, GaveUp, Item, Prover
from cbtproofs.inductive.stage import A_JOB, Scene, scenes
from cbtproofs.inductive.statements import THEOREMS, statement
from cbtproofs.mutants.mutant import applied
from click.testing import CliRunner, Result

ROOT = Path(__file__).parents[2]
README = (ROOT / "docs/understand/proving.md").read_text()


def run(*options: str) -> Result:
    """In this process, where mutants are applied and scenes left out; and nothing is kept of that."""
    return CliRunner().invoke(main, ["prove", "--jobs", "1", "--again", *options], catch_exceptions=False)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests keep is nobody else's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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

    monkeypatch.setattr(generic_block.GenericBlock, "doubt", blind)
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


# More than one process, and results that are kept


def without_times(data: Any) -> Any:
    """A report as JSON, without what differs from run to run."""
    if isinstance(data, dict):
        return {key: without_times(each) for key, each in data.items() if not key.endswith("seconds")}
    return [without_times(each) for each in data] if isinstance(data, list) else data


def some(jobs: int) -> Outcome:
    """What comes of the first scenes, of a seeded mistake, and of some theorems about integers."""
    outcome = Outcome(("ATOMIC",))
    tasks = (*(Scenes(number, None) for number in range(5)), Seeded("ATOMIC"), Numbers(1), Numbers(2))
    for task, found in each_done(tasks, jobs):
        command.take(outcome, task, found)
    return outcome


def test_the_report_of_two_processes_is_that_of_one() -> None:
    one, two = (to_plain(some(jobs)) for jobs in (1, 2))
    assert one["obligations"]["EFFECT"] > 0
    assert one["theorems"][0]["found_by"] == {"universal disk": True, "generic block": True}
    assert without_times(one) == without_times(two)


def test_what_is_kept_is_shown_as_it_was_proved() -> None:
    report = to_plain(some(1))
    again = to_plain(outcome_of(kept_proof.Kept("", 1, "digest", "then", report, "")))
    assert again == report | {"kept": {"digest": "digest", "proved_at": "then"}}


def test_what_fails_in_another_process_is_shown_as_if_it_were_this_one() -> None:
    with applied(vacuity.mutant("clear-does-nothing")):
        wrong = prove_together(PROVERS, [*vacuity.SEEDED["EFFECT"][0].scenes()])
    report = to_plain(Outcome(("EFFECT",), wrong))
    assert report["failures"]
    wrong.without_scripts()
    sent: Proved = pickle.loads(pickle.dumps(wrong))
    assert to_plain(Outcome(("EFFECT",), sent)) == report


def test_a_process_that_is_killed_is_said_in_one_line() -> None:
    class Deadly:
        """Ends whoever is sent it."""

        def __reduce__(self) -> Any:
            return os._exit, (1,)

    deadly: Any = Deadly()
    with pytest.raises(Problem, match="a process that was proving was killed"):
        list(each_done((deadly, deadly), 2))


@pytest.mark.parametrize("name", ["", "clear-busy", "no-copy-before-write", "compares-sets"])
def test_scenes_that_begin_alike_say_together_what_each_says_alone(name: str) -> None:
    batch = next(each for each in batches(scenes()) if each[0].cast == A_JOB.name and len(each) > 20)
    few = [each for each in batch if type(each.command).__name__ in ("ClearBitmap", "StartBackup", "Write")]
    with applied(vacuity.mutant(name)) if name else nullcontext():
        alone, together = Proved(), prove_together(PROVERS, few)
        for each in few:
            alone.merge(prove_together(PROVERS, [each]))
    said, said_too = (without_times(to_plain(Outcome((), each))) for each in (alone, together))
    for each in (said, said_too):
        for failure in each["failures"]:
            assert failure.pop("counterexample") is not None  # any block will do
        each["failures"].sort(key=repr)
    assert said == said_too
    assert alone.seen == together.seen
    assert bool(alone.failures) == bool(name)


def numbers_only(*options: str) -> Result:
    """A run that takes a moment."""
    return CliRunner().invoke(main, ["prove", "--only", "granules-cover-the-disk", *options], catch_exceptions=False)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the result of that is kept, after a first run."""
    result = numbers_only()
    assert "kept:" not in result.stdout
    return next((tmp_path / "cache/cbtspec").iterdir())


def test_what_was_proved_is_not_proved_again_and_says_so(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_prove", None)
    result = numbers_only()
    assert result.exit_code == 0
    said = json.loads(kept.read_bytes())
    told = f"kept: this was proved at {said['proved_at']} from the same sources, Python and Z3"
    assert f"{told} (digest {said['digest'][:12]}), and not in this run; anew: cbtspec prove --again" in result.stdout
    assert "PROVED: 1 theorem, 7 about 64-bit integers" in result.stdout
    data = json.loads(numbers_only("--format", "json").stdout)
    assert data["kept"] == {"digest": said["digest"], "proved_at": said["proved_at"]}
    assert data | {"kept": None} == said["report"]


def test_it_is_proved_anew_if_that_is_asked_for(kept: Path) -> None:
    long_ago = "2020-01-01T00:00:00+00:00"
    data = json.loads(kept.read_bytes())
    checksum = kept_proof._checksum(long_ago, data["report"])
    kept.write_text(json.dumps(data | {"proved_at": long_ago, "checksum": checksum}))
    assert json.loads(numbers_only("--format", "json").stdout)["kept"]["proved_at"] == long_ago
    result = numbers_only("--again", "--format", "json")
    assert json.loads(result.stdout)["kept"] is None
    assert json.loads(kept.read_bytes())["proved_at"] > long_ago


def damaged(whole: bytes) -> Iterator[bytes]:
    data = json.loads(whole)
    yield b""
    yield whole[: len(whole) // 2]
    yield b"\xff" + whole
    yield json.dumps(data | {"version": 2}).encode()
    yield json.dumps(data | {"digest": "0" * 64}).encode()
    yield json.dumps(data | {"proved_at": "2020-01-01T00:00:00+00:00"}).encode()
    yield json.dumps(data | {"report": data["report"] | {"proved": False}}).encode()
    data["report"]["theorems"][0]["obligations"] += 1
    yield json.dumps(data).encode()


def test_what_is_damaged_or_of_something_else_is_not_trusted(kept: Path) -> None:
    whole = kept.read_bytes()
    for each in damaged(whole):
        assert kept_proof.read("granules-cover-the-disk") is not None
        kept.write_bytes(each)
        assert kept_proof.read("granules-cover-the-disk") is None
        kept.write_bytes(whole)


def test_a_changed_source_is_proved_anew(tmp_path: Path) -> None:
    """A mistake in a file of the specification: what was kept is not the result any more."""
    changed = tmp_path / "changed"
    for each in ("conformance", "impl", "model", "proofs", "wire"):
        shutil.copytree(ROOT / each, changed / each, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join(str(changed / each) for each in ("conformance", "impl", "model", "proofs", "wire"))
    theorem = "granularities-are-the-powers-of-two-from-512"
    words = [sys.executable, "-m", "cbtcheck", "prove", "--only", theorem, "--format", "json"]

    def proved() -> tuple[int, dict[str, Any]]:
        done = subprocess.run(words, env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout)

    (code, first), (again, second) = proved(), proved()
    assert (code, again, first["kept"], second["proved"]) == (0, 0, None, True)
    assert second["kept"] is not None
    file = changed / "model/cbtmodel/node.py"
    right = file.read_text()
    file.write_text(right.replace("granularity.bit_count() == 1", "granularity.bit_count() <= 2"))
    assert file.read_text() != right
    code, third = proved()
    assert (code, third["kept"], third["proved"]) == (2, None, False)
    file.write_text(right)
    assert proved()[1]["kept"] == second["kept"], "what fails takes nothing's place"


def test_where_nothing_can_be_written_it_is_proved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        result = numbers_only()
        assert (result.exit_code, "kept:" in result.stdout, result.stderr) == (0, False, "")


def test_an_interrupted_run_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(outcome: Any, jobs: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_prove", interrupted)
    CliRunner().invoke(main, ["prove", "--only", "granules-cover-the-disk"])
    assert not (tmp_path / "cache").exists()


def test_what_was_changed_meanwhile_is_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = kept_proof.read("granules-cover-the-disk")
    assert report is not None
    kept.unlink()
    kept_proof.write("granules-cover-the-disk", report.report, "of before")
    assert not kept.exists()


@pytest.mark.usefixtures("kept")
def test_whoever_has_applied_a_mutant_never_meets_it() -> None:
    assert kept_proof.read("granules-cover-the-disk") is not None
    with applied(vacuity.mutant("clear-does-nothing")):
        assert kept_proof.read("granules-cover-the-disk") is None
