"""Guards that are forked from one process: what they guard ends with them, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtcheck.host.child.guards import Guards
from waiting import eventually


class Guarded:
    """What a guard says of a program, and the pipe by which it is told."""

    def __init__(self, guards: Guards, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        orders, self.control = os.pipe()
        status, told = os.pipe()
        output, printed = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        guards.start(command, folder, environment, (nothing, printed, printed), orders, told)
        for each in (orders, told, printed, nothing):
            os.close(each)
        self.status, self.output = os.fdopen(status), os.fdopen(output)

    def line(self) -> list[str]:
        return self.status.readline().split()

    def end(self) -> None:
        os.close(self.control)
        self.status.read()
        self.status.close()
        self.output.close()


@pytest.fixture
def guards() -> Iterator[Guards]:
    before = sorted(os.listdir("/proc/self/fd"))
    made = Guards()
    yield made
    made.close()
    made.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_program_has_its_directory_its_environment_and_its_streams(guards: Guards, tmp_path: Path) -> None:
    strange = os.fsdecode(b"not UTF-8: \xff")
    shown = "os.getcwd(), os.environb[b'SAID'], sys.stdin.read(), len(os.listdir('/proc/self/fd'))"
    text = f"import os, sys; print({shown})"
    it = Guarded(guards, [sys.executable, "-S", "-c", text], tmp_path, {"SAID": strange})
    assert it.line()[0] == "started"
    assert it.line() == ["exited", "0"]
    assert it.output.read() == f"{tmp_path} {os.fsencode(strange)!r}  4\n", "and no descriptor of anybody else"
    it.end()


@pytest.mark.parametrize(("command", "folder"), [("no-such-program", "/"), ("true", "/no-such-directory")])
def test_one_that_cannot_be_started_is_told(guards: Guards, command: str, folder: str) -> None:
    it = Guarded(guards, [command], Path(folder), dict(os.environ))
    assert it.line() == ["cannot", "2"]
    it.end()


def test_two_run_together_and_each_is_ended_by_its_own_pipe(guards: Guards, tmp_path: Path) -> None:
    one, other = (Guarded(guards, ["sleep", "1000"], tmp_path, dict(os.environ)) for _ in range(2))
    (_, first), (_, second) = one.line(), other.line()
    one.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
    os.kill(int(second), 0)
    other.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int(second), 0)


def test_another_process_takes_the_place_of_one_that_was_killed(guards: Guards, tmp_path: Path) -> None:
    one = Guarded(guards, ["sleep", "1000"], tmp_path, dict(os.environ))
    _, pid = one.line()
    assert guards._process is not None
    guards._process.send_signal(signal.SIGKILL)
    guards._process.wait()
    os.kill(int(pid), 0)
    other = Guarded(guards, ["true"], tmp_path, dict(os.environ))
    assert [other.line()[0], other.line()[0]] == ["started", "exited"]
    other.end()
    one.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


KILLED = """
import json, os, sys
from pathlib import Path
from cbtcheck.host.child.guards import Guards
guards = Guards()
orders, control = os.pipe()
status, told = os.pipe()
guards.start(["sleep", "1000"], Path("/"), dict(os.environ), (0, 1, 2), orders, told)
_, pid = os.read(status, 100).split()
print(json.dumps([int(pid), guards._process.pid]), flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_of_a_run_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pids = json.loads(run.stdout.readline())
        run.kill()
        for pid in pids:
            eventually(lambda: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}")  # noqa: B023
