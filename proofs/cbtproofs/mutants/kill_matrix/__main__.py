"""`python -m cbtproofs.mutants.kill_matrix` prints docs/understand/seeded-mistakes.md; with an argument, does more.

`hunt` finds the shortest scenarios anew; `matrix` asks every checker about every mistake, and writes
docs/understand/kill-matrix.md (minutes; run it where docs/ is, or give a file).
"""

from __future__ import annotations

import sys
from pathlib import Path

from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.host.progress import ProgressLine
from cbtcheck.host.saving import write_whole
from cbtcheck.run.hunting import hunt_down, keep
from rich.console import Console

from cbtproofs.mutants.kill_matrix.matrix import unexplained, whole
from cbtproofs.mutants.kill_matrix.page import page
from cbtproofs.mutants.kill_matrix.table import table

DOCUMENT = Path("docs/understand/kill-matrix.md")


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
    print("usage: python -m cbtproofs.mutants.kill_matrix [hunt | matrix [FILE]]", file=sys.stderr)
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
