"""Ctrl-C while several processes prove: all of them end, without a word, and nothing is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtcheck.host.child.guard import descendants, processor_seconds
from waiting import eventually, finished


@pytest.fixture
def proving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cbtcheck", "prove", "--again", "--jobs", "2"]
    process = subprocess.Popen(
        command, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0])
def test_ctrl_c_ends_all_processes_and_keeps_nothing(
    proving: subprocess.Popen[str], seconds: float, tmp_path: Path
) -> None:
    """`seconds` of processor time that two of its processes have had: they start, import, or prove."""

    def far_enough() -> bool:
        assert proving.poll() is None, proving.communicate()
        busy = [each for each in descendants(proving.pid) if processor_seconds(each) >= seconds]
        return len(busy) >= 2

    eventually(far_enough)
    children = descendants(proving.pid)
    os.killpg(proving.pid, signal.SIGINT)  # as a terminal does
    _, errors = finished(proving)
    assert proving.returncode == 130
    assert "Traceback" not in errors
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in children))
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
