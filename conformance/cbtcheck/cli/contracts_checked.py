"""Contracts given to CrossHair, and what came of each: what `cbtspec contracts` does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence

import click
from cbtimpl.contracts.registry import CONTRACTS
from cbtproofs.contracts import mistakes as seeded_mistakes
from cbtproofs.contracts import runner
from cbtproofs.contracts.runner import GROUPS, Outcome, Task
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cbtcheck.host.progress import ProgressLine
from cbtcheck.scenario.verdict import EXIT_CODES

LOG_WIDTH = 118
COLOUR = {"confirmed": "green", "not refuted": "yellow", "counterexample": "bold red", "error": "bold red"}


def check(names: Collection[str], mistakes: bool, form: str) -> int:
    """Checks these contracts, or with `mistakes` whether each finds its own; returns the exit code."""
    seeded = [each for each in seeded_mistakes.MISTAKES if each.contract in names] if mistakes else []
    tasks = [Task(CONTRACTS[each.contract], each.apply) for each in seeded]
    if not mistakes:
        tasks = [Task(each) for each in runner.declared() if each.name in names]
    begun = time.monotonic()
    with ProgressLine(Console(stderr=True)) as progress:
        outcomes = runner.run(tasks, progress)
    seconds = time.monotonic() - begun
    labels = [each.name for each in seeded] if mistakes else None
    if form == "json":
        click.echo(runner.to_json(outcomes, seconds, labels), nl=False)
    else:
        _print(outcomes, seconds, labels)
    return code_of(outcomes, mistakes)


def code_of(outcomes: Sequence[Outcome], mistakes: bool = False) -> int:
    """The documented exit code of a run; nothing that was run is no success."""
    wanted = [each.verdict == "counterexample" if mistakes else each.as_expected for each in outcomes]
    if wanted and all(wanted):
        return EXIT_CODES["conformant"]
    if any(each.verdict == "error" for each in outcomes):
        return EXIT_CODES["broken"]
    return EXIT_CODES["unsafe or diverging"] if outcomes else EXIT_CODES["usage"]


def names(only: str | None) -> set[str]:
    """The contracts that `only` names: all, one, or those of one part. Raises `click.UsageError`."""
    known = {each.name for each in runner.declared()}
    if only is None:
        return known
    if only in GROUPS:
        return {each.name for each in runner.declared(only)}
    if only not in known:
        raise click.UsageError(f"--only: there is no contract or part '{only}' (parts: {', '.join(GROUPS)}).")
    return {only}


def _print(outcomes: Sequence[Outcome], seconds: float, mistakes: list[str] | None) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("contract" if mistakes is None else "mistake")
    table.add_column("of" if mistakes is None else "contract that is to find it", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("seconds", justify="right")
    for number, each in enumerate(outcomes):
        first = Text(each.sentence if mistakes is None else mistakes[number])
        second = Text(", ".join(each.functions) if mistakes is None else each.contract)
        table.add_row(first, second, _verdict(each, mistakes is not None), f"{each.seconds:.1f}")
    console.print(table)
    for number, each in enumerate(outcomes):
        if each.verdict in ("counterexample", "error") and (mistakes is None or each.verdict == "error"):
            where = each.contract if mistakes is None else f"{mistakes[number]}, {each.contract}"
            console.print(f"{each.verdict} in {where}: {each.detail}", style=COLOUR[each.verdict], markup=False,
                          highlight=False, soft_wrap=True)  # fmt: skip
    counts = Counter(each.verdict for each in outcomes)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    what = "contracts" if mistakes is None else "seeded mistakes"
    good = code_of(outcomes, mistakes is not None) == EXIT_CODES["conformant"]
    console.print(f"{len(outcomes)} {what}: {said}; {seconds:.0f} s", style="green" if good else "bold red",
                  highlight=False)  # fmt: skip


def _verdict(outcome: Outcome, seeded: bool) -> Text:
    """The verdict in its colour; of a seeded mistake a counterexample is what is wanted."""
    if seeded:
        return Text(outcome.verdict, style="green" if outcome.verdict == "counterexample" else "bold red")
    expected = "" if outcome.as_expected else f" (expected: {outcome.expected})"
    return Text(f"{outcome.verdict}{expected}", style=COLOUR[outcome.verdict] if outcome.as_expected else "bold red")
