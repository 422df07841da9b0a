"""Both provers on every theorem, and Z3 on the arithmetic: what `cbtspec prove` does."""

from __future__ import annotations

import os
from typing import Any

import click
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.inductive.prove import batches
from cbtproofs.inductive.stage import scenes
from cbtproofs.inductive.statements import THEOREMS
from rich.console import Console

from cbtcheck.cli import kept_proof
from cbtcheck.cli.proof_tasks import Numbers, Scenes, Seeded, Task, each_done
from cbtcheck.cli.proved import Outcome, good, print_proof, to_json, to_plain
from cbtcheck.cli.proved_before import outcome_of
from cbtcheck.host.progress import ProgressLine
from cbtcheck.scenario.verdict import EXIT_CODES

LOG_WIDTH = 150


def prove(only: str | None, form: str, jobs: int | None = None, again: bool = False) -> int:
    """Proves every theorem, or `only` this one, and prints what came of it; returns the exit code.

    What was proved before from the same sources is not proved again, unless that is asked for.
    """
    of_numbers = [each for each in theorems() if only in (None, each.id)]
    inductive = tuple(property_id for property_id in THEOREMS if only in (None, property_id))
    if not of_numbers and not inductive:
        known = ", ".join([*THEOREMS, *(each.id for each in theorems())])
        raise click.UsageError(f"there is no theorem '{only}'; there are: {known}.")
    kept = None if again else kept_proof.read(only)
    if kept is not None:
        outcome = outcome_of(kept)
    else:
        outcome, digest = Outcome(inductive, only=only), kept_proof.digest(only)
        _prove(outcome, jobs or len(os.sched_getaffinity(0)))
        kept_proof.write(only, to_plain(outcome), digest)
    if form == "json":
        click.echo(to_json(outcome), nl=False)
    else:
        console = Console()
        print_proof(outcome, console if console.is_terminal else Console(width=LOG_WIDTH))
    return EXIT_CODES["conformant"] if good(outcome) else EXIT_CODES["unsafe or diverging"]


def _prove(outcome: Outcome, jobs: int) -> None:
    """All of it, in so many processes; the outcome is the same for any number of them."""
    only, tasks = outcome.only, list[Task]()
    if outcome.inductive:
        few = batches(scenes())
        tasks += (Scenes(number, only, tuple(each)) for number, each in enumerate(few))
        tasks += (Seeded(property_id) for property_id in outcome.inductive)
    tasks += (Numbers(number) for number, each in enumerate(theorems()) if only in (None, each.id))
    with ProgressLine(Console(stderr=True)) as progress:
        for number, (task, found) in enumerate(each_done(tasks, jobs), 1):
            progress("proved: part", number, len(tasks))
            take(outcome, task, found)
    if only is None:
        outcome.missing = sorted({each for seen in outcome.proved.seen.values() for each in seen.missing})


def take(outcome: Outcome, task: Task, found: Any) -> None:
    """What has come of a task."""
    match task:
        case Scenes():
            outcome.proved.merge(found)
        case Seeded(property_id):
            outcome.found[property_id] = found
        case Numbers():
            outcome.arithmetic.append(found)
