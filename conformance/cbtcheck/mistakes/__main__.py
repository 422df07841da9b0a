"""`python -m cbtcheck.mistakes` prints docs/seeded-mistakes.md; with `hunt`, finds the shortest scenarios anew."""

from __future__ import annotations

import sys

from cbtcheck.mistakes import MISTAKES
from cbtcheck.mistakes.hunting import hunt_down, keep
from cbtcheck.mistakes.table import table


def main(arguments: list[str]) -> int:
    """Prints the table, or hunts."""
    if arguments not in ([], ["hunt"]):
        print("usage: python -m cbtcheck.mistakes [hunt]", file=sys.stderr)
        return 64
    if not arguments:
        print(table(), end="")
        return 0
    for mistake in MISTAKES.values():
        found = hunt_down(mistake)
        if found is not None:
            keep(mistake, found)
        length = "NOT FOUND" if found is None else f"{len(found.commands)} commands (at most {mistake.at_most})"
        print(f"{mistake.name}: {length}")
    return 0


sys.exit(main(sys.argv[1:]))
