"""What `docs/use/oracle.md` shows is what happens."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.oracle.messages import LONGEST_LINE, MOST_BITMAPS, MOST_DISKS
from cbtcheck.oracle.oracle import MOST_BLOCKS, MOST_WORLDS
from cbtcheck.oracle.service import Service
from waiting import run

PAGE = Path(__file__).parents[3] / "docs/use/oracle.md"
TEXT = PAGE.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_sessions_print_what_is_shown() -> None:
    session: dict[str, Any] = {}
    test = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), session, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 12


@pytest.mark.parametrize(("which", "many"), [(0, 7), (1, 6)])
def test_the_service_answers_what_is_shown(which: int, many: int) -> None:
    conversation = blocks("text")[which]
    service = Service()
    lines = conversation.splitlines()
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    assert len(pairs) == many
    assert len(blocks("text")) == 2
    for said, answered in pairs:
        assert (said[:2], answered[:2]) == ("→ ", "← ")
        assert "← " + service.answer(said[2:].encode()).decode() == answered


def run_pytest(place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(place), str(place)]
    return run(command, text=True, cwd=place)


def test_somebody_elses_tests_are_as_they_are_shown(tmp_path: Path) -> None:
    """They pass; and with the mistake of which the page speaks they fail, and say what the page says."""
    tracker, tests = blocks("python")
    (tmp_path / "tracker.py").write_text(tracker)
    (tmp_path / "test_tracker.py").write_text(tests)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout

    right = "range(offset // granularity, (offset + length - 1) // granularity + 1)"
    assert right in tracker
    wrong = "range(offset // granularity, (offset + length) // granularity)"
    (tmp_path / "tracker.py").write_text(tracker.replace(right, wrong))
    done = run_pytest(tmp_path)
    assert done.returncode == 1, done.stdout
    shown = re.search(r"^    Finding … (.*)$", TEXT, re.MULTILINE)
    assert shown is not None
    for words in shown[1].split(" … "):
        assert words in done.stdout


def test_the_limits_are_those_that_are_told() -> None:
    told = re.search(r"Limits: (.*)\.$", TEXT, re.MULTILINE)
    assert told is not None
    blocks = MOST_BLOCKS.bit_length() - 1
    assert told[1] == (
        f"{LONGEST_LINE >> 20} MiB a line, {MOST_DISKS:,} disks, 2^{blocks} blocks a disk, {MOST_BITMAPS:,} bitmaps, "
        f"{MOST_WORLDS} histories"
    )
    assert f"No more than {MOST_WORLDS} histories" in TEXT
