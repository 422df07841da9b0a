"""`cbtspec explore`: the exhaustive explorer on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from cbtproofs.explorer.breadth_first import Progress, TooLarge
from cbtproofs.explorer.chains import explore_chains
from cbtproofs.explorer.diagram import Diagram, Unreadable, diagram, dot, mermaid
from cbtproofs.explorer.exploration import LIMIT, Outcome, explore_scope
from cbtproofs.explorer.image_scopes import ImageScope
from cbtproofs.explorer.image_scopes import standard as standard_images
from cbtproofs.explorer.images import ImagesExplored, explore_images
from cbtproofs.explorer.scopes import MOST, Alphabet, Scope, standard
from cbtproofs.explorer.symmetry import LIMIT as SYMMETRIC_LIMIT
from cbtproofs.explorer.symmetry import explore_symmetric

from cbtcheck.cli.imports import importing
from cbtcheck.cli.problem import NotWritten, Problem, check_writable
from cbtcheck.host.saving import write_whole
from cbtcheck.scenario.verdict import EXIT_CODES

MANY_BLOCKS = 4
"""From so many blocks on, blocks are taken to be interchangeable if nobody says otherwise."""

CHAINS = 1, 3
"""Blocks of the disk whose chains are explored, and backups."""

LOG_WIDTH = 118

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  every property holds in every state, and what is to be seen was seen
  {EXIT_CODES["unsafe or diverging"]:>3}  a property is violated, or something that is to be seen was not
  {EXIT_CODES["usage"]:>3}  usage: cbtspec was not called as it can be, or a scope is too large
  {EXIT_CODES["output"]:>3}  output: a diagram or the report cannot be written
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(epilog=EPILOG)
@click.option("--blocks", type=click.IntRange(min=1), metavar="N", help="Blocks of each disk (default: 2).")
@click.option("--bitmaps", type=click.IntRange(0, MOST), metavar="N", help="Bitmaps (default: 1).")
@click.option("--jobs", type=click.IntRange(0, MOST), metavar="N", help="Jobs (default: 1).")
@click.option("--nodes", type=click.IntRange(1, MOST), metavar="N", help="Disks (default: 1).")
@click.option("--granularity", type=click.IntRange(min=1), metavar="N",
              help="Blocks in a granule of a bitmap, a power of two (default: 1).")  # fmt: skip
@click.option("--cluster", type=click.IntRange(min=1), metavar="N",
              help="Blocks in a cluster of a job, a power of two (default: 1).")  # fmt: skip
@click.option("--alphabet", type=click.Choice(["small", "large", "values"]),
              help="What can happen: the life of bitmaps and jobs, everything, or with every value of every field "
              "(default: small).")  # fmt: skip
@click.option("--symmetry/--no-symmetry", default=None,
              help=f"Up to permutation of blocks or not (default: from {MANY_BLOCKS} blocks on, if it can be)."
              )  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="STATES",
              help=f"Give up beyond so many states (default: {LIMIT:,}; with symmetry {SYMMETRIC_LIMIT:,})."
              )  # fmt: skip
@click.option("--mermaid", "mermaid_to", metavar="FILE",
              help="Also write the control states as a Mermaid diagram; - is stdout, with no report.")  # fmt: skip
@click.option("--dot", "dot_to", metavar="FILE", help="The same for Graphviz.")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
def explore(
    blocks: int | None, bitmaps: int | None, jobs: int | None, nodes: int | None, granularity: int | None,
    cluster: int | None, alphabet: Alphabet | None, symmetry: bool | None, limit: int | None,
    mermaid_to: str | None, dot_to: str | None, form: str,
) -> int:  # fmt: skip
    """Explores the specification exhaustively at small scope: every command in every state that can be reached.

    Without options about the scope, a few standard scopes are explored, chains of backups, and disks in images, which
    are closed, opened and left by crashes. With any of them, that one scope is; with a diagram, too (two blocks, one
    bitmap, one job, unless it is said otherwise).
    """
    with importing():
        from rich.console import Console

        from cbtcheck.cli.explored import good, print_exploration, to_json
        from cbtcheck.host.progress import ProgressLine
    sizes = {"blocks": blocks, "bitmaps": bitmaps, "jobs": jobs, "nodes": nodes, "granularity": granularity,
             "cluster": cluster}  # fmt: skip
    given = {name: number for name, number in sizes.items() if number is not None}
    drawn = mermaid_to is not None or dot_to is not None
    for option, target in (("--mermaid", mermaid_to), ("--dot", dot_to)):
        if target is not None and target != "-":
            _can_be_written(Path(target), option)
    scopes = standard()
    if given or alphabet is not None or symmetry is not None or drawn:
        scopes = (_chosen(given, alphabet or "small", symmetry),)
    with ProgressLine(Console(stderr=True)) as progress:
        picture = _drawn(scopes[0][0], limit) if drawn else None
        outcomes = [_explored(*each, limit, progress) for each in scopes]
        everything = scopes == standard()
        chains = explore_chains(*CHAINS) if everything else None
        images = [_with_image(each, limit, progress) for each in standard_images()] if everything else []
    silent = False
    for target, render in ((mermaid_to, mermaid), (dot_to, dot)):
        if target is not None and picture is not None:
            silent |= _written(target, picture, render)
    report = Console(stderr=silent)
    if form == "json":
        click.echo(to_json(outcomes, chains, images), nl=False, err=silent)
    elif not silent or not good(outcomes, chains, images):
        wide = report if report.is_terminal else Console(width=LOG_WIDTH, stderr=silent)
        print_exploration(outcomes, wide, chains, images)
    return EXIT_CODES["conformant"] if good(outcomes, chains, images) else EXIT_CODES["unsafe or diverging"]


def _can_be_written(target: Path, option: str) -> None:
    """Says so before minutes are spent. Raises `NotWritten`."""
    try:
        check_writable(target, option)
    except Problem as problem:
        raise NotWritten(problem.message) from None


def _chosen(given: dict[str, int], alphabet: Alphabet, symmetry: bool | None) -> tuple[Scope, bool]:
    try:
        scope = Scope(**{"blocks": 2, **given}, alphabet=alphabet)
    except ValueError as problem:
        raise click.UsageError(f"{problem}.") from None
    if symmetry and not scope.symmetric:
        raise click.UsageError("--symmetry: two blocks of a granule or a cluster are not interchangeable.")
    return scope, (scope.symmetric and scope.blocks >= MANY_BLOCKS) if symmetry is None else symmetry


def _explored(scope: Scope, symmetry: bool, limit: int | None, progress: Progress) -> Outcome:
    try:
        if symmetry:
            return explore_symmetric(scope, limit or SYMMETRIC_LIMIT, progress)
        return explore_scope(scope, limit or LIMIT, progress)
    except TooLarge as problem:
        raise _too_large(scope, problem) from None


def _with_image(scope: ImageScope, limit: int | None, progress: Progress) -> ImagesExplored:
    try:
        return explore_images(scope, limit or LIMIT, progress)
    except TooLarge as problem:
        raise _too_large(scope, problem) from None


def _drawn(scope: Scope, limit: int | None) -> Diagram:
    try:
        return diagram(scope, limit or LIMIT)
    except TooLarge as problem:
        raise _too_large(scope, problem) from None
    except Unreadable as problem:
        raise click.UsageError(f"{problem}; fewer bitmaps or jobs have fewer.") from None


def _too_large(scope: Scope | ImageScope, problem: TooLarge) -> click.UsageError:
    return click.UsageError(
        f"{scope}: {problem}; make the scope smaller, or raise --limit (without symmetry 10,000 states take about "
        "a minute)."
    )


def _written(target: str, picture: Diagram, render: Callable[[Diagram], str]) -> bool:
    """Writes a diagram; says whether that was to stdout."""
    if target == "-":
        click.echo(render(picture), nl=False)
        return True
    try:
        write_whole(Path(target), render(picture).encode())
    except OSError as problem:
        raise NotWritten(f"{target} cannot be written: {problem.strerror}; name another file") from None
    return False
