"""Ctrl-C and SIGTERM at many places of each command: exit code 130, and nothing is said but the usual line.

Nothing depends on time: a copy of the process is interrupted where its code is at a certain place (`every_place.py`).
One place in two hundred is taken, and with CBTSPEC_EVERY_PLACE=1 every fifth, which takes hours.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import run

HERE = Path(__file__).parent
WORKFLOW = str(HERE.parents[2] / "conformance/cbtcheck/workflows/3-chain.json")
TRACE = str(HERE.parent / "trace/traces/everything.jsonl")
DEEP = os.environ.get("CBTSPEC_EVERY_PLACE") == "1"
PERCENT = 20 if DEEP else 0.5
ORACLE = b'{"do":"disks","disks":{"disk0":1048576},"block":4096}\n{"do":"bounds"}\n'
LONG = 20_000.0
COMMANDS = {
    "version": ("--version",),
    "usage": ("replay", "--nonsense"),
    "replay": ("replay", WORKFLOW),
    "verify": ("verify", TRACE),
    "oracle": ("oracle",),
    "explore": ("explore", "--blocks", "1", "--jobs", "0"),
}
DEEPER = {
    "check": ("check", "--only", "pause-job", "--reports", "{tmp}/reports"),
    "tour": ("tour",),
    "prove": ("prove", "--only", "LOCAL", "--again", "--jobs", "1"),
    "vectors": ("vectors", "--out", "{tmp}/vectors"),
    "refine": ("refine",),
}
SAID = ("", "\ncbtspec: interrupted\n", "cbtspec: interrupted\n")


PLAYED = [(name, signal.SIGINT) for name in (*COMMANDS, *(DEEPER if DEEP else ()))]
PLAYED += [(name, signal.SIGTERM) for name in ((*COMMANDS, *DEEPER) if DEEP else ("oracle",))]


@pytest.mark.parametrize(("name", "number"), PLAYED, ids=lambda each: getattr(each, "name", each))
def test_it_ends_as_documented_wherever_it_is_interrupted(name: str, number: signal.Signals, tmp_path: Path) -> None:
    words = [each.format(tmp=tmp_path) for each in (COMMANDS | DEEPER)[name]]
    done = run(
        [sys.executable, HERE / "every_place.py", number.name, str(PERCENT), *words],
        ORACLE if name == "oracle" else None, LONG, cwd=tmp_path, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert ends, done.stderr
    assert [each for each in ends if not as_documented(name, each)] == []


def as_documented(name: str, end: dict[str, Any]) -> bool:
    """Once the command has ended an interrupt is ignored. `check` says on stderr how far it is, too."""
    if end["handler"] == "SIG_IGN":
        return bool(end["code"] == end_of(name))
    silent = end["said"] in SAID or (name == "check" and "Traceback" not in end["said"])
    return end["code"] == 130 and silent


def end_of(name: str) -> int:
    """The exit code where nobody interrupts."""
    return {"usage": 64, "check": 6}.get(name, 0)


# Places of their own

AT = """
import signal, sys

def profile(frame, event, arg):
    if event == "call" and frame.f_code.co_name == {place!r} and signals:
        signal.raise_signal(signals.pop(0))

signals = {signals!r}
sys.setprofile(profile)
sys.argv[1:] = {words!r}
from cbtcheck.cli.entry import main
sys.exit(main())
"""


def interrupted_at(place: str, words: list[str], *signals: int) -> tuple[int, bytes, bytes]:
    """One signal each time that a function of this name is called."""
    done = run([sys.executable, "-c", AT.format(place=place, signals=[int(each) for each in signals], words=words)])
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("place", ["_code_of", "_turn_deaf"])
def test_after_the_command_has_ended_it_was_interrupted(place: str) -> None:
    assert interrupted_at(place, ["oracle", "--schema", "nonsense"], signal.SIGINT)[0] == 130
    code, _, said = interrupted_at(place, ["oracle", "--schema", "nonsense"], signal.SIGINT, signal.SIGTERM)
    assert code == 130
    assert b"Traceback" not in said


def test_while_a_defect_is_explained() -> None:
    words = ["vectors", "--verify", "--out", "\0"]  # the operating system knows no such name
    code, _, said = interrupted_at("_explained", words, signal.SIGINT)
    assert (code, said) == (130, b"")


def test_when_all_has_been_said_it_is_too_late() -> None:
    assert interrupted_at("_flushed", ["--version"], signal.SIGINT, signal.SIGTERM)[0] == 0


SWALLOWED = """
import signal, sys
import cbtcheck.trace.verify as report

class Torn:
    def __del__(self):
        print("deleted", flush=True)
        signal.raise_signal({number})

def for_ever(*_):
    Torn()
    while True:
        sum(range(1000))

report.verify = for_ever
sys.argv[1:] = ["verify", {trace!r}]
from cbtcheck.cli.entry import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_python_drops_comes_again(number: int) -> None:
    done = run([sys.executable, "-c", SWALLOWED.format(number=int(number), trace=TRACE)])
    assert (done.returncode, done.stdout) == (130, b"deleted\n")
    assert done.stderr == b"\ncbtspec: interrupted\n"


TIDYING = """
import signal, sys, time
import cbtcheck.trace.verify as report

def slow_to_tidy(*_):
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        for _ in range(20):
            signal.sigtimedwait((), 0.02)
        print("tidy", flush=True)

report.verify = slow_to_tidy
sys.argv[1:] = ["verify", {trace!r}]
from cbtcheck.cli.entry import main
sys.exit(main())
"""


def test_who_tidies_up_is_not_disturbed() -> None:
    done = run([sys.executable, "-c", TIDYING.format(trace=TRACE)])
    assert (done.returncode, done.stdout, done.stderr) == (130, b"tidy\n", b"\ncbtspec: interrupted\n")


def test_one_that_came_before_the_first_line_is_obeyed_silently() -> None:
    """Whoever starts the command may have it wait until then, as `./run` does."""
    code = (
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [2]); signal.raise_signal(2); "
        "from cbtcheck.cli.entry import main; sys.exit(main())"
    )
    done = run([sys.executable, "-c", code, "--version"])
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


PLAYING = """
import signal, sys
from cbtcheck.run.course import Course
usual = Course.progress

def progress(self, phase, number, of):
    if phase == "tour" and number == 3:
        signal.raise_signal({number})
    usual(self, phase, number, of)

Course.progress = progress
sys.argv[1:] = ["check", "--only", "pause-job", "--reports", {reports!r}]
from cbtcheck.cli.entry import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_found_until_then_is_printed(number: int, tmp_path: Path) -> None:
    done = run([sys.executable, "-c", PLAYING.format(number=int(number), reports=str(tmp_path / "r"))])
    assert done.returncode == 130
    assert b"interrupted" in done.stdout.splitlines()[-1]
    assert b"Traceback" not in done.stderr
