"""The reports for QEMU's tracker: each has its steps as they are run here, and what is quoted is seen again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STEPS = ROOT / "examples/crashes/steps"
TICKETS = ROOT / "docs/findings/tickets"
NAMES = sorted(path.stem for path in STEPS.glob("*.sh") if path.stem != "begin")
SECTIONS = ["Versions", "Description", "Steps to reproduce", "Expected", "Actual", "Cause", "Proposed mend"]
MENDED = {
    "crash-7": (11, "Block node 'n' has no driver left to reopen"),
    "crash-10": (11, "Cannot add a persistent bitmap to read-only or inactive node 'n'"),
}
"""From which version on something else is seen, and what."""

every = pytest.mark.parametrize("name", NAMES)
slow = pytest.mark.skipif(os.environ.get("CBTSPEC_DEEP") != "1", reason="takes a minute: set CBTSPEC_DEEP=1")


def script(name: str) -> str:
    return f"{(STEPS / 'begin.sh').read_text()}\n{(STEPS / f'{name}.sh').read_text()}"


def test_each_has_a_ticket_and_no_other() -> None:
    assert {path.stem for path in TICKETS.glob("*.md")} == {*NAMES, "README"}
    titles = {name: (TICKETS / f"{name}.md").read_text().splitlines()[0].removeprefix("# ") for name in NAMES}
    page = (TICKETS / "README.md").read_text()
    assert dict(re.findall(r"^\| \[[\w-]+\]\(([\w-]+)\.md\) \| (.*) \|$", page, re.MULTILINE)) == titles


@every
def test_a_ticket_is_whole_by_itself(name: str) -> None:
    text = (TICKETS / f"{name}.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert f"```sh\n{script(name)}```\n" in text
    assert "](" not in text, "links lead nowhere in a tracker"


@slow
@every
def test_what_a_ticket_quotes_is_seen(name: str, binary: str, tmp_path: Path) -> None:
    if not (shutil.which("qemu-img") and shutil.which("qemu-io")):
        pytest.skip("there is no qemu-img, or no qemu-io")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", version)
    assert found is not None
    done = subprocess.run(
        ["sh", "-c", script(name)], cwd=tmp_path, env={**os.environ, "QSD": binary}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    quoted = (TICKETS / f"{name}.md").read_text().split("## Actual\n\n```\n")[1].split("\n```")[0].splitlines()
    first, instead = MENDED.get(name, (99, ""))
    if int(found[1]) >= first:
        quoted = [instead]
    assert [each for each in quoted if each not in done.stdout] == [], done.stdout
