"""The walks of refinement, and where they part if they do: what `cbtspec refine` does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from itertools import takewhile

import click
from cbtimpl import Host
from cbtproofs.explorer.few_blocks import BLOCK
from cbtproofs.refinement.failing import Failing
from cbtproofs.refinement.image_walk import walk_through
from cbtproofs.refinement.image_worlds import image_worlds
from cbtproofs.refinement.walking import Disagreement, Walked
from cbtproofs.refinement.worlds import worlds
from rich.console import Console
from rich.table import Table

from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.host.progress import ProgressLine
from cbtcheck.report.picture import picture
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import Scenario, to_data
from cbtcheck.scenario.verdict import EXIT_CODES

LOG_WIDTH = 118


def walk(listed: str, mistake: str | None, form: str) -> int:
    """Walks the worlds of a list, with a seeded mistake or without; prints what came of it; returns the exit code."""
    host = _host(mistake)
    taken: list[tuple[Walked, float]] = []
    with ProgressLine(Console(stderr=True)) as progress:
        for world in (*worlds(listed), *image_worlds(listed)):
            began = time.perf_counter()
            walked = walk_through(world, host).run(partial(_tell, progress, world.name))
            taken.append((walked, time.perf_counter() - began))
            if walked.disagreement is not None:
                break
    if form == "json":
        click.echo(json.dumps(to_plain(taken, mistake), indent=2))
    else:
        console = Console()
        print_walks(taken, console if console.is_terminal else Console(width=LOG_WIDTH), host)
    apart = any(walked.disagreement is not None for walked, _ in taken)
    return EXIT_CODES["unsafe or diverging"] if apart else EXIT_CODES["conformant"]


def _tell(progress: ProgressLine, world: str, pairs: int, edges: int) -> None:
    progress(f"{world}: pairs", pairs, 0)


def _host(mistake: str | None) -> Callable[[], Host]:
    try:
        return Host if mistake is None else host_with(mistake)
    except LookupError as problem:
        raise click.UsageError(f"--mistake: {problem.args[0]}.") from None


def print_walks(taken: list[tuple[Walked, float]], console: Console, host: Callable[[], Host]) -> None:
    """A row for each world, and then either that all agree, or where they part."""
    table = Table("world", box=None, header_style="bold")
    states = "pairs of states", "implementation", "specification"
    for heading in ("commands", *states, "edges", "otherwise", "seconds"):
        table.add_column(heading, justify="right")
    for walked, seconds in taken:
        numbers = (len(walked.world.commands), walked.pairs, walked.concrete, len(walked.abstract), walked.edges)
        shown = [f"{number:,}" for number in (*numbers, walked.otherwise)]
        table.add_row(walked.world.name, *shown, f"{seconds:.1f}")
    console.print(table)
    console.print()
    apart = taken[-1][0].disagreement if taken else None
    edges = sum(walked.edges for walked, _ in taken)
    if apart is None:
        console.print(f"agree on all {edges:,} edges", style="green", highlight=False)
    else:
        print_disagreement(apart, console, host)


def print_disagreement(apart: Disagreement, console: Console, host: Callable[[], Host]) -> None:
    """The shortest path, as commands and as a picture, and what differs at its end."""
    count = len(apart.path)
    console.print(f"they part in '{apart.world.name}', after {count} commands", style="bold red", highlight=False)
    for number, command in enumerate(apart.path, 1):
        told = str(command) if isinstance(command, Failing) else describe(command)
        console.print(f"{number:>4}  {told}", markup=False, highlight=False, soft_wrap=True)
    for each in apart.differences:
        console.print(f"   ✗  {each}", style="red", markup=False, highlight=False, soft_wrap=True)
    console.print()
    player = Player(ReferenceAdapter(host))
    player.play_scenario(_scenario(apart))
    console.print(picture(player.frames, BLOCK))


def _scenario(apart: Disagreement) -> Scenario:
    """What can be played of it: all before the first request that fails."""
    played = takewhile(lambda each: not isinstance(each, Failing), apart.path)
    steps = tuple(each for each in played if not isinstance(each, Failing))
    told = "; ".join(apart.differences)
    return Scenario(apart.world.sizes, steps, BLOCK, "refinement", told, apart.world.images)


def to_plain(taken: list[tuple[Walked, float]], mistake: str | None) -> dict[str, object]:
    """The report as plain data; times are in seconds."""
    apart = taken[-1][0].disagreement if taken else None
    found = None
    if apart is not None:
        failing = [str(each) for each in apart.path if isinstance(each, Failing)]
        found = {
            "world": apart.world.name, "differences": [*apart.differences], "scenario": to_data(_scenario(apart)),
            "failing": failing,
        }  # fmt: skip
    return {
        "mistake": mistake,
        "agree": apart is None,
        "worlds": [
            {
                "name": walked.world.name, "commands": len(walked.world.commands), "pairs": walked.pairs,
                "implementation_states": walked.concrete, "specification_states": len(walked.abstract),
                "edges": walked.edges, "otherwise": walked.otherwise, "seconds": round(seconds, 3),
            }
            for walked, seconds in taken
        ],
        "disagreement": found,
    }  # fmt: skip
