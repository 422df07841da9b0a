"""The command `cbtspec vectors`: writes the static test vectors, verifies them, or packs them into an archive."""

from __future__ import annotations

from pathlib import Path

import click

from cbtcheck.cli.imports import importing
from cbtcheck.cli.problem import NotWritten, Problem, check_writable
from cbtcheck.host.saving import write_whole
from cbtcheck.scenario.verdict import EXIT_CODES


@click.command("vectors")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where to write or verify them (default: conformance/vectors of the checkout).")  # fmt: skip
@click.option("--verify", is_flag=True, help="Write nothing; say whether they are what the specification gives.")
@click.option("--archive", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write all of them into one reproducible .tar.gz, with schema, README and licence.")  # fmt: skip
def vectors_command(out: Path | None, verify: bool, archive: Path | None) -> int:
    """Writes the static test vectors: scenarios and what is expected of them, for tests without Python."""
    if archive is not None and (verify or out is not None):
        raise click.UsageError("--archive goes with no other option.")
    with importing():
        from cbtcheck.vectors import folder
    if verify:
        return _verify(out or folder.home())
    if archive is None and out is None and not folder.CHECKOUT.is_dir():
        raise click.UsageError("this is no checkout: say with --out where to write the vectors.")
    place = archive or out or folder.CHECKOUT
    try:
        if archive is not None:
            check_writable(archive, "--archive")  # before it takes half a minute
            content = folder.archive()
            write_whole(archive, content)
            click.echo(f"{len(content):,} bytes in {archive}")
        else:
            click.echo(f"{len(folder.write(place))} files in {place}")
    except Problem as problem:
        raise NotWritten(problem.message) from None
    except OSError as problem:
        raise NotWritten(f"{problem.filename or place} cannot be written: {problem.strerror}") from None
    return 0


def _verify(place: Path) -> int:
    from cbtcheck.vectors import folder

    try:
        difference = folder.first_difference(place)
    except OSError as problem:
        raise click.UsageError(f"{problem.filename or place}: {problem.strerror}.") from None
    if difference:
        click.echo(f"cbtspec: {difference}", err=True)
        return EXIT_CODES["unsafe or diverging"]
    click.echo(f"the vectors in {place} are what the specification gives")
    return 0
