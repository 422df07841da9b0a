"""`cbtspec bitmaps`: which bitmaps does this image have, and can the next backup use them?"""

from __future__ import annotations

from pathlib import Path

import click

from cbtcheck.cli.imports import importing
from cbtcheck.scenario.verdict import EXIT_CODES

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  every bitmap of the image is valid (or it has none)
  {EXIT_CODES["unsafe or diverging"]:>3}  a bitmap is inconsistent or damaged, or all are ignored: back up in full
  {EXIT_CODES["broken"]:>3}  QEMU does not open the image
  {EXIT_CODES["incomplete"]:>3}  a program has the image open for writing: the file does not say how its bitmaps are
  {EXIT_CODES["usage"]:>3}  usage: it cannot be read, or is no qcow2 image
"""


@click.command(name="bitmaps", epilog=EPILOG)
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def bitmaps_command(image: Path, as_json: bool) -> int:
    """Which bitmaps the qcow2 image IMAGE has: valid, in use or inconsistent, how much is dirty, what it means.

    It only reads, and needs no QEMU. The image may be in use by a running one.
    """
    with importing():
        from cbtcheck.stored.examine import HELD, CannotRead, examine
        from cbtcheck.stored.words import lines, to_json
    try:
        found = examine(image)
    except CannotRead as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(to_json(found) if as_json else "\n".join(lines(found)))
    if found.refused:
        return EXIT_CODES["broken"]
    if any(each.state != HELD for each in found.bitmaps) and not found.trusted and found.opened_for != "writing":
        return EXIT_CODES["unsafe or diverging"]
    if found.ignored:
        return EXIT_CODES["unsafe or diverging"]
    if found.opened_for == "writing":
        return EXIT_CODES["incomplete"]
    return EXIT_CODES["conformant"]
