"""All mutants of the specification: what our checkers must find, and why some of them are nothing to find.

`all_mutants` are those after real bugs and those by rule. A checker is run with `applied(mutant)` around it; what it
then says is its own affair. `CANARY` is the one that every checker must find each time it runs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from cbtproofs.mutants import field_bugs_of_life
from cbtproofs.mutants.field_bugs import field_bug_mutants
from cbtproofs.mutants.harmless import EQUIVALENT
from cbtproofs.mutants.mutant import Mutant, applied
from cbtproofs.mutants.systematic import systematic_mutants

__all__ = ["AFTER", "CANARY", "EQUIVALENT", "NOT_APPLICABLE", "Mutant", "all_mutants", "applied", "mutant"]

CANARY = "drop-successor-on-failure"
"""One block, one bitmap, one job and four commands show it: add, start, write, cancel. The write is gone.

The reference implementation has a seeded mistake of the same name, so that what checks implementations has it too.
"""

AFTER: dict[str, str] = {
    "node.find_free_bitmap: require(not bitmap.busy(found)) dropped": "Q16",
    "node.merge_one: find_free_bitmap(state, source.node, source.name) dropped": "Q16",
    "jobs.start: require(frozen is None or not bitmap.busy(frozen)) dropped": "Q16",
    "jobs.ends: backup.copy_ends(state.jobs[job_id]) -> state.jobs[job_id]": "Q24",
    "step.transition: node.drain(state, node_name) -> state": "M3",
}
"""Mutants by rule that are field bugs just as they are."""

NOT_APPLICABLE: dict[str, str] = {
    "Q7": "resize is a later stage: a disk's size never changes",
    "Q10": "a second path of writing past the hook: there is one path only, and hook-never-called is about that",
    "Q11": "reopen is a later stage: bitmaps are not stored",
    "Q19": "bitmaps are not stored yet, and none is inconsistent",
    "Q26": "bitmaps are not stored yet, and there is no limit to their number",
    "V1": "resize is a later stage: a disk's size never changes",
    "V3": "none is inconsistent yet; enabling where it is forbidden is enable-busy",
    "O2": "crash and reopen are later stages",
    "D2": "the specification has no numbers of granules or clusters to mix up; seeded as granules-are-clusters",
    "B2": "the specification has no shifts to get wrong; seeded as granule-of-512",
    "C3": "resize is a later stage: a disk's size never changes",
}
"""Field bugs that are no change of this specification, and why; seeded mistakes are in `adapters.mistakes`."""


@cache
def all_mutants() -> tuple[Mutant, ...]:
    """Those after real bugs, then those by rule, in the order of the source."""
    assert field_bugs_of_life  # declares more of the former
    by_rule = (replace(each, field_bug=AFTER.get(each.name, "")) for each in systematic_mutants())
    return (*field_bug_mutants(), *by_rule)


def mutant(name: str) -> Mutant:
    """The mutant of that name. Raises `LookupError` if there is none."""
    for each in all_mutants():
        if each.name == name:
            return each
    raise LookupError(f"unknown mutant '{name}'")
