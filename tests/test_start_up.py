"""What is heavy is imported when it is needed, and not before: looked up in `sys.modules`, whatever the machine."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from cbtcheck.cli.command import SUBCOMMANDS, main
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
COMMANDS = ROOT / "conformance/cbtcheck/cli"
SCENARIO = ROOT / "conformance/cbtcheck/workflows/3-chain.json"
TRACE = """{"format": "cbtspec-trace", "version": 1, "disks": {"disk0": 1048576}}
{"do": "add-bitmap", "node": "disk0", "name": "b0", "granularity": 65536}
"""
CONVERSATION = """{"do":"disks","disks":{"disk0":1048576},"block":4096}
{"do":"bounds"}
"""
HEAVY = {"z3", "crosshair", "hypothesis", "jinja2", "junitparser", "covertable", "rich"}
CODE = """
import sys
from cbtcheck.cli.entry import main
code = main()
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


def loaded(*words: str, given: str = "", code: int = 0) -> set[str]:
    """The top-level packages that are imported when a call of `cbtspec` is over."""
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return {each.partition(".")[0] for each in done.stderr.splitlines()[-1].split()}


def test_the_check_would_see_what_is_imported() -> None:
    command = [sys.executable, "-c", "import rich.console, junitparser\n" + CODE, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"rich", "junitparser"} <= set(done.stderr.split())


HELP = [["--help"], *([each, "--help"] for each in SUBCOMMANDS)]
MISTAKES = [["check", "--nonsense"], ["check", "nonsense"], ["replay"], ["nonsense"]]


@pytest.mark.parametrize("words", [["--version"], *HELP], ids=" ".join)
def test_version_and_help_import_nothing_heavy(words: list[str]) -> None:
    assert not loaded(*words) & HEAVY


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_of_the_caller_imports_nothing_heavy(words: list[str]) -> None:
    assert not loaded(*words, code=64) & HEAVY


def test_a_replay_imports_what_draws_and_nothing_else() -> None:
    assert loaded("replay", str(SCENARIO)) & HEAVY == {"rich"}


def test_a_trace_is_verified_with_what_prints_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(TRACE)
    assert loaded("verify", str(tmp_path / "trace.jsonl")) & HEAVY == {"rich"}
    assert not loaded("verify", str(tmp_path / "trace.jsonl"), "--output", "json") & HEAVY


def test_the_oracle_imports_nothing_heavy() -> None:
    assert not loaded("oracle", given=CONVERSATION) & HEAVY


def test_what_is_not_installed_is_named_in_one_line() -> None:
    without = "import sys; sys.modules['z3'] = None\n" + CODE.replace("print(", "0 and print(")
    done = subprocess.run([sys.executable, "-c", without, "prove"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("cbtspec: prove needs Z3: pip install 'cbtspec[proofs]'")


def test_the_list_of_subcommands_says_what_each_is() -> None:
    """It is written apart from them, so that none is imported for it."""
    listed = CliRunner().invoke(main, ["--help"], terminal_width=100).output
    for name, (_, told) in SUBCOMMANDS.items():
        assert f"{name:<9}  {told}" in listed
        found = main.get_command(click.Context(main), name)
        assert found is not None
        assert found.help
    assert {each.stem for each in COMMANDS.glob("*.py") if "@click.command" in each.read_text()} == set(SUBCOMMANDS)
