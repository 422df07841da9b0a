"""`cbtspec replay`: a saved scenario, played again and drawn."""

from __future__ import annotations

from pathlib import Path

import click

from cbtcheck import adapters
from cbtcheck.cli.adapter_options import ALIGNMENT, DAEMON, MISTAKE, known_adapter
from cbtcheck.cli.exit_codes import EPILOG
from cbtcheck.cli.imports import importing
from cbtcheck.cli.picture_option import PICTURE
from cbtcheck.cli.program import Program, program_options


@click.command("replay", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--adapter", default="reference", show_default=True, metavar="[reference|qemu|exec]",
              help="What to play it on.")  # fmt: skip
@program_options
@DAEMON
@MISTAKE
@ALIGNMENT
@PICTURE
def replay_command(
    file: Path, adapter: str, daemon: str | None, mistake: str | None, program: Program, alignment: str | None,
    picture: Path | None,
) -> int:  # fmt: skip
    """Plays a saved scenario, and shows what happens."""
    known_adapter(adapter, daemon, mistake, program, alignment)
    with importing():
        from cbtcheck.cli import replaying
    opening = adapters.Opening(adapter, daemon, mistake, program.command, program.limits, int(alignment or 1))
    return replaying.replay(file, opening, picture)
