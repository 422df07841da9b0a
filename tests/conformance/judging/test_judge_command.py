"""`cbtspec judge` from the command line, on a real QEMU."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.host.child.guard import children, name
from cbtcheck.host.pace import Patience
from cbtcheck.judging.schedule import read_schedule
from click.testing import CliRunner, Result

EXAMPLES = Path(__file__).parents[3] / "examples" / "judge"
pytestmark = pytest.mark.qemu


Judged = Callable[..., Result]


@pytest.fixture
def judge(binary: str, tmp_path: Path) -> Judged:
    def judged(*arguments: str) -> Result:
        more = ["--qemu", binary, "--reports", str(tmp_path / "reports")]
        return CliRunner().invoke(main, ["judge", *arguments, *more])

    return judged


def commands(script: str) -> list[str]:
    return [
        "--backup", f"sh {EXAMPLES}/{script}.sh {{qmp}} full",
        "--increment", f"sh {EXAMPLES}/{script}.sh {{qmp}} increment",
        "--restore", f"sh {EXAMPLES}/{script}.sh {{qmp}} restore {{out}}",
    ]  # fmt: skip


def test_a_wrong_tool_is_unsafe_and_its_shortest_schedule_can_be_played_again(judge: Judged, tmp_path: Path) -> None:
    file = str(EXAMPLES / "added-after-the-full.toml")
    done = judge(file, "--only", "window 1/reply/blockdev-backup/1")
    assert done.exit_code == 7, done.output
    assert "after blockdev-backup of run 1, before job-dismiss of run 1" in done.output
    assert "verify     agrees: the backups do not give the disk back" in done.output
    assert "UNSAFE in profile quick" in done.output
    saved, = (tmp_path / "reports").glob("*.json")
    short = read_schedule(saved)
    assert len(short.writes) == 1
    assert short.increments == 1
    again = judge(file, "--play", str(saved))
    assert again.exit_code == 7, again.output
    assert "← lost" in again.output
    log, = (tmp_path / "reports").glob("*.qmp")
    verified = CliRunner().invoke(main, ["verify", "--guest", "recorded", "--disk", "disk0=1576K", str(log)])
    assert verified.exit_code == 7, verified.output


def test_a_right_tool_is_safe_and_what_is_done_is_not_done_again(judge: Judged, tmp_path: Path) -> None:
    words = [*commands("right"), "--increments", "1", "--only", "window 2/reply/transaction"]
    words += ["--resume", str(tmp_path / "kept")]
    done = judge(*words)
    assert done.exit_code == 6, done.output
    assert "came out     safe 2" in done.output
    assert not (tmp_path / "reports").exists()
    kept = tmp_path / "kept" / "done.jsonl"
    lines = kept.read_bytes().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["schedule"]["name"] == "window 2/reply/transaction/1"
    kept.write_bytes(b"\n".join([*lines, lines[1][:100]]))  # a run that was killed while it wrote
    again = judge(*words)
    assert again.exit_code == 6, again.output
    assert "; 1 of them in runs before" in again.output
    other = judge(*words, "--seed", "1")
    assert other.exit_code == 64
    assert "of another tool (or its files have changed), other disks, or another seed" in other.output


def test_a_tool_that_fails_by_itself_cannot_be_judged(judge: Judged) -> None:
    done = judge("--backup", "echo no licence; exit 2", "--increment", "true", "--restore", "true {out}")
    assert done.exit_code == 64
    assert "the tool fails though nothing happens to it" in done.output
    assert "no licence" in done.output


def test_a_tool_that_says_it_has_restored_and_has_not_is_unsafe(judge: Judged) -> None:
    done = judge("--backup", "true", "--increment", "true", "--restore", "true {out}", "--only", "drawn 0")
    assert done.exit_code == 7, done.output
    assert "the restore succeeded, and there is no image of disk0" in done.output


def test_a_socket_that_the_tool_cannot_be_told_is_made_there_and_removed(judge: Judged, tmp_path: Path) -> None:
    socket = tmp_path / "qemu.sock"
    words = [each.replace("{qmp}", str(socket)) for each in commands("right")]
    done = judge(*words, "--qmp", str(socket), "--increments", "0", "--only", "window 1/reply/transaction/1")
    assert done.exit_code == 6, done.output
    assert not socket.exists()


def test_an_increment_that_copies_everything_is_wasteful(judge: Judged, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "right.sh", tmp_path / "all.sh")
    shutil.copy(EXAMPLES / "qmp.py", tmp_path)
    tool = f"sh {tmp_path}/all.sh {{qmp}}"
    words = ["--backup", f"{tool} full", "--increment", f"true && {tool} full"]
    done = judge(*words, "--restore", f"{tool} restore {{out}}", "--only", "window 2/start")
    assert done.exit_code == 1, done.output
    assert "the increment copied 1600K" in done.output


def test_a_run_that_is_killed_leaves_nothing_running(binary: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "cbtcheck", "judge", str(EXAMPLES / "right.toml"), "--qemu", binary, "--jobs", "2"]
    kept = tmp_path / "kept"
    more = ["--resume", str(kept), "--reports", str(tmp_path / "reports")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([*words, *more], env=environment, stdout=subprocess.DEVNULL) as process:
        done = kept / "done.jsonl"
        assert wait_until(lambda: done.exists() and len(done.read_bytes().splitlines()) > 1)
        assert tools_in(str(tmp_path))
        workers = children(process.pid)
        process.kill()
    assert wait_until(lambda: not tools_in(str(tmp_path)) and not any(map(name, workers)))


def wait_until(true: Callable[[], bool]) -> bool:
    patience = Patience(60)
    while not true():
        if patience.expired():
            return False
        time.sleep(patience.step() / 50)
    return True


def tools_in(folder: str) -> list[int]:
    """The processes that work in a folder: QEMU, and the tool."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [int(path.parent.name)] if os.readlink(path).startswith(folder) else []
    return found
