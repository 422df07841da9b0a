"""Several processes share a run: the report is the same, and it says so if one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.cli.command import main
from cbtcheck.host.child.guard import descendants, processor_seconds
from click.testing import CliRunner
from waiting import eventually, finished

CBTSPEC = (sys.executable, "-m", "cbtcheck", "crash")
TIMES = ("judged_per_cpu_second", "confirmed_per_cpu_second")
LONG = ("--states", "5000000", "--faults", "0", "--jobs", "2")
Start = Callable[..., "subprocess.Popen[str]"]


def reported(*words: str) -> dict[str, Any]:
    """The report of a run, without what a clock says."""
    done = subprocess.run([*CBTSPEC, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["verdict"]
    return {name: each for name, each in said.items() if name not in TIMES}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, path: str = "/nowhere") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*CBTSPEC, *words], env=os.environ | {"TMPDIR": str(tmp_path), "PATH": path}, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
            each.wait()


def busy(process: subprocess.Popen[str], seconds: float) -> list[int]:
    """Waits until two of its processes have had so many seconds of a processor; gives them."""

    def found() -> list[int]:
        assert process.poll() is None, process.communicate()
        return [each for each in descendants(process.pid) if processor_seconds(each) >= seconds]

    eventually(lambda: len(found()) >= 2)
    return found()


def test_the_report_does_not_depend_on_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    words = ("reference", "--states", "1200", "--faults", "40", "--seed", "5")
    alone = reported(*words)
    assert (alone["faults"], alone["histories"]) == (40, 12)
    assert reported(*words, "--jobs", "2") == alone
    assert reported(*words, "--jobs", "3") == alone


@pytest.mark.qemu
def test_nor_does_it_on_qemu(binary: str) -> None:
    words = ("--qemu-storage-daemon", binary, "--states", "300", "--faults", "12")
    alone = reported(*words)
    assert alone["findings"]
    assert reported(*words, "--jobs", "2") == alone


def test_each_process_has_a_program_of_its_own(tmp_path: Path) -> None:
    """This one keeps nothing, and says so: its bitmaps are gone after each opening."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "for line in sys.stdin:\n"
        "    words = line.split()\n"
        "    if words[0] == 'open': size = int(words[2])\n"
        "    if words[0] == 'read': print('data', '00' * size)\n"
        "    print('ok', flush=True)\n"
    )
    words = ("exec", "--states", "60", "--faults", "3", "--json", "--", sys.executable, str(program))
    alone = CliRunner().invoke(main, ["crash", *words])
    assert alone.exit_code == 0, alone.output
    shared = CliRunner().invoke(main, ["crash", "--jobs", "2", *words])
    said, too = json.loads(alone.stdout), json.loads(shared.stdout)
    assert {**said, **dict.fromkeys(TIMES)} == {**too, **dict.fromkeys(TIMES)}


@pytest.mark.parametrize("first", ["", "import os, time; os.close(0); time.sleep(0.3)"], ids=["at once", "deaf"])
def test_a_program_that_breaks_is_told_by_whichever_process(tmp_path: Path, first: str) -> None:
    """It has gone when it is asked the next thing, or goes when it is."""
    words = ("exec", "--jobs", "2", "--", sys.executable, "-c", f"input(); print('ok', flush=True); {first}")
    done = CliRunner().invoke(main, ["crash", *words])
    assert done.exit_code == 3, done.output
    assert "GIVEN UP" in done.stdout
    assert "it ended at" in done.stdout


def test_a_process_that_is_killed_is_no_pass(start: Start, tmp_path: Path) -> None:
    process = start("reference", *LONG)
    workers = busy(process, 1.5)
    os.kill(workers[-1], signal.SIGKILL)
    out, errors = finished(process)
    assert process.returncode == 64
    assert "GIVEN UP    a process of this run was killed (out of memory?)\n" in out
    assert out.splitlines()[-1].startswith("NO RESULT: a process of this run was killed (out of memory?).")
    assert "Traceback" not in errors
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.5])
def test_ctrl_c_ends_all_and_prints_what_was_found(start: Start, tmp_path: Path, seconds: float) -> None:
    """`seconds` of processor time that two of its processes have had: they start, import, or judge."""
    process = start("reference", *LONG)
    workers = busy(process, seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, errors = finished(process)
    assert process.returncode == 130
    assert "Traceback" not in errors
    if seconds > 1:
        assert "histories   " in out
        assert out.endswith("Interrupted. Nothing was found until then that is not known.\n")
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    assert not list(tmp_path.iterdir())


@pytest.mark.qemu
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_daemon_outlives_the_run(start: Start, binary: str, number: signal.Signals) -> None:
    process = start("qemu", "--qemu-storage-daemon", binary, *LONG, path=os.environ["PATH"])

    def all_play() -> bool:
        assert process.poll() is None, process.communicate()
        names = [Path(f"/proc/{each}/cmdline").read_bytes() for each in descendants(process.pid)]
        return sum(b"--chardev" in each for each in names) == 2 and any(b"spawn_main" in each for each in names)

    busy(process, 1.0)
    eventually(all_play)
    processes = descendants(process.pid)
    os.kill(process.pid, number)
    _, errors = finished(process)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in errors
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in processes))
