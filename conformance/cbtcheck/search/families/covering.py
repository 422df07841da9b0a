"""Pairs: rows in which every two values of two different parameters occur together at least once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations


def rows(*parameters: Sequence[object]) -> Iterator[tuple[int, ...]]:
    """Rows of indices, one for each parameter; the same rows each time.

    There are none if a parameter has no values: an implementation may claim nothing of what a family varies. Raises
    `ValueError` if the library should leave out a pair.
    """
    if not all(parameters):
        return
    if len(parameters) < 2:
        yield from ((number,) for each in parameters for number in range(len(each)))
        return
    from covertable import make  # only who plays needs it

    made = [tuple(each) for each in make([list(range(len(each))) for each in parameters])]
    for one, other in combinations(range(len(parameters)), 2):
        if len({(row[one], row[other]) for row in made}) < len(parameters[one]) * len(parameters[other]):
            raise ValueError(f"not every pair of the parameters {one} and {other} is covered")
    yield from made
