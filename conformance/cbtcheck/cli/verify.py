"""`cbtspec verify`: is everything in a recorded history allowed?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from cbtcheck.cli.imports import importing
from cbtcheck.cli.picture_option import PICTURE, draw
from cbtcheck.host.lacking import why_of
from cbtcheck.scenario.verdict import EXIT_CODES, exit_code
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.form import LARGEST_ALIGNMENT, LARGEST_DISK
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

LOG_WIDTH = 100
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
KNOWLEDGE = click.Choice(["recorded", "unknown"])

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  everything that was judged is allowed
  {EXIT_CODES["wasteful"]:>3}  wasteful: safe, but more is reported than there need be
  {EXIT_CODES["unsafe or diverging"]:>3}  unsafe or diverging: a write is lost, or something is not as specified
  {EXIT_CODES["commands"]:>3}  unsafe (the commands): all is allowed, and the backups do not give the disk back
  {EXIT_CODES["usage"]:>3}  usage: the trace cannot be read, nothing in it could be judged, or some is undecided
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(name="verify", epilog=EPILOG)
@click.argument("trace", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "form", type=click.Choice(["auto", "trace", "qmp"]), default="auto", show_default=True,
              help="What the trace is: our own format, or a log of QMP messages.")  # fmt: skip
@click.option("--guest", type=KNOWLEDGE,
              help="Whether every guest write is in the trace (default: as its head says; in a QMP log: unknown).",
              )  # fmt: skip
@click.option("--copies", type=KNOWLEDGE,
              help="Whether every copy of a job is in the trace (default: as its head says; in a QMP log: unknown).",
              )  # fmt: skip
@click.option("--disk", "disks", multiple=True, metavar="NODE=SIZE",
              help="The size of a node that a QMP log does not tell, in bytes or with k, M, G, T.")  # fmt: skip
@click.option("--monitor", metavar="NAME",
              help="Judge the conversation of this monitor only, where a QMP log has several.")  # fmt: skip
@click.option("--alignment", metavar="BYTES",
              help="Writes may be recorded as if padded to multiples of so many bytes, as with sectors of 4k.",
              )  # fmt: skip
@click.option("--output", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True,
              help="The report on stdout.")  # fmt: skip
@PICTURE
def verify_command(
    trace: Path, form: str, guest: str | None, copies: str | None, disks: tuple[str, ...],
    monitor: str | None, alignment: str | None, output: str, picture: Path | None,
) -> int:  # fmt: skip
    """Judges a recorded history: is everything that was seen allowed? TRACE is a file, or - for standard input.

    Where the order of commands and guest writes is known in part only, every order that agrees with the trace counts.
    """
    if form == "qmp" and copies == "recorded":
        raise click.UsageError("--copies: copies are never in a QMP log.")
    padded = None if alignment is None else _alignment(alignment)
    options = Options(form, copies, guest, dict(_disk(each) for each in disks), monitor, padded)
    report = _judged(trace, options)
    with importing():
        from cbtcheck.trace.chains import OfGaps
        from cbtcheck.trace.printed import print_trace, to_json
    if picture is not None:
        histories = [(table, each.named, each.gaps if isinstance(each, OfGaps) else None)
                     for table, each in report.tables]  # fmt: skip
        draw(picture, trace.name, histories)
    if output == "json":
        click.echo(to_json(report), nl=False)
    else:
        from cbtcheck.report.plain_console import console

        name = "stdin" if str(trace) == "-" else trace.name
        print_trace(report, console(LOG_WIDTH), name)
    if report.number:
        return exit_code(report.worst)
    if report.restores is False:
        return EXIT_CODES["commands"]
    return EXIT_CODES["conformant"] if report.conformant and not report.chains_undecided else EXIT_CODES["usage"]


def _judged(trace: Path, options: Options) -> TraceReport:
    try:
        with _opened(trace) as file:
            return verify(file, options)
    except TraceProblem as problem:
        raise click.ClickException(f"{trace}: {problem}") from None
    except OSError as problem:
        raise click.ClickException(f"{trace} cannot be read: {why_of(problem)}") from None


@contextmanager
def _opened(trace: Path) -> Iterator[BinaryIO]:
    if str(trace) == "-":
        yield sys.stdin.buffer
        return
    with trace.open("rb") as file:
        yield file


def _disk(given: str) -> tuple[str, int]:
    name, _, size = given.rpartition("=")
    number = _bytes(size)
    if not name or not 0 < number <= LARGEST_DISK:
        raise click.UsageError(f"--disk {given}: expected NODE=SIZE, as in drive0=64M.")
    return name, number


def _alignment(given: str) -> int:
    number = _bytes(given)
    if number.bit_count() != 1 or number > LARGEST_ALIGNMENT:
        raise click.UsageError(f"--alignment {given}: expected a power of two, as in 4096 or 4k.")
    return number


def _bytes(given: str) -> int:
    """A size in bytes, perhaps with a unit; 0 if it is none."""
    number, unit = (given[:-1], given[-1:].lower()) if given[-1:].lower() in "kmgt" else (given, "")
    digits = number.isascii() and number.isdigit() and len(number) <= 19
    return int(number) * UNITS[unit] if digits else 0
