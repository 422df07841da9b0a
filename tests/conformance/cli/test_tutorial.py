"""The tutorial does what it says: its pieces are the example, and its commands print what it shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import run

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/use/tutorial.md"
EXAMPLE = ROOT / "examples/python-minimal/adapter.py"
LONGEST = 60
"""Lines of a minimal adapter in Python."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def sessions() -> list[tuple[str, str]]:
    """Every command of the page with what it prints."""
    found = []
    for block in blocks("console"):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = each.partition("\n")
            found.append((command, shown))
    return found


def shows(printed: list[str], shown: list[str]) -> bool:
    """Whether lines are as shown: `…` on a line of its own is any lines, within a line any text."""
    parts: list[list[str]] = [[]]
    for line in shown:
        if line == "…":
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) == 1:
        return alike(printed, shown)
    first, last = parts[0], parts[-1]
    if len(printed) < len(first) + len(last) or not alike(printed[: len(first)], first):
        return False
    at, end = len(first), len(printed) - len(last)
    for part in parts[1:-1]:
        at = next((i for i in range(at, end) if alike(printed[i : min(i + len(part), end)], part)), end) + len(part)
        if at > end:
            return False
    return alike(printed[end:], last)


def alike(printed: list[str], shown: list[str]) -> bool:
    """The same lines, but for text that `…` stands for, and for the width of gaps."""
    return len(printed) == len(shown) and all(map(re.fullmatch, map(as_pattern, shown), printed))


def as_pattern(line: str) -> str:
    return r"\s+".join(".*?".join(map(re.escape, word.split("…"))) for word in line.split())


def prints(command: str, shown: str, where: Path) -> None:
    scripts = where / "bin"
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"PATH": f"{scripts}:{os.environ['PATH']}", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    result = run(["bash", "-c", command], cwd=where, env=environment, stderr=subprocess.DEVNULL, text=True)
    printed = [line.strip() for line in result.stdout.strip().splitlines()]
    assert shows(printed, [line.strip() for line in shown.strip().splitlines()]), f"$ {command}\n{result.stdout}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of one's own, with the commands of the page on the way to it."""
    (tmp_path / "bin").mkdir()
    parts = os.pathsep.join(str(ROOT / each) for each in ("model", "impl", "wire", "conformance", "proofs"))
    python = shlex.quote(sys.executable)
    for name, does in {
        "python3": f"exec {python}",
        "cbtspec": f"PYTHONPATH={shlex.quote(parts)} exec {python} -m cbtcheck",
    }.items():
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\n{does} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def test_the_pieces_are_the_example() -> None:
    assert "\n\n\n".join(each.rstrip("\n") for each in blocks("python")) + "\n" == EXAMPLE.read_text()


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= LONGEST


def test_a_newcomer_gets_where_the_page_says(directory: Path) -> None:
    (directory / "adapter.py").write_text("\n\n\n".join(each.rstrip("\n") for each in blocks("python")) + "\n")
    listed = sessions()
    assert len(listed) > 8
    for command, shown in listed:
        prints(command, shown, directory)


def test_other_output_would_be_seen(directory: Path) -> None:
    prints("echo 1 2 3", "1 … 3\n", directory)
    prints("printf 'a\\nb\\nc\\n'", "a\n…\nc\n", directory)
    for shown in ("1 … 4\n", "1 2\n", "", "1 2 3\n4\n"):
        with pytest.raises(AssertionError):
            prints("echo 1 2 3", shown, directory)
