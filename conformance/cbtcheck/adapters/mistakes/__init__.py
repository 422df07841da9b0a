"""Seeded mistakes: small wrong variants of the reference implementation, after real bugs. The suite must find each.

`python -m cbtproofs.mutants.kill_matrix` prints the table of docs/understand/seeded-mistakes.md.
"""

from cbtcheck.adapters.mistakes import (
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
    restarts,
    successor,
    transactions,
    undoing,
    wrapping,
)
from cbtcheck.adapters.mistakes.registry import MISTAKES, NARROW, Mistake, NarrowMistake, host_with

__all__ = [
    "MISTAKES", "NARROW", "Mistake", "NarrowMistake", "afterwards", "company", "copying", "host_with", "many",
    "merging", "naming", "often", "places", "recording", "repeating", "restarts", "successor", "transactions",
    "undoing", "wrapping",
]  # fmt: skip
