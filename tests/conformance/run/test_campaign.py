"""A run that is recorded, or on a cluster: the report of a run alone, whoever is killed, and however often."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters import Opening
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run.messages import Introduction
from cbtcheck.run.options import Options
from cbtcheck.run.record import NotThisRun, Record
from waiting import eventually

FEW = ("check", "reference", "--only", "pause-job", "--examples", "50", "--format", "json")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cbtcheck", *arguments]


def cbtspec(where: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*arguments), cwd=where, capture_output=True, text=True, check=False)


def comparable(printed: str) -> Any:
    """A report without its times."""
    report = json.loads(printed)
    for each in ("seconds", "reports"):
        report.pop(each, None)
    for each in report.values():
        if isinstance(each, dict):
            for name in ("seconds", "pairs_per_second"):
                each.pop(name, None)
    return report


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return comparable(cbtspec(tmp_path_factory.mktemp("alone"), *FEW).stdout)


def test_interrupted_and_resumed_with_the_report_of_a_run_alone(tmp_path: Path, alone: Any) -> None:
    done = tmp_path / "night" / "done"
    with subprocess.Popen(command(*FEW, "--resume", "night"), cwd=tmp_path, stdout=subprocess.DEVNULL) as first:
        eventually(lambda: done.exists() and done.stat().st_size > 100_000)
        first.kill()
    whole = done.read_bytes()
    torn = len(whole) - 10  # by a power cut
    done.write_bytes(whole[:torn])
    second = cbtspec(tmp_path, *FEW, "--resume", "night")
    assert "items are done already" in second.stderr
    assert done.read_bytes()[: torn // 2] == whole[: torn // 2], "it goes on, and does not begin anew"
    assert comparable(second.stdout) == alone
    third = cbtspec(tmp_path, *FEW, "--resume", "night")
    assert comparable(third.stdout) == alone, "there is nothing left to play"
    other = cbtspec(tmp_path, *FEW, "--seed", "7", "--resume", "night")
    assert other.returncode == 64
    assert "has another campaign" in other.stderr


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    done = tmp_path / "night" / "done"
    with subprocess.Popen(command(*FEW, "--resume", "night"), cwd=tmp_path, stdout=subprocess.DEVNULL) as first:
        eventually(lambda: done.exists() and done.stat().st_size > 0)
        second = cbtspec(tmp_path, *FEW, "--resume", "night")
        first.kill()
    assert second.returncode == 64
    assert "is in use by a run that has not ended" in second.stderr


def test_a_folder_is_of_one_implementation(tmp_path: Path) -> None:
    opening, options = Opening("reference"), Options("quick", 1, 1, None, None, tmp_path)
    with closing(Record(tmp_path / "night", opening, options)) as first:
        first.met(Introduction("reference", "1", ReferenceAdapter.capabilities))
    again = Record(tmp_path / "night", opening, options)
    with closing(again), pytest.raises(NotThisRun, match="played on 1"):
        again.met(Introduction("reference", "2", ReferenceAdapter.capabilities))


def test_a_worker_that_is_killed_costs_its_items_only(tmp_path: Path, alone: Any) -> None:
    address = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_"]
    common = ["--scheduler-file", str(address), "--no-dashboard"]
    quiet: dict[str, Any] = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started: list[subprocess.Popen[Any]] = []
    try:
        scheduler = [*dask[:2], dask[2] + "scheduler", *common, "--host", "127.0.0.1", "--port", "0"]
        started.append(subprocess.Popen(scheduler, **quiet))
        eventually(lambda: address.exists() and address.stat().st_size > 0)
        at = json.loads(address.read_text())["address"]
        for _ in range(2):
            worker = [*dask[:2], dask[2] + "worker", *common, "--no-nanny", "--nthreads", "1"]
            started.append(subprocess.Popen(worker, **quiet))
        run = subprocess.Popen(command(*FEW, "--cluster", at, "--resume", "night"), cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        started.append(run)
        done = tmp_path / "night" / "done"
        eventually(lambda: (done.exists() and done.stat().st_size > 100_000) or run.poll() is not None)
        started[2].kill()
        printed, said = run.communicate()
    finally:
        for each in reversed(started):
            each.kill()
            each.wait()
    assert "is lost; what it played is played again by another one" in said
    assert comparable(printed) == alone


def test_without_dask_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError\n")
    run = subprocess.run(command("check", "--cluster", "tcp://127.0.0.1:1"), capture_output=True, text=True,
                         check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert run.returncode == 64
    assert "pip install 'cbtspec[cluster]'" in run.stderr
    assert len(run.stderr.splitlines()) == 1
