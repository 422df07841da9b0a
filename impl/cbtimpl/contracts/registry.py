"""The list of contracts, and what is expected of each; and which classes the contracts are about.

A contract is declared with `@contract(…)`. Its docstring is one sentence, then conditions as CrossHair reads them
(PEP 316): each `pre:` is a precondition, and `post: _` says that what it returns is true. Nothing is run here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap

Expected = Literal["confirmed", "not refuted"]
Predicate = Callable[..., bool]
Declared = TypeVar("Declared", bound=Predicate)


@dataclass(frozen=True)
class Contract:
    """One contract.

    `functions` are those that it is a contract of, as "granules.count" or "Bitmap.record". `expected`: "confirmed"
    on all paths, or "not refuted" within its budget: `seconds` of processor time where a mistake is seeded, else a
    few times that.
    """

    name: str
    sentence: str
    functions: tuple[str, ...]
    expected: Expected
    seconds: float
    holds: Predicate


CONTRACTS: dict[str, Contract] = {}
"""All that were imported, by name, in the order of declaration."""


def contract(
    *functions: str, expected: Expected = "confirmed", seconds: float = 30
) -> Callable[[Declared], Declared]:
    """Declares a predicate to be a contract of these functions."""

    def declare(holds: Declared) -> Declared:
        sentence = " ".join((holds.__doc__ or "").split("\n\n")[0].split())
        CONTRACTS[holds.__name__] = Contract(holds.__name__, sentence, functions, expected, seconds, holds)
        return holds

    return declare


@dataclass
class Subject:
    """The classes that are run: those of the implementation, unless somebody checks the checks with a wrong one."""

    bitmap: type[Bitmap] = Bitmap
    job: type[BackupJob] = BackupJob


SUBJECT = Subject()


@contextmanager
def subject(bitmap: type[Bitmap] = Bitmap, job: type[BackupJob] = BackupJob) -> Iterator[None]:
    """Lets the contracts be about other classes for a while."""
    before = SUBJECT.bitmap, SUBJECT.job
    SUBJECT.bitmap, SUBJECT.job = bitmap, job
    try:
        yield
    finally:
        SUBJECT.bitmap, SUBJECT.job = before
