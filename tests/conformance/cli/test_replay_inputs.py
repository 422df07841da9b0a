"""Scenarios that `cbtspec replay` once got wrong, and the right value of each. (Those for QEMU are in `accused`.)"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from click.testing import CliRunner, Result

INPUTS = Path(__file__).parent / "inputs"
MEMORY = 1 << 30


def replayed(name: str) -> Result:
    return CliRunner().invoke(main, ["replay", str(INPUTS / f"{name}.json")])


def test_what_a_clear_after_the_backup_has_waived_is_said_with_ranges_and_commands() -> None:
    done = replayed("forum-clear-after-full")
    assert done.exit_code == 7
    assert "DOES NOT RESTORE" in done.output
    assert "lost: 0+4K, waived: command 5 (clear disk0/b0)" in done.output
    assert "Waived, and in no backup that completed: 8K+4K of disk0/b0, by command 10 (clear disk0/b0)" in done.output
    assert done.output.endswith("unsafe (the commands): what was backed up does not give the disk back: inc\n")


def test_a_disk_without_a_name_is_refused_in_one_line() -> None:
    done = replayed("replay-empty-disk-name")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert "a disk is named ''" in done.stderr


def test_control_characters_of_a_title_are_escaped() -> None:
    done = replayed("replay-escape-title")
    assert done.exit_code == 0
    assert r"\x1b]0;pwn\x07\x1b[31mred" in done.output
    assert all(each.isprintable() or each == "\n" for each in done.output)


@pytest.mark.parametrize(("name", "codes"), [("replay-4GB", (64,)), ("replay-memoryerror", (0, 64))])
def test_it_is_refused_or_played_within_a_limit_of_memory(name: str, codes: tuple[int, ...]) -> None:
    """In a process of its own, that cannot have more: so what it says is not what is said of too little memory."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    code = "from cbtcheck.cli.command import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "replay", str(INPUTS / f"{name}.json")],
        capture_output=True, text=True, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode in codes
    assert "Traceback" not in done.stderr
    assert "broken" not in done.stdout
    if done.returncode == 64:
        assert done.stderr.count("\n") == 1
        assert "memory" in done.stderr
    else:
        assert done.stdout.endswith("agrees at every step\n")
