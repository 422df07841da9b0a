"""What was proved before, as it was reported then: a kept result as an outcome that can be printed again."""

from __future__ import annotations

from collections import Counter, defaultdict

from cbtproofs.arithmetic.arithmetic_proof import Result
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive.prove import Proved

from cbtcheck.cli.kept_proof import Kept
from cbtcheck.cli.proved import INTEGERS, Outcome


def outcome_of(kept: Kept) -> Outcome:
    """The outcome of the run that has proved it."""
    report, of_numbers = kept.report, {each.id: each for each in theorems()}
    by_induction = [each for each in report["theorems"] if each.get("about") != INTEGERS]
    proved = Proved(
        obligations=Counter(report["obligations"]),
        paths=Counter(report["paths"]),
        seconds=report["seconds"],
        solver=report["solver_seconds"],
    )
    for name, seconds in report["other_seconds"].items():
        proved.spent[name] = defaultdict(float, {each["id"]: each["seconds"][name] for each in by_induction})
        proved.spent[name][""] = seconds
    return Outcome(
        inductive=tuple(each["id"] for each in by_induction),
        proved=proved,
        found={each["id"]: each["seeded_mistakes"] for each in by_induction},
        arithmetic=[
            Result(of_numbers[each["id"]], each["verdict"], each["obligations"], each["paths"], each["seconds"])
            for each in report["theorems"] if each.get("about") == INTEGERS
        ],
        only=report["only"],
        kept=kept,
    )  # fmt: skip
