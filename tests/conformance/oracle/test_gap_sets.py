"""Sets of gaps are the sets that they stand for: all gaps from somewhere on, too."""

from __future__ import annotations

from cbtcheck.sets.between import EMPTY, Between
from cbtcheck.sets.gaps import GapSets
from hypothesis import given
from hypothesis import strategies as st

SPACE = GapSets()
MOST = 1300
FIRST = st.integers(0, MOST - 1) | st.integers(0, 9)
RUNS = st.lists(st.tuples(FIRST, st.integers(1, 700), st.booleans()), max_size=5)


def made(runs: list[tuple[int, int, bool]]) -> tuple[Between, frozenset[int]]:
    """A set of runs, some of which are taken away from all gaps; and which of the first gaps it has."""
    blocks, plain = EMPTY, frozenset[int]()
    for first, length, lacks in runs:
        run = SPACE.gaps_before(first + length) - SPACE.gaps_before(first)
        members = frozenset(range(first, first + length))
        blocks, plain = blocks | run, plain | members
        if lacks:
            blocks, plain = SPACE.everything(0) - blocks, frozenset(range(2 * MOST)) - plain
    return blocks, plain


def of(blocks: Between) -> frozenset[int]:
    """Which of the first gaps are in it."""
    return frozenset(number for number in SPACE.at_most(blocks, 512, 0).members if number < 2 * MOST)


@given(RUNS, RUNS, st.integers(0, 2 * MOST - 1))
def test_gap_sets_are_what_sets_are(
    one: list[tuple[int, int, bool]], two: list[tuple[int, int, bool]], gap: int
) -> None:
    (a, plain), (b, other) = made(one), made(two)
    assert (of(a), of(b)) == (plain, other)
    assert (of(a | b), of(a & b), of(a - b)) == (plain | other, plain & other, plain - other)
    assert (a <= b, bool(a)) == (plain <= other, bool(plain))
    assert (gap in a.least, a.least == b.least) == (gap in plain, plain == other)
    assert of(a | SPACE.gap(gap)) == plain | {gap}
    assert (a | (a & b)) is a, "what changes nothing is the same set"
