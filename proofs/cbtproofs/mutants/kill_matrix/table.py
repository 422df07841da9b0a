"""The seeded mistakes as a document."""

from __future__ import annotations

from cbtcheck.adapters.mistakes.registry import MISTAKES, NARROW, Mistake, NarrowMistake
from cbtcheck.run.hunting import shortest
from cbtcheck.scenario.describe import describe

HEAD = """\
# Seeded mistakes

<!-- Written by `python -m cbtproofs.mutants.kill_matrix > docs/understand/seeded-mistakes.md`. Do not edit. -->

Each of these {count} mistakes is a small wrong variant of the reference implementation. The suite finds every one of
them, with the verdict and by a scenario as short as the one shown. To see what a failure looks like:

    cbtspec check --mistake {example}

Each scenario is a file in `conformance/cbtcheck/search/shortest/`, which `cbtspec replay` plays on any adapter.
Most are after a real bug; its ID is that of the project's collection of field bugs.

| Mistake | What is wrong | After | Verdict | Shortest scenario |
|---|---|---|---|---|
"""


NARROW_HEAD = """
## Narrow ones

Each of these shows only under one condition, and is found by a phase that has this condition. Neither the walks to
explored edges, nor write histories, workflows and traps find it: these mistakes have no traps. Nor do the scenarios
that `quick` draws by default, but for three which they come upon by chance (`undone-from-the-first-on`,
`withdrawn-enables`, `second-member-stays-frozen`).

| Mistake | What is wrong | Line | Verdict | Found by |
|---|---|---|---|---|
"""


def table() -> str:
    """The whole document."""
    rows = [_row(each) for each in MISTAKES.values()]
    return HEAD.format(count=len(rows), example="frozen-parent-records") + "".join(rows) + NARROW_HEAD + "".join(
        map(_narrow_row, NARROW.values())
    )


def _row(mistake: Mistake) -> str:
    steps = [f"{i + 1}. {describe(each)}" for i, each in enumerate(shortest(mistake).commands)]
    cells = (f"`{mistake.name}`", mistake.story, mistake.bug or "", mistake.verdict.value, "<br>".join(steps))
    return f"| {' | '.join(cells)} |\n"


def _narrow_row(mistake: NarrowMistake) -> str:
    cells = (f"`{mistake.name}`", mistake.story, mistake.line, mistake.verdict.value, mistake.found_by)
    return f"| {' | '.join(cells)} |\n"
