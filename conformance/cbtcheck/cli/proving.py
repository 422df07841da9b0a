"""Both provers on every theorem, and Z3 on the arithmetic: what `cbtspec prove` does."""

from __future__ import annotations

import click
from cbtproofs.arithmetic.arithmetic_proof import prove as prove_of_numbers
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive import vacuity
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.prove import prove as prove_by_induction
from cbtproofs.inductive.stage import scenes
from cbtproofs.inductive.statements import THEOREMS
from rich.console import Console

from cbtcheck.cli.proved import Outcome, good, print_proof, to_json
from cbtcheck.host.progress import ProgressLine
from cbtcheck.scenario.verdict import EXIT_CODES

LOG_WIDTH = 150


def prove(only: str | None, form: str) -> int:
    """Proves every theorem, or `only` this one, and prints what came of it; returns the exit code."""
    of_numbers = [each for each in theorems() if only in (None, each.id)]
    inductive = tuple(property_id for property_id in THEOREMS if only in (None, property_id))
    if not of_numbers and not inductive:
        known = ", ".join([*THEOREMS, *(each.id for each in theorems())])
        raise click.UsageError(f"there is no theorem '{only}'; there are: {known}.")
    outcome = Outcome(inductive, only=only)
    with ProgressLine(Console(stderr=True)) as progress:
        if inductive:
            _by_induction(outcome, progress)
        for number, theorem in enumerate(of_numbers, 1):
            progress("proved of 64-bit integers: theorem", number, len(of_numbers))
            outcome.arithmetic.append(prove_of_numbers(theorem))
    if form == "json":
        click.echo(to_json(outcome), nl=False)
    else:
        console = Console()
        print_proof(outcome, console if console.is_terminal else Console(width=LOG_WIDTH))
    return EXIT_CODES["conformant"] if good(outcome) else EXIT_CODES["unsafe or diverging"]


def _by_induction(outcome: Outcome, progress: ProgressLine) -> None:
    for number, property_id in enumerate(outcome.inductive, 1):
        progress("found with a seeded mistake: theorem", number, len(outcome.inductive))
        outcome.found[property_id] = vacuity.found(property_id, provers())
    listed = list(scenes())
    for number, proved in enumerate(prove_by_induction(PROVERS, listed, outcome.only), 1):
        outcome.proved = proved
        progress("proved: scene", number, len(listed))
    if outcome.only is None:
        outcome.missing = sorted({each for seen in outcome.proved.seen.values() for each in seen.missing})
