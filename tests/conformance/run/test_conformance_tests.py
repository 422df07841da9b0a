"""The suite as pytest tests of somebody else's project, run as they would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from cbtcheck.adapters import open_adapter
from cbtcheck.run.course import replay
from cbtcheck.scenario.scenario import load
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.families import families
from cbtcheck.search.restarts import subjects

FAITHFUL = Path(__file__).parents[1] / "adapters/faithful.py"
THEIRS = """
from dataclasses import replace
from cbtcheck.adapters import open_adapter
from cbtcheck.conformance_tests import ConformanceTests

class TestTheirs(ConformanceTests):
    writes = 3

    def open_adapter(self):
        adapter = open_adapter("reference", mistake={mistake!r})
        claimed = adapter.capabilities
        adapter.capabilities = replace(
            claimed, commands=claimed.commands - {without!r}, features=claimed.features - {features!r}
        )
        return adapter
"""


def run(
    tmp_path: Path, *arguments: str, mistake: str | None = None, without: frozenset[str] = frozenset(),
    features: frozenset[str] = frozenset(),
) -> str:  # fmt: skip
    """What pytest prints in a project that has this test file, and takes every warning for an error."""
    theirs = THEIRS.format(mistake=mistake, without=set(without), features=set(features))
    (tmp_path / "test_theirs.py").write_text(theirs)
    return pytest_in(tmp_path, *arguments)


def pytest_in(tmp_path: Path, *arguments: str) -> str:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_whole_suite_passes_on_the_reference(tmp_path: Path) -> None:
    said = run(tmp_path, "--cbtspec-examples", "50")
    # Walks, those in context, control sequences, workflows, traps, families, subjects of restarts, worlds of
    # images, long histories, batches. Of the families one is skipped: for the reference nothing is far away.
    tests = 781 + 737 + 430 + 8 + 1 + len(families()) - 1 + len(subjects()) + 4 + 1 + 2
    assert re.search(rf"^{tests} passed", said, re.MULTILINE), said[-2000:]


def test_what_is_not_claimed_is_skipped_with_the_reason(tmp_path: Path) -> None:
    said = run(tmp_path, "-k", "workflow or walk", without=frozenset({"merge-bitmaps"}))
    assert "does not claim merge-bitmaps" in said
    assert re.search(r"\d+ passed, \d+ skipped", said)
    assert "failed" not in said


def test_a_mistake_fails_with_the_shortest_scenario_that_shows_it(tmp_path: Path) -> None:
    said = run(tmp_path, "-k", "drawn", "--cbtspec-seed", "7", mistake="frozen-is-deaf")
    assert "failed" in said
    assert "unsafe [NO-LOST-WRITE]" in said
    assert "✗  unsafe: a write is lost" in said
    assert "cbtspec: drawn with --cbtspec-seed 7" in said
    found = re.search(r"^\{\"format\":.*?^ \]\}$", said, re.DOTALL | re.MULTILINE)
    assert found is not None
    file = tmp_path / "shortest.json"
    file.write_text(found[0])
    scenario = load(file)
    assert len(scenario.commands) <= 5
    findings = replay(open_adapter("reference", mistake="frozen-is-deaf"), scenario)[1]
    assert [each.verdict for each in findings] == [Verdict.UNSAFE]
    assert not replay(open_adapter("reference"), scenario)[1]


def test_restarts_are_tests_by_their_subject_and_a_mistake_fails_those_that_see_it(tmp_path: Path) -> None:
    """What is lost with a job is seen by the workflows in which there is one, and not where no job has the bitmap."""
    said = run(tmp_path, "-k", "restarts", mistake="successor-not-stored")
    failed = set(re.findall(r"^_+ TestTheirs\.test_restarts\[(.*?)\] _+$", said, re.MULTILINE))
    assert {"a-backup-is-running", "a-backup-is-paused"} <= failed
    assert not {"added-disabled", "just-loaded", "opened-read-only"} & failed
    assert f"{len(failed)} failed, {len(subjects()) - len(failed)} passed" in said
    assert "cbtspec: drawn with --cbtspec-seed" in said


def test_a_mistake_fails_the_worlds_of_images_that_show_it(tmp_path: Path) -> None:
    """It takes two bitmaps, which only one of the worlds has."""
    said = run(tmp_path, "-k", "tour_of_images", mistake="second-bitmap-not-stored")
    assert "test_tour_of_images[two-bitmaps-in-an-image] _" in said
    assert "1 failed, 3 passed" in said


def test_whoever_claims_no_images_has_restarts_skipped(tmp_path: Path) -> None:
    said = run(tmp_path, "-k", "restarts or tour_of_images", features=frozenset({"persistence"}))
    assert f"{len(subjects()) + 4} skipped" in said
    assert "the implementation does not claim persistence" in said


def test_an_adapter_that_cannot_be_opened_fails_every_test(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "from cbtcheck.adapter import AdapterUnusable\n"
        "from cbtcheck.conformance_tests import ConformanceTests\n"
        "class TestTheirs(ConformanceTests):\n"
        "    def open_adapter(self):\n"
        "        raise AdapterUnusable('no such program')\n"
    )
    said = pytest_in(tmp_path, "-k", "workflow")
    assert "the adapter cannot be opened: no such program" in said
    assert "8 errors" in said


def test_a_program_is_tried_without_a_warning(tmp_path: Path) -> None:
    """Nothing is left open: neither pipes nor processes."""
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "from cbtcheck.adapters.exec import ExecAdapter\n"
        "from cbtcheck.conformance_tests import ConformanceTests\n"
        "class TestTheirs(ConformanceTests):\n"
        "    def open_adapter(self):\n"
        f"        return ExecAdapter((sys.executable, {str(FAITHFUL)!r}))\n"
    )
    said = pytest_in(tmp_path, "-k", "workflow")
    assert re.search("^8 passed, ", said, re.MULTILINE), said[-2000:]
