"""Standard streams that are closed, or cannot be used: said in one line, with the exit code of what was not done."""

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import run

ROOT = Path(__file__).parents[3]
CODE = "import sys; from cbtcheck.cli.entry import main; sys.exit(main())"
DISKS = b'{"do":"disks","disks":{"disk0":1048576},"block":4096}\n'
SCENARIO = str(ROOT / "conformance/cbtcheck/workflows/3-chain.json")
WRITING = [("--version",), ("--help",), ("oracle",), ("oracle", "--schema", "input"), ("replay", SCENARIO)]


def called(streams: str, *words: str, given: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """`cbtspec` with its standard streams as a shell leaves them."""
    line = f'exec "$@" {streams}'
    return run(["sh", "-c", line, "sh", sys.executable, "-c", CODE, *words], given)


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_output_that_is_closed_is_no_success(words: tuple[str, ...]) -> None:
    done = called(">&-", *words, given=DISKS)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, len(said)) == (74, 1), said
    assert "standard output" in said[0]
    assert "cannot be written" in said[0]


@pytest.mark.parametrize("words", [("oracle",), ("verify", "-")], ids=" ".join)
def test_input_that_is_closed_is_said(words: tuple[str, ...]) -> None:
    done = called("<&-", *words)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, said) == (64, said[:1])
    assert said[0].endswith("cannot be read: it is closed")


def test_input_without_a_line_is_said() -> None:
    done = called("", "oracle")
    assert (done.returncode, done.stderr) == (64, b"cbtspec: standard input: no line came\n")


def test_who_reads_and_writes_nothing_needs_neither() -> None:
    done = called("<&- >&-", "check", "--nonsense")
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1


def test_closed_errors_change_nothing_else() -> None:
    done = called("2>&-", "--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"cbtspec ")
