"""The option `--picture`: what backups give back, drawn into a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cbtcheck.cli.problem import NotWritten, Problem, check_writable

if TYPE_CHECKING:
    from cbtcheck.follow.chain_table import ChainTable
    from cbtcheck.follow.chain_words import Named
    from cbtcheck.follow.play import Frame

KINDS = (".svg", ".html")


def _checked(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    if path.suffix not in KINDS:
        raise click.BadParameter(f"the name of the picture ends with {' or '.join(KINDS)}, not '{path.suffix}'.")
    try:
        check_writable(path, "--picture")
    except Problem as problem:
        raise NotWritten(problem.message) from None
    return path


PICTURE = click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", callback=_checked,
    help="Draw what the backups give back, and what is lost, into a file: .svg, or .html with all that is printed.",
)  # fmt: skip


def draw(
    path: Path, name: str, listed: Sequence[tuple[ChainTable, Named, list[tuple[int, int]] | None]],
    frames: list[Frame] | None = None,
) -> None:  # fmt: skip
    """Writes the picture; where there is no backup, a line on stderr says so, and nothing is written."""
    from cbtcheck.report.chain_page import History, write_picture

    try:
        write_picture(path, name, [History(*each) for each in listed], frames)
    except ValueError as problem:
        click.echo(f"cbtspec: {path} was not written: {problem}", err=True)
    except OSError as problem:
        raise NotWritten(f"{path} cannot be written: {problem.strerror}") from None
