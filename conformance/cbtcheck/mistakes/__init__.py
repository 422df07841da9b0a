"""Seeded mistakes: small wrong variants of the reference implementation, after real bugs. The suite must find each.

`python -m cbtcheck.mistakes` prints the table of docs/seeded-mistakes.md; with `matrix`, writes docs/kill-matrix.md.
"""

from cbtcheck.mistakes import (
    afterwards,
    company,
    copying,
    many,
    merging,
    naming,
    often,
    places,
    recording,
    repeating,
    successor,
    transactions,
    undoing,
    wrapping,
)
from cbtcheck.mistakes.registry import MISTAKES, NARROW, Mistake, NarrowMistake, host_with

__all__ = [
    "MISTAKES", "NARROW", "Mistake", "NarrowMistake", "afterwards", "company", "copying", "host_with", "many",
    "merging", "naming", "often", "places", "recording", "repeating", "successor", "transactions", "undoing",
    "wrapping",
]  # fmt: skip
