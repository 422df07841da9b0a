"""What hangs turns a test red: the suite's own tests have a limit, far beyond what any of them takes."""

import subprocess
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

HANGS = """
import threading
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtmodel import commands as c

class Hangs(ReferenceAdapter):
    def perform(self, command, hint):
        threading.Event().wait()

def test_a_mutated_adapter_hangs():
    player = Player(Hangs())
    player.begin({"d": 4096})
    player.play(c.AddBitmap("d", "b", 512))
"""


def test_an_adapter_that_hangs_makes_its_test_fail(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    words = ["-c", str(PYPROJECT), "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-o", "timeout=3"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Timeout" in ran.stdout
    assert "1 failed" in ran.stdout


def test_the_limit_is_so_generous_that_it_never_decides_on_speed() -> None:
    configured = tomllib.loads(PYPROJECT.read_text())["tool"]["pytest"]["ini_options"]["timeout"]
    assert configured >= 600
