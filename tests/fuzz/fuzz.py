"""Fuzzes what reads from outside, with coverage: `python tests/fuzz/fuzz.py TARGET [-max_total_time=60 …]`.

It needs `pip install atheris`, which is no dependency of the project. Each target takes bytes; whatever they are, it
may raise the one exception that is meant for bad input, with a message of one line, and nothing else. What libFuzzer
is given begins with the seeds of `seeds`.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cbtcheck", "cbtmodel"]):
    from targets import TARGETS

from mutate import mutated_lines


def mutator(raw: bytes, most: int, seed: int) -> bytes:
    """Half of the time something that is nearly right; bytes that are changed anyhow are hardly ever JSON."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        changed = mutated_lines(raw, dice)
        if len(changed) <= most:
            return changed
    return bytes(atheris.Mutate(raw, most))


def main() -> None:
    """Runs libFuzzer on a target, with whatever else is on the command line for it."""
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="cbtspec-fuzz-") as corpus:
        for number, seed in enumerate(target.seeds()):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], target.read, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
