"""`cbtspec crash exec`: the example in C stands, its mistakes are found, and broken programs are told apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from click.testing import CliRunner

SOURCE = Path(__file__).parents[3] / "examples/c-crash/store.c"
MISTAKES = ("no-in-use", "no-flush", "superblock-first")
FLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example, built; without a compiler the test is skipped, or fails if one is required."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        if os.environ.get("CBTSPEC_REQUIRE_TOOLCHAINS") == "1":
            pytest.fail("there is no C compiler")
        pytest.skip("there is no C compiler")
    binary = tmp_path_factory.mktemp("c") / "store"
    subprocess.run([compiler, *FLAGS, "-o", binary, SOURCE], check=True)
    return str(binary)


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["crash", "exec", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_example_stands(store: str) -> None:
    code, out, _ = run("--states", "200", "--faults", "6", "--", store)
    assert code == 0, out
    assert "Nothing was found that is not known." in out


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(store: str, mistake: str) -> None:
    history = "open; add b; write 0; close; open; write 1; close; open; write 2; close"
    code, out, _ = run("--history", history, "--", store, "--mistake", mistake)
    assert code == 2, out
    assert "LOST WRITE" in out
    assert f"-- {store} --mistake {mistake}" in out


def test_the_source_has_no_mistakes_but_these() -> None:
    assert all(f'"{each}"' in SOURCE.read_text() for each in MISTAKES)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """A program in Python that answers each line with this expression."""

    def made(answer: str) -> str:
        path = tmp_path / "program.py"
        path.write_text(f"import sys\nfor line in sys.stdin:\n    print({answer}, flush=True)\n")
        return str(path)

    return made


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("sys.exit(1)", "it ended at 'open rw 65536'"),
        ("'data xyz\\nok'", "what it reads is no hexadecimal data"),
        ("'bitmap b\\nok' if 'bitmaps' in line else 'ok'", "'bitmap b' is no bitmap"),
    ],
)
def test_a_broken_program_is_told_in_one_line(script: Callable[[str], str], answer: str, said: str) -> None:
    code, out, _ = run("--history", "open; add b; write 0; close", "--", sys.executable, script(answer))
    assert code == 3, out
    assert said in out
    assert out.endswith("otherwise than our reader.\n")


def test_a_program_that_cannot_be_started() -> None:
    code, out, err = run("--history", "open", "--", "/nowhere/program")
    assert (code, out) == (64, "")
    assert err == "cbtspec: /nowhere/program cannot be started: No such file or directory\n"
    assert run("--history", "open")[0] == 64
