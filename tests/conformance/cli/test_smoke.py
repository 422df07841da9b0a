"""`cbtspec smoke`: whose fault it is, exit codes, and shell lines that show the failure again."""

import json
import os
import re
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from cbtcheck.cli import command
from click.testing import CliRunner
from waiting import run

ROOT = Path(__file__).parents[3]
HOSTILE = [sys.executable, "-S", "-E", str(Path(__file__).parents[1] / "hostile")]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOSTILE_STATE", str(tmp_path))


def smoke(*words: str, form: str = "pretty", deadline: float = 5):
    options = ["--format", form, "--deadline", str(deadline)]
    return CliRunner().invoke(command.main, ["smoke", "exec", *options, "--", *words], prog_name="cbtspec")


@pytest.mark.parametrize("name", ["right", "right-and-copies", "carriage-returns", "floods-standard-error"])
def test_what_is_right_is_fit(name: str) -> None:
    result = smoke(*HOSTILE, name)
    assert result.exit_code == 0, result.stdout
    assert "FIT" in result.stdout
    assert "✗" not in result.stdout
    lines = result.stdout.splitlines()
    assert "(skipped: the implementation does not claim transaction)" in result.stdout
    assert lines[-1].startswith("Next: cbtspec check exec -- ")


WRONG = {
    "never-answers": ("adapter", "flush its standard output"),
    "dies-at-start": ("adapter", "exited with code 127"),
    "newer-protocol": ("adapter", "another version of the protocol"),
    "garbage": ("adapter", "print logs to standard error"),
    "half-a-line": ("adapter", "no end of the line"),
    "counts-for-itself": ("adapter", "a reply has the seq of its request"),
    "other-names-for-things": ("adapter", "did you mean 'node'?"),
    "segmentation-fault": ("adapter", "SIGSEGV"),
    "nothing-can-be-made-to-happen": ("adapter", "an empty trace"),
    "lives-on": ("adapter", "answer bye, and exit"),
    "claims-too-much": ("implementation", "the capability should not be claimed"),
    "refuses-all": ("implementation", "refused: busy: try again later"),
    "says-done": ("implementation", "look the name up"),
    "loses-the-last-granule": ("implementation", "round outwards"),
    "parts-of-granules": ("adapter", "whole granules"),
    "loses-writes-during-a-backup": ("implementation", "clearing the bitmap instead loses"),
    "forgets-after-a-failure": ("implementation", "has its own granules and its successor's"),
    "copies-too-late": ("implementation", "copied before the write"),
    "works-once": ("implementation", "reset must forget everything"),
    "coarser-than-it-says": ("implementation", "of whole granules"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_apart(name: str) -> None:
    who, words = WRONG[name]
    result = smoke(*HOSTILE, name, deadline=0.5)
    assert f"THE {who.upper()} is wrong" in result.stdout
    assert words in result.stdout
    assert result.exit_code == (3 if who == "adapter" else 2)


@pytest.mark.parametrize("name", ["garbage", "says-done", "loses-writes-during-a-backup", "works-once"])
def test_the_shell_lines_show_it_again(name: str) -> None:
    result = smoke(*HOSTILE, name)
    received = re.search(r"^received  (.*)$", result.stdout, re.MULTILINE)
    by_hand = re.search(r"^By hand:\n\n(.*?)\n\n^Then again", result.stdout, re.DOTALL | re.MULTILINE)
    assert received is not None
    assert by_hand is not None
    shell = run(["sh", "-c", by_hand[1]], text=True)
    assert shell.stdout.splitlines()[-1] == received[1]


SHELL = {
    "exit 7": "exited with code 7",
    "kill -9 $$": "SIGKILL",
    "setsid sleep 1000 & exit 0": "exited with code 0",
    "yes | tr -d '\\n'": "a line of more than 16777216 bytes",
    "cat /dev/zero >&2": "no answer within 0.5 s",
    "exec 0<&- 1>&- 2>&-; sleep 1000": "closed its standard output, and lives on",
    "exec 0<&-; sleep 1000": "closed its standard input, and lives on",
    "trap '' TERM INT HUP; sleep 1000 & sleep 1000; sleep 1000": "no answer within 0.5 s",
    "nohup setsid sh -c 'trap : TERM; sleep 1000; sleep 1000' & sleep 1000": "no answer within 0.5 s",
    "while read x; do echo; done": "an empty line where a reply should be",
    "printf '\\377\\033[2J\\n'; sleep 1000": "not UTF-8",
}
"""Programs of the shell that are no adapters, and what is said of them."""


@pytest.mark.parametrize("script", SHELL)
def test_any_program_is_dealt_with_and_nothing_is_left(script: str, tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    mark = f"smoke-{uuid.uuid4()}"
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SMOKE_MARK", mark)
    result = smoke("sh", "-c", script, deadline=0.5)
    assert (result.exit_code, SHELL[script] in result.stdout) == (3, True), result.stdout
    assert all(line.isprintable() for line in result.output.splitlines())
    assert list(place.iterdir()) == []
    assert marked(mark) == []


def marked(mark: str) -> list[str]:
    """The processes with this in their environment, but for this one."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(each.name) != os.getpid() and mark in (each / "environ").read_text("latin"):
                found.append((each / "cmdline").read_text())
    return found


def test_what_does_not_happen_again_is_said() -> None:
    result = smoke(*HOSTILE, "answers-late-once", deadline=0.5)
    assert result.exit_code == 3
    assert "By hand (when it was tried once more, it did not happen again)" in result.stdout


def test_as_json() -> None:
    result = smoke(*HOSTILE, "dies-in-the-middle", form="json")
    data = json.loads(result.stdout)
    assert (data["fit"], data["exit_code"], data["implementation"]) == (False, 3, "DiesInTheMiddle 1.0 (Python)")
    failure = data["failure"]
    assert (failure["who"], failure["again"], failure["received"]) == ("adapter", True, "")
    assert failure["log"] == ["tracker: assertion failed: granule < count"]
    assert failure["by_hand"].startswith("printf")
    assert [each["outcome"] for each in data["tried"]] == ["right"] * 5 + ["wrong"]
    assert json.loads(smoke(*HOSTILE, "right", form="json").stdout)["failure"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["smoke"], "Missing argument"),
        (["smoke", "qemu"], "Only programs can be tried, not 'qemu'"),
        (["smoke", "exec"], "name it after two hyphens"),
        (["smoke", "exec", "--", "./no-such-program"], "no such program"),
        (["smoke", "exec", "--deadline", "0", "--", "true"], "--deadline"),
    ],
)
def test_a_mistake_of_the_caller_is_one_line(words: list[str], said: str) -> None:
    result = CliRunner().invoke(command.main, words, prog_name="cbtspec")
    assert result.exit_code == 64
    (line,) = result.stderr.splitlines()
    assert said in line
