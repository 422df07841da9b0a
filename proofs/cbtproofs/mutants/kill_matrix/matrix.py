"""The kill matrix: every mutant of the specification and every mistake of the implementation, and who finds it.

A run begins with the right specification, in which no checker may find anything, and with the canary, which every
checker must find; else the rest would mean nothing. `page` writes it down.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.run.hunting import shortest as kept_for
from cbtcheck.scenario.describe import describe

from cbtproofs.mutants.catalogue import CANARY, EQUIVALENT, all_mutants, applied, mutant
from cbtproofs.mutants.harmless import NOT_FOUND_YET
from cbtproofs.mutants.kill_matrix.killers import OF_MISTAKES, OF_MUTANTS, Kill, prepare

SAFETY = frozenset(("NO-LOST-WRITE", "POINT-IN-TIME", "DELIVERED", "FAILURE-KEEPS", "FROZEN-IS-STILL", "ONE-HEIR"))
"""The properties without which data are lost; the others are about waste, equality and coming to an end."""

EXPLAINED = EQUIVALENT.keys() | NOT_FOUND_YET.keys()
"""The mutants that nothing finds, or ought to find."""

IN_MODEL, IN_IMPLEMENTATION = "specification", "implementation"
Task = tuple[str, str]
"""Where a mistake is, and its name."""


class CanaryError(Exception):
    """A checker found something in the right specification, or did not find the canary. The matrix means nothing."""


@dataclass(frozen=True)
class Row:
    """A mistake and what each checker that was asked said of it; None: not found."""

    where: str
    name: str
    kills: dict[str, Kill | None] = field(default_factory=dict)

    @property
    def survives(self) -> bool:
        """Whether none of those that were asked found it."""
        return not any(self.kills.values())

    @property
    def scenario(self) -> tuple[str, ...]:
        """The shortest commands that show it; none if no checker has any."""
        found = [each.commands for each in self.kills.values() if each is not None and each.commands]
        if self.where == IN_IMPLEMENTATION:
            found = [tuple(map(describe, kept_for(MISTAKES[self.name]).commands))]
        return min(found, key=len, default=())

    @property
    def unsafe(self) -> bool:
        """Whether data are lost: an implementation's verdict, or one of `SAFETY` where the explorer gets."""
        if self.where == IN_IMPLEMENTATION:
            return MISTAKES[self.name].verdict.value == "unsafe"
        explored = self.kills.get("explorer")
        return explored is not None and not SAFETY.isdisjoint(explored.why.split(", "))


def tasks() -> tuple[Task, ...]:
    """All mistakes: mutants in the order of the catalogue, then those of the implementation in theirs."""
    return (*((IN_MODEL, each.name) for each in all_mutants()), *((IN_IMPLEMENTATION, each) for each in MISTAKES))


def row(task: Task, checkers: Container[str] = ()) -> Row:
    """What the checkers (all, or those named) say of a mistake."""
    where, name = task
    if where == IN_IMPLEMENTATION:
        mistake = MISTAKES[name]
        asked = checkers or OF_MISTAKES
        return Row(where, name, {of: find(mistake) for of, find in OF_MISTAKES.items() if of in asked})
    changed = mutant(name)
    prepare(recorded=False)
    with applied(changed):
        found = {of: find(changed) for of, find in OF_MUTANTS.items() if of in (checkers or OF_MUTANTS)}
    return Row(where, name, found)


def whole(progress: Callable[[str, int, int], None], processes: int = 2) -> list[Row]:
    """The whole matrix, in the order of `tasks`. Raises `CanaryError`."""
    progress("the right specification", 0, 0)
    check_right(prepare(recorded=True))
    todo = tasks()
    check_canary(row((IN_MODEL, CANARY)))
    found: dict[Task, Row] = {}
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for each in pool.imap_unordered(row, todo, chunksize=1):
            found[each.where, each.name] = each
            progress("mistakes", len(found), len(todo))
    rows = [found[each] for each in todo]
    check_canary(found[IN_IMPLEMENTATION, CANARY])
    return rows


def check_right(found: dict[str, Kill | None]) -> None:
    """No checker has found anything in the right specification. Raises `CanaryError`."""
    wrong = [f"{of}: {kill.why}" for of, kill in found.items() if kill is not None]
    if wrong:
        raise CanaryError(f"found in the right specification: {'; '.join(wrong)}")


def check_canary(canary: Row) -> None:
    """Every checker has found the canary. Raises `CanaryError`."""
    missed = [of for of, kill in canary.kills.items() if kill is None]
    if missed or not canary.kills:
        raise CanaryError(f"the canary was not found by: {', '.join(missed) or 'anybody'}")


def unexplained(rows: Iterable[Row]) -> list[str]:
    """The mistakes that nothing finds and nobody has said why; and those found that are said not to be."""
    return [each.name for each in rows if each.survives != (each.name in EXPLAINED) and not only_induction(each)]


def only_induction(row: Row) -> bool:
    """Whether a harmless mutant is found by nothing but the proof, which begins in states that are never reached."""
    return row.name in EQUIVALENT and [of for of, kill in row.kills.items() if kill is not None] == ["proof"]
