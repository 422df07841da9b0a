"""`cbtspec tap`: records a QMP conversation as a log that `cbtspec verify` reads."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from pathlib import Path

import click

from cbtcheck.host.lacking import why_of
from cbtcheck.scenario.verdict import EXIT_CODES
from cbtcheck.trace.tap import Log, Tap

LONGEST_ADDRESS = 107
"""The most bytes of a Unix socket's path."""

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["usage"]:>3}  usage: it cannot listen, or the log cannot be written
  {EXIT_CODES["interrupted"]:>3}  ended by Ctrl-C, or SIGTERM: the usual end
"""


@click.command(name="tap", epilog=EPILOG)
@click.argument("socket", type=click.Path(path_type=Path))
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--listen", type=click.Path(path_type=Path), metavar="PATH",
              help="The tap's own socket, for the tool (default: SOCKET.tap).")  # fmt: skip
@click.option("--append", is_flag=True, help="Go on with a log that is there already.")
def tap_command(socket: Path, log: Path, listen: Path | None, append: bool) -> int:
    """Records what goes over QEMU's QMP socket SOCKET into LOG: give the tool the tap's socket instead.

    Every byte is passed on unchanged in both directions. It runs until Ctrl-C.
    """
    at = Path(f"{socket}.tap") if listen is None else listen
    try:
        _can_be_listened_at(at)
    except OSError as problem:
        raise click.ClickException(f"the tap cannot listen at {at}: {why_of(problem)}") from None
    try:
        if log.exists() and not append:
            raise click.ClickException(f"{log} is there already: say --append to go on with it.")
        with log.open("ab") as file:
            return _run(socket, Log(file, _warn), at)
    except OSError as problem:
        raise click.ClickException(f"{log} cannot be written: {why_of(problem)}") from None


def _run(socket: Path, log: Log, at: Path) -> int:
    def ready() -> None:
        click.echo(f"listening at {at}; Ctrl-C ends it", err=True)

    try:
        asyncio.run(Tap(socket, log, _warn).listen(at, ready))
    except OSError as problem:
        raise click.ClickException(f"the tap cannot listen at {at}: {why_of(problem)}") from None
    except KeyboardInterrupt:
        if log.failed is None:
            raise
    return EXIT_CODES["usage"]


def _can_be_listened_at(at: Path) -> None:
    """A socket that nobody listens at any more is removed; anything else that is there is left alone.

    Raises `click.ClickException`, or `OSError` if it cannot even be looked at.
    """
    if len(os.fsencode(at)) > LONGEST_ADDRESS:
        raise click.ClickException(f"{at} is too long for a socket (at most {LONGEST_ADDRESS} bytes): say --listen.")
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(at.stat().st_mode):
            raise click.ClickException(f"{at} is there already, and is no socket: say --listen.")
        if asyncio.run(_answers(at)):
            raise click.ClickException(f"somebody listens at {at} already: say --listen.")
        at.unlink()


async def _answers(at: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(at)
    except OSError:
        return False
    writer.close()
    return True


def _warn(text: str) -> None:
    click.echo(f"cbtspec: {text}", err=True)
