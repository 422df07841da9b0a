"""Seeded mistakes: small wrong variants of the reference implementation, after real bugs. The suite must find each.

`python -m cbtcheck.mistakes` prints the table of docs/seeded-mistakes.md; with `matrix`, writes docs/kill-matrix.md.
"""

from cbtcheck.mistakes import copying, merging, recording, successor, transactions
from cbtcheck.mistakes.registry import MISTAKES, Mistake, host_with

__all__ = ["MISTAKES", "Mistake", "copying", "host_with", "merging", "recording", "successor", "transactions"]
