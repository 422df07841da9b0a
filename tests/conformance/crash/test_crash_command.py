"""`cbtspec crash`: its reports, its exit codes, and what it says when it was not called as it can be."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.crash.finding import Finding
from cbtcheck.crash.history import parsed
from cbtcheck.crash.judge import LOST, Judgement
from cbtcheck.crash.machine import Machine
from cbtcheck.crash.own import Own
from cbtcheck.crash.report import Part, Profile, Report
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import WHOLE, Judged, Place
from cbtcheck.crash.tasks import Cast
from cbtcheck.crash.words import lines, verdict
from click.testing import CliRunner

NOTHING = Profile(0, 0, 0)
SHORT = "open; add b; write 0; close"


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["crash", *words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["other"], "Only qemu, the reference or a program (exec) can be asked"),
        (["--fault", "3:EIO"], "--fault is for one --history"),
        (["--history", "open; fly"], "'fly' is no step of a history"),
        (["--history", "open", "--fault", "x"], "'x' is no fault"),
        (["--history", "open", "--fault", "0:EIO"], "'0:EIO' is no fault"),
        (["--qemu-storage-daemon", "/nowhere/daemon"], "'/nowhere/daemon' is not an executable file"),
        (["--cluster-size", "1000"], "Invalid value for '--cluster-size'"),
    ],
)
def test_a_mistake_of_the_caller_is_one_line(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run(*(["reference"] if "--history" in words else []), *words)
    assert (code, out, len(err.splitlines())) == (64, "", 1)
    assert said in err


def test_what_is_no_daemon_is_one_line() -> None:
    code, out, err = run("--qemu-storage-daemon", "/bin/true")
    assert (code, out, len(err.splitlines())) == (64, "", 1)


def test_the_reference_needs_no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, out, _ = run("reference", "--history", SHORT)
    assert code == 0
    assert "confirmed   none: there is no qemu-storage-daemon" in out
    assert out.endswith("Nothing was found that is not known.\n")
    code, out, _ = run("reference", "--history", SHORT, "--fault", "10:EIO", "--json")
    said = json.loads(out)
    assert (code, said["format"], said["version"], said["adapter"]) == (0, "cbtspec-crash", 1, "reference")
    assert (said["faults"], said["findings"], said["qemu"]) == (1, [], "")
    assert said["judged_per_cpu_second"] > 0
    assert said["confirmed_per_cpu_second"] == 0


def test_rates_are_those_of_what_was_judged_and_opened() -> None:
    report = Report(states=900, states_after_faults=100, confirmed=50, judging=0.25, looks=30, looking=0.1)
    assert "rates       4,000 states judged, 300 opened by QEMU, per second of a processor" in lines(report, NOTHING)
    report.looking = 0.0
    assert "rates       4,000 states judged, per second of a processor" in lines(report, NOTHING)


def test_what_qemu_was_shown_it_is_not_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the guest's data are wanted now, or there is another backing file; and it differs as it did."""
    shown = []

    async def difference(machine: Machine, setting: Setting, content: bytes, data: bool) -> str:
        shown.append((content, setting.backed, data))
        return "otherwise" if content == b"bad" else ""

    monkeypatch.setattr("cbtcheck.crash.tasks.difference", difference)
    looker = Machine.__new__(Machine)
    looker._daemon = None
    cast, part = Cast(Own(), looker), Part()

    def state(content: bytes) -> Judged:
        return Judged(Place(0, 0, ()), content, {}, Judgement("", ""))

    async def work() -> None:
        for _ in range(2):
            for content in (b"good", b"bad"):
                for setting in (Setting(), Setting(backed=True)):
                    for data in (False, True):
                        said = await cast._confirm(part, setting, state(content), "here", data)
                        assert said == ("otherwise" if content == b"bad" else "")

    asyncio.run(work())
    assert len(shown) == len(set(shown)) == part.looks == 8
    assert (part.confirmed, len(part.contents), part.disagreements) == (16, 2, ["here: otherwise"] * 8)


def test_of_each_kind_the_shortest_history_is_kept_and_all_are_counted() -> None:
    report = Report()
    histories = ("open; add b; write 0; close", "open; close", "open; kill")
    for number, text in enumerate(histories):
        finding = Finding(LOST, "close", "", "", f"{number}", Setting(), WHOLE, parsed(text), None)
        report.take(Part(states=10, noted=[finding], disagreements=[text]))
    (kept,) = report.findings.values()
    assert (kept.why, kept.times, report.states, report.disagreements) == ("1", 3, 30, list(histories))


def test_what_was_cut_short_does_not_say_that_it_is_done() -> None:
    assert verdict(Report(interrupted=True)) == "Interrupted. Nothing was found until then that is not known."
    killed = Report(killed="a process of this run was killed")
    assert verdict(killed) == "NO RESULT: a process of this run was killed."
    assert "GIVEN UP    a process of this run was killed" in lines(killed, NOTHING)


@pytest.mark.qemu
def test_what_is_known_is_told_and_is_no_failure(binary: str, tmp_path: Path) -> None:
    words = ("--qemu-storage-daemon", binary, "--history", SHORT, "--cluster-size", "512")
    assert run(*words)[0] == 0
    number = next(n for n in range(15, 60) if "LOST WRITE" in run(*words, "--fault", f"{n}:EIO")[1])
    code, out, _ = run(*words, "--fault", f"{number}:EIO")
    assert code == 0
    assert "LOST WRITE [CRASH-1, known: a store whose last flush fails frees what the header now refers to]" in out
    assert f"--fault {number}:EIO" in out
    assert "FAILED  (close)" in out
    said = json.loads(run(*words, "--fault", f"{number}:EIO", "--json")[1])
    lost = next(each for each in said["findings"] if each["verdict"] == "lost write")
    assert (lost["known"], lost["request"], lost["step"], lost["qemu_differs"]) == ("CRASH-1", "flush", "close", "")
    assert lost["picture"]
