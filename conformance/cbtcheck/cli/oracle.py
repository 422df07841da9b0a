"""The command `cbtspec oracle`: told line by line what happens to disks, it says what the specification says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from cbtcheck.host.lacking import why_of
from cbtcheck.oracle import messages
from cbtcheck.oracle.service import Service
from cbtcheck.scenario.verdict import EXIT_CODES

AT_ONCE = 1 << 20

EPILOG = f"""\b
A conversation:
  {{"do":"disks","disks":{{"disk0":17592186044416}},"block":4096}}
  {{"do":"add-bitmap","node":"disk0","name":"b0","granularity":65536}}
  {{"do":"write","node":"disk0","offset":8192,"length":4096}}
  {{"do":"bounds"}}
  {{"do":"observed","bitmaps":[{{"node":"disk0","name":"b0","dirty":[]}}]}}

\b
Exit codes, at the end of the input:
  {EXIT_CODES["conformant"]:>3}  every reply and observation is as specified
  {EXIT_CODES["wasteful"]:>3}  wasteful: safe, but more was observed than there need be
  {EXIT_CODES["unsafe or diverging"]:>3}  unsafe or diverging: a write is lost, or something is not as specified
  {EXIT_CODES["usage"]:>3}  a line could not be used (an error answered it), none came, or nobody read the answers
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command("oracle", epilog=EPILOG)
@click.option("--schema", type=click.Choice(["input", "output"]),
              help="Print the JSON Schema of the lines that are read, or written, and nothing else.")  # fmt: skip
def oracle_command(schema: str | None) -> int:
    """Answers what the specification says: JSON lines in on stdin (what happened, what was seen), JSON lines out."""
    if schema is not None:
        click.echo(messages.published("input" if schema == "input" else "output"), nl=False)
        return EXIT_CODES["conformant"]
    service, output = Service(), sys.stdout.buffer
    for lines in portions(sys.stdin.fileno()):
        answers = [service.too_long() if each is None else service.answer(each) for each in lines]
        try:
            output.write(b"".join(each + b"\n" for each in answers))
            output.flush()
        except BrokenPipeError:  # nobody reads any more: what was not read is not judged, so this is no success
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
            return EXIT_CODES["usage"]
    if not service.lines:
        raise click.ClickException("standard input: no line came")
    return service.exit_code


def portions(descriptor: int) -> Iterator[list[bytes | None]]:
    """The lines that have arrived, whenever some have; None for one that is too long. Memory does not grow with them.

    An empty line at the very end is none. Raises `click.ClickException` if nothing can be read.
    """
    pieces: list[bytes] = []
    held, skipping = 0, False
    while True:
        try:
            arrived = os.read(descriptor, AT_ONCE)
        except OSError as problem:
            raise click.ClickException(f"standard input cannot be read: {why_of(problem)}") from None
        *complete, rest = arrived.split(b"\n")
        lines: list[bytes | None] = []
        for each in complete:
            whole = b"".join([*pieces, each])
            pieces, held = [], 0
            if skipping:
                skipping = False
            else:
                lines.append(whole if len(whole) <= messages.LONGEST_LINE else None)
        if not arrived:
            if pieces:
                lines.append(b"".join(pieces))
            if lines:
                yield lines
            return
        if rest and not skipping:
            pieces.append(rest)
            held += len(rest)
            if held > messages.LONGEST_LINE:
                lines.append(None)
                pieces, held, skipping = [], 0, True
        if lines:
            yield lines
