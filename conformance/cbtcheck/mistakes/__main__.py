"""`python -m cbtcheck.mistakes` prints docs/seeded-mistakes.md; with an argument, does more.

`hunt` finds the shortest scenarios anew; `matrix` asks every checker about every mistake, and writes
docs/kill-matrix.md (minutes; run it where docs/ is, or give a file).
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from cbtcheck.mistakes import MISTAKES
from cbtcheck.mistakes.hunting import hunt_down, keep
from cbtcheck.mistakes.matrix import unexplained, whole
from cbtcheck.mistakes.page import page
from cbtcheck.mistakes.table import table
from cbtcheck.progress import ProgressLine
from cbtcheck.saving import write_whole

DOCUMENT = Path("docs/kill-matrix.md")


def main(arguments: list[str]) -> int:
    """Prints the table, hunts, or writes the matrix. Returns 0; 1 if something survives unexplained; 64 for usage."""
    match arguments:
        case []:
            print(table(), end="")
            return 0
        case ["hunt"]:
            return hunt()
        case ["matrix"]:
            return matrix(DOCUMENT)
        case ["matrix", file]:
            return matrix(Path(file))
    print("usage: python -m cbtcheck.mistakes [hunt | matrix [FILE]]", file=sys.stderr)
    return 64


def hunt() -> int:
    """Finds and keeps the shortest scenario of each mistake of the implementation."""
    for mistake in MISTAKES.values():
        found = hunt_down(mistake)
        if found is not None:
            keep(mistake, found)
        length = "NOT FOUND" if found is None else f"{len(found.commands)} commands (at most {mistake.at_most})"
        print(f"{mistake.name}: {length}")
    return 0


def matrix(document: Path) -> int:
    """Asks every checker about every mistake."""
    with ProgressLine(Console(stderr=True)) as progress:
        rows = whole(progress)
    write_whole(document, page(rows).encode())
    left = unexplained(rows)
    for name in left:
        print(f"not as it is said to be: {name}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
